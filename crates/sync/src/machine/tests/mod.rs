//! The machine against simulated sessions and a simulated sink, on a time of its own.

mod cases;
mod paths;
mod peers;
mod random;
mod sim;
mod sink;
