//! Generated chains: the same bytes for the same plan, and every one of them a chain.

use std::sync::Arc;

use rushlight_chain::{ChainSpec, MemoryStore};
use rushlight_full::{ChainPlan, GenerateError, GeneratedChain};

use super::common::{AnySeal, check_lookups, import, open};

fn plan() -> ChainPlan {
    ChainPlan { seed: 7, blocks: 130, tx_every: 4, signers: 3, accounts: 40, epoch: 50, period: 2 }
}

#[test]
fn the_same_plan_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, plan: ChainPlan| {
        let folder = folder.path().join(name);
        GeneratedChain::new(plan).unwrap().write(&folder).unwrap();
        (std::fs::read(folder.join("genesis.json")).unwrap(), std::fs::read(folder.join("chain.rlp")).unwrap())
    };
    let (first, again) = (write("first", plan()), write("again", plan()));
    assert!(first == again);
    let other = write("other", ChainPlan { seed: 8, ..plan() });
    assert!(first.0 != other.0 && first.1 != other.1);
    // A longer chain begins with the shorter one.
    let longer = write("longer", ChainPlan { blocks: 131, ..plan() });
    assert!(first.0 == longer.0 && longer.1.starts_with(&first.1) && longer.1.len() > first.1.len());
}

#[test]
fn a_generated_chain_imports() {
    let folder = tempfile::tempdir().unwrap();
    let head = GeneratedChain::new(plan()).unwrap().write(folder.path()).unwrap();
    assert_eq!(head.number, 130);
    let genesis = std::fs::read(folder.path().join("genesis.json")).unwrap();
    let (spec, genesis) = ChainSpec::from_genesis(&genesis).unwrap();
    let store = Arc::new(MemoryStore::new());
    let chain = open(&spec, &genesis, store.clone(), Arc::new(AnySeal));
    let summary = import(&chain, &folder.path().join("chain.rlp")).unwrap();
    assert_eq!((summary.added, summary.head), (130, head.hash()));
    let headers = chain.headers();
    for number in 1..=130 {
        let header = headers.header(&headers.canonical_hash(number).unwrap()).unwrap();
        assert_eq!(header.gas_used > 0, number % 4 == 0, "block {number}");
        assert_eq!(header.logs_bloom.is_zero(), number % 4 != 0, "block {number}");
        let receipts = chain.receipts(&header.hash()).unwrap().unwrap();
        assert_eq!(receipts.len() > 1, number % 4 == 0, "block {number}");
        let signers = if number % 50 == 0 { 3 } else { 0 };
        assert_eq!(header.extra_data.len(), 32 + signers * 20 + 65, "block {number}");
    }
    assert!(check_lookups(&chain, &*store) > 200);
}

#[test]
fn plans_without_signers_or_accounts_are_refused() {
    let refused = |plan| match GeneratedChain::new(plan) {
        Err(GenerateError::Plan { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(ChainPlan { signers: 0, ..plan() }), "signers");
    assert_eq!(refused(ChainPlan { accounts: 15, ..plan() }), "accounts");
    assert_eq!(refused(ChainPlan { epoch: 0, ..plan() }), "epoch");
    assert_eq!(refused(ChainPlan { period: 0, ..plan() }), "period");
}
