//! The light client over every kind of state, and a whole light node among peers on virtual time.

mod blocks;
mod client;
mod common;
mod mainnet;
mod node;
