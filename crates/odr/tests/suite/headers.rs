//! Old headers: proved by what links them to one that is held.

use alloy_primitives::B256;
use rushlight_chain::{
    SealedHeader,
    testing::{ToyMiner, toy_spec},
};
use rushlight_odr::{Source, Why};

use crate::common::{Manner, Mock, Nodes, retriever};

fn chain(count: usize) -> Vec<SealedHeader> {
    let spec = toy_spec(0);
    let genesis = spec.genesis.clone();
    let headers = ToyMiner::new(spec).headers(&genesis, count);
    [vec![genesis], headers].concat()
}

fn peer(number: u8, latency: u64, manner: Manner, headers: &[SealedHeader]) -> Mock {
    let mock = Mock::new(number, latency, manner, &Nodes::new());
    mock.give_headers(headers);
    mock
}

#[tokio::test(start_paused = true)]
async fn ancestors_come_in_as_many_messages_as_they_take() {
    let headers = chain(600);
    let honest = peer(1, 10, Manner::Honest, &headers);
    let (_peers, retriever) = retriever(&[&honest]);
    let found = retriever.ancestors(&headers[512], 500).await.unwrap();
    let expected: Vec<_> = headers[12..512].iter().rev().cloned().collect();
    assert_eq!(found, expected);
    assert_eq!(honest.header_requests(), 3);
    honest.behave(Manner::Short(7));
    assert_eq!(retriever.ancestors(&headers[512], 20).await.unwrap(), expected[..20]);
}

#[tokio::test(start_paused = true)]
async fn a_liar_loses_score_and_another_is_asked() {
    let headers = chain(600);
    let liar = peer(1, 10, Manner::WrongBodies, &headers);
    let honest = peer(2, 300, Manner::Honest, &headers);
    let (peers, retriever) = retriever(&[&liar, &honest]);
    for (count, end) in [(400, 112), (300, 212)] {
        let found = retriever.ancestors(&headers[512], count).await.unwrap();
        assert_eq!(found.last(), Some(&headers[end]));
    }
    assert!(peers.ids().len() == 1 || liar.header_requests() > 0, "the liar was asked");
    let mine = peer(3, 10, Manner::WrongBodies, &headers);
    let (_, alone) = crate::common::retriever(&[&mine]);
    let error = alone.ancestors(&headers[512], 400).await.unwrap_err();
    assert!(matches!(error.asked[0].why, Why::Wrong(_)), "{error}");
    assert!(error.to_string().contains("headers from block 112 up to"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_hash_that_nobody_knows_is_told_from_one_that_nobody_answers() {
    let headers = chain(10);
    let unknown = B256::repeat_byte(9);
    let honest = peer(1, 10, Manner::Honest, &headers);
    let silent = peer(2, 10, Manner::Silent, &headers);
    let (_peers, both) = retriever(&[&honest, &silent]);
    assert_eq!(both.header(headers[3].hash()).await.unwrap().as_ref(), Some(&headers[3]));
    assert_eq!(both.header(unknown).await.unwrap(), None);
    let (_peers, nobody) = retriever(&[&silent]);
    let error = nobody.header(unknown).await.unwrap_err();
    assert!(error.to_string().starts_with("no peer can prove the header 0x0909"), "{error}");
    let (_peers, nobody) = retriever(&[]);
    assert!(nobody.header(unknown).await.unwrap_err().asked.is_empty());
}
