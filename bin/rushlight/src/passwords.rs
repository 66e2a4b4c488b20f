//! Passwords: from a file, or asked for.

use std::{
    fs,
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
    path::Path,
};

use rushlight_keystore::Password;
use zeroize::Zeroizing;

use crate::fatal::Fatal;

/// Longest file of passwords, and longest answer, in bytes.
const MAX_TEXT: u64 = 64 << 10;

/// The lines of a file of passwords, without the line breaks of Windows, as in geth. There is at least one line.
pub(crate) fn of_file(path: &Path) -> Result<Vec<Password>, Fatal> {
    let failed =
        |error: io::Error| Fatal::failed(format!("Failed to read password file: open {}: {error}", path.display()));
    let mut text = Zeroizing::new(Vec::new());
    fs::File::open(path).map_err(failed)?.take(MAX_TEXT + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_TEXT {
        return Err(failed(io::Error::other(format!("longer than {MAX_TEXT} bytes"))));
    }
    Ok(text.split(|&byte| byte == b'\n').map(|line| Password::from(trimmed(line).to_vec())).collect())
}

fn trimmed(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|&byte| byte != b'\r').map_or(0, |last| last + 1);
    &line[..end]
}

/// Asks whoever sits at the terminal, or reads lines of stdin where there is none.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    warned: bool,
}

impl Prompt {
    /// Says `why` and asks for a password; twice where a slip would lock it away.
    pub(crate) fn ask(&mut self, why: &str, repeat: bool) -> Result<Password, Fatal> {
        say(&format!("{why}\n"))?;
        let password = self.line("Password: ", "Failed to read password")?;
        if repeat && self.line("Repeat password: ", "Failed to read password confirmation")? != password {
            return Err(Fatal::failed("Passwords do not match"));
        }
        Ok(password)
    }

    fn line(&mut self, prompt: &str, failed: &str) -> Result<Password, Fatal> {
        let failed = |error: io::Error| Fatal::failed(format!("{failed}: {error}"));
        if io::stdin().is_terminal() {
            return rpassword::prompt_password(prompt).map(Password::from).map_err(failed);
        }
        if !self.warned {
            say("!! Unsupported terminal, password will be echoed.\n")?;
            self.warned = true;
        }
        say(prompt)?;
        let mut line = Zeroizing::new(Vec::new());
        let read = io::stdin().lock().take(MAX_TEXT).read_until(b'\n', &mut line).map_err(failed)?;
        say("\n")?;
        if read == 0 {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        Ok(trimmed(line).to_vec().into())
    }
}

/// Writes to stdout, where geth's scripts look.
pub(crate) fn say(text: &str) -> Result<(), Fatal> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| Fatal::failed(format!("cannot write to stdout: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwords");
        for (text, want) in [
            ("", vec![""]),
            ("foobar", vec!["foobar"]),
            ("foobar\n", vec!["foobar", ""]),
            ("a b\r\nc\r\n", vec!["a b", "c", ""]),
        ] {
            fs::write(&path, text).unwrap();
            let want: Vec<_> = want.into_iter().map(Password::from).collect();
            assert_eq!(of_file(&path).unwrap(), want, "{text:?}");
        }
        let Err(Fatal::Failed(why)) = of_file(&folder.path().join("none")) else { panic!("refused") };
        assert!(why.starts_with("Failed to read password file: open "), "{why}");
    }
}
