//! AdminServer's commands `snapshot` and `restore`: backups of the whole state, in the format of
//! ZooKeeper's snapshots (classes `SnapshotCommand` and `RestoreCommand`).
//!
//! ```text
//! GET snapshot ─▶ the state of this moment ─▶ a snapshot of ZooKeeper's
//! POST restore ─▶ a snapshot, whole? ─▶ parts ─▶ the log ─▶ every server keeps them
//!                                  then the end ─▶ the log ─▶ every server: they are the state now
//! ```
//!
//! There a restored server has another state than the others until all of them were restored. Here it
//! goes through the log, and all of them change at the same place in it.

mod caller;
mod gate;
mod parts;
mod steps;

use std::io::Read;

use ottla_jute::files::Decompressed;
use ottla_znode::{Import, View, ZooKeeperSnapshot};

use crate::admin::AdminAnswer;
use crate::json::{Fields, Json, fields, int, text};
use crate::monitor::micros;
use crate::server::Server;
use crate::service::Handle;
use crate::words::NOT_SERVING;

pub use caller::Caller;
pub(crate) use gate::{Gate, Pass};
pub(crate) use steps::Steps;

/// Names of the commands.
pub const SNAPSHOT: [&str; 2] = ["snapshot", "snap"];
/// Names of the commands.
pub const RESTORE: [&str; 2] = ["restore", "rest"];

/// Why a command is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The HTTP status.
    status: u16,
    reason: String,
}

impl Refused {
    fn new(status: u16, reason: impl Into<String>) -> Self {
        Refused {
            status,
            reason: reason.into(),
        }
    }

    fn answer(self, command: &str) -> AdminAnswer {
        let fields = fields([("command", text(command)), ("error", text(self.reason))]);
        AdminAnswer {
            status: self.status,
            json: Json::Object(fields).encode(),
        }
    }
}

/// A backup that is on its way to whoever asked for it.
pub struct Backup {
    /// The last change that is in it.
    pub last_zxid: i64,
    /// Its size.
    pub bytes: u64,
    /// Its parts.
    pub parts: BackupParts,
}

/// The parts of a backup. No other one is made before they are dropped.
pub struct BackupParts {
    snapshot: ZooKeeperSnapshot,
    _pass: Pass,
}

impl Iterator for BackupParts {
    type Item = bytes::Bytes;

    fn next(&mut self) -> Option<bytes::Bytes> {
        self.snapshot.next()
    }
}

impl Handle {
    /// AdminServer's `snapshot`: this server's state as it is now. Blocks, since its size is found out
    /// before.
    ///
    /// # Errors
    /// What the caller is answered instead.
    pub fn backup(&self, caller: &Caller) -> Result<Backup, AdminAnswer> {
        let refused = |refused: Refused| refused.answer(SNAPSHOT[0]);
        backup(&self.server, caller).map_err(refused)
    }

    /// AdminServer's `restore`: replaces the state of the whole ensemble by a snapshot, compressed or
    /// not. Nothing changes unless all of it was read and is whole. With `only_if_empty` it must not
    /// replace any znodes.
    pub async fn restore(
        &self,
        caller: &Caller,
        source: impl Read + Send + 'static,
        only_if_empty: bool,
    ) -> AdminAnswer {
        let server = &self.server;
        match restore(server, caller, source, only_if_empty).await {
            Ok(told) => AdminAnswer {
                status: 200,
                json: Json::Object(told).encode(),
            },
            Err(refused) => {
                if !matches!(refused.status, 401 | 403 | 429) {
                    server.meters.restores_failed.add(1);
                }
                tracing::warn!(
                    reason = refused.reason,
                    peer = %caller.address,
                    "a restore is refused"
                );
                refused.answer(RESTORE[0])
            }
        }
    }
}

fn is_serving(server: &Server) -> Result<(), Refused> {
    match server.has_leader() {
        true => Ok(()),
        false => Err(Refused::new(503, NOT_SERVING)),
    }
}

fn backup(server: &Server, caller: &Caller) -> Result<Backup, Refused> {
    is_serving(server)?;
    caller.check(server)?;
    if !server.config.admin.snapshot_enabled {
        let reason = "snapshots are switched off: see admin.snapshot.enabled";
        return Err(Refused::new(503, reason));
    }
    let mut pass = server.backups.enter(server).inspect_err(|_| {
        server.meters.snapshots_limited.add(1);
    })?;
    let view = server.tree.view();
    let bytes = view
        .zookeeper_snapshot()
        .map(|part| part.len() as u64)
        .sum();
    pass.rest(server);
    tracing::info!(peer = %caller.address, bytes, "a backup is sent");
    Ok(Backup {
        last_zxid: view.last_zxid(),
        bytes,
        parts: BackupParts {
            snapshot: view.zookeeper_snapshot(),
            _pass: pass,
        },
    })
}

async fn restore(
    server: &std::sync::Arc<Server>,
    caller: &Caller,
    source: impl Read + Send + 'static,
    only_if_empty: bool,
) -> Result<Fields, Refused> {
    is_serving(server)?;
    caller.check(server)?;
    if !server.config.admin.restore_enabled {
        let reason = "restores are switched off: see admin.restore.enabled";
        return Err(Refused::new(503, reason));
    }
    let mut pass = server.restores.enter(server).inspect_err(|_| {
        server.meters.restores_limited.add(1);
    })?;
    if only_if_empty && !server.tree.read().is_empty() {
        return Err(steps::not_empty());
    }
    let clock = &server.runtime.clock;
    let began = clock.instant();
    let reading = server.runtime.tasks.blocking(move || read(source)).await;
    let (view, znodes, sessions) = reading.map_err(|reason| Refused::new(400, reason))?;
    let last_zxid = steps::carry_out(server, &view, only_if_empty).await?;
    pass.rest(server);
    let took = clock.instant().saturating_duration_since(began);
    server.meters.restores.took(took);
    tracing::warn!(
        peer = %caller.address,
        znodes,
        zxid = format_args!("0x{last_zxid:x}"),
        took_us = micros(took),
        "the state of the ensemble was replaced by a backup"
    );
    Ok(fields([
        ("last_zxid", int(last_zxid)),
        ("znodes", int(znodes as u64)),
        ("sessions", int(sessions as u64)),
        ("command", text(RESTORE[0])),
        ("error", Json::Null),
    ]))
}

/// Reads a snapshot, whatever it is compressed with: what it holds, and how many nodes and sessions.
fn read(source: impl Read) -> Result<(View, usize, usize), String> {
    let told = |error: &dyn std::fmt::Display| format!("the backup is refused: {error}");
    let source = Decompressed::of_any(source).map_err(|error| told(&error))?;
    let mut import = Import::new();
    import.snapshot(source).map_err(|error| told(&error))?;
    let state = import.finish();
    let view = state.view();
    Ok((view, state.node_count(), state.session_count()))
}

#[cfg(test)]
mod tests;
