//! Writes the seeds of the fuzzers: `cargo run -p rushlight-fuzz-targets --example seeds`. Same bytes every time.
#![allow(clippy::unwrap_used)]

use std::{fs, io::Write as _, path::Path};

use alloy_primitives::{B256, Bytes, U256, keccak256};
use bytes::BytesMut;
use keccak_asm::{Digest, Keccak256};
use rand::{SeedableRng, rngs::StdRng};
use rushlight_chain::{
    ChainSpec, RawBlock, header,
    testing::{ToyMiner, toy_spec},
};
use rushlight_eth::v28::{
    BlockHashes, BlockHeaders, Blocks, GetBlockHashes, GetBlockHeaders, GetBlocks, HashLookup, HashLookupResponse,
    Message28, NewBlock, Status, Transactions,
};
use rushlight_p2p::{
    Capability, PeerId,
    rlpx::{
        frame,
        handshake::{Ephemeral, Form, Secrets},
    },
    secp256k1::{PublicKey, SECP256K1, SecretKey},
    wire::{self, Hello},
};

fn main() {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds").join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    };
    let mut rng = StdRng::seed_from_u64(1);

    let hello = Hello {
        version: 5,
        client_id: "rushlight/seed".to_owned(),
        capabilities: vec![
            Capability { name: "eth".into(), version: 28 },
            Capability { name: "les".into(), version: 4 },
        ],
        listen_port: 30303,
        id: PeerId([7; 64]),
    };
    for (name, id, payload) in
        [("hello", 0, hello.encode()), ("disconnect", 1, vec![0xc1, 0x04]), ("ping", 2, vec![0xc0])]
    {
        for snappy in [false, true] {
            let message = wire::encode(id, &payload, snappy);
            write("devp2p_message", &format!("{name}-{snappy}"), &[&[u8::from(snappy)], &message[..]].concat());
        }
        write("devp2p_message", &format!("{name}-payload"), &[&[0], &payload[..]].concat());
    }

    let key = SecretKey::from_byte_array([1; 32]).unwrap();
    let remote = PublicKey::from_secret_key(SECP256K1, &key);
    let ephemeral = Ephemeral::random(&mut rng);
    let auth = ephemeral.auth(&SecretKey::from_byte_array([2; 32]).unwrap(), &remote);
    write("rlpx_packet", "auth", &auth.encode(&mut rng, &remote));
    for (name, form) in [("ack", Form::Eip8), ("ack-old", Form::Old)] {
        write("rlpx_packet", name, &ephemeral.ack().encode(&mut rng, &remote, form));
    }

    let secrets = Secrets { aes: [1; 32], mac: [2; 32], egress: Keccak256::new(), ingress: Keccak256::new() };
    let (mut encoder, _) = frame::codec(secrets);
    let mut frames = BytesMut::new();
    for size in [1, 15, 16, 17, 300] {
        encoder.encode(&vec![0xc0; size], &mut frames).unwrap();
    }
    write("rlpx_frame", "five", &frames);

    let miner = ToyMiner::new(toy_spec(3));
    let headers = miner.headers(&miner.spec().genesis, 3);
    let raw: Vec<Bytes> = headers.iter().map(|h| header::encode(h)).collect();
    let legacy = Bytes::from_static(&[0xc9, 1, 2, 3, 0x80, 0x80, 0x80, 0x1b, 1, 1]);
    let block = RawBlock {
        header: raw[1].clone(),
        transactions: vec![legacy.clone()],
        uncles: vec![raw[0].clone()],
        withdrawals: None,
    };
    write("block", "header", &raw[0]);
    write("block", "mainnet-genesis", &header::encode(&ChainSpec::mainnet().genesis));
    write("block", "block", &block.encode());

    let hashes: Vec<B256> = headers.iter().map(|h| h.hash()).collect();
    let messages = [
        Message28::Status(Status {
            protocol_version: 28,
            network_id: 0,
            td: U256::from(1u64 << 40),
            best: hashes[2],
            genesis: hashes[0],
        }),
        Message28::Transactions(Transactions(vec![legacy])),
        Message28::GetBlockHashes(GetBlockHashes { hash: hashes[0], max_blocks: 2048 }),
        Message28::BlockHashes(BlockHashes(hashes.clone())),
        Message28::GetBlocks(GetBlocks(hashes.clone())),
        Message28::Blocks(Blocks(vec![block.clone()])),
        Message28::NewBlock(NewBlock { block: block.clone(), td: U256::from(7) }),
        Message28::GetBlockHeaders(GetBlockHeaders(hashes.clone())),
        Message28::BlockHeaders(BlockHeaders(raw)),
        Message28::HashLookup(HashLookup(hashes.clone())),
        Message28::HashLookupResponse(HashLookupResponse(vec![Bytes::from_static(b"value"), Bytes::new()])),
    ];
    for message in messages {
        let (id, payload) = message.encode();
        write("eth28", &format!("{id:02x}"), &[&[id as u8], &payload[..]].concat());
    }

    // A leaf, an extension, a branch whose children are a hash, a node within it and nothing.
    let leaf = [&[0xc8, 0x82, 0x20, 0x00, 0x84][..], b"leaf"].concat();
    let hash = keccak256(&leaf);
    let extension = [&[0xe4, 0x82, 0x00, 0x00, 0xa0][..], &hash[..]].concat();
    let mut branch = vec![0xa0];
    branch.extend_from_slice(&hash[..]);
    branch.extend_from_slice(&[0xc4, 0x82, 0x20, 0x11, 0x07]);
    branch.extend_from_slice(&[0x80; 15]);
    let branch = [&[0xf8, branch.len() as u8][..], &branch[..]].concat();
    for (name, node) in [("leaf", &leaf), ("extension", &extension), ("branch", &branch)] {
        write("trie_node", name, node);
    }

    write("chain_file", "two.rlp", &[&block.encode()[..], &block.encode()[..]].concat());
    let mut era1 = vec![0x65, 0x32, 0, 0, 0, 0, 0, 0];
    for (kind, value) in [(3u8, &block.header[..]), (4, &[0xc2, 0xc0, 0xc0][..]), (5, &[0xc0][..])] {
        let mut framed = snap::write::FrameEncoder::new(Vec::new());
        framed.write_all(value).unwrap();
        entry(&mut era1, kind, &framed.into_inner().unwrap());
    }
    entry(&mut era1, 6, &U256::from(131072).to_le_bytes::<32>());
    entry(&mut era1, 7, &[9; 32]);
    write("chain_file", "one.era1", &era1);

    let id = "7".repeat(128);
    write("enode", "v4", format!("enode://{id}@127.0.0.1:30303").as_bytes());
    write("enode", "v6-discport", format!("enode://{id}@[::1]:30303?discport=30301").as_bytes());
    let genesis = r#"{"config":{"chainId":7,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,"byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,"londonBlock":0,"clique":{"period":1,"epoch":100}},"difficulty":"1","gasLimit":"30000000","extradata":"0x00000000000000000000000000000000000000000000000000000000000000007777777777777777777777777777777777777777000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000","baseFeePerGas":"0x3b9aca00","alloc":{"0x00000000000000000000000000000000000000aa":{"balance":"0x10","nonce":"0x1","code":"0x60","storage":{"0x0000000000000000000000000000000000000000000000000000000000000001":"0x0000000000000000000000000000000000000000000000000000000000000002"}}}}"#;
    write("genesis", "clique.json", genesis.as_bytes());

    let key_files = [
        (
            "scrypt.json",
            r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},"ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt","kdfparams":{"dklen":32,"n":262144,"r":1,"p":8,"salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},"mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#,
        ),
        (
            "pbkdf2.json",
            r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2","kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#,
        ),
        (
            "with-address.json",
            r#"{"address":"45dea0fb0bba44f4fcf290bba71fd57d7117cbb8","crypto":{"cipher":"aes-128-ctr","ciphertext":"b87781948a1befd247bff51ef4063f716cf6c2d3481163e9a8f42e1f9bb74145","cipherparams":{"iv":"dc4926b48a105133d2f16b96833abf1e"},"kdf":"scrypt","kdfparams":{"dklen":32,"n":2,"p":1,"r":8,"salt":"004244bbdc51cadda545b1cfa43cff9ed2ae88e08c61f1479dbb45410722f8f0"},"mac":"39990c1684557447940d4c69e06b1b82b2aceacb43f284df65c956daf3046b85"},"id":"ce541d8d-c79b-40f8-9f8c-20f59616faba","version":3}"#,
        ),
    ];
    for (name, json) in key_files {
        write("key_file", name, json.as_bytes());
    }
    let mail = r#"{"types":{"EIP712Domain":[{"name":"name","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}],"Person":[{"name":"name","type":"string"},{"name":"wallets","type":"address[2][]"}],"Mail":[{"name":"from","type":"Person"},{"name":"to","type":"Person[]"},{"name":"flag","type":"bool"},{"name":"id","type":"bytes4"},{"name":"value","type":"int64"},{"name":"data","type":"bytes"}]},"primaryType":"Mail","domain":{"name":"Ether Mail","chainId":"0x1","verifyingContract":"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},"message":{"from":{"name":"Cow","wallets":[["0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826","0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"]]},"to":[],"flag":true,"id":"0x01020304","value":-7,"data":"0x00"}}"#;
    write("typed_data", "mail.json", mail.as_bytes());
    write("typed_data", "mail-in-a-string.json", serde_json::to_string(mail).unwrap().as_bytes());

    let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x00000000000000000000000000000000000000aa","latest"]}"#;
    let values = r#"[-1.5e+3,0,true,false,null,{"\"\\\u00e9":[{}]}] "x"12 {}null"#;
    for (name, part, most, stream) in [
        ("call", 255, 255, call.to_owned()),
        ("two-calls", 6, 255, call.repeat(2)),
        ("batch", 0, 255, format!("[{call},{call}]\n")),
        ("values", 2, 255, values.to_owned()),
        ("long", 3, 1, format!("{{}} {call}")),
        ("deep", 255, 255, "[".repeat(200) + &"]".repeat(200)),
    ] {
        write("ipc_stream", name, &[&[part, most], stream.as_bytes()].concat());
    }
}

/// An e2store entry.
fn entry(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    out.extend_from_slice(&[kind, 0]);
    out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(value);
}
