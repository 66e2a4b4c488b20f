//! `rushlight`: an Ethereum light node, a full peer for development and tests, and a network of both on one machine.
//!
//! ```text
//! account    `rushlight account`
//! arenas     how much freed memory the allocator keeps back
//! cli        flags as geth spells them, and one line for whoever mistypes one
//! config_file   the same flags in a file
//! settings   flags checked against each other, files read: what a node is started with
//! logging    stderr, as text or JSON, beside a progress bar
//! passwords  from a file, or asked for
//! progress   the bar, or a log line every few seconds
//! signals    SIGINT and SIGTERM
//! runtime    the async runtime, and its end
//! unlock     accounts that the node signs for
//! mine       sealing with a key of the keystore
//! dev_chain  genesis and accounts of the development network
//! run_light  run_full  run_dev   one each for what can be run
//! ```
//!
//! The nodes themselves are put together in `rushlight-light` and `rushlight-full`.

mod account;
mod arenas;
mod cli;
mod config_file;
mod dev_chain;
mod fatal;
mod logging;
mod mine;
mod passwords;
mod progress;
mod run_dev;
mod run_full;
mod run_light;
mod runtime;
mod settings;
mod signals;
mod unlock;

use std::process::ExitCode;

fn main() -> ExitCode {
    arenas::limit();
    match cli::parse(std::env::args_os()).and_then(cli::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => fatal.report(),
    }
}
