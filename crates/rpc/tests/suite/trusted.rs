//! What is answered while a trusted head is on its way, once it is held, and where its chain is another one.

use rushlight_chain::{header, testing::toy_seal};
use serde_json::{Value, json};

use crate::{
    fixture::{Fixture, RICH},
    http::{error, result},
};

#[tokio::test]
async fn answers_begin_with_its_header() {
    let fixture = Fixture::start().await;
    let (addr, headers) = (fixture.addr, &fixture.headers);
    let mut template = headers[3].clone().into_inner();
    template.parent_hash = headers[3].hash();
    template.number = 4;
    template.timestamp += 20;
    let trusted = toy_seal(template);
    fixture.chain.trust(trusted.hash()).unwrap();
    let message = format!("the header of the trusted head {} is not held yet: no peer has given it", trusted.hash());
    for (method, params) in reads() {
        assert_eq!(error(addr, method, params).await, (-32000, message.clone()), "{method}");
    }
    fixture.chain.descend(&[header::encode(&trusted)]).unwrap();
    assert_eq!(result(addr, "eth_blockNumber", json!([])).await, "0x4");
    assert_eq!(result(addr, "eth_getBalance", json!([RICH, "latest"])).await, "0xf4240");
    fixture.stop().await;
}

#[tokio::test]
async fn another_genesis_is_said_in_every_answer() {
    let fixture = Fixture::start().await;
    let mut template = fixture.headers[0].clone().into_inner();
    template.extra_data = b"another".as_slice().into();
    let genesis = toy_seal(template.clone());
    template.parent_hash = genesis.hash();
    template.number = 1;
    let trusted = toy_seal(template);
    fixture.chain.trust(trusted.hash()).unwrap();
    fixture.chain.descend(&[header::encode(&trusted)]).unwrap();
    let ours = fixture.chain.genesis_hash().to_string();
    for (method, params) in reads() {
        let (code, message) = error(fixture.addr, method, params).await;
        assert_eq!(code, -32000, "{method}");
        assert!(message.contains(&ours) && message.contains(&genesis.hash().to_string()), "{method}: {message}");
    }
    // What needs no chain is answered all the same.
    assert_eq!(result(fixture.addr, "eth_chainId", json!([])).await, "0x539");
    fixture.stop().await;
}

fn reads() -> [(&'static str, Value); 4] {
    [
        ("eth_blockNumber", json!([])),
        ("eth_getBalance", json!([RICH, "latest"])),
        ("eth_getBlockByNumber", json!(["latest", false])),
        ("eth_getBlockByNumber", json!(["earliest", false])),
    ]
}
