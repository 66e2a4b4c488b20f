//! The store in RocksDB.

use std::path::{Path, PathBuf};

use alloy_primitives::Bytes;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBRecoveryMode,
    FlushOptions, IteratorMode, LogLevel, Options, ReadOptions, WriteBatch, WriteOptions,
};

use super::{Batch, Column, Direction, Op, SCHEMA_KEY, Store, StoreError, check_schema};

/// What the database may take of the machine. The defaults fit one with 512 MB of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of uncompressed blocks, indexes and filters kept in memory, for all columns together. Default 8 MiB.
    pub block_cache: usize,
    /// Bytes of writes held in memory before they go to a table file, for all columns together. Default 8 MiB.
    pub write_buffers: usize,
    /// Bytes of log after which the oldest writes are moved to table files: what a restart reads again, at the most.
    /// Default 24 MiB.
    pub log: u64,
    /// Table files held open; each keeps its reader's memory. Default 64.
    pub open_files: i32,
    /// Threads that move writes to table files and merge them. Default 2.
    pub background_jobs: i32,
}

impl Budget {
    /// That of a light node, whose chain takes a few megabytes: the log, which would be most of its folder, is kept short.
    pub fn light() -> Budget {
        Budget { block_cache: 4 << 20, write_buffers: 4 << 20, log: 4 << 20, ..Budget::default() }
    }
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { block_cache: 8 << 20, write_buffers: 8 << 20, log: 24 << 20, open_files: 64, background_jobs: 2 }
    }
}

/// A store in a folder of its own, which one process at a time can have open.
pub struct RocksStore {
    db: DB,
    path: PathBuf,
}

impl std::fmt::Debug for RocksStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl RocksStore {
    /// Opens the store in `path`, or makes one there. Writes that were acknowledged before the last process ended,
    /// however it ended, are there again.
    pub fn open(path: impl AsRef<Path>, budget: &Budget) -> Result<RocksStore, StoreError> {
        let path = path.as_ref().to_path_buf();
        std::fs::create_dir_all(&path)
            .map_err(|error| StoreError::Io { action: "making the data folder", error: error.to_string() })?;
        let options = database_options(budget);
        let cache = Cache::new_lru_cache(budget.block_cache);

        // A folder of another schema may have other columns, and RocksDB opens only with all of them named: open what
        // is there, look at the version, and only then make the columns that are missing.
        let present = present_columns(&path, &options)?;
        let descriptors =
            present.iter().map(|name| ColumnFamilyDescriptor::new(name, column_options(name, budget, &cache)));
        let mut db =
            DB::open_cf_descriptors(&options, &path, descriptors).map_err(|error| open_error(&path, &error))?;
        if present.iter().any(|name| name != DEFAULT) {
            let Some(meta) = db.cf_handle(Column::Meta.name()) else { return Err(StoreError::Foreign { path }) };
            let schema = db.get_cf(meta, SCHEMA_KEY).map_err(|error| io("reading the schema version", &error))?;
            check_schema(schema.as_deref())?;
        } else if db.iterator(IteratorMode::Start).next().is_some() {
            return Err(StoreError::Foreign { path });
        }
        for column in Column::ALL {
            if db.cf_handle(column.name()).is_none() {
                db.create_cf(column.name(), &column_options(column.name(), budget, &cache))
                    .map_err(|error| io("making a column", &error))?;
            }
        }
        Ok(RocksStore { db, path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn handle(&self, column: Column) -> Result<&ColumnFamily, StoreError> {
        self.db
            .cf_handle(column.name())
            .ok_or_else(|| StoreError::Damaged { what: format!("there is no column {}", column.name()) })
    }
}

impl Store for RocksStore {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.db.get_cf(self.handle(column)?, key).map_err(|error| io("reading", &error))?;
        Ok(value.map(Bytes::from))
    }

    fn multi_get(&self, column: Column, keys: &[&[u8]]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let handle = self.handle(column)?;
        // Many keys at once lie far from each other and are not asked for again soon: what is read around them would
        // only drive the indexes out of the cache.
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        self.db
            .batched_multi_get_cf_opt(handle, keys, false, &options)
            .into_iter()
            .map(|value| match value {
                Ok(value) => Ok(value.map(|value| Bytes::copy_from_slice(&value))),
                Err(error) => Err(io("reading", &error)),
            })
            .collect()
    }

    fn contains(&self, column: Column, key: &[u8]) -> Result<bool, StoreError> {
        let value = self.db.get_pinned_cf(self.handle(column)?, key).map_err(|error| io("reading", &error))?;
        Ok(value.is_some())
    }

    fn scan(
        &self,
        column: Column,
        from: &[u8],
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let direction = match direction {
            Direction::Forward => rocksdb::Direction::Forward,
            Direction::Reverse => rocksdb::Direction::Reverse,
        };
        self.db
            .iterator_cf(self.handle(column)?, IteratorMode::From(from, direction))
            .take(limit)
            .map(|entry| match entry {
                Ok((key, value)) => Ok((Bytes::from(key.into_vec()), Bytes::from(value.into_vec()))),
                Err(error) => Err(io("reading", &error)),
            })
            .collect()
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(batch.is_synced());
        let mut writes = WriteBatch::default();
        for op in batch.ops() {
            match op {
                Op::Put { column, key, value } => writes.put_cf(self.handle(*column)?, key, value),
                Op::Delete { column, key } => writes.delete_cf(self.handle(*column)?, key),
            }
        }
        self.db.write_opt(writes, &options).map_err(|error| io("writing", &error))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.db.flush_wal(true).map_err(|error| io("syncing", &error))
    }

    fn tidy(&self, columns: &[Column]) -> Result<(), StoreError> {
        // The log is kept for as long as any column has writes in it that are in no table file.
        let all: Vec<&ColumnFamily> =
            Column::ALL.iter().map(|column| self.handle(*column)).collect::<Result<_, _>>()?;
        self.db.flush_cfs_opt(&all, &FlushOptions::default()).map_err(|error| io("moving writes to tables", &error))?;
        for column in columns {
            self.db.compact_range_cf(self.handle(*column)?, None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }

    fn size_bytes(&self) -> Result<u64, StoreError> {
        let io = |error: std::io::Error| StoreError::Io { action: "measuring the folder", error: error.to_string() };
        let mut total = 0;
        for entry in std::fs::read_dir(&self.path).map_err(io)? {
            // Files come and go while they are counted; one that has just gone takes no room.
            if let Ok(metadata) = entry.map_err(io)?.metadata() {
                total += metadata.len();
            }
        }
        Ok(total)
    }
}

/// The column that every RocksDB has. Nothing is kept in it.
const DEFAULT: &str = "default";

/// The columns of the database in `path`; just the default one where there is none yet.
fn present_columns(path: &Path, options: &Options) -> Result<Vec<String>, StoreError> {
    if !path.join("CURRENT").exists() {
        return Ok(vec![DEFAULT.to_owned()]);
    }
    DB::list_cf(options, path).map_err(|error| open_error(path, &error))
}

fn database_options(budget: &Budget) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_db_write_buffer_size(budget.write_buffers);
    options.set_max_total_wal_size(budget.log);
    options.set_max_open_files(budget.open_files);
    // One shard: with RocksDB's 64, each has room for a single open file, and those that fall into the same shard are
    // opened anew for every read.
    options.set_table_cache_num_shard_bits(0);
    options.set_max_background_jobs(budget.background_jobs);
    // After the machine stopped in mid-write: everything up to the last whole batch, and nothing behind it.
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_paranoid_checks(true);
    // RocksDB's own log tells an operator nothing; keep it from filling the disk.
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(1 << 20);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_max_manifest_file_size(4 << 20);
    options
}

fn column_options(name: &str, budget: &Budget, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(16 << 10);
    table.set_format_version(5);
    // Indexes and filters live in the cache's budget instead of beside it.
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    // Keys that are hashes are often asked for in vain; ten bits a key spare 99 of 100 such reads.
    let by_hash = [Column::Headers, Column::Verified, Column::Bodies, Column::Receipts, Column::Nodes, Column::Lookups];
    if by_hash.iter().any(|column| column.name() == name) {
        table.set_bloom_filter(10.0, false);
    }
    // Headers are read one by one, and each lies somewhere else: with smaller blocks less is unpacked around it.
    if name == Column::Headers.name() {
        table.set_block_size(4 << 10);
    }
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_write_buffer_size((budget.write_buffers / 2).max(1 << 20));
    options.set_max_write_buffer_number(2);
    options
}

fn io(action: &'static str, error: &rocksdb::Error) -> StoreError {
    StoreError::Io { action, error: error.to_string() }
}

/// RocksDB tells a held lock from other failures only by its message.
fn open_error(path: &Path, error: &rocksdb::Error) -> StoreError {
    let message = error.to_string();
    if message.contains("LOCK")
        && (message.contains("Resource temporarily unavailable") || message.contains("lock hold"))
    {
        return StoreError::Locked { path: path.to_path_buf() };
    }
    StoreError::Io { action: "opening the data folder", error: message }
}
