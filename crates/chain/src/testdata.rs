//! Where tests find the public vectors and real chains. For tests only.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The environment variable that names the folder of test data.
pub const VARIABLE: &str = "RUSHLIGHT_TEST_DATA";

/// The path of a test data file, or nothing where the folder is not given; the caller's test then returns.
///
/// What was skipped is said on stderr, with the running test's name, so that a run without data does not pass for a whole one.
pub fn path(name: &str) -> Option<PathBuf> {
    match std::env::var_os(VARIABLE) {
        Some(folder) if !folder.is_empty() => Some(PathBuf::from(folder).join(name)),
        _ => {
            skipped(&format!("{VARIABLE} is not set"));
            None
        }
    }
}

/// The environment variable that names the file in which a run of all tests counts those that skip.
pub const SKIPPED: &str = "RUSHLIGHT_SKIPPED";

/// Says that the running test skips, and why; the caller's test then returns.
///
/// # Panics
/// Where the file that [`SKIPPED`] names cannot be written: a skipped test must not be counted as passed.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // A property test asks once a case.
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if !SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(test.to_owned()) {
        return;
    }
    // Straight to stderr: the test harness keeps what a passing test prints to itself.
    let _ = writeln!(std::io::stderr(), "skipped: {why} ({test})");
    let line = format!("{test}: {why}\n");
    if let Some(file) = std::env::var_os(SKIPPED) {
        let appended = std::fs::OpenOptions::new().append(true).create(true).open(&file);
        let written = appended.and_then(|mut file| file.write_all(line.as_bytes()));
        written.unwrap_or_else(|error| panic!("{}: {error}", PathBuf::from(file).display()));
    }
}

/// Whether this is a run of the hours-long tests (`make test-long`), which sets `RUSHLIGHT_LONG`.
pub fn long() -> bool {
    std::env::var_os("RUSHLIGHT_LONG").is_some_and(|value| value == "1")
}

/// The bytes of a test data file.
///
/// # Panics
/// Where the folder is given but the file cannot be read: a test must not pass for want of its data.
pub fn read(name: &str) -> Option<Vec<u8>> {
    let path = path(name)?;
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}
