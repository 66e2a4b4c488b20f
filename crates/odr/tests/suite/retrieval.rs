//! The retriever among peers of every kind, on virtual time.

use std::time::Duration;

use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, keccak256};
use futures::future::join_all;
use rushlight_odr::{Penalty, Remote, Source, Wanted, Why, peers::BAN_TIME};
use tokio::time::{Instant, advance, sleep, timeout};

use crate::common::{Manner, Mock, account_node, questions, retriever, things};

const WAIT: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn equal_questions_are_merged_and_small_ones_share_a_message() {
    let held = things(100);
    let mock = Mock::new(1, 50, Manner::Honest, &held);
    let (_, retriever) = retriever(&[&mock]);
    // A hundred callers, each with its own question and one that all ask.
    let shared = questions(&held)[0].clone();
    let callers = questions(&held).into_iter().map(|own| retriever.preimages(vec![own, shared.clone()]));
    for answer in join_all(callers).await {
        let answer = answer.unwrap();
        assert_eq!(answer[1], held[&shared.hash]);
    }
    let messages = mock.lookups();
    assert_eq!(messages.len(), 1, "{:?}", messages.iter().map(Vec::len).collect::<Vec<_>>());
    assert_eq!(messages[0].len(), 100);
    // What is held is asked of nobody.
    retriever.preimages(questions(&held)).await.unwrap();
    assert_eq!(mock.lookups().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_holds_384_and_a_question_under_way_is_joined() {
    let held = things(1000);
    let mock = Mock::new(1, 50, Manner::Honest, &held);
    let (_, retriever) = retriever(&[&mock]);
    let late = async {
        sleep(Duration::from_millis(20)).await;
        retriever.preimages(questions(&held)).await
    };
    let (first, second) = tokio::join!(retriever.preimages(questions(&held)), late);
    assert_eq!(first.unwrap(), second.unwrap());
    let sizes: Vec<_> = mock.lookups().iter().map(Vec::len).collect();
    assert_eq!(sizes, [384, 384, 232]);
}

#[tokio::test(start_paused = true)]
async fn what_everyone_knows_is_asked_of_nobody() {
    let mock = Mock::new(1, 0, Manner::Honest, &things(0));
    let (_, retriever) = retriever(&[&mock]);
    let known = [KECCAK256_EMPTY, alloy_trie::EMPTY_ROOT_HASH].map(|hash| Wanted::new(hash, account_node(B256::ZERO)));
    let answer = retriever.preimages(known.to_vec()).await.unwrap();
    assert_eq!(answer, [Bytes::new(), Bytes::from_static(&[0x80])]);
    assert!(mock.lookups().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_is_asked_for_elsewhere_and_costs_no_score() {
    let held = things(3);
    let (empty, full) = (Mock::new(1, 10, Manner::Honest, &things(0)), Mock::new(2, 300, Manner::Honest, &held));
    let (peers, retriever) = retriever(&[&empty]);
    // The empty one is asked first as it is alone.
    let answer = tokio::spawn({
        let retriever = retriever.clone();
        let wanted = questions(&held);
        async move { retriever.preimages(wanted).await }
    });
    sleep(Duration::from_millis(500)).await;
    assert_eq!(empty.lookups().len(), 1);
    peers.insert(full.clone());
    assert!(answer.await.unwrap().is_ok());
    assert_eq!(empty.lookups().len(), 1, "each peer is asked once");
    assert_eq!(peers.score(&empty.id()), 0.0);
    // From the estimate the other one comes first from now on, though it is slower.
    for index in 10..30u32 {
        let bytes = Bytes::from((index * 1000).to_be_bytes());
        let hash = keccak256(&bytes);
        full.give(hash, bytes);
        retriever.preimages(vec![Wanted::new(hash, account_node(B256::ZERO))]).await.unwrap();
    }
    assert!(empty.lookups().len() < full.lookups().len() / 2, "{} {}", empty.lookups().len(), full.lookups().len());
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_delays_and_is_penalised() {
    let held = things(1);
    let (silent, honest) = (Mock::new(1, 0, Manner::Silent, &held), Mock::new(2, 100, Manner::Honest, &held));
    let (peers, retriever) = retriever(&[&silent]);
    let asking = retriever.preimages(questions(&held));
    let start = Instant::now();
    let (answer, ()) = tokio::join!(asking, async {
        sleep(Duration::from_millis(100)).await;
        peers.insert(honest.clone());
    });
    answer.unwrap();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!((silent.lookups().len(), honest.lookups().len()), (1, 1));
    sleep(Duration::from_secs(6)).await;
    assert!(peers.score(&silent.id()) < 0.0);
    assert_eq!(peers.score(&honest.id()), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_that_is_alone_is_waited_for() {
    let held = things(1);
    let slow = Mock::new(1, 4500, Manner::Honest, &held);
    let (_, retriever) = retriever(&[&slow]);
    retriever.preimages(questions(&held)).await.unwrap();
    assert_eq!(slow.lookups().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_nobody_can_prove_says_what_whom_and_why() {
    let wanted = questions(&things(2));
    let empty = Mock::new(1, 20, Manner::Honest, &things(0));
    let silent = Mock::new(2, 20, Manner::Silent, &things(0));
    let vanishing = Mock::new(3, 20, Manner::Vanishes(Duration::from_millis(30)), &things(0));
    let busy = Mock::new(4, 20, Manner::Busy, &things(0));
    let mocks = [&empty, &silent, &vanishing, &busy];
    let (peers, retriever) = retriever(&mocks);
    let start = Instant::now();
    let error = retriever.preimages(wanted.clone()).await.unwrap_err();
    let took = start.elapsed();
    assert!(took >= WAIT && took < WAIT + Duration::from_millis(100), "{took:?}");
    let mut missing = error.missing.clone();
    missing.sort_by_key(|one| one.hash);
    assert_eq!(missing, wanted);
    assert_eq!(error.waited, took);
    let why = |mock: &Mock| {
        let found: Vec<_> = error.asked.iter().filter(|asked| asked.peer == mock.node_id()).collect();
        assert_eq!(found.len(), 1, "each once: {:?}", error.asked);
        assert_eq!(found[0].client, mock.client());
        found[0].why.clone()
    };
    assert_eq!(mocks.map(why), [Why::NotHeld, Why::TimedOut, Why::Gone, Why::Busy]);
    assert_eq!(error.asked.len(), 4);
    for mock in [&empty, &silent, &vanishing] {
        assert_eq!(mock.lookups().len(), 1, "each is asked once, both questions in one message");
    }
    // A busy peer is left alone between attempts.
    assert!(busy.lookups().len() <= 25, "{}", busy.lookups().len());
    let data = serde_json::to_value(&error).unwrap();
    assert_eq!(data["asked"].as_array().unwrap().len(), 4);
    assert_eq!(data["missing"][0]["what"], "accountNode");
    assert_eq!(data["waitedMs"], took.as_millis() as u64);
    assert_eq!(peers.score(&empty.id()), 0.0);
}

#[tokio::test(start_paused = true)]
async fn without_peers_a_read_waits_ten_seconds_for_one() {
    let held = things(1);
    let (peers, retriever) = retriever(&[]);
    let start = Instant::now();
    let error = retriever.preimages(questions(&held)).await.unwrap_err();
    assert!(error.asked.is_empty());
    assert_eq!(error.missing, questions(&held));
    assert!(start.elapsed() >= WAIT && start.elapsed() < WAIT + Duration::from_millis(100));
    assert!(error.to_string().contains("no peer to ask in 10.0 s"), "{error}");

    let honest = Mock::new(1, 10, Manner::Honest, &held);
    let (answer, ()) = tokio::join!(retriever.preimages(questions(&held)), async {
        sleep(Duration::from_millis(9500)).await;
        peers.insert(honest.clone());
    });
    assert_eq!(answer.unwrap(), [held.values().next().unwrap().clone()]);
}

#[tokio::test(start_paused = true)]
async fn every_peer_is_asked_within_the_time_however_many_are_silent() {
    let held = things(1);
    let silent: Vec<_> = (1..=24).map(|number| Mock::new(number, 0, Manner::Silent, &held)).collect();
    let (peers, retriever) = retriever(&silent.iter().collect::<Vec<_>>());
    // Chosen last: its latency is known to be bad.
    let honest = Mock::new(99, 400, Manner::Honest, &held);
    peers.insert(honest.clone());
    peers.began(&honest.id());
    peers.ended(&honest.id(), Some(Duration::from_secs(8)));
    let start = Instant::now();
    retriever.preimages(questions(&held)).await.unwrap();
    assert!(start.elapsed() < WAIT, "{:?}", start.elapsed());
    assert!(silent.iter().all(|mock| mock.lookups().len() == 1));
}

#[tokio::test(start_paused = true)]
async fn a_short_answer_is_asked_on_of_the_same_peer() {
    let held = things(50);
    let short = Mock::new(1, 10, Manner::Short(20), &held);
    let (_, retriever) = retriever(&[&short]);
    retriever.preimages(questions(&held)).await.unwrap();
    assert_eq!(short.lookups().iter().map(Vec::len).collect::<Vec<_>>(), [50, 30, 10]);
    // One that gives nothing at all does not hold it: it is not asked for ever.
    let nothing = Mock::new(2, 10, Manner::Short(0), &held);
    let (_, retriever) = crate::common::retriever(&[&nothing]);
    let error = retriever.preimages(questions(&held)).await.unwrap_err();
    assert_eq!(error.asked[0].why, Why::NotHeld);
    assert_eq!(nothing.lookups().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_comes_back_is_asked_again() {
    let held = things(1);
    let mock = Mock::new(1, 10, Manner::Vanishes(Duration::from_millis(5)), &held);
    let (peers, retriever) = retriever(&[&mock]);
    let (answer, ()) = tokio::join!(retriever.preimages(questions(&held)), async {
        sleep(Duration::from_millis(100)).await;
        peers.remove(&mock.id());
        sleep(Duration::from_secs(2)).await;
        mock.behave(Manner::Honest);
        peers.insert(mock.clone());
    });
    answer.unwrap();
    assert_eq!(mock.lookups().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_stops_costing() {
    let held = things(2);
    let (peers, retriever) = retriever(&[]);
    let given_up = timeout(Duration::from_secs(1), retriever.preimages(questions(&held))).await;
    assert!(given_up.is_err());
    let mock = Mock::new(1, 10, Manner::Honest, &held);
    peers.insert(mock.clone());
    advance(Duration::from_secs(1)).await;
    sleep(Duration::from_secs(1)).await;
    assert!(mock.lookups().is_empty(), "nobody waits for it any more");

    // One of two callers: the other's answer still comes.
    peers.remove(&mock.id());
    let patient = retriever.preimages(questions(&held));
    let (_, answer) = tokio::join!(timeout(Duration::from_secs(1), retriever.preimages(questions(&held))), async {
        tokio::join!(patient, async {
            sleep(Duration::from_secs(3)).await;
            peers.insert(mock.clone());
        })
        .0
    });
    answer.unwrap();
    assert_eq!(mock.lookups().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_later_read_asks_again_what_an_earlier_one_asked_in_vain() {
    let held = things(1);
    let mock = Mock::new(1, 10, Manner::Honest, &things(0));
    let (_, retriever) = retriever(&[&mock]);
    let (first, second) = tokio::join!(retriever.preimages(questions(&held)), async {
        sleep(Duration::from_secs(5)).await;
        held.iter().for_each(|(hash, bytes)| mock.give(*hash, bytes.clone()));
        retriever.preimages(questions(&held)).await
    });
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(mock.lookups().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn bans_hold_across_sessions_and_end() {
    let mock = Mock::new(1, 10, Manner::Honest, &things(0));
    let (peers, _retriever) = retriever(&[&mock]);
    let id = mock.id();
    assert!(!peers.penalise(&id, Penalty::FalseClaim, "claimed a chain that is not there"));
    // Leaving and coming back forgives nothing.
    peers.remove(&id);
    assert!(peers.insert(mock.clone()));
    assert!(peers.penalise(&id, Penalty::FalseClaim, "again"));
    assert_eq!(mock.disconnected(), Some(Penalty::FalseClaim.reason()));
    assert!(peers.is_empty() && peers.is_banned(&id));
    assert!(!peers.insert(mock.clone()));
    sleep(BAN_TIME + Duration::from_secs(1)).await;
    assert!(peers.insert(mock.clone()));
    assert!(peers.penalise(&id, Penalty::FalseClaim, "on probation one is enough"));
}

#[tokio::test(start_paused = true)]
async fn the_best_peer_is_chosen() {
    let held = things(60);
    let (near, far) = (Mock::new(1, 20, Manner::Honest, &held), Mock::new(2, 250, Manner::Honest, &held));
    let (_, retriever) = retriever(&[&near, &far]);
    for wanted in questions(&held) {
        retriever.preimages(vec![wanted]).await.unwrap();
    }
    assert!(near.lookups().len() > 50, "{} {}", near.lookups().len(), far.lookups().len());
}

/// Sessions check hashes; should one ever not, nothing of such a message counts.
#[tokio::test(start_paused = true)]
async fn bytes_that_do_not_hash_are_no_answer() {
    let held = things(2);
    let liar = Mock::new(1, 10, Manner::Honest, &held);
    let wanted = questions(&held);
    liar.give(wanted[0].hash, Bytes::from_static(b"a lie"));
    let (peers, retriever) = retriever(&[&liar]);
    let error = retriever.preimages(wanted.clone()).await.unwrap_err();
    assert!(matches!(error.asked[0].why, Why::Wrong(_)), "{error:?}");
    assert_eq!(error.missing.len(), 2);
    assert!(peers.score(&liar.id()) < 0.0);
    assert_eq!(retriever.store().get(&wanted[0].hash), None);
}
