//! Sessions joined without a network, and over one in memory, on virtual time.

// Helpers of tests are no test functions to clippy.
#![allow(clippy::unwrap_used)]

mod suite;
