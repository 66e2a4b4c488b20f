//! A full peer for development networks, private networks and tests: it executes blocks, keeps every state, serves
//! whole, and can seal clique blocks of its own. It follows no live mainnet.
//!
//! ```text
//!   node      a running peer: chain, sessions, sync, sealer
//!   sealer    clique blocks of one's own: when (`sealing`: the task), and what stands in them
//!   build     … which transactions, in which order
//!   pool      transactions that wait for a block: taken from peers and users, passed on
//!   access    the chain as peers, the node's reads and sync see it
//!   import    chains from files: era1, and concatenated block RLP (`rlp_file`)
//!   insert    a run of blocks: verified, executed, written, taken in
//!   block     one block: its parts and its execution against its header
//!   execute   transactions and rewards, on …
//!   state     … the state of one root, over …
//!   nodes     … everything by its hash, on disk (`tries`, `lookup`: what a block adds to it)
//!   generate  long chains for benchmarks and tests
//! ```
//!
//! Whatever comes in, from a file, a peer or the own sealer, takes the one way through [`FullChain::insert`]: header
//! rules and seal, body, uncles, transactions, gas, bloom, receipts, requests and state root are all checked, from Frontier to
//! Osaka and its blob schedules. It is an archive: no state is ever forgotten, so any accepted block can be built on, and any answer proved.

mod access;
mod accumulator;
mod block;
mod build;
mod chain;
mod error;
mod execute;
mod generate;
mod import;
mod insert;
mod lookup;
mod node;
mod nodes;
mod pool;
mod rlp_file;
mod sealer;
mod sealing;
mod state;
mod system;
mod tries;
#[cfg(test)]
mod vectors;

pub use build::{Filled, Offer, Waiting};
pub use chain::{FullChain, FullConfig};
pub use error::{BadBlock, InsertError, OpenError, Rule};
pub use generate::{ChainPlan, GENERATED_CONTRACT, GenerateError, GeneratedChain};
pub use import::{ImportError, ImportFailure, ImportProgress, ImportSummary};
pub use node::{FullNode, FullNodeConfig, StartError};
pub use pool::{FullPool, PoolConfig};
pub use rlp_file::{MAX_BLOCK_BYTES, RlpFile, RlpFileError};
pub use rushlight_evm::system::system_contracts;
pub use sealer::{CliqueSealer, DEFAULT_GAS_TARGET, DEFAULT_MIN_TIP, SealerError, Turn};
pub use state::StateError;
