//! Servers joined in memory on virtual time, hostile peers, and a few real sockets.

// A test that cannot go on may as well say so with a panic.
#![allow(clippy::unwrap_used)]

mod suite;
