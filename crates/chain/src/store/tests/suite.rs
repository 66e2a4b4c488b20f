use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::store::*;

/// Runs a test on each kind of store.
fn on_each(test: impl Fn(&dyn Store)) {
    test(&MemoryStore::new());
    #[cfg(feature = "rocksdb")]
    {
        let folder = tempfile::tempdir().unwrap();
        test(&RocksStore::open(folder.path(), &Budget::default()).unwrap());
    }
}

fn entries(store: &dyn Store, column: Column) -> Vec<(Vec<u8>, Vec<u8>)> {
    let page = store.scan(column, &[], Direction::Forward, usize::MAX).unwrap();
    page.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

#[test]
fn columns_are_apart() {
    on_each(|store| {
        let mut batch = Batch::new();
        for (index, column) in Column::ALL.into_iter().enumerate() {
            batch.put(column, b"key", [index as u8]);
        }
        store.write(batch).unwrap();
        for (index, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(store.get(column, b"key").unwrap().unwrap()[..], [index as u8]);
            assert!(store.contains(column, b"key").unwrap());
            assert!(!store.contains(column, b"other").unwrap());
        }
        let mut batch = Batch::new();
        batch.delete(Column::Headers, b"key");
        batch.delete(Column::Headers, b"never there");
        store.write(batch.synced()).unwrap();
        assert_eq!(store.get(Column::Headers, b"key").unwrap(), None);
        assert!(store.contains(Column::Bodies, b"key").unwrap());
        store.sync().unwrap();
        assert!(store.size_bytes().unwrap() > 0);
    });
}

#[test]
fn the_last_write_of_a_batch_counts() {
    on_each(|store| {
        let mut batch = Batch::new();
        batch.put(Column::Meta, b"a", b"1");
        batch.put(Column::Meta, b"a", b"2");
        batch.put(Column::Meta, b"b", b"1");
        batch.delete(Column::Meta, b"b");
        batch.delete(Column::Meta, b"c");
        let mut more = Batch::new();
        more.put(Column::Meta, b"c", b"");
        batch.append(more.synced());
        assert!(batch.is_synced());
        store.write(batch).unwrap();
        assert_eq!(entries(store, Column::Meta), [(b"a".to_vec(), b"2".to_vec()), (b"c".to_vec(), Vec::new())]);
    });
}

#[test]
fn scans_go_both_ways() {
    on_each(|store| {
        let mut batch = Batch::new();
        for key in [1u8, 3, 5, 7] {
            batch.put(Column::Numbers, [key], [key]);
        }
        store.write(batch).unwrap();
        let keys = |from: u8, direction, limit| -> Vec<u8> {
            let page = store.scan(Column::Numbers, &[from], direction, limit).unwrap();
            page.into_iter().map(|(key, _)| key[0]).collect()
        };
        assert_eq!(keys(3, Direction::Forward, 10), [3, 5, 7]);
        assert_eq!(keys(4, Direction::Forward, 1), [5]);
        assert_eq!(keys(4, Direction::Reverse, 10), [3, 1]);
        assert_eq!(keys(5, Direction::Reverse, 2), [5, 3]);
        assert_eq!(keys(0, Direction::Reverse, 2), [0u8; 0]);
        assert_eq!(keys(8, Direction::Forward, 2), [0u8; 0]);
        assert_eq!(keys(9, Direction::Reverse, 1), [7]);
    });
}

#[test]
fn a_store_is_bound_to_its_chain() {
    on_each(|store| {
        let (ours, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        bind(store, ours).unwrap();
        bind(store, ours).unwrap();
        let error = bind(store, other).unwrap_err();
        assert_eq!(error, StoreError::Genesis { expected: other, found: ours });
        let message = error.to_string();
        assert!(message.contains(&ours.to_string()) && message.contains(&other.to_string()), "{message}");

        let mut batch = Batch::new();
        batch.put(Column::Meta, SCHEMA_KEY, 77u32.to_be_bytes());
        store.write(batch).unwrap();
        assert_eq!(bind(store, ours), Err(StoreError::Schema { expected: SCHEMA_VERSION, found: 77 }));
    });
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(bool, u8, u8)>),
    Scan(u8, bool, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop::collection::vec((any::<bool>(), 0u8..16, any::<u8>()), 0..8).prop_map(Step::Write),
        (0u8..18, any::<bool>(), 0usize..6).prop_map(|(from, forward, limit)| Step::Scan(from, forward, limit)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Both stores do what a sorted map does.
    #[test]
    fn like_a_sorted_map(steps in prop::collection::vec(step(), 1..40)) {
        on_each(|store| {
            let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            for step in &steps {
                match step {
                    Step::Write(writes) => {
                        let mut batch = Batch::new();
                        for (put, key, value) in writes {
                            if *put {
                                batch.put(Column::Nodes, [*key], [*value]);
                                model.insert(vec![*key], vec![*value]);
                            } else {
                                batch.delete(Column::Nodes, [*key]);
                                model.remove(&vec![*key]);
                            }
                        }
                        store.write(batch).unwrap();
                    }
                    Step::Scan(from, forward, limit) => {
                        let direction = if *forward { Direction::Forward } else { Direction::Reverse };
                        let got = store.scan(Column::Nodes, &[*from], direction, *limit).unwrap();
                        let got: Vec<_> = got.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
                        let pair = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
                        let expected: Vec<_> = if *forward {
                            model.range(vec![*from]..).take(*limit).map(pair).collect()
                        } else {
                            model.range(..=vec![*from]).rev().take(*limit).map(pair).collect()
                        };
                        assert_eq!(got, expected);
                    }
                }
            }
            assert_eq!(entries(store, Column::Nodes), model.into_iter().collect::<Vec<_>>());
            let keys: Vec<[u8; 1]> = (0..16).map(|key| [key]).collect();
            let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
            let many = store.multi_get(Column::Nodes, &keys).unwrap();
            for (key, value) in keys.iter().zip(many) {
                assert_eq!(store.get(Column::Nodes, key).unwrap(), value);
            }
        });
    }
}
