//! Writes a long clique chain: `genesis.json` and `chain.rlp`, the same bytes for the same arguments.
//!
//! `cargo run --example genchain -- --blocks 100000 --tx-every 20 --seed 1 --out DIR`
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use rushlight_full::{ChainPlan, GenerateError, GeneratedChain};

#[derive(Debug, Parser)]
#[command(name = "genchain", about = "Writes a clique chain at London: genesis.json and chain.rlp")]
struct Args {
    /// The folder to write to
    #[arg(long)]
    out: PathBuf,
    /// Blocks after genesis
    #[arg(long, default_value_t = 100_000)]
    blocks: u64,
    /// Every so many blocks one has two transactions; 0: none has
    #[arg(long, default_value_t = 20)]
    tx_every: u64,
    /// All keys come from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many sign in turn
    #[arg(long, default_value_t = 1)]
    signers: u64,
    /// Accounts in genesis
    #[arg(long, default_value_t = 1_000)]
    accounts: u64,
    /// Blocks between checkpoints
    #[arg(long, default_value_t = 30_000)]
    epoch: u64,
    /// Seconds between blocks
    #[arg(long, default_value_t = 1)]
    period: u64,
}

fn main() -> Result<(), GenerateError> {
    let Args { out, blocks, tx_every, seed, signers, accounts, epoch, period } = Args::parse();
    let plan = ChainPlan { seed, blocks, tx_every, signers, accounts, epoch, period };
    let started = Instant::now();
    let head = GeneratedChain::new(plan)?.write(&out)?;
    let seconds = started.elapsed().as_secs_f64();
    println!("block {} {} in {seconds:.1} s", head.number, head.hash());
    Ok(())
}
