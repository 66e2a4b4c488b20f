//! What no pair of processes can do without, measured without them on the same cores: bare recovery of signatures, and
//! the whole of the work with recovery as the only check.

use std::{fs::File, io::BufReader, path::Path, sync::mpsc::sync_channel, thread, time::Instant};

use alloy_primitives::Bytes;
use rushlight_chain::{Batch, Column, RocksStore, SealedHeader, Store, clique, header, store::Budget};
use rushlight_full::RlpFile;
use secp256k1::{
    Message,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// Headers that are measured with: the first of the chain. Neither rate depends on their number.
const SAMPLE: usize = 20_000;
/// As many as a message holds.
const MESSAGE: usize = 192;
/// Messages under way between the two halves.
const AHEAD: usize = 8;

/// Headers a second.
pub(crate) struct Rates {
    /// Signatures recovered on all cores, nothing else.
    pub(crate) recovery: f64,
    /// Read, compressed; uncompressed, decoded, hashed, recovered, written: both processes' work without checks but
    /// recovery, without encryption, sockets and bookkeeping.
    pub(crate) work: f64,
}

/// Measures with the first headers of a file of blocks.
pub(crate) fn measure(blocks: &Path, folder: &Path) -> Rates {
    let file = RlpFile::new(BufReader::new(File::open(blocks).unwrap()));
    let raw: Vec<Bytes> = file.take(SAMPLE).map(|block| block.unwrap().header).collect();
    let decoded: Vec<SealedHeader> = raw.iter().map(|raw| header::decode(raw).unwrap()).collect();
    let _ = std::fs::remove_dir_all(folder);
    Rates { recovery: recovery(&decoded), work: work(&raw, &decoded, folder) }
}

fn recovery(headers: &[SealedHeader]) -> f64 {
    let parts: Vec<_> = headers.iter().map(parts).collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    thread::scope(|scope| {
        for share in parts.chunks(parts.len().div_ceil(cores)) {
            scope.spawn(move || {
                for (message, signature) in share {
                    std::hint::black_box(secp256k1::SECP256K1.recover_ecdsa(*message, signature).unwrap());
                }
            });
        }
    });
    headers.len() as f64 / start.elapsed().as_secs_f64()
}

fn parts(header: &SealedHeader) -> (Message, RecoverableSignature) {
    let seal = header.extra_data.last_chunk::<65>().unwrap();
    let signature = RecoverableSignature::from_compact(&seal[..64], RecoveryId::try_from(i32::from(seal[64])).unwrap());
    (Message::from_digest(clique::seal_hash(header).unwrap().0), signature.unwrap())
}

fn work(raw: &[Bytes], decoded: &[SealedHeader], folder: &Path) -> f64 {
    let (served, kept) = (store(&folder.join("served")), store(&folder.join("kept")));
    for part in raw.chunks(MESSAGE).zip(decoded.chunks(MESSAGE)) {
        write(&served, part.0, part.1);
    }
    let (sender, receiver) = sync_channel::<Vec<u8>>(AHEAD);
    let (verified, writes) = sync_channel::<(Vec<Bytes>, Vec<SealedHeader>)>(AHEAD);
    let start = Instant::now();
    thread::scope(|scope| {
        // Writes overlap with the recovery of what follows, as a node's do.
        scope.spawn(|| {
            for (raw, headers) in writes {
                write(&kept, &raw, &headers);
            }
        });
        let verified = verified; // Dropped at the end, which ends the writer.
        scope.spawn(|| {
            let sender = sender; // Dropped at the end, which ends the other half.
            for part in decoded.chunks(MESSAGE) {
                let mut message = Vec::new();
                let keys: Vec<&[u8]> = part.iter().map(|header| header.hash_ref().as_slice()).collect();
                for raw in served.multi_get(Column::Headers, &keys).unwrap() {
                    message.extend_from_slice(&raw.unwrap());
                }
                sender.send(snap::raw::Encoder::new().compress_vec(&message).unwrap()).unwrap();
            }
        });
        for message in receiver {
            let message = snap::raw::Decoder::new().decompress_vec(&message).unwrap();
            let (mut rest, mut raw) = (&message[..], Vec::new());
            while !rest.is_empty() {
                // Headers are lists of 256 to 65,535 bytes: a prefix of three bytes.
                let length = 3 + usize::from(u16::from_be_bytes([rest[1], rest[2]]));
                raw.push(Bytes::copy_from_slice(&rest[..length]));
                rest = &rest[length..];
            }
            let headers: Vec<_> = raw.iter().map(|raw| header::decode(raw).unwrap()).collect();
            assert!(clique::recover_signers(&headers).iter().all(Result::is_ok));
            verified.send((raw, headers)).unwrap();
        }
    });
    raw.len() as f64 / start.elapsed().as_secs_f64()
}

fn store(folder: &Path) -> RocksStore {
    RocksStore::open(folder, &Budget::default()).unwrap()
}

fn write(store: &RocksStore, raw: &[Bytes], headers: &[SealedHeader]) {
    let mut batch = Batch::new();
    for (raw, header) in raw.iter().zip(headers) {
        batch.put(Column::Headers, header.hash(), raw);
        batch.put(Column::Numbers, header.number.to_be_bytes(), header.hash());
    }
    store.write(batch).unwrap();
}
