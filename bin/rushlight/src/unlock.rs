//! `--unlock`: accounts that the node itself signs for. None unless asked for, and never by accident over a network.

use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use clap::Args;
use rushlight_keystore::{Keystore, KeystoreError, Password, UnlockedKey};
use tracing::info;

use crate::{
    cli::RpcArgs,
    fatal::Fatal,
    passwords::{self, Prompt},
    settings,
};

/// How often a password that is asked for may be wrong, as in geth.
const ATTEMPTS: usize = 3;

/// Accounts of the node.
#[derive(Debug, Args)]
pub(crate) struct UnlockArgs {
    /// Folder of the key files. Default: keystore in the data directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) keystore: Option<PathBuf>,
    /// Accounts that the node signs for while it runs: addresses, with commas between.
    #[arg(long, value_name = "ADDRESSES", default_value = "", hide_default_value = true)]
    pub(crate) unlock: String,
    /// File with their passwords, one a line in their order; the last one stands for all that follow. Without it they are
    /// asked for.
    #[arg(long, value_name = "FILE")]
    pub(crate) password: Option<PathBuf>,
    /// Lets --unlock go with --http and --ws: whoever reaches them can then sign, and spend.
    #[arg(long)]
    pub(crate) allow_insecure_unlock: bool,
}

/// The keystore, and the keys of the accounts that are to be unlocked.
#[derive(Debug)]
pub(crate) struct Unlocked {
    pub(crate) keystore: Keystore,
    pub(crate) keys: Vec<UnlockedKey>,
}

/// Unlocks what the flags name; nothing where they name nothing. Slow: each account takes a second.
pub(crate) fn unlock(args: &UnlockArgs, rpc: &RpcArgs, datadir: &Path) -> Result<Option<Unlocked>, Fatal> {
    let names: Vec<_> = settings::split(&args.unlock).collect();
    if names.is_empty() {
        return Ok(None);
    }
    if (rpc.http || rpc.ws) && !args.allow_insecure_unlock {
        return Err(Fatal::failed("Account unlock with HTTP access is forbidden!"));
    }
    let keystore = settings::keystore(args.keystore.as_deref(), datadir);
    let passwords = args.password.as_deref().map(passwords::of_file).transpose()?.unwrap_or_default();
    let mut keys = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        let address: Address = name
            .parse()
            .map_err(|_| Fatal::usage(format!("--unlock: expected addresses with commas between, got {name:?}")))?;
        let given = passwords.get(index).or(passwords.last());
        let key = open(&keystore, address, name, given)?;
        info!(address = %address.to_checksum(None), "Unlocked account");
        keys.push(key);
    }
    Ok(Some(Unlocked { keystore, keys }))
}

fn open(keystore: &Keystore, address: Address, name: &str, given: Option<&Password>) -> Result<UnlockedKey, Fatal> {
    let failed = |error: KeystoreError| Fatal::failed(format!("Failed to unlock account {name} ({error})"));
    if let Some(password) = given {
        return keystore.unlock(address, password).map_err(failed);
    }
    // Before anything is asked for.
    keystore.find(address).map_err(failed)?;
    let mut prompt = Prompt::default();
    let mut attempt = 1;
    loop {
        let password = prompt.ask(&format!("Unlocking account {name} | Attempt {attempt}/{ATTEMPTS}"), false)?;
        match keystore.unlock(address, &password) {
            Err(error) if error.is_wrong_password() && attempt < ATTEMPTS => attempt += 1,
            opened => return opened.map_err(failed),
        }
    }
}
