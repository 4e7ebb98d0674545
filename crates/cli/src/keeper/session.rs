//! What a verb works with: a session, and those who asked.

use ottla_runtime::{Runtime, Shutdown};

use super::client::{Client, Events};
use crate::Streams;
use crate::output::OutputFormat;

/// What a verb works with.
pub(crate) struct Session<'a> {
    pub(crate) client: &'a Client,
    /// What watches see; none in a shell, which shows it itself.
    pub(crate) events: Option<Events>,
    pub(crate) runtime: &'a Runtime,
    pub(crate) interrupt: &'a Shutdown,
    pub(crate) format: OutputFormat,
    pub(crate) streams: &'a mut Streams,
}
