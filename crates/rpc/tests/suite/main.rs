//! The JSON-RPC server over real sockets, before a client whose state and bodies are in memory.

// Clippy exempts test functions only, and not what they share.
#![allow(clippy::unwrap_used)]

mod fixture;
mod http;

mod accounts;
mod blocks;
mod calls;
mod cors;
mod errors;
mod fees;
mod ipc;
mod limits;
mod node;
mod pool;
mod receipts;
mod state;
mod transport;
mod trusted;
mod websocket;
