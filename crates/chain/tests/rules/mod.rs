//! The consensus rules against the official vectors, real mainnet blocks, and mutations of both.

mod clique;
mod codec;
mod era1;
mod ethash;
mod forks;
mod genesis;
mod mainnet;
mod mutations;
mod networks;
mod stake;
mod uncles;
mod vectors;
