//! Bodies: whole from a peer, put together by look-ups where no peer gives one, checked against the header either way.

use std::time::Duration;

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, keccak256};
use proptest::{collection::vec, prelude::*};
use rushlight_chain::{
    SealedHeader,
    block::{Body, RawBlock},
    header,
};
use rushlight_odr::{Remote, Source, What, Why, body};
use tokio::time::Instant;

use crate::common::{Manner, MapSource, Mock, Nodes, retriever, things, trie_of};

/// A block with this body, and what look-ups must find of it. Transactions need only look like some here.
fn block_of(transactions: Vec<Bytes>, uncles: usize) -> (SealedHeader, RawBlock, Nodes) {
    let uncle = |index| header::encode(&Header { number: index as u64, ..Default::default() });
    let body = Body { transactions, uncles: (0..uncles).map(uncle).collect(), withdrawals: None };
    let entries: Vec<_> =
        (0u64..).zip(&body.transactions).map(|(index, raw)| (alloy_rlp::encode(index), raw.to_vec())).collect();
    let (root, mut nodes) = trie_of(&entries);
    assert_eq!(root, body.transactions_root());
    let list = body.uncles_rlp();
    nodes.insert(keccak256(&list), list);
    let header = Header { number: 7, transactions_root: root, ommers_hash: body.uncles_hash(), ..Default::default() };
    let raw = header::encode(&header);
    (header::decode(&raw).unwrap(), RawBlock::from_parts(raw, body), nodes)
}

fn transactions(count: usize) -> Vec<Bytes> {
    (0..count).map(|index| Bytes::from([&[2u8][..], &vec![index as u8; 1 + index % 120]].concat())).collect()
}

#[tokio::test(start_paused = true)]
async fn whole_merged_and_kept() {
    let (header, block, _) = block_of(transactions(20), 1);
    let mock = Mock::new(1, 30, Manner::Honest, &things(0));
    mock.give_block(block.clone());
    let (_, retriever) = retriever(&[&mock]);
    let (first, second) = tokio::join!(retriever.body(&header), retriever.body(&header));
    assert_eq!(first.unwrap(), block.body());
    assert_eq!(second.unwrap(), block.body());
    assert_eq!(retriever.body(&header).await.unwrap(), block.body());
    assert_eq!(mock.block_requests(), 1);
    assert_eq!(retriever.held_body(&header.hash()), Some(block.body()));
}

#[tokio::test(start_paused = true)]
async fn an_empty_block_needs_nobody() {
    let (header, block, _) = block_of(vec![], 0);
    let (_, retriever) = retriever(&[]);
    assert_eq!(retriever.body(&header).await.unwrap(), block.body());
}

#[tokio::test(start_paused = true)]
async fn put_together_where_nobody_gives_it_whole() {
    let (header, block, nodes) = block_of(transactions(200), 2);
    let mock = Mock::new(1, 10, Manner::Honest, &nodes);
    let (_, retriever) = retriever(&[&mock]);
    let start = Instant::now();
    assert_eq!(retriever.body(&header).await.unwrap(), block.body());
    assert!(start.elapsed() < Duration::from_millis(200), "a turn a level: {:?}", start.elapsed());
    assert_eq!(mock.block_requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_false_body_is_named_and_another_peer_asked() {
    let (header, block, _) = block_of(transactions(3), 0);
    let (liar, honest) =
        (Mock::new(1, 10, Manner::WrongBodies, &things(0)), Mock::new(2, 200, Manner::Honest, &things(0)));
    liar.give_block(block.clone());
    honest.give_block(block.clone());
    let (peers, retriever) = retriever(&[&liar]);
    let asking = {
        let (retriever, header) = (retriever.clone(), header.clone());
        tokio::spawn(async move { retriever.body(&header).await })
    };
    // While the liar is alone, its answer is refused and the look-ups wait.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(peers.score(&liar.id()) < 0.0);
    let error = asking.await.unwrap().unwrap_err();
    assert!(matches!(&error.asked[0].why, Why::Wrong(why) if why.contains("transactions root")), "{error:?}");
    assert_eq!(error.missing[0].what, What::Body { number: 7 });
    peers.insert(honest.clone());
    assert_eq!(retriever.body(&header).await.unwrap(), block.body());
}

#[tokio::test(start_paused = true)]
async fn without_peers_a_body_fails_after_ten_seconds() {
    let (header, _, _) = block_of(transactions(3), 0);
    let (_, retriever) = retriever(&[]);
    let start = Instant::now();
    let error = retriever.body(&header).await.unwrap_err();
    assert!(error.asked.is_empty());
    assert!(start.elapsed() < Duration::from_millis(10_100));
}

#[tokio::test(start_paused = true)]
async fn whole_and_in_parts_together_wait_no_longer_than_one_read() {
    let (header, _, _) = block_of(transactions(3), 0);
    for manner in [Manner::Silent, Manner::Honest] {
        let mock = Mock::new(1, 10, manner, &things(0));
        let (_, retriever) = retriever(&[&mock]);
        let start = Instant::now();
        let error = retriever.body(&header).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_millis(10_500), "{:?}", start.elapsed());
        assert_eq!(error.waited, start.elapsed());
        assert_eq!(error.missing[0].what, What::Body { number: 7 });
        assert_eq!(error.missing[1].what, What::TransactionNode { block: header.hash() });
        assert_eq!(error.asked.len(), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_look_ups_find_is_the_body(sizes in vec(1usize..200, 0..300), uncles in 0usize..3, missing in any::<u8>()) {
        let transactions = sizes.iter().map(|size| Bytes::from(vec![1; *size])).collect();
        let (header, block, mut nodes) = block_of(transactions, uncles);
        let found = futures::executor::block_on(body::by_lookups(&MapSource::new(nodes.clone()), &header));
        prop_assert_eq!(found.unwrap(), block.body());
        // With any node missing there is no body at all.
        let mut hashes: Vec<B256> = nodes.keys().copied().filter(|hash| ![[0xc0], [0x80]].map(keccak256).contains(hash)).collect();
        hashes.sort_unstable();
        if let Some(hash) = hashes.get(usize::from(missing) % hashes.len().max(1)) {
            nodes.remove(hash);
            prop_assert!(futures::executor::block_on(body::by_lookups(&MapSource::new(nodes), &header)).is_err());
        }
    }
}
