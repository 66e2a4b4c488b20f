//! Clique chains: sealed here, imported there.

use std::sync::Arc;
use std::time::Duration;

use alloy_consensus::constants::EMPTY_ROOT_HASH;
use alloy_genesis::Genesis;
use alloy_primitives::U256;
use rushlight_chain::clique::SealingError;
use rushlight_chain::{ChainSpec, MemoryStore, RawBlock, SealedHeader, header};
use rushlight_full::{CliqueSealer, FullChain, InsertError, Rule, Turn};

use super::common::{AnySeal, address, export, import, key, open};

/// A London clique chain with a block a `period` and this many signers, whose keys are `key(1)`, `key(2)`, ….
pub(crate) fn spec(period: u64, signers: u8) -> (ChainSpec, Genesis) {
    let mut accounts: Vec<_> = (1..=signers).map(|byte| address(&key(byte))).collect();
    accounts.sort();
    let mut genesis = Genesis::clique_genesis(4711, accounts[0]);
    let config = genesis.config.clique.as_mut().unwrap();
    (config.period, config.epoch) = (Some(period), Some(8));
    let list: Vec<u8> = accounts.iter().flat_map(|account| account.to_vec()).collect();
    genesis.extra_data = [vec![0; 32], list, vec![0; 65]].concat().into();
    genesis.gas_limit = 30_000_000;
    genesis.timestamp = 1_700_000_000;
    ChainSpec::from_genesis(&serde_json::to_vec(&genesis).unwrap()).unwrap()
}

fn chain(spec: &ChainSpec, genesis: &Genesis) -> FullChain {
    open(spec, genesis, Arc::new(MemoryStore::new()), Arc::new(AnySeal))
}

/// Has the signers in turn seal `count` blocks, each as soon as its time comes.
fn seal(chain: &FullChain, sealers: &[CliqueSealer], count: usize) -> Vec<SealedHeader> {
    let mut sealed = Vec::new();
    for _ in 0..count {
        let now = chain.headers().head().header.timestamp;
        let turns = sealers.iter().map(|sealer| (sealer, sealer.turn(&chain.headers(), now, 7)));
        let ready = turns.filter_map(|(sealer, turn)| match turn {
            Turn::Seal { draft, delay } => Some((delay, sealer, draft)),
            Turn::Wait(_) => None,
        });
        let (_, sealer, draft) = ready.min_by_key(|(delay, ..)| *delay).unwrap();
        let (header, block) = sealer.seal(*draft, Vec::new()).unwrap();
        chain.insert(vec![block]).unwrap();
        sealed.push(header);
    }
    sealed
}

#[test]
fn signers_take_turns_and_the_chain_imports() {
    let (spec, genesis) = spec(2, 3);
    let chain_of_signers = chain(&spec, &genesis);
    let sealers: Vec<_> = (1..=3).map(|byte| CliqueSealer::new(key(byte), 2)).collect();
    let sealed = seal(&chain_of_signers, &sealers, 20);
    let head = chain_of_signers.headers().head();
    assert_eq!(head.header, *sealed.last().unwrap());
    // All in turn: each weighs 2, on a genesis of 1.
    assert_eq!(head.td, U256::from(41));
    assert_eq!(head.header.timestamp, genesis.timestamp + 40);
    // Checkpoints list the signers.
    assert_eq!(sealed[7].extra_data.len(), 32 + 3 * 20 + 65);
    assert_eq!((head.header.gas_limit, head.header.receipts_root), (30_000_000, EMPTY_ROOT_HASH));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clique.rlp");
    export(&chain_of_signers, &file);
    let other = chain(&spec, &genesis);
    assert_eq!(import(&other, &file).unwrap().head, head.header.hash());

    // A signature of somebody else's, or none.
    let parent = &sealed[18];
    let fresh = chain(&spec, &genesis);
    import(&fresh, &file).unwrap();
    let mut draft = sealed[19].inner().clone();
    draft.timestamp += 1;
    let broken = RawBlock { header: header::encode(&draft), ..RawBlock::default() };
    assert_eq!(draft.parent_hash, parent.hash());
    match fresh.insert(vec![broken]) {
        Err(InsertError::Bad(bad)) => assert!(matches!(bad.rule, Rule::Seal(_)), "{bad}"),
        other => panic!("{other:?}"),
    }
    let stranger = rushlight_chain::clique::seal(draft, &key(9)).unwrap();
    match fresh.insert(vec![RawBlock { header: header::encode(&stranger), ..RawBlock::default() }]) {
        Err(InsertError::Bad(bad)) => assert_eq!(bad.rule, Rule::Seal("unauthorized signer")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sealer_waits_for_period_turn_and_others() {
    let (spec, genesis) = spec(5, 3);
    let chain = chain(&spec, &genesis);
    let now = genesis.timestamp;
    let sealers: Vec<_> = (1..=3).map(|byte| CliqueSealer::new(key(byte), 1)).collect();
    let turns: Vec<_> = sealers.iter().map(|sealer| sealer.turn(&chain.headers(), now, 1_999)).collect();
    let delay = |turn: &Turn| match turn {
        Turn::Seal { draft, delay } => Some((draft.in_turn, *delay)),
        Turn::Wait(_) => None,
    };
    // One in turn, right at the period; the others up to (3/2 + 1) × 500 ms later.
    let delays: Vec<_> = turns.iter().map(|turn| delay(turn).unwrap()).collect();
    assert_eq!(delays.iter().filter(|(in_turn, _)| *in_turn).count(), 1);
    for (in_turn, delay) in delays {
        let wiggle = delay - Duration::from_secs(5);
        assert!(if in_turn { wiggle.is_zero() } else { wiggle < Duration::from_secs(1) }, "{delay:?}");
    }
    // A longer period of one's own holds; time that has passed is not waited for again.
    let slow = CliqueSealer::new(key(1), 9);
    assert!(delay(&slow.turn(&chain.headers(), now, 0)).unwrap().1 >= Duration::from_secs(9));
    assert!(delay(&slow.turn(&chain.headers(), now + 60, 0)).unwrap().1 < Duration::from_secs(1));
    // Who signed the last block has to wait for others; a stranger for ever.
    let Turn::Seal { draft, .. } = sealers[0].turn(&chain.headers(), now, 0) else { panic!() };
    chain.insert(vec![sealers[0].seal(*draft, Vec::new()).unwrap().1]).unwrap();
    let turn = sealers[0].turn(&chain.headers(), now, 0);
    assert!(matches!(turn, Turn::Wait(SealingError::RecentlySigned { from: 3, .. })), "{turn:?}");
    let turn = CliqueSealer::new(key(9), 1).turn(&chain.headers(), now, 0);
    assert!(matches!(turn, Turn::Wait(SealingError::Unauthorized { .. })), "{turn:?}");
}
