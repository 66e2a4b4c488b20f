//! What the node says about itself and its peers, and which modules there are.

use rushlight_rpc::RpcConfig;
use rushlight_sync::Progress;
use serde_json::json;

use crate::{
    fixture::{Fixture, NETWORK, VERSION},
    http::{error, result},
};

#[tokio::test]
async fn the_small_methods() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    for (method, params, expected) in [
        ("eth_chainId", json!([]), json!("0x539")),
        ("eth_blockNumber", json!([]), json!("0x3")),
        ("eth_syncing", json!([]), json!(false)),
        ("net_version", json!([]), json!(NETWORK.to_string())),
        ("net_peerCount", json!([]), json!("0x0")),
        ("net_listening", json!([]), json!(false)),
        ("web3_clientVersion", json!([]), json!(VERSION)),
        (
            "web3_sha3",
            json!(["0x68656c6c6f20776f726c64"]),
            json!("0x47173285a8d7341e5e972fc677286384f802f8ef42a5ec5f03bbfa254cb01fad"),
        ),
        ("web3_sha3", json!(["0x"]), json!("0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")),
        (
            "rpc_modules",
            json!([]),
            json!({ "admin": "1.0", "eth": "1.0", "net": "1.0", "personal": "1.0", "rpc": "1.0", "rushlight": "1.0", "txpool": "1.0", "web3": "1.0" }),
        ),
    ] {
        assert_eq!(result(addr, method, params).await, expected, "{method}");
    }
}

#[tokio::test]
async fn progress_of_a_sync() {
    let fixture = Fixture::start().await;
    fixture.syncing(Some(Progress { starting: 0, current: 300, highest: 8191 }));
    assert_eq!(
        result(fixture.addr, "eth_syncing", json!([])).await,
        json!({ "startingBlock": "0x0", "currentBlock": "0x12c", "highestBlock": "0x1fff" })
    );
    fixture.syncing(None);
    assert_eq!(result(fixture.addr, "eth_syncing", json!([])).await, json!(false));
}

#[tokio::test]
async fn administration() {
    let fixture = Fixture::start().await;
    let addr = fixture.addr;
    let info = result(addr, "admin_nodeInfo", json!([])).await;
    assert_eq!(info["protocols"]["silent"], json!({ "said": true }));
    for field in ["id", "name", "enode", "ip", "ports", "listenAddr", "protocols"] {
        assert!(info.get(field).is_some(), "{field} in {info}");
    }
    assert_eq!(result(addr, "admin_peers", json!([])).await, json!([]));
    let enode = format!("enode://{}@127.0.0.1:1", &info["enode"].as_str().unwrap()[8..136]);
    assert_eq!(result(addr, "admin_addPeer", json!([enode])).await, json!(true));
    assert_eq!(result(addr, "admin_removePeer", json!([enode])).await, json!(true));
    for method in ["admin_addPeer", "admin_removePeer"] {
        let (code, message) = error(addr, method, json!(["enode://12@127.0.0.1:1"])).await;
        assert_eq!(code, -32000);
        assert!(message.starts_with("invalid enode: "), "{message}");
    }
}

#[tokio::test]
async fn a_module_that_is_off_is_as_good_as_none() {
    let config = RpcConfig { modules: RpcConfig::default().modules, ..Fixture::config() };
    let fixture = Fixture::with(config).await;
    let addr = fixture.addr;
    let (code, message) = error(addr, "admin_peers", json!([])).await;
    assert_eq!((code, message.as_str()), (-32601, "the method admin_peers does not exist/is not available"));
    let modules = json!({ "eth": "1.0", "net": "1.0", "rpc": "1.0", "web3": "1.0" });
    assert_eq!(result(addr, "rpc_modules", json!([])).await, modules);

    let unknown = RpcConfig { modules: vec!["net".to_owned(), "nonsense".to_owned()], ..Fixture::config() };
    let fixture = Fixture::with(unknown).await;
    let addr = fixture.addr;
    assert_eq!(result(addr, "rpc_modules", json!([])).await, json!({ "net": "1.0", "rpc": "1.0" }));
    assert_eq!(error(addr, "eth_chainId", json!([])).await.0, -32601);
}
