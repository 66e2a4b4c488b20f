//! Servers joined in memory on virtual time, hostile peers, and a few real sockets.

mod suite;
