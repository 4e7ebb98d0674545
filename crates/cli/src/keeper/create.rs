//! `ottla keeper create`.

use bytes::Bytes;
use ottla_jute::{Acl, CreateMode, ErrorCode, MultiOp};
use serde::Serialize;

use super::acl::{self, AclList};
use super::client::{Failure, NewNode};
use super::data::{DataArgs, StatView};
use super::paths::{new_znode, parent};
use super::session::Session;
use crate::output::{self, View};
use crate::{Error, moment};

/// What `ottla keeper create` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// The znode; that of a sequential one is completed with a number
    #[arg(value_parser = new_znode)]
    path: String,
    #[command(flatten)]
    data: DataArgs,
    /// Who may do what, such as world:anyone:cdrwa,digest:alice:HASH:r; auth::cdrwa is you
    /// [default: everyone everything]
    #[arg(value_name = "ACL", value_parser = acl::parse)]
    acl: Option<AclList>,
    /// Goes with the session
    #[arg(short, long, conflicts_with_all = ["container", "ttl"])]
    ephemeral: bool,
    /// Its name is completed with a number that the parent counts
    #[arg(short, long, conflicts_with = "container")]
    sequential: bool,
    /// Deleted by the servers some time after its last child
    #[arg(short, long, conflicts_with = "ttl")]
    container: bool,
    /// Deleted by the servers when it was not changed for so long and has no children: 500ms, 1h, or
    /// a number of milliseconds
    #[arg(short, long, value_name = "TIME", value_parser = ttl)]
    ttl: Option<i64>,
    /// Create missing parents, too, without data
    #[arg(short, long)]
    parents: bool,
    /// One that exists already is no failure; it stays as it is
    #[arg(long)]
    if_not_exists: bool,
}

/// Reads a time to live; zkCli takes milliseconds.
fn ttl(text: &str) -> Result<i64, String> {
    let ms = match text.parse::<i64>() {
        Ok(ms) => ms,
        Err(_) => {
            let duration = moment::duration(text)?;
            i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
        }
    };
    if (1..=ottla_znode::TTL_MS_MAX).contains(&ms) {
        Ok(ms)
    } else {
        Err("a time to live is from 1ms to about 34 years".to_owned())
    }
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Created,
    /// It was there before.
    Unchanged,
}

/// The reply to the person.
#[derive(Debug, Serialize)]
struct Created {
    path: String,
    outcome: Outcome,
    /// Null if it was there before.
    stat: Option<StatView>,
}

impl View for Created {
    fn table(&self, _wide: bool) -> String {
        match self.outcome {
            Outcome::Created => format!("{} created\n", self.path),
            Outcome::Unchanged => format!("{} exists already; nothing was changed\n", self.path),
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.path.clone()]
    }
}

impl CreateArgs {
    fn mode(&self) -> CreateMode {
        match (self.ephemeral, self.sequential, self.container, self.ttl) {
            (_, _, true, _) => CreateMode::Container,
            (true, true, ..) => CreateMode::EphemeralSequential,
            (true, false, ..) => CreateMode::Ephemeral,
            (_, true, _, Some(_)) => CreateMode::PersistentSequentialWithTtl,
            (_, false, _, Some(_)) => CreateMode::PersistentWithTtl,
            (_, true, ..) => CreateMode::PersistentSequential,
            _ => CreateMode::Persistent,
        }
    }

    fn node(&self, session: &mut Session<'_>) -> Result<NewNode, Error> {
        if self.path.ends_with('/') && !self.sequential {
            let reason = "only that of a sequential znode (--sequential) ends in a slash";
            return Err(Error::Usage(format!("{} is no path: {reason}", self.path)));
        }
        let data = self.data.read(session)?;
        Ok(NewNode {
            path: self.path.clone(),
            data: Some(data.unwrap_or_default()),
            acl: self.acl.clone().unwrap_or_else(|| vec![Acl::open()]),
            mode: self.mode(),
            ttl_ms: self.ttl.unwrap_or(0),
        })
    }

    /// The operation of a multi.
    pub(super) fn op(&self, session: &mut Session<'_>) -> Result<MultiOp, Error> {
        if self.parents || self.if_not_exists {
            return Err(Error::Usage(
                "--parents and --if-not-exists are not possible in a multi: create each znode \
                 with an operation of its own"
                    .to_owned(),
            ));
        }
        Ok(self.node(session)?.into_op())
    }
}

pub(super) async fn run(args: &CreateArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let node = args.node(session)?;
    let mut done = session.client.create(node.clone()).await;
    if args.parents && is(&done, ErrorCode::NoNode) {
        create_parents(&args.path, session).await?;
        done = session.client.create(node).await;
    }
    let view = match done {
        Ok((path, stat)) => Created {
            path,
            outcome: Outcome::Created,
            stat: Some(stat.into()),
        },
        Err(_) if args.if_not_exists && is(&done, ErrorCode::NodeExists) => Created {
            path: args.path.clone(),
            outcome: Outcome::Unchanged,
            stat: None,
        },
        Err(failure) => return Err(failed(&args.path, failure)),
    };
    output::print(&view, session.format, session.streams)
}

fn is<T>(done: &Result<T, Failure>, code: ErrorCode) -> bool {
    matches!(done, Err(failure) if failure.code() == Some(code))
}

fn failed(path: &str, failure: Failure) -> Error {
    match failure.code() {
        Some(ErrorCode::NoNode) => Error::NotThere {
            what: "znode",
            name: parent(path).to_owned(),
            similar: Vec::new(),
            to_do: format!("--parents creates it before {path}"),
        },
        _ => failure.during(format!("creating {path}")),
    }
}

/// Creates what is missing above a path.
async fn create_parents(path: &str, session: &Session<'_>) -> Result<(), Error> {
    let mut above: Vec<&str> = Vec::new();
    let mut at = parent(path);
    while at != "/" {
        above.push(at);
        at = parent(at);
    }
    for path in above.into_iter().rev() {
        let node = NewNode {
            path: path.to_owned(),
            data: Some(Bytes::new()),
            acl: vec![Acl::open()],
            mode: CreateMode::Persistent,
            ttl_ms: 0,
        };
        match session.client.create(node).await {
            Ok(_) => {}
            Err(failure) if failure.code() == Some(ErrorCode::NodeExists) => {}
            Err(failure) => return Err(failure.during(format!("creating {path}"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_live_is_a_time_or_milliseconds() {
        assert_eq!(ttl("1500"), Ok(1_500));
        assert_eq!(ttl("2s"), Ok(2_000));
        for wrong in ["0", "-1", "x", "1099511627776"] {
            assert!(ttl(wrong).is_err(), "{wrong}");
        }
    }
}
