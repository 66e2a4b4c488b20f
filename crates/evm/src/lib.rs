//! By which rules a block is executed: a chain's forks as `revm` knows them, and what stands around a transaction.
//!
//! ```text
//!   rules        which fork's rules hold at a header
//!   environment  what the EVM sees of a block
//!   net_gas      storage prices that the EVM in use does not know (EIP-1283)
//!   system       what a block does beside its transactions: system contracts, requests
//! ```
//!
//! `full` executes blocks by these rules and `light` runs calls by them, each over its own state.

mod environment;
mod net_gas;
mod rules;
pub mod system;

pub use environment::{beneficiary, environment};
pub use net_gas::meter;
pub use rules::{Randomness, Rules};
