//! `node_info` and `peer_info`, as geth's `eth` had them.

use std::sync::Arc;

use alloy_primitives::U256;
use rushlight_chain::{ChainAccess, Head, RawBlock};
use rushlight_eth::{
    EthConfig, EthProtocol,
    v28::{Message28, NewBlock},
};
use rushlight_p2p::{PeerId, Protocol};
use serde_json::json;
use tokio::sync::mpsc;

use super::support::{Node, TestChain};

#[tokio::test(start_paused = true)]
async fn node_info_has_the_fields_of_geth() {
    let chain = Arc::new(TestChain::new(4));
    let (events, _receiver) = mpsc::channel(1);
    let mut config = EthConfig::new(chain.clone(), events);
    let info = EthProtocol::new(config.clone()).node_info().unwrap();
    assert_eq!(info, json!({ "network": 0, "difficulty": 4, "genesis": chain.hashes[0], "head": chain.hashes[3] }));
    config.info_network = Some(1);
    config.info_config = Some(json!({ "chainId": 1 }));
    let info = EthProtocol::new(config).node_info().unwrap();
    assert_eq!((&info["network"], &info["config"]), (&json!(1), &json!({ "chainId": 1 })));
}

/// A head with the total difficulty of mainnet at its end.
struct Heavy(TestChain);

impl ChainAccess for Heavy {
    fn head(&self) -> Head {
        Head { td: "58750003716598352816469".parse::<U256>().unwrap(), ..self.0.head() }
    }

    fn genesis_hash(&self) -> alloy_primitives::B256 {
        self.0.genesis_hash()
    }

    fn hashes_before(&self, _: &alloy_primitives::B256, _: usize) -> Vec<alloy_primitives::B256> {
        Vec::new()
    }

    fn header(&self, _: &alloy_primitives::B256) -> Option<alloy_primitives::Bytes> {
        None
    }

    fn block(&self, _: &alloy_primitives::B256) -> Option<RawBlock> {
        None
    }

    fn preimage(&self, _: &alloy_primitives::B256) -> Option<alloy_primitives::Bytes> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn a_total_difficulty_past_64_bits_keeps_its_digits() {
    let (events, _receiver) = mpsc::channel(1);
    let config = EthConfig::new(Arc::new(Heavy(TestChain::new(1))), events);
    let info = EthProtocol::new(config).node_info().unwrap();
    assert_eq!(info["difficulty"], json!("58750003716598352816469"));
}

#[tokio::test(start_paused = true)]
async fn peer_info_is_none_while_the_handshake_runs() {
    let mut node = Node::new(TestChain::new(4));
    let mut raw = node.connect();
    raw.hear().await;
    assert_eq!(node.protocol.peer_info(&raw.id), None);
    raw.say(Message28::Status(node.status())).await;
    let session = node.joined().await;
    assert_eq!(
        node.protocol.peer_info(&raw.id).unwrap(),
        json!({ "version": 28, "difficulty": 4, "head": node.chain.hashes[3] })
    );
    assert_eq!(node.protocol.peer_info(&PeerId([99; 64])), None);
    assert_eq!(node.protocol.sessions().len(), 1);

    let block = node.chain.blocks[2].clone();
    raw.say(Message28::NewBlock(NewBlock { block, td: U256::from(77) })).await;
    node.events.recv().await.unwrap();
    assert_eq!(node.protocol.peer_info(&raw.id).unwrap()["difficulty"], 77);

    session.disconnect(rushlight_p2p::DisconnectReason::Requested);
    node.left(raw.id).await;
    assert_eq!(node.protocol.peer_info(&raw.id), None);
    assert!(node.protocol.sessions().is_empty());
}

#[test]
fn the_capability_is_eth_28_with_18_ids() {
    let (events, _receiver) = mpsc::channel(1);
    let protocol = EthProtocol::new(EthConfig::new(Arc::new(TestChain::new(1)), events));
    assert_eq!((protocol.name(), protocol.version(), protocol.length()), ("eth", 28, 18));
}
