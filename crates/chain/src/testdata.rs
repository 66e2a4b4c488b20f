//! Where tests find the public vectors and real chains. For tests only.

use std::path::PathBuf;

/// The environment variable that names the folder of test data.
pub const VARIABLE: &str = "RUSHLIGHT_TEST_DATA";

/// The path of a test data file, or nothing where the folder is not given; the caller's test then returns.
///
/// What was skipped is said on stderr, with the running test's name, so that a run without data does not pass for a whole one.
pub fn path(name: &str) -> Option<PathBuf> {
    match std::env::var_os(VARIABLE) {
        Some(folder) if !folder.is_empty() => Some(PathBuf::from(folder).join(name)),
        _ => {
            let thread = std::thread::current();
            eprintln!("skipped: {VARIABLE} is not set ({})", thread.name().unwrap_or(name));
            None
        }
    }
}

/// The bytes of a test data file.
///
/// # Panics
/// Where the folder is given but the file cannot be read: a test must not pass for want of its data.
pub fn read(name: &str) -> Option<Vec<u8>> {
    let path = path(name)?;
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}
