//! `cargo xtask deploy`: the files that the operator's own crate describes. It writes them in a test
//! of its own, so that this program is built without a client of Kubernetes.

use anyhow::Result;
use clap::Args;

use crate::workspace::{cargo, succeeds};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Write nothing, and fail when a file is stale
    #[arg(long)]
    check: bool,
}

/// What tells the test to write.
const WRITE: &str = "OTTLA_WRITE_DEPLOY";

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    if arguments.check {
        return succeeds(&mut test());
    }
    write()
}

/// Writes what is stale.
pub(crate) fn write() -> Result<bool> {
    let mut test = test();
    test.env(WRITE, "1");
    succeeds(&mut test)
}

fn test() -> std::process::Command {
    let of = ["test", "--package", "ottla-operator", "--test", "generated"];
    let mut test = cargo(&of);
    test.args(["--", "--nocapture"]);
    test
}
