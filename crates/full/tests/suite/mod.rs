mod bad_blocks;
mod clique;
mod common;
mod generate;
mod mainnet;
mod nodes;
mod osaka;
mod reorg;
