//! `ottla doctor`: why clients cannot work with a cluster, and what to change.
//!
//! ```text
//!   bootstrap ─▶ examine (names, dials, metadata, brokers, topics) ─▶ Facts
//!                                                                      │
//!                              report ◀─ judge (pure: no network) ◀────┘
//! ```
//!
//! A client learns the brokers' addresses from the first one that answers, and goes there from then
//! on. That is where nearly everything goes wrong, and where no client says what is the matter.

mod examine;
mod facts;
mod judge;
mod knock;
mod report;
mod round_trip;

use std::time::Duration;

use ottla_runtime::Runtime;

use crate::globals::Globals;
use crate::output;
use crate::{Error, Streams, moment};

use report::Report;

/// What `ottla doctor` takes.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// Also write a record to this topic, and read it back
    #[arg(long, value_name = "TOPIC")]
    pub write: Option<String>,
    /// The longest wait for one name, connection or answer
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = moment::duration)]
    pub dial_timeout: Duration,
}

/// Examines the cluster and prints the report; a problem in it is the command's failure.
pub(crate) async fn run(
    args: &DoctorArgs,
    globals: &Globals,
    runtime: &Runtime,
    streams: &mut Streams,
) -> Result<(), Error> {
    let facts = examine::examine(args, globals, runtime).await;
    let report = Report::new(&globals.bootstrap_servers, judge::judge(&facts));
    output::print(&report, globals.output.unwrap_or_default(), streams)?;
    report.verdict(facts.is_reached())
}

#[cfg(test)]
mod tests;
