//! Whole networks in memory, on virtual time: real sessions over real RLPx, one node that syncs among many that serve.

mod suite;
