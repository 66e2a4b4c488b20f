//! The JSON-RPC server over real sockets, before a client whose state and bodies are in memory.

mod fixture;
mod http;

mod blocks;
mod errors;
mod limits;
mod node;
mod state;
mod transport;
