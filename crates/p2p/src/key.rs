//! The node's key on disk, in geth's `nodekey` format: 64 hexadecimal digits.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use secp256k1::SecretKey;

/// Why the node's key could not be read or made. Never holds the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is there but could not be read.
    #[error("cannot read the node key {path}: {source}")]
    Read {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file was not there and could not be made.
    #[error("cannot write the node key {path}: {source}")]
    Write {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not hold a key.
    #[error("the node key {path} must hold 64 hexadecimal digits of a secp256k1 key: {why}")]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Reads the node's key from `path`; where there is no such file, makes a key and writes it (mode 0600), with the
/// folders above it.
pub fn load_or_create_key(path: impl AsRef<Path>) -> Result<SecretKey, KeyError> {
    let path = path.as_ref();
    match fs::read_to_string(path) {
        Ok(text) => {
            parse(text.trim_end_matches(['\n', '\r'])).map_err(|why| KeyError::Malformed { path: path.to_owned(), why })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = SecretKey::new(&mut rand::rng());
            create(path, &key).map_err(|source| KeyError::Write { path: path.to_owned(), source })?;
            Ok(key)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(KeyError::Malformed { path: path.to_owned(), why: "it is not text" })
        }
        Err(source) => Err(KeyError::Read { path: path.to_owned(), source }),
    }
}

fn parse(text: &str) -> Result<SecretKey, &'static str> {
    if text.len() != 64 {
        return Err("it has another length");
    }
    let mut raw = [0; 32];
    hex::decode_to_slice(text, &mut raw).map_err(|_| "it has other characters")?;
    SecretKey::from_byte_array(raw).map_err(|_| "the number is out of range")
}

/// Writes a new file beside its final place and moves it there, so that a crash leaves a whole key or none.
fn create(path: &Path, key: &SecretKey) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
    let temporary = folder.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    // One left behind by a crash could have another mode.
    let _ = fs::remove_file(&temporary);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(hex::encode(key.secret_bytes()).as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&temporary, path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_persists() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/nodekey");
        let key = load_or_create_key(&path).unwrap();
        assert_eq!(load_or_create_key(&path).unwrap(), key);
        assert_eq!(fs::read_to_string(&path).unwrap().len(), 64);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_bad_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodekey");
        for bad in ["", "1234", &"z".repeat(64), &"0".repeat(64), &"f".repeat(64)] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(load_or_create_key(&path), Err(KeyError::Malformed { .. })), "{bad}");
            assert_eq!(fs::read_to_string(&path).unwrap(), *bad);
        }
        fs::write(&path, [0xff; 64]).unwrap();
        assert!(matches!(load_or_create_key(&path), Err(KeyError::Malformed { .. })));
        assert!(matches!(load_or_create_key(folder.path()), Err(KeyError::Read { .. })));
        assert!(matches!(
            load_or_create_key(path.join("below-a-file")),
            Err(KeyError::Read { .. } | KeyError::Write { .. })
        ));
        fs::write(&path, format!("{}\n", "1".repeat(64))).unwrap();
        load_or_create_key(&path).unwrap();
    }
}
