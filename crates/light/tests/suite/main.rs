//! The light client over every kind of state, and a whole light node among peers on virtual time.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails here")]

mod blocks;
mod calls;
mod client;
mod common;
mod fees;
mod mainnet;
mod node;
mod old;
mod pool;
mod simulate;
mod trusted;
