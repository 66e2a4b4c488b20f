//! Whole networks in memory, on virtual time: real sessions over real RLPx, one node that syncs among many that serve.

// A test that cannot be set up fails.
#![allow(clippy::unwrap_used)]

mod suite;
