//! The same JSON-RPC over a full peer's store: nothing is missing, so nothing is asked of anyone.

use std::{ops::ControlFlow, sync::Arc};

use rushlight_chain::{ChainSpec, MemoryStore, SealCheck, SealError, SealedHeader, system_clock, testdata};
use rushlight_full::{FullChain, FullConfig, FullNode, FullNodeConfig};
use rushlight_light::LightClient;
use rushlight_p2p::{ServerConfig, TcpTransport, secp256k1::SecretKey};
use rushlight_rpc::{RpcConfig, Services};
use serde_json::json;

use crate::{
    mainnet::{HEAD, HEAD_HASH},
    rpc::Rpc,
};

/// Seals are checked where the binary imports the same file.
struct AnySeal;

impl SealCheck for AnySeal {
    fn check(&self, _: &[SealedHeader]) -> Result<(), (usize, SealError)> {
        Ok(())
    }
}

#[test]
fn a_full_peers_store_answers_as_a_light_nodes_does() {
    let Some(genesis) = testdata::read("mainnet/genesis.json") else { return };
    let era1 = testdata::path("mainnet/mainnet-00000-5ec1ffb8.era1").unwrap();
    let (spec, genesis) = ChainSpec::from_genesis(&genesis).unwrap();
    let config = FullConfig { seals: Arc::new(AnySeal), clock: system_clock() };
    let chain =
        Arc::new(FullChain::open(Arc::new(spec), genesis.clone(), Arc::new(MemoryStore::new()), config).unwrap());
    chain.import(&era1, &mut |_| ControlFlow::Continue(())).unwrap();

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (node, handle) = runtime.block_on(async {
        let key = SecretKey::from_byte_array([9; 32]).unwrap();
        let server = ServerConfig::new(key, Arc::new(TcpTransport));
        let config = FullNodeConfig {
            chain: chain.clone(),
            server,
            network_id: None,
            info_config: None,
            pool: Default::default(),
            sealer: None,
            seed: 1,
        };
        let node = FullNode::start(config).await.unwrap();
        let client = LightClient::new(chain.headers(), chain.clone(), node.sync().watch(), 1);
        let config = RpcConfig { addr: ([127, 0, 0, 1], 0).into(), ..RpcConfig::default() };
        let handle =
            rushlight_rpc::serve(config, Services::new(Arc::new(client), node.server().clone(), "test")).await.unwrap();
        (node, handle)
    });

    let rpc = Rpc(handle.local_addr().to_string());
    let head = rpc.call("eth_getBlockByNumber", json!(["latest", true]));
    assert_eq!((head["hash"].as_str(), rpc.number("eth_blockNumber", json!([]))), (Some(HEAD_HASH), HEAD));
    // Genesis accounts that no block has touched, and one that is not there, at both ends of the chain.
    for (address, account) in genesis.alloc.iter().step_by(1000) {
        for block in ["earliest", "latest"] {
            let balance = rpc.call("eth_getBalance", json!([address, block]));
            assert_eq!(balance, format!("{:#x}", account.balance), "{address} at {block}");
        }
    }
    let absent = rpc.call("eth_getProof", json!(["0x00000000000000000000000000000000000000ff", [], "latest"]));
    assert_eq!((&absent["balance"], &absent["nonce"]), (&json!("0x0"), &json!("0x0")));
    assert!(!absent["accountProof"].as_array().unwrap().is_empty(), "absence is proved");
    let miner = rpc.call("eth_getBalance", json!([head["miner"], "latest"]));
    assert_ne!(miner, "0x0", "a miner has its reward");

    runtime.block_on(async {
        handle.shutdown().await;
        node.shutdown().await.unwrap();
    });
}
