//! `rushlight account`: geth's subcommands, with the same words on stdout for the scripts that read them.

use std::path::PathBuf;

use alloy_primitives::{Address, hex};
use clap::{Args, Subcommand};
use rushlight_keystore::{Keystore, KeystoreError, Password, Scrypt, read_plain_key};

use crate::{
    cli::ChainArgs,
    fatal::Fatal,
    passwords::{self, Prompt, say},
    settings,
};

/// How often a wrong password may be given, as in geth.
const ATTEMPTS: usize = 3;

/// What is done with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Makes a new account and prints its address.
    New(NewArgs),
    /// Prints the accounts of the keystore.
    List(WhereArgs),
    /// Takes a private key from a file, 64 hex digits, into a new account.
    Import(ImportArgs),
    /// Changes the passwords of accounts, and brings their files to the newest form.
    Update(UpdateArgs),
}

/// Which keystore.
#[derive(Debug, Args)]
pub(crate) struct WhereArgs {
    #[command(flatten)]
    chain: ChainArgs,
    /// Data directory. Default: ~/.rushlight.
    #[arg(long, value_name = "DIR")]
    datadir: Option<PathBuf>,
    /// Folder of the key files. Default: keystore in the data directory.
    #[arg(long, value_name = "DIR")]
    keystore: Option<PathBuf>,
}

/// How a key is locked up.
#[derive(Debug, Args)]
pub(crate) struct LockArgs {
    /// File with the password in its first line, instead of asking for it.
    #[arg(long, value_name = "FILE")]
    password: Option<PathBuf>,
    /// Less memory and time to unlock, and to guess the password.
    #[arg(long)]
    lightkdf: bool,
}

/// Flags of `account new`.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    #[command(flatten)]
    place: WhereArgs,
    #[command(flatten)]
    lock: LockArgs,
}

/// Flags of `account import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    place: WhereArgs,
    #[command(flatten)]
    lock: LockArgs,
    /// The file with the private key.
    #[arg(value_name = "KEYFILE")]
    keyfile: Vec<PathBuf>,
}

/// Flags of `account update`.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    place: WhereArgs,
    /// File with the old password in its first line and the new one in its second, where it has one.
    #[arg(long, value_name = "FILE")]
    password: Option<PathBuf>,
    /// Less memory and time to unlock, and to guess the password.
    #[arg(long)]
    lightkdf: bool,
    /// Whose.
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<String>,
}

/// Runs one of them.
pub(crate) fn run(command: AccountCommand) -> Result<(), Fatal> {
    match command {
        AccountCommand::New(args) => new(&args),
        AccountCommand::List(place) => list(&place),
        AccountCommand::Import(args) => import(&args),
        AccountCommand::Update(args) => update(&args),
    }
}

impl WhereArgs {
    fn keystore(&self, light: bool) -> Result<Keystore, Fatal> {
        let datadir = settings::network_datadir(self.datadir.as_deref(), &self.chain)?;
        let keystore = settings::keystore(self.keystore.as_deref(), &datadir);
        Ok(keystore.with_cost(if light { Scrypt::LIGHT } else { Scrypt::STANDARD }))
    }
}

impl LockArgs {
    fn password(&self) -> Result<Password, Fatal> {
        let first =
            self.password.as_deref().map(passwords::of_file).transpose()?.and_then(|all| all.into_iter().next());
        match first {
            Some(password) => Ok(password),
            None => Prompt::default().ask(
                "Your new account is locked with a password. Please give a password. Do not forget this password.",
                true,
            ),
        }
    }
}

fn new(args: &NewArgs) -> Result<(), Fatal> {
    let keystore = args.place.keystore(args.lock.lightkdf)?;
    let password = args.lock.password()?;
    let account =
        keystore.new_account(&password).map_err(|error| Fatal::failed(format!("Failed to create account: {error}")))?;
    say(&format!(
        "\nYour new key was generated\n\n\
         Public address of the key:   {}\n\
         Path of the secret key file: {}\n\n\
         - You can share your public address with anyone. Others need it to interact with you.\n\
         - You must NEVER share the secret key with anyone! The key controls access to your funds!\n\
         - You must BACKUP your key file! Without the key, it's impossible to access account funds!\n\
         - You must REMEMBER your password! Without the password, it's impossible to decrypt the key!\n\n",
        account.address.to_checksum(None),
        account.path.display()
    ))
}

fn list(place: &WhereArgs) -> Result<(), Fatal> {
    let accounts = place.keystore(false)?.accounts().map_err(|error| Fatal::from_error(&error))?;
    for (index, account) in accounts.iter().enumerate() {
        say(&format!(
            "Account #{index}: {{{}}} keystore://{}\n",
            hex::encode(account.address),
            account.path.display()
        ))?;
    }
    Ok(())
}

fn import(args: &ImportArgs) -> Result<(), Fatal> {
    let [keyfile] = args.keyfile.as_slice() else {
        return Err(Fatal::failed("keyfile must be given as the only argument"));
    };
    let key =
        read_plain_key(keyfile).map_err(|error| Fatal::failed(format!("Failed to load the private key: {error}")))?;
    let keystore = args.place.keystore(args.lock.lightkdf)?;
    let account = keystore
        .import(&key, &args.lock.password()?)
        .map_err(|error| Fatal::failed(format!("Could not create the account: {error}")))?;
    say(&format!("Address: {{{}}}\n", hex::encode(account.address)))
}

fn update(args: &UpdateArgs) -> Result<(), Fatal> {
    if args.addresses.is_empty() {
        return Err(Fatal::failed("No accounts specified to update"));
    }
    let keystore = args.place.keystore(args.lightkdf)?;
    let failed = |error: &KeystoreError| Fatal::failed(format!("could not update account: {error}"));
    let given = args.password.as_deref().map(passwords::of_file).transpose()?;
    let mut prompt = Prompt::default();
    for name in &args.addresses {
        let address: Address =
            name.parse().map_err(|_| Fatal::failed("address must be specified in hexadecimal form"))?;
        if let Some(passwords) = &given {
            let (old, new) = match passwords.as_slice() {
                [old, new, ..] if *new != Password::from("") => (old, new),
                [old, ..] => (old, old),
                [] => return Err(Fatal::failed("--password: the file is empty")),
            };
            keystore.update(address, old, new).map_err(|error| failed(&error))?;
            continue;
        }
        let new = prompt.ask("Please give a NEW password. Do not forget this password.", true)?;
        for attempt in 1..=ATTEMPTS {
            let why = format!("Please provide the OLD password for account {name} | Attempt {attempt}/{ATTEMPTS}");
            let old = prompt.ask(&why, false)?;
            match keystore.update(address, &old, &new) {
                Ok(_) => break,
                Err(error) if error.is_wrong_password() && attempt < ATTEMPTS => {}
                Err(error) => return Err(failed(&error)),
            }
        }
    }
    Ok(())
}
