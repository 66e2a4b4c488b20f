//! A light node inside another program: it joins a network, waits for its head, and reads a balance.
//!
//! ```text
//! cargo run -p rushlight-light --example balance -- genesis.json enode://…@127.0.0.1:30303 0x…
//! ```
//!
//! `rushlight full --genesis genesis.json` prints such an enode URL.

// Its answer is for whoever runs it.
#![allow(clippy::print_stdout)]

use std::{error::Error, sync::Arc, time::Duration};

use alloy_primitives::{Address, U256};
use rushlight_chain::{ChainSpec, MemoryStore};
use rushlight_light::{LightConfig, LightNode};
use rushlight_p2p::{Enode, ServerConfig, TcpTransport, load_or_create_key};

/// How long the network may take to show its head.
const PATIENCE: Duration = Duration::from_secs(60);

type Failure = Box<dyn Error + Send + Sync>;

/// The number of the head, and the account's balance there.
pub(crate) async fn balance(genesis: &[u8], peer: Enode, address: Address) -> Result<(u64, U256), Failure> {
    // The chain, from a genesis file in geth's format; `ChainSpec::mainnet()` and its like are built in.
    let (spec, _) = ChainSpec::from_genesis(genesis)?;

    // Who we are, and whom to dial. A program that stays keeps its key in a folder of its own.
    let folder = tempfile::tempdir()?;
    let mut server = ServerConfig::new(load_or_create_key(folder.path().join("nodekey"))?, Arc::new(TcpTransport));
    server.static_peers = vec![peer];

    // Headers and proved answers in memory; `rushlight_chain::RocksStore` keeps them from one start to the next.
    let node = LightNode::start(LightConfig::new(Arc::new(spec), Arc::new(MemoryStore::new()), server)).await?;

    // Until a peer is there and no peer has more than we have verified.
    let mut status = node.sync().watch();
    let caught_up = status.wait_for(|status| status.peers > 0 && status.synced);
    tokio::time::timeout(PATIENCE, caught_up).await??;

    // One header for the whole question: a block that arrives meanwhile changes nothing about it. The account comes
    // from peers and is proved against the header's state root; `None` means that its absence has been proved.
    let client = node.client();
    let header = client.head().header;
    let account = client.account(&header, address).await;
    node.shutdown().await;
    Ok((header.number, account?.map(|account| account.balance).unwrap_or_default()))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let (Some(genesis), Some(peer), Some(address)) = (args.next(), args.next(), args.next()) else {
        return Err("usage: balance GENESIS.json ENODE ADDRESS".into());
    };
    let (number, wei) = balance(&std::fs::read(genesis)?, peer.parse()?, address.parse()?).await?;
    println!("{address} has {wei} wei at block {number}");
    Ok(())
}
