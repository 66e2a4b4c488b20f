use crate::store::*;

#[test]
fn what_was_written_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let genesis = B256::repeat_byte(9);
    {
        let store = RocksStore::open(folder.path(), &Budget::default()).unwrap();
        bind(&store, genesis).unwrap();
        let mut batch = Batch::new();
        batch.put(Column::Headers, b"key", b"value");
        store.write(batch).unwrap();
    }
    let store = RocksStore::open(folder.path(), &Budget::default()).unwrap();
    bind(&store, genesis).unwrap();
    assert_eq!(store.get(Column::Headers, b"key").unwrap().unwrap()[..], b"value"[..]);
    let error = bind(&store, B256::ZERO).unwrap_err();
    assert_eq!(error, StoreError::Genesis { expected: B256::ZERO, found: genesis });
}

#[test]
fn another_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = RocksStore::open(folder.path(), &Budget::default()).unwrap();
        let mut batch = Batch::new();
        batch.put(Column::Meta, SCHEMA_KEY, 9u32.to_be_bytes());
        store.write(batch).unwrap();
    }
    let error = RocksStore::open(folder.path(), &Budget::default()).unwrap_err();
    assert_eq!(error, StoreError::Schema { expected: SCHEMA_VERSION, found: 9 });
    assert_eq!(error.to_string(), "the data folder has another schema: expected version 2, found 9");
}

/// Columns come later without a new schema: a folder that has not one of them gets it.
#[test]
fn a_folder_of_an_earlier_version_gets_its_new_columns() {
    let folder = tempfile::tempdir().unwrap();
    {
        let mut options = rocksdb::Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let old = Column::ALL.iter().map(|column| column.name()).filter(|name| *name != Column::Transactions.name());
        let db = rocksdb::DB::open_cf(&options, folder.path(), old).unwrap();
        let meta = db.cf_handle(Column::Meta.name()).unwrap();
        db.put_cf(meta, SCHEMA_KEY, SCHEMA_VERSION.to_be_bytes()).unwrap();
        db.put_cf(db.cf_handle(Column::Headers.name()).unwrap(), b"key", b"value").unwrap();
    }
    let store = RocksStore::open(folder.path(), &Budget::light()).unwrap();
    assert_eq!(store.get(Column::Headers, b"key").unwrap().unwrap()[..], b"value"[..]);
    assert_eq!(store.get(Column::Transactions, b"key").unwrap(), None);
    let mut batch = Batch::new();
    batch.put(Column::Transactions, b"key", b"other");
    store.write(batch.synced()).unwrap();
    drop(store);
    let store = RocksStore::open(folder.path(), &Budget::light()).unwrap();
    assert_eq!(store.get(Column::Transactions, b"key").unwrap().unwrap()[..], b"other"[..]);
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _store = RocksStore::open(folder.path(), &Budget::default()).unwrap();
    let error = RocksStore::open(folder.path(), &Budget::default()).unwrap_err();
    assert_eq!(error, StoreError::Locked { path: folder.path().to_path_buf() });
}

#[test]
fn somebody_elses_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    {
        let db = rocksdb::DB::open_default(folder.path()).unwrap();
        db.put(b"theirs", b"1").unwrap();
    }
    let error = RocksStore::open(folder.path(), &Budget::default()).unwrap_err();
    assert_eq!(error, StoreError::Foreign { path: folder.path().to_path_buf() });

    let folder = tempfile::tempdir().unwrap();
    {
        let mut db = rocksdb::DB::open_default(folder.path()).unwrap();
        db.create_cf("theirs", &rocksdb::Options::default()).unwrap();
    }
    let error = RocksStore::open(folder.path(), &Budget::default()).unwrap_err();
    assert_eq!(error, StoreError::Foreign { path: folder.path().to_path_buf() });
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    assert!(matches!(RocksStore::open(file.join("below"), &Budget::default()), Err(StoreError::Io { .. })));
}

#[test]
fn a_damaged_file_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    drop(RocksStore::open(folder.path(), &Budget::default()).unwrap());
    std::fs::write(folder.path().join("CURRENT"), b"MANIFEST-999999\n").unwrap();
    assert!(matches!(RocksStore::open(folder.path(), &Budget::default()), Err(StoreError::Io { .. })));
}
