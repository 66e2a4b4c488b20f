//! Tests of the crate from outside, by subject.

// Clippy knows only the test functions themselves as tests, not what they call.
#![allow(clippy::unwrap_used)]

mod chain;
mod pool;
mod rules;
