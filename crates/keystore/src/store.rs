//! The folder of key files, in geth's layout.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use alloy_primitives::{Address, hex};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::StaticFormatDescription, macros::format_description};
use tracing::debug;

use crate::{
    error::{FileError, KeystoreError, OpenError},
    kdf::Scrypt,
    key::{Password, UnlockedKey},
    v3::{KeyFile, MAX_FILE},
};

/// The time in a file's name: ISO 8601 with nanoseconds, without the colons that some file systems refuse.
const TIME: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]-[minute]-[second].[subsecond digits:9]Z");

/// A folder of key files: one key a file, `UTC--<time>--<address>`. The folder is read anew whenever something is asked, so
/// that files may come and go.
#[derive(Debug, Clone)]
pub struct Keystore {
    folder: PathBuf,
    cost: Scrypt,
}

/// A key file by its name and the address that it says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// The file.
    pub path: PathBuf,
    /// Whose key it says to hold.
    pub address: Address,
}

impl Keystore {
    /// The keystore in `folder`, which is made when the first key is written.
    pub fn open(folder: impl AsRef<Path>) -> Self {
        let folder = folder.as_ref();
        Self { folder: std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()), cost: Scrypt::STANDARD }
    }

    /// The same, writing files at another cost.
    #[must_use]
    pub fn with_cost(self, cost: Scrypt) -> Self {
        Self { cost, ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every key file with an address, by name. As in geth what is hidden, ends in `~`, or is no regular file is passed over,
    /// and so is what has no address.
    ///
    /// # Errors
    /// The folder cannot be read. One that is not there has no accounts.
    pub fn accounts(&self) -> Result<Vec<Account>, KeystoreError> {
        let failed = |source| KeystoreError::Io { action: "read", path: self.folder.clone(), source };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut accounts = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || name.ends_with('~') || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            match address_in(&entry.path()) {
                Ok(address) => accounts.push(Account { path: entry.path(), address }),
                Err(why) => debug!(path = %entry.path().display(), %why, "Not a key file"),
            }
        }
        accounts.sort();
        Ok(accounts)
    }

    /// The one key file of an address.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(&self, address: Address) -> Result<Account, KeystoreError> {
        let mut found: Vec<_> = self.accounts()?.into_iter().filter(|account| account.address == address).collect();
        match (found.pop(), found.is_empty()) {
            (Some(account), true) => Ok(account),
            (None, _) => Err(KeystoreError::NoMatch),
            (Some(last), false) => {
                found.push(last);
                Err(KeystoreError::Ambiguous { files: found.into_iter().map(|account| account.path).collect() })
            }
        }
    }

    /// A new key from the system's random bytes, in a file of its own.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new_account(&self, password: &Password) -> Result<Account, KeystoreError> {
        let key = UnlockedKey::random().map_err(|error| KeystoreError::Random(error.to_string()))?;
        self.add(&key, password)
    }

    /// Writes a key that is not in the folder yet into a file of its own.
    ///
    /// # Errors
    /// It is there already; the file cannot be written.
    pub fn import(&self, key: &UnlockedKey, password: &Password) -> Result<Account, KeystoreError> {
        if self.accounts()?.iter().any(|account| account.address == key.address()) {
            return Err(KeystoreError::Exists);
        }
        self.add(key, password)
    }

    /// Locks a key file up anew: under another password, at this keystore's cost. Its name and its id stay.
    ///
    /// # Errors
    /// There is not one file of that address; the old password is wrong; the file cannot be written.
    pub fn update(&self, address: Address, old: &Password, new: &Password) -> Result<Account, KeystoreError> {
        let account = self.find(address)?;
        let file = read(&account.path)?;
        let key = open(&file, address, old)?;
        self.write(&account.path, &KeyFile::seal(&key, new, self.cost)?.replacing(&file), new)?;
        Ok(account)
    }

    /// The key of an account: a second of work, or as much as the file's parameters ask.
    ///
    /// # Errors
    /// There is not one file of that address; the password is wrong; the file holds another key.
    pub fn unlock(&self, address: Address, password: &Password) -> Result<UnlockedKey, KeystoreError> {
        open(&read(&self.find(address)?.path)?, address, password)
    }

    fn add(&self, key: &UnlockedKey, password: &Password) -> Result<Account, KeystoreError> {
        let path = self.folder.join(file_name(OffsetDateTime::now_utc(), key.address()));
        self.write(&path, &KeyFile::seal(key, password, self.cost)?, password)?;
        Ok(Account { path, address: key.address() })
    }

    /// Writes a file beside its final place, opens it there, and only then moves it: a crash leaves the old one or the
    /// new one, and what is moved there has been seen to open.
    fn write(&self, path: &Path, file: &KeyFile, password: &Password) -> Result<(), KeystoreError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| KeystoreError::Io { action, path, source }
        };
        make_folder(&self.folder).map_err(failed("make", &self.folder))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = self.folder.join(format!(".{name}.tmp{}", std::process::id()));
        // One left behind by a crash could have another mode.
        let _ = fs::remove_file(&temporary);
        let written = create(&temporary, &file.to_json()).map_err(failed("write", &temporary)).and_then(|()| {
            let again = read(&temporary)?;
            again.open(password)?;
            fs::rename(&temporary, path).map_err(failed("write", path))
        });
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
            return written;
        }
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", &self.folder))
    }
}

/// geth's name of a key file.
fn file_name(now: OffsetDateTime, address: Address) -> String {
    let time = now.format(TIME).unwrap_or_else(|_| now.unix_timestamp_nanos().to_string());
    format!("UTC--{time}--{}", hex::encode(address))
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A new file that only its owner reads, synced.
fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn open(file: &KeyFile, address: Address, password: &Password) -> Result<UnlockedKey, KeystoreError> {
    let key = file.open(password)?;
    if key.address() != address {
        return Err(OpenError::Mismatch { have: key.address(), want: address }.into());
    }
    Ok(key)
}

fn read(path: &Path) -> Result<KeyFile, KeystoreError> {
    let bytes = contents(path).map_err(|source| KeystoreError::Io { action: "read", path: path.to_owned(), source })?;
    KeyFile::parse(&bytes).map_err(|source| KeystoreError::File { path: path.to_owned(), source })
}

/// A file, but no more of it than shows that it is too long.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The address in a file; what else stands there only matters to who opens it.
fn address_in(path: &Path) -> Result<Address, String> {
    #[derive(Deserialize)]
    struct Addressed {
        #[serde(alias = "Address")]
        address: String,
    }
    let bytes = contents(path).map_err(|error| error.to_string())?;
    if bytes.len() > MAX_FILE {
        return Err(FileError::TooLong { got: bytes.len(), max: MAX_FILE }.to_string());
    }
    let Addressed { address } = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    match address.parse() {
        Ok(address) if address != Address::ZERO => Ok(address),
        _ => Err("missing or zero address".to_owned()),
    }
}

#[cfg(test)]
mod tests;
