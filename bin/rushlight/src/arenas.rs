//! How much freed memory the allocator keeps back.
//!
//! glibc gives threads arenas of their own, up to eight for each core, and what is freed in one serves no other: a quarter
//! of a light node's memory at the peak of its sync. Only the environment can tell it to make fewer, and only before the
//! process has begun. So it begins once more, as the same process and with the same arguments.

/// As many as keep a sync's threads from waiting for each other.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: &str = "2";
/// What glibc reads. Who has set it means it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const VARIABLE: &str = "MALLOC_ARENA_MAX";

/// Begins the process again with few arenas, unless the environment says how many. Goes on where that fails: the node then
/// takes more memory, and nothing else.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn limit() {
    use std::os::unix::process::CommandExt;

    let mut args = std::env::args_os();
    let (Some(name), None, Ok(program)) = (args.next(), std::env::var_os(VARIABLE), std::env::current_exe()) else {
        return;
    };
    // Comes back only with an error.
    let _ = std::process::Command::new(program).arg0(name).args(args).env(VARIABLE, ARENAS).exec();
}

/// Other allocators keep no such arenas.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn limit() {}
