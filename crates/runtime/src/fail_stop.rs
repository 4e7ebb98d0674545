//! The end of a process that must not go on.

use std::fmt::Display;

/// The exit status of a process that stopped itself because going on could have harmed data
/// (`EX_SOFTWARE` of sysexits).
pub const FAIL_STOP_EXIT_CODE: i32 = 70;

/// Ends the process at once with a message that says what is broken and what to do: a broken
/// invariant, or a disk whose answers can no longer be trusted.
///
/// Nothing is flushed on the way out: what was acknowledged is on disk already, and what was not
/// must not get there by a process in doubt. Inside a simulation it panics, which fails the run.
#[expect(
    clippy::print_stderr,
    reason = "the last words must reach a person even without a log"
)]
pub fn fail_stop(reason: impl Display) -> ! {
    tracing::error!(%reason, "stopping the process to keep data safe");
    #[cfg(feature = "sim")]
    if turmoil::in_simulation() {
        panic!("fail stop: {reason}");
    }
    eprintln!("ottla: stopped to keep data safe: {reason}");
    std::process::exit(FAIL_STOP_EXIT_CODE)
}
