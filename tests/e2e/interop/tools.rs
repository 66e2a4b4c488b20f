//! Foreign programs: built from the sources in `tests/interop` and from what their lock files pin, once a run.

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use rushlight_chain::testdata;
use serde_json::Value;

/// A folder of `tests/interop`.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop").join(name)
}

/// Whether there is Go; if not, that is said.
pub(super) fn go() -> bool {
    let there = Command::new("go").arg("version").output().is_ok();
    if !there {
        testdata::skipped("Go is not installed");
    }
    there
}

/// The program in that folder of `tests/interop`, built into `folder`.
pub(super) fn go_build(name: &str, folder: &Path) -> PathBuf {
    let binary = folder.join(name);
    let mut build = Command::new("go");
    build.args(["build", "-buildvcs=false", "-ldflags=-checklinkname=0", "-o"]);
    output(build.args([binary.as_os_str(), ".".as_ref()]).current_dir(source(name)));
    binary
}

/// `tests/interop/geth`, built once; nothing where there is no Go.
pub(super) fn geth() -> Option<&'static Path> {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    go().then(|| {
        let build = || {
            let folder = tempfile::tempdir().unwrap();
            let binary = go_build("geth", folder.path());
            (folder, binary)
        };
        BUILT.get_or_init(build).1.as_path()
    })
}

/// `tests/interop/ethereumjs` with its packages; nothing where there is no Node.
pub(super) fn node() -> Option<&'static Path> {
    static INSTALLED: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    packages("ethereumjs", &INSTALLED)
}

/// `tests/interop/javascript` with its packages; nothing where there is no Node.
pub(super) fn javascript() -> Option<&'static Path> {
    static INSTALLED: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    packages("javascript", &INSTALLED)
}

fn packages(name: &str, installed: &'static OnceLock<Option<tempfile::TempDir>>) -> Option<&'static Path> {
    let install = || {
        for program in ["node", "npm"] {
            Command::new(program).arg("--version").output().ok()?;
        }
        // Beside the clone, which stays as it is.
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(source(name)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]);
        output(npm.current_dir(folder.path()));
        Some(folder)
    };
    let installed = installed.get_or_init(install).as_ref();
    if installed.is_none() {
        testdata::skipped("Node is not installed");
    }
    installed.map(tempfile::TempDir::path)
}

/// What is kept from run to run: where `.ci/env` has it.
fn cache() -> Option<PathBuf> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let own =
        || named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache"))).map(|cache| cache.join("rushlight"));
    named("RUSHLIGHT_CACHE").or_else(own)
}

/// `tests/interop/alloy`, built once; it keeps a target folder of its own.
pub(super) fn alloy() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = cache().expect("a home folder").join("alloy");
        let mut build = Command::new("cargo");
        build.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(source("alloy").join("Cargo.toml"));
        output(build.env("CARGO_TARGET_DIR", &target));
        target.join("debug/rushlight-interop-alloy")
    })
}

/// A program of `tests/interop/python`, not started yet; nothing where `.ci/install foreign` has not made the
/// environment with its packages.
pub(crate) fn python<S: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = S>) -> Option<Command> {
    let folder = cache().map(|cache| cache.join("python"));
    let list = |folder: PathBuf| std::fs::read(folder.join("requirements.txt")).ok();
    let folder = folder.filter(|folder| list(folder.clone()) == list(source("python")));
    let Some(folder) = folder else {
        testdata::skipped("Python's packages are not installed (.ci/install foreign)");
        return None;
    };
    let mut command = Command::new(folder.join("bin/python3"));
    command.arg(source("python").join(name)).args(args).stdout(Stdio::piped());
    Some(command)
}

/// One of the programs of `tests/interop/ethereumjs`, not started yet.
pub(super) fn script<S: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("node");
    command.args(args).current_dir(folder).stdout(Stdio::piped());
    command
}

/// Stdout of a command that must succeed.
pub(crate) fn output(command: &mut Command) -> String {
    try_output(command, "").unwrap_or_else(|why| panic!("{why}"))
}

/// The same with something on stdin, and as error what a command that fails has to say.
pub(crate) fn try_output(command: &mut Command, input: &str) -> Result<String, String> {
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that ends before it has read everything says why on stderr.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let ended = child.wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&ended.stdout).into_owned();
    if ended.status.success() {
        return Ok(out);
    }
    Err(format!("{command:?}: {}\n{out}\n{}", ended.status, String::from_utf8_lossy(&ended.stderr)))
}

/// The last line, which is JSON.
pub(super) fn last_line(out: &str) -> Value {
    let line = out.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {out}"))
}
