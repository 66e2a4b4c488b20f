//! The state against a model in plain maps, whose root is computed anew each time.

use std::collections::BTreeMap;

use alloy_trie::root::{state_root_unhashed, storage_root_unhashed};
use proptest::prelude::*;
use revm::state::{AccountStatus, EvmStorageSlot, TransactionId};
use rushlight_chain::MemoryStore;

use super::*;

#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    nonce: u64,
    balance: u64,
    code: Vec<u8>,
    storage: BTreeMap<u64, u64>,
}

#[derive(Debug, Clone)]
enum Change {
    /// A transaction leaves the account like this.
    Touch {
        nonce: u64,
        balance: u64,
        slots: Vec<(u64, u64)>,
    },
    /// Created anew, with code.
    Create {
        balance: u64,
        code: Vec<u8>,
        slots: Vec<(u64, u64)>,
    },
    Destroy,
    Reward(u64),
    /// Roots in between, as before Byzantium.
    Root,
}

fn change() -> impl Strategy<Value = Change> {
    let slots = || prop::collection::vec((0u64..12, prop_oneof![Just(0), 1u64..3, any::<u64>()]), 0..6);
    prop_oneof![
        4 => (0u64..3, 0u64..3, slots()).prop_map(|(nonce, balance, slots)| Change::Touch { nonce, balance, slots }),
        2 => (0u64..3, prop::collection::vec(any::<u8>(), 1..40), slots())
            .prop_map(|(balance, code, slots)| Change::Create { balance, code, slots }),
        1 => Just(Change::Destroy),
        1 => (1u64..9).prop_map(Change::Reward),
        2 => Just(Change::Root),
    ]
}

fn account(info: AccountInfo, status: AccountStatus, slots: &[(u64, U256, u64)]) -> Account {
    let slot = |(key, old, new): &(u64, U256, u64)| {
        (U256::from(*key), EvmStorageSlot::new_changed(*old, U256::from(*new), TransactionId::ZERO))
    };
    let mut account = Account::from(info).with_storage(slots.iter().map(slot));
    account.status = status | AccountStatus::Touched;
    account
}

fn apply(model: &mut BTreeMap<u8, Model>, state: &mut State<'_>, who: u8, change: &Change) {
    let address = Address::with_last_byte(who);
    let commit = |state: &mut State<'_>, account| state.commit([(address, account)].into_iter().collect());
    match change {
        Change::Touch { nonce, balance, slots } => {
            let mut info = state.basic(address).unwrap().unwrap_or_default();
            (info.nonce, info.balance) = (*nonce, U256::from(*balance));
            let slots: Vec<_> = slots
                .iter()
                .map(|(key, value)| (*key, state.storage(address, U256::from(*key)).unwrap(), *value))
                .collect();
            let gone = info.is_empty();
            commit(state, account(info, AccountStatus::empty(), &slots));
            if gone {
                model.remove(&who);
                return;
            }
            let entry = model.entry(who).or_default();
            (entry.nonce, entry.balance) = (*nonce, *balance);
            store(entry, slots.iter().map(|(key, _, value)| (*key, *value)));
        }
        Change::Create { balance, code, slots } => {
            let info = AccountInfo { balance: U256::from(*balance), nonce: 1, ..AccountInfo::default() }
                .with_code(Bytecode::new_legacy(Bytes::from(code.clone())));
            let written: Vec<_> = slots.iter().map(|(key, value)| (*key, U256::ZERO, *value)).collect();
            commit(state, account(info, AccountStatus::Created, &written));
            let mut entry = Model { nonce: 1, balance: *balance, code: code.clone(), ..Model::default() };
            store(&mut entry, slots.iter().copied());
            model.insert(who, entry);
        }
        Change::Destroy => {
            let info = state.basic(address).unwrap().unwrap_or_default();
            commit(state, account(info, AccountStatus::SelfDestructed, &[]));
            model.remove(&who);
        }
        Change::Reward(amount) => {
            state.add_balance(address, U256::from(*amount)).unwrap();
            model.entry(who).or_default().balance += amount;
        }
        Change::Root => {
            state.root().unwrap();
        }
    }
}

fn store(entry: &mut Model, slots: impl Iterator<Item = (u64, u64)>) {
    for (key, value) in slots {
        if value == 0 {
            entry.storage.remove(&key);
        } else {
            entry.storage.insert(key, value);
        }
    }
}

fn root(model: &BTreeMap<u8, Model>) -> B256 {
    state_root_unhashed(model.iter().map(|(who, account)| {
        let slots = account.storage.iter().map(|(key, value)| (B256::from(U256::from(*key)), U256::from(*value)));
        let account = TrieAccount {
            nonce: account.nonce,
            balance: U256::from(account.balance),
            storage_root: storage_root_unhashed(slots),
            code_hash: keccak256(&account.code),
        };
        (Address::with_last_byte(*who), account)
    }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn roots_and_reads_are_those_of_the_model(
        blocks in prop::collection::vec(prop::collection::vec((0u8..8, change()), 0..12), 1..6)
    ) {
        let nodes = Arc::new(Nodes::new(Arc::new(MemoryStore::new())));
        let (mut model, mut parent) = (BTreeMap::new(), EMPTY_ROOT_HASH);
        for block in &blocks {
            let mut state = State::new(nodes.clone(), parent, false, &|_| None);
            for (who, change) in block {
                apply(&mut model, &mut state, *who, change);
            }
            parent = state.root().unwrap();
            prop_assert_eq!(parent, root(&model));
            nodes.keep_block();
        }
        // Out of the tries again.
        let mut state = State::new(nodes, parent, false, &|_| None);
        for who in 0..8 {
            let address = Address::with_last_byte(who);
            let info = state.basic(address).unwrap();
            let Some(expected) = model.get(&who) else {
                prop_assert!(info.is_none());
                continue;
            };
            let info = info.unwrap();
            prop_assert_eq!((info.nonce, info.balance), (expected.nonce, U256::from(expected.balance)));
            prop_assert_eq!(&state.code_by_hash(info.code_hash).unwrap().original_bytes()[..], &expected.code[..]);
            for slot in 0..12 {
                let value = expected.storage.get(&slot).copied().unwrap_or_default();
                prop_assert_eq!(state.storage(address, U256::from(slot)).unwrap(), U256::from(value));
            }
        }
    }
}

#[test]
fn what_is_missing_is_an_error_and_never_a_zero() {
    let nodes = Arc::new(Nodes::new(Arc::new(MemoryStore::new())));
    let mut state = State::new(nodes, B256::repeat_byte(1), false, &|_| None);
    assert!(matches!(state.basic(Address::ZERO), Err(StateError::Trie(_))));
    assert!(matches!(state.code_by_hash(B256::repeat_byte(2)), Err(StateError::MissingCode(_))));
    assert!(matches!(state.block_hash(7), Err(StateError::MissingBlockHash(7))));
    // A commit cannot say so; the root does.
    state.commit([(Address::ZERO, account(AccountInfo::default(), AccountStatus::empty(), &[]))].into_iter().collect());
    assert!(matches!(state.root(), Err(StateError::Trie(_))));
}
