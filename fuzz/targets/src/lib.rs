//! What the fuzzers feed: one function for every decoder of bytes from the network, a file or a user.
//!
//! A function takes any bytes, must not panic, must not take memory that the bytes do not pay for, and checks what holds
//! for whatever decodes: it encodes to the same bytes again. `fuzz/` runs them under libFuzzer; the tests here replay the
//! seeds of `fuzz/seeds/` and what else a plain test can try.

use std::io::Cursor;

use alloy_primitives::{Address, B256, keccak256};
use bytes::{Bytes, BytesMut};
use futures::{FutureExt, future::BoxFuture};
use keccak_asm::{Digest, Keccak256};
use rushlight_chain::{Body, ChainSpec, RawBlock, SealedHeader, era1::Era1Reader, header};
use rushlight_eth::v28;
use rushlight_full::RlpFile;
use rushlight_keystore::{KeyFile, TypedData};
use rushlight_odr::{Source, Unavailable, Wanted, What, trie};
use rushlight_p2p::{
    DisconnectReason, Enode,
    rlpx::{
        frame,
        handshake::{Ack, Auth, Secrets},
    },
    secp256k1::SecretKey,
    wire::{self, Hello},
};
use rushlight_rpc::framing::{FrameError, Framer};

/// A target's name and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, by the name of its folder of seeds.
pub const TARGETS: &[Target] = &[
    ("devp2p_message", devp2p_message),
    ("rlpx_packet", rlpx_packet),
    ("rlpx_frame", rlpx_frame),
    ("eth28", eth28),
    ("block", block),
    ("trie_node", trie_node),
    ("chain_file", chain_file),
    ("enode", enode),
    ("genesis", genesis),
    ("ipc_stream", ipc_stream),
    ("key_file", key_file),
    ("typed_data", typed_data),
];

/// The largest message that is taken from a peer: devp2p's 10 MiB.
const MAX_MESSAGE: usize = 10 << 20;

/// A message inside a frame, with Snappy and without; the first byte says which. Hello and Disconnect are read from it too.
pub fn devp2p_message(data: &[u8]) {
    let Some((&snappy, rest)) = data.split_first() else { return };
    let decoded = wire::decode(Bytes::copy_from_slice(rest), snappy & 1 == 1, MAX_MESSAGE);
    for payload in decoded.iter().map(|(_, payload)| payload.as_ref()).chain([rest]) {
        let _ = Hello::decode(payload);
        let _ = DisconnectReason::decode(payload);
    }
    if let Ok((id, payload)) = decoded {
        let again = wire::encode(id, &payload, snappy & 1 == 1).freeze();
        assert_eq!(wire::decode(again, snappy & 1 == 1, MAX_MESSAGE).ok(), Some((id, payload)));
    }
}

/// The packets of the ECIES handshake, to a key that the seeds know.
pub fn rlpx_packet(data: &[u8]) {
    let key = SecretKey::from_byte_array([1; 32]).expect("a valid scalar");
    let _ = Auth::decode(&key, data);
    let _ = Ack::decode(&key, data);
}

/// Frames of a session whose secrets are all known.
pub fn rlpx_frame(data: &[u8]) {
    let secrets = Secrets { aes: [1; 32], mac: [2; 32], egress: Keccak256::new(), ingress: Keccak256::new() };
    let (_, mut decoder) = frame::codec(secrets);
    let mut buffer = BytesMut::from(data);
    while let Ok(Some(_)) = decoder.decode(&mut buffer, MAX_MESSAGE) {}
}

/// A message of `eth` 28; the first byte is its id. What decodes encodes again, but for what the protocol says to ignore.
pub fn eth28(data: &[u8]) {
    let Some((&id, payload)) = data.split_first() else { return };
    if let Ok(decoded) = v28::decode(u64::from(id), payload) {
        let (again, bytes) = decoded.encode();
        assert_eq!(again, u64::from(id));
        assert_eq!(v28::decode(again, &bytes).as_ref(), Ok(&decoded));
    }
}

/// Headers, bodies, whole blocks, their transactions and uncles.
pub fn block(data: &[u8]) {
    if let Ok(decoded) = header::decode(data) {
        assert_eq!(decoded.hash(), keccak256(data));
        assert_eq!(header::encode(&decoded).as_ref(), data, "a header has one encoding");
    }
    let _ = Body::decode(data);
    let _ = Body::decode_uncles(data);
    if let Ok(decoded) = RawBlock::decode(data) {
        assert_eq!(decoded.encode().as_ref(), data, "a block has one encoding");
        let _ = decoded.decode_header();
        let body = decoded.body();
        let _ = body.decode_transactions();
        let _ = body.decode_uncle_headers();
        let _ = body.decode_withdrawals();
    }
}

/// One node of a trie, walked to a key that leads into it and read as a whole trie.
pub fn trie_node(data: &[u8]) {
    let root = keccak256(data);
    let one = One { hash: root, bytes: Bytes::copy_from_slice(data).into() };
    let what = What::AccountNode { root, address: Address::ZERO };
    for key in [[0u8; 32], [0xff; 32], keccak256([0u8; 20]).0] {
        let _ = trie::get(&one, root, &key, what).now_or_never();
    }
    let _ = trie::all(&one, root, What::TransactionNode { block: B256::ZERO }).now_or_never();
}

/// A source that holds one node.
struct One {
    hash: B256,
    bytes: alloy_primitives::Bytes,
}

impl Source for One {
    fn preimages(&self, wanted: Vec<Wanted>) -> BoxFuture<'_, Result<Vec<alloy_primitives::Bytes>, Unavailable>> {
        let held = wanted.iter().all(|w| w.hash == self.hash);
        let answer = if held { Ok(vec![self.bytes.clone(); wanted.len()]) } else { Err(missing(wanted)) };
        std::future::ready(answer).boxed()
    }

    fn body(&self, header: &SealedHeader) -> BoxFuture<'_, Result<Body, Unavailable>> {
        let wanted = Wanted::new(header.hash(), What::Body { number: header.number });
        std::future::ready(Err(missing(vec![wanted]))).boxed()
    }
}

fn missing(missing: Vec<Wanted>) -> Unavailable {
    Unavailable { missing, asked: Vec::new(), waited: std::time::Duration::ZERO }
}

/// Files of blocks: `.rlp` and `.era1`.
pub fn chain_file(data: &[u8]) {
    for block in RlpFile::new(Cursor::new(data)) {
        if block.is_err() {
            break;
        }
    }
    if let Ok(reader) = Era1Reader::new(Cursor::new(data)) {
        for block in reader {
            if block.is_err() {
                break;
            }
        }
    }
}

/// `enode://` URLs.
pub fn enode(data: &[u8]) {
    if let Ok(node) = String::from_utf8_lossy(data).parse::<Enode>() {
        assert_eq!(node.to_string().parse::<Enode>().as_ref().ok(), Some(&node));
    }
}

/// geth's genesis.json.
pub fn genesis(data: &[u8]) {
    let _ = ChainSpec::from_genesis(data);
}

/// Key files. What is read costs a bounded amount to open, which is not tried here, and is written as it was read.
pub fn key_file(data: &[u8]) {
    if let Ok(file) = KeyFile::parse(data) {
        assert_eq!(KeyFile::parse(&file.to_json()).ok(), Some(file));
    }
}

/// Typed data (EIP-712), as a caller sends it.
pub fn typed_data(data: &[u8]) {
    if let Ok(typed) = TypedData::parse(&String::from_utf8_lossy(data)) {
        let _ = typed.signing_hash();
    }
}

/// What a client writes to the IPC socket; the first byte says in parts of how many bytes it comes, the second how long a
/// message may be. It is cut in the same places however it comes, into what stands there and can be read on its own.
pub fn ipc_stream(data: &[u8]) {
    let [part, most, stream @ ..] = data else { return };
    let (part, most) = (usize::from(*part) + 1, usize::from(*most) * 16);
    let (values, failed) = cut(stream, part, most);
    assert_eq!(cut(stream, stream.len().max(1), most), (values.clone(), failed), "cut by how it comes");
    let mut rest = stream;
    for value in &values {
        assert!(value.len() <= most);
        rest = rest.trim_ascii_start();
        rest = rest.strip_prefix(&value[..]).expect("what stands in the stream");
        // A number ends where something else begins.
        let alone = [&value[..], b" "].concat();
        assert_eq!(cut(&alone, 1, most), (vec![value.clone()], None));
        // What serde does not read of it: other text than UTF-8, numbers and nesting past its bounds.
        if let Err(error) = serde_json::from_slice::<serde_json::Value>(value) {
            let text = String::from_utf8_lossy(value);
            let known = ["recursion limit", "number out of range", "surrogate", "hex escape", "unicode code point"];
            assert!(known.iter().any(|known| error.to_string().contains(known)), "{error}: {text}");
        }
    }
}

/// The values of a stream, and why it ended before its end.
fn cut(stream: &[u8], part: usize, most: usize) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut framer = Framer::new(most);
    let mut values = Vec::new();
    for part in stream.chunks(part) {
        framer.feed(part);
        loop {
            match framer.next_value() {
                Ok(Some(value)) => values.push(value),
                Ok(None) => break,
                Err(error) => return (values, Some(error)),
            }
        }
    }
    (values, None)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// Every seed, every seed cut short at every length, and every seed with each of its first bytes changed.
    #[test]
    fn seeds_replay() {
        for (name, target) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds").join(name);
            let mut seeds = 0;
            for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
                let seed = fs::read(entry.unwrap().path()).unwrap();
                seeds += 1;
                target(&seed);
                let step = seed.len() / 500 + 1;
                for cut in (0..seed.len()).step_by(step) {
                    target(&seed[..cut]);
                    let mut changed = seed.clone();
                    changed[cut] ^= 1 << (cut % 8);
                    target(&changed);
                }
            }
            assert!(seeds > 0, "{name} has no seeds");
        }
    }

    /// RLP prefixes are where lengths lie: every pair and triple of them, before every kind of tail.
    #[test]
    fn lying_lengths() {
        let prefixes = [0x00, 0x7f, 0x80, 0x81, 0xb7, 0xb8, 0xbb, 0xbf, 0xc0, 0xc1, 0xf7, 0xf8, 0xfb, 0xff];
        for (_, target) in TARGETS {
            for a in prefixes {
                for b in prefixes {
                    for c in prefixes {
                        for tail in [0, 4, 40] {
                            let mut data = vec![a, b, c];
                            data.resize(3 + tail, 0xff);
                            target(&data);
                        }
                    }
                }
            }
        }
    }
}
