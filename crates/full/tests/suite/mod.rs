mod bad_blocks;
mod clique;
mod common;
mod mainnet;
mod nodes;
mod osaka;
mod reorg;
