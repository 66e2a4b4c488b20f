//! Batches that no honest peer sends.

use super::*;
use crate::DecodeError;
use crate::rules::HeaderError;

#[test]
fn unlinked_headers_are_refused() {
    let rig = Rig::new(SealPolicy::All);
    let headers = miner(1).headers(&genesis(), 5);
    let batch = [headers[0].clone(), headers[2].clone()];
    let error = rig.extend(&batch).unwrap_err();
    let expected = Refusal::NotLinked { expected: headers[0].hash(), got: headers[1].hash() };
    assert_eq!(error, ExtendError { index: 1, hash: headers[2].hash(), number: 3, error: expected });
    assert_eq!(rig.chain.head().header, genesis());
    // The same header twice is not linked either.
    let twice = [headers[0].clone(), headers[0].clone()];
    assert!(matches!(rig.extend(&twice).unwrap_err().error, Refusal::NotLinked { .. }));
}

#[test]
fn orphans_are_refused() {
    let rig = Rig::new(SealPolicy::All);
    let headers = miner(1).headers(&genesis(), 5);
    let error = rig.extend(&headers[2..]).unwrap_err();
    let expected = Refusal::UnknownParent { parent: headers[1].hash() };
    assert_eq!(error, ExtendError { index: 0, hash: headers[2].hash(), number: 3, error: expected });
    assert_eq!(rig.seals.checked(), 0, "no seal is checked of a header whose ancestry does not reach ours");
}

#[test]
fn bytes_that_are_no_header_are_refused() {
    let rig = Rig::new(SealPolicy::All);
    let headers = miner(1).headers(&genesis(), 200);
    let mut bytes = raw(&headers);
    let mut longer = bytes[150].to_vec();
    longer.push(0);
    let hash = alloy_primitives::keccak256(&longer);
    bytes[150] = longer.into();
    let error = rig.chain.extend(&bytes).unwrap_err();
    assert_eq!((error.index, error.hash), (150, hash));
    assert!(matches!(error.error, Refusal::Decode(DecodeError::TrailingBytes { count: 1, .. })));

    for garbage in [&b""[..], &[0xc0], &[0x80], &[0xff; 600], b"header"] {
        let error = rig.chain.extend(&[Bytes::copy_from_slice(garbage)]).unwrap_err();
        assert!(matches!(error.error, Refusal::Decode(_)), "{error}");
    }

    // A number with a leading zero: the same header, another encoding. Field 8 is the block number.
    let canonical = header::encode(&headers[0]);
    let payload = &canonical[3..];
    let number = 1 + 32 + 1 + 32 + 1 + 20 + 3 * 33 + 3 + 256 + 4;
    assert_eq!(payload[number], 1, "block 1");
    let mut padded = payload[..number].to_vec();
    padded.extend_from_slice(&[0x82, 0x00, 0x01]);
    padded.extend_from_slice(&payload[number + 1..]);
    let mut forged = vec![0xf9];
    forged.extend_from_slice(&(padded.len() as u16).to_be_bytes());
    forged.extend_from_slice(&padded);
    let error = rig.chain.extend(&[forged.into()]).unwrap_err();
    assert!(matches!(error.error, Refusal::Decode(DecodeError::Rlp { .. })), "{error}");
    assert_eq!(rig.chain.head().header, genesis());
}

#[test]
fn broken_rules_are_named() {
    let rig = Rig::new(SealPolicy::Sampled);
    let miner = miner(1);
    let mut headers = miner.headers(&genesis(), 3);
    let mut template = miner.template(&headers[2]);
    template.difficulty += U256::from(1);
    headers.push(crate::testing::toy_seal(template));
    let error = rig.extend(&headers).unwrap_err();
    assert_eq!((error.index, error.hash, error.number), (3, headers[3].hash(), 4));
    let Refusal::Header(HeaderError::Broken { rule, .. }) = &error.error else { panic!("{error}") };
    assert_eq!(rule.name(), "difficulty");
    assert!(!error.error.is_local() && !error.error.is_not_supported());
    assert_eq!(rig.chain.known(headers[0].hash_ref()), Known::Unknown, "nothing of the batch is kept");
}

#[test]
fn headers_from_the_future_are_refused_until_their_time() {
    let rig = Rig::new(SealPolicy::All);
    let headers = miner(1).headers(&genesis(), 1);
    rig.now.store(headers[0].timestamp - 16, Ordering::Relaxed);
    assert!(matches!(rig.extend(&headers).unwrap_err().error, Refusal::Header(_)));
    rig.now.store(headers[0].timestamp, Ordering::Relaxed);
    assert_eq!(rig.extend(&headers).unwrap().added, 1);
}

#[test]
fn with_all_seals_checked_a_bad_one_is_refused_on_arrival() {
    let rig = Rig::new(SealPolicy::All);
    let headers = chain_with_bad_seal(&miner(1), &genesis(), 50, 20);
    let error = rig.extend(&headers).unwrap_err();
    assert_eq!((error.index, error.hash, error.number), (20, headers[20].hash(), 21));
    assert!(matches!(error.error, Refusal::Seal(_)));
    assert_eq!(rig.extend(&headers[..20]).unwrap().added, 20);
}

#[test]
fn what_was_prepared_on_a_dropped_stretch_is_refused() {
    let rig = Rig::new(SealPolicy::Sampled);
    let headers = chain_with_bad_seal(&miner(1), &genesis(), 50, 20);
    rig.extend(&headers[..40]).unwrap();
    let prepared = rig.chain.prepare(&raw(&headers[40..])).unwrap();
    rig.settle(&headers[39]).unwrap_err();
    assert_eq!(rig.chain.commit(prepared), Err(ChainError::Gone { hash: headers[39].hash() }));
}

#[test]
fn what_was_prepared_twice_is_added_once() {
    let rig = Rig::new(SealPolicy::All);
    let headers = miner(1).headers(&genesis(), 10);
    let first = rig.chain.prepare(&raw(&headers[..6])).unwrap();
    let second = rig.chain.prepare(&raw(&headers)).unwrap();
    assert_eq!(rig.chain.commit(first).unwrap().added, 6);
    assert_eq!(rig.chain.commit(second).unwrap().added, 4);
    audit(&rig.chain);
}

#[test]
fn forks_without_end_stay_bounded() {
    let rig = Rig::new(SealPolicy::Sampled);
    let honest = miner(1).headers(&genesis(), 60);
    rig.extend(&honest[..30]).unwrap();
    for tag in 2..60u8 {
        // Each forks off the honest stretch at another place, and another one off that.
        let fork = miner(tag).headers(&honest[usize::from(tag) % 29], 3);
        rig.extend(&fork).unwrap();
        let again = miner(tag.wrapping_add(100)).headers(&fork[0], 2);
        let _ = rig.extend(&again);
        assert!(rig.chain.state().branches.len() <= MAX_PROVISIONAL);
    }
    rig.extend(&honest).unwrap();
    assert!(rig.settle(&honest[59]).unwrap().head_changed, "the honest stretch outlives them");
}
