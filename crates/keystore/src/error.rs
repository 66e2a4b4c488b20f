//! What can be wrong: with a file, with a password, with a folder. geth's words where geth has some.

use std::{io, path::PathBuf};

use alloy_primitives::Address;

/// Why an account cannot be found, read, made or unlocked.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// No file of the folder has that address.
    #[error("no key for given address or file")]
    NoMatch,
    /// More than one has it, and nothing says which is meant.
    #[error("multiple keys match address ({})", list(.files))]
    Ambiguous {
        /// All of them.
        files: Vec<PathBuf>,
    },
    /// The account is there already.
    #[error("account already exists")]
    Exists,
    /// The password is wrong, or the file holds another key than it says.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The file is no key file.
    #[error("{}: {source}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: FileError,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

impl KeystoreError {
    /// Whether another password may help.
    pub fn is_wrong_password(&self) -> bool {
        matches!(self, Self::Open(OpenError::Decrypt))
    }
}

fn list(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// Why bytes are not a key file of version 3.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not JSON, or not of this form.
    #[error("not a key file: {0}")]
    Json(#[from] serde_json::Error),
    /// Longer than any key file.
    #[error("not a key file: {got} bytes, expected at most {max}")]
    TooLong {
        /// Its length; of a file that is not read to its end, what was read.
        got: usize,
        /// The bound.
        max: usize,
    },
    /// Another version of the format.
    #[error("version not supported: {got}, expected 3")]
    Version {
        /// As the file has it.
        got: String,
    },
    /// A cipher that is not part of the format.
    #[error("cipher not supported: {got}, expected aes-128-ctr")]
    Cipher {
        /// As the file has it.
        got: String,
    },
    /// A key derivation that is not part of the format.
    #[error("unsupported KDF: {got}, expected scrypt or pbkdf2")]
    Kdf {
        /// As the file has it.
        got: String,
    },
    /// One field has a value that cannot be, or that would cost too much to work out.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// Why a file does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The MAC under that password is another: in practice, the password is wrong.
    #[error("could not decrypt key with given password")]
    Decrypt,
    /// What was locked up is not what the file says.
    #[error("key content mismatch: have account {have:x}, want {want:x}")]
    Mismatch {
        /// The address of the key.
        have: Address,
        /// The address that the file says.
        want: Address,
    },
    /// What was locked up is no key.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// A field's value that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}, got {got}")]
pub struct FieldError {
    /// The field's name, with the names of those around it.
    pub field: &'static str,
    /// What may stand there.
    pub expected: String,
    /// What does.
    pub got: String,
}

impl FieldError {
    pub(crate) fn new(field: &'static str, expected: impl Into<String>, got: impl ToString) -> Self {
        let mut got = got.to_string();
        // A hostile file must not fill the log.
        if got.len() > MAX_QUOTED {
            got = got.chars().take(MAX_QUOTED).chain(['…']).collect();
        }
        Self { field, expected: expected.into(), got }
    }
}

/// How much of a bad value is told, in characters.
const MAX_QUOTED: usize = 64;

/// Why a file holds no plain private key. geth's words.
#[derive(Debug, thiserror::Error)]
pub enum PlainKeyError {
    /// The file cannot be read.
    #[error("open {}: {source}", .path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Fewer than 64 characters before the end of the line.
    #[error("key file too short, want 64 hex characters")]
    TooShort,
    /// Something stands after the 64 characters.
    #[error("invalid character {0:?} at end of key file")]
    After(char),
    /// Empty lines stand after the 64 characters.
    #[error("key file too long, want 64 hex characters")]
    TooLong,
    /// A character that is no hex digit. Which one is not told: it is part of a secret.
    #[error("invalid hex data for private key")]
    NotHex,
    /// Zero, or not below the order of the curve.
    #[error("invalid private key, expected a number from 1 to below the order of secp256k1")]
    OutOfRange,
}
