//! The machine against simulated sessions and a simulated sink, on a time of its own.

mod cases;
mod peers;
mod random;
mod sim;
mod sink;
