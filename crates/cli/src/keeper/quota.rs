//! `ottla keeper quota`: bounds for the number of znodes and the bytes below a path.
//!
//! They are znodes themselves, `/zookeeper/quota<path>/zookeeper_limits` and `zookeeper_stats`; a
//! chroot is part of that path. Soft limits are warned of in the servers' logs, hard ones are kept
//! where `enforceQuota` is on (classes `Quotas`, `StatsTrack`, `SetQuotaCommand` of ZooKeeper 3.9).

mod numbers;

use bytes::Bytes;
use ottla_jute::{Acl, CreateMode, ErrorCode};
use serde::Serialize;

use super::client::{Client, Failure, NewNode};
use super::paths::{join, parent, stat_of, znode};
use super::session::Session;
use crate::Error;
use crate::output::{self, View};
use crate::size;
use crate::table::table;
use numbers::Numbers;

const QUOTA: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// The verbs of `ottla keeper quota`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum QuotaCommand {
    /// Show quotas, and how much of them is used
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Set a quota; what is not given stays as it is
    Set(SetArgs),
    /// Delete a quota, or some of its limits
    #[command(visible_aliases = ["delete", "rm"])]
    Del(DelArgs),
}

/// What `ottla keeper quota list` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only that of this znode
    #[arg(value_parser = znode)]
    path: Option<String>,
}

/// What `ottla keeper quota set` takes.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true, id = "limits")]
pub(crate) struct SetArgs {
    /// The znode
    #[arg(value_parser = znode)]
    path: String,
    /// More znodes are warned of; the znode itself counts
    #[arg(short = 'n', long, value_name = "N", group = "limits",
        value_parser = clap::value_parser!(i64).range(1..))]
    count: Option<i64>,
    /// More bytes of data are warned of, such as 4096 or 1MiB
    #[arg(long, value_name = "SIZE", group = "limits", value_parser = size::bytes)]
    bytes: Option<u64>,
    /// More znodes are refused
    #[arg(short = 'N', long, value_name = "N", group = "limits",
        value_parser = clap::value_parser!(i64).range(1..))]
    hard_count: Option<i64>,
    /// More bytes of data are refused
    #[arg(short = 'B', long, value_name = "SIZE", group = "limits", value_parser = size::bytes)]
    hard_bytes: Option<u64>,
}

/// What `ottla keeper quota del` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct DelArgs {
    /// The znode
    #[arg(value_parser = znode)]
    path: String,
    /// Only the bound for znodes that is warned of
    #[arg(short = 'n', long)]
    count: bool,
    /// Only the bound for bytes that is warned of
    #[arg(long)]
    bytes: bool,
    /// Only the hard bound for znodes
    #[arg(short = 'N', long)]
    hard_count: bool,
    /// Only the hard bound for bytes
    #[arg(short = 'B', long)]
    hard_bytes: bool,
}

/// Quotas and their use.
#[derive(Debug, Serialize)]
struct Quotas {
    quotas: Vec<Quota>,
}

/// A quota; limits that are not set are null.
#[derive(Debug, Serialize)]
struct Quota {
    path: String,
    count: i64,
    count_limit: Option<i64>,
    count_hard_limit: Option<i64>,
    bytes: i64,
    bytes_limit: Option<i64>,
    bytes_hard_limit: Option<i64>,
}

impl Quota {
    fn new(path: String, limits: &Numbers, stats: &Numbers) -> Self {
        Quota {
            path,
            count: stats.get(Numbers::COUNT).unwrap_or(0),
            count_limit: limits.get(Numbers::COUNT),
            count_hard_limit: limits.get(Numbers::COUNT_HARD),
            bytes: stats.get(Numbers::BYTES).unwrap_or(0),
            bytes_limit: limits.get(Numbers::BYTES),
            bytes_hard_limit: limits.get(Numbers::BYTES_HARD),
        }
    }
}

impl View for Quotas {
    fn table(&self, _wide: bool) -> String {
        if self.quotas.is_empty() {
            return String::new();
        }
        let limit = |limit: Option<i64>| limit.map_or("-".to_owned(), |n| n.to_string());
        let row = |quota: &Quota| {
            [
                quota.path.clone(),
                quota.count.to_string(),
                limit(quota.count_limit),
                limit(quota.count_hard_limit),
                quota.bytes.to_string(),
                limit(quota.bytes_limit),
                limit(quota.bytes_hard_limit),
            ]
        };
        let headings = ["PATH", "ZNODES", "LIMIT", "HARD", "BYTES", "LIMIT", "HARD"];
        table(&headings, self.quotas.iter().map(row))
    }

    fn names(&self) -> Vec<String> {
        self.quotas.iter().map(|quota| quota.path.clone()).collect()
    }
}

pub(super) async fn run(command: &QuotaCommand, session: &mut Session<'_>) -> Result<(), Error> {
    let quotas = match command {
        QuotaCommand::List(args) => match &args.path {
            None => all(session.client).await?,
            Some(path) => vec![one(session.client, path).await?],
        },
        QuotaCommand::Set(args) => vec![set(args, session).await?],
        QuotaCommand::Del(args) => match del(args, session.client).await? {
            Some(quota) => vec![quota],
            None => {
                session
                    .streams
                    .say(&format!("{}: the quota is deleted", args.path));
                return Ok(());
            }
        },
    };
    if quotas.is_empty() {
        session
            .streams
            .say("no quotas; `ottla keeper quota set PATH -n 1000` sets one");
    }
    output::print(&Quotas { quotas }, session.format, session.streams)
}

/// The znode that has the numbers for a path, as the servers have it.
fn place(full_path: &str, what: &str) -> String {
    join(&format!("{QUOTA}{full_path}"), what)
}

async fn numbers(root: &Client, at: &str) -> Result<Option<(Numbers, i32)>, Error> {
    match root.get(at, false).await {
        Ok((data, stat)) => {
            let text = String::from_utf8_lossy(data.as_deref().unwrap_or_default()).into_owned();
            let numbers = Numbers::parse(&text).ok_or_else(|| Error::Failed {
                action: format!("reading {at}"),
                reason: format!("{text:?} is no quota; delete that znode and set the quota anew"),
            })?;
            Ok(Some((numbers, stat.version)))
        }
        Err(failure) if failure.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(failure) => Err(failure.during(format!("reading {at}"))),
    }
}

async fn one(client: &Client, path: &str) -> Result<Quota, Error> {
    let (root, full) = (client.at_root(), client.full(path));
    let Some((limits, _)) = numbers(&root, &place(&full, LIMITS)).await? else {
        return Err(Error::NotThere {
            what: "quota of",
            name: path.to_owned(),
            similar: Vec::new(),
            to_do: "`ottla keeper quota list` shows those that exist".to_owned(),
        });
    };
    let stats = numbers(&root, &place(&full, STATS)).await?;
    let stats = stats.map(|(stats, _)| stats).unwrap_or_default();
    Ok(Quota::new(path.to_owned(), &limits, &stats))
}

/// All quotas, those of other chroots left out.
async fn all(client: &Client) -> Result<Vec<Quota>, Error> {
    let root = client.at_root();
    let mut quotas = Vec::new();
    for path in with_quota(&root, &join(QUOTA, "")).await? {
        let own = client.own(&path);
        let is_own = client.full(&own) == path;
        if is_own {
            quotas.push(one(client, &own).await?);
        }
    }
    Ok(quotas)
}

/// The paths that have a quota, at and below a place in `/zookeeper/quota`.
async fn with_quota(root: &Client, top: &str) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut left = vec![top.trim_end_matches('/').to_owned()];
    while let Some(at) = left.pop() {
        let children = match root.children(&at, false).await {
            Ok((children, _)) => children,
            Err(failure) if failure.code() == Some(ErrorCode::NoNode) => continue,
            Err(failure) => return Err(failure.during(format!("listing {at}"))),
        };
        if children.iter().any(|name| name == LIMITS) {
            found.extend(at.strip_prefix(QUOTA).map(str::to_owned));
        }
        let further = children
            .iter()
            .filter(|name| !matches!(name.as_str(), LIMITS | STATS));
        left.extend(further.map(|name| join(&at, name)));
    }
    found.sort_unstable();
    Ok(found)
}

async fn set(args: &SetArgs, session: &mut Session<'_>) -> Result<Quota, Error> {
    let client = session.client;
    let (root, full) = (client.at_root(), client.full(&args.path));
    if full == "/" || full == "/zookeeper" || full.starts_with("/zookeeper/") {
        return Err(Error::Usage(format!(
            "{full} cannot have a quota: name a znode of your own"
        )));
    }
    stat_of(client, "setting a quota of", &args.path, false).await?;
    forbid_nested(&root, &full).await?;
    let bytes = |bytes: Option<u64>| bytes.map(|b| i64::try_from(b).unwrap_or(i64::MAX));
    let wanted = [
        (Numbers::COUNT, args.count),
        (Numbers::BYTES, bytes(args.bytes)),
        (Numbers::COUNT_HARD, args.hard_count),
        (Numbers::BYTES_HARD, bytes(args.hard_bytes)),
    ];
    let at = place(&full, LIMITS);
    let existing = numbers(&root, &at).await?;
    let (mut limits, version) = match existing {
        Some((limits, version)) => (limits, Some(version)),
        None => (Numbers::default(), None),
    };
    for (name, value) in wanted {
        if let Some(value) = value {
            limits.set(name, value);
        }
    }
    let data = Some(Bytes::from(limits.text()));
    if let Some(version) = version {
        let done = root.set(&at, data, version).await;
        done.map_err(|failure| failure.during(format!("setting {at}")))?;
    } else {
        for path in above(&at) {
            create(&root, &path, None).await?;
        }
        create(&root, &at, data).await?;
        // The servers count what there is when this appears.
        let zero = Some(Bytes::from(Numbers::zero().text()));
        create(&root, &place(&full, STATS), zero).await?;
    }
    let quota = one(client, &args.path).await?;
    warn(&quota, session);
    Ok(quota)
}

/// The paths between `/zookeeper/quota` and a znode, downwards.
fn above(at: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut at = parent(at);
    while at != QUOTA && at != "/" {
        paths.push(at.to_owned());
        at = parent(at);
    }
    paths.reverse();
    paths
}

async fn create(root: &Client, path: &str, data: Option<Bytes>) -> Result<(), Error> {
    let node = NewNode {
        path: path.to_owned(),
        data,
        acl: vec![Acl::open()],
        mode: CreateMode::Persistent,
        ttl_ms: 0,
    };
    match root.create(node).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code() == Some(ErrorCode::NodeExists) => Ok(()),
        Err(failure) => Err(failure.during(format!("creating {path}"))),
    }
}

/// Quotas do not contain one another: only the closest would count.
async fn forbid_nested(root: &Client, full: &str) -> Result<(), Error> {
    let refuse = |other: &str| {
        Err(Error::Failed {
            action: format!("setting a quota of {full}"),
            reason: format!("{other} has one already; delete that, or change it instead"),
        })
    };
    for below in with_quota(root, &format!("{QUOTA}{full}")).await? {
        if below != full {
            return refuse(&below);
        }
    }
    let mut at = parent(full);
    while at != "/" {
        match root.exists(&place(at, LIMITS), false).await {
            Ok(None) => {}
            Ok(Some(_)) => return refuse(at),
            Err(failure) => return Err(failure.during(format!("looking for a quota of {at}"))),
        }
        at = parent(at);
    }
    Ok(())
}

/// Tells what is exceeded already.
fn warn(quota: &Quota, session: &mut Session<'_>) {
    let above = |used: i64, limits: [Option<i64>; 2]| {
        limits.into_iter().flatten().any(|limit| used > limit)
    };
    if above(quota.count, [quota.count_limit, quota.count_hard_limit]) {
        let text = format!("warning: there are {} znodes already", quota.count);
        session.streams.say(&text);
    }
    if above(quota.bytes, [quota.bytes_limit, quota.bytes_hard_limit]) {
        let text = format!("warning: there are {} bytes already", quota.bytes);
        session.streams.say(&text);
    }
}

/// Deletes the quota, or some limits; what is left of it.
async fn del(args: &DelArgs, client: &Client) -> Result<Option<Quota>, Error> {
    let (root, full) = (client.at_root(), client.full(&args.path));
    // It must be there in any case.
    one(client, &args.path).await?;
    let at = place(&full, LIMITS);
    let some = [
        (Numbers::COUNT, args.count),
        (Numbers::BYTES, args.bytes),
        (Numbers::COUNT_HARD, args.hard_count),
        (Numbers::BYTES_HARD, args.hard_bytes),
    ];
    if some.iter().any(|(_, chosen)| *chosen) {
        if let Some((mut limits, version)) = numbers(&root, &at).await? {
            for (name, _) in some.iter().filter(|(_, chosen)| *chosen) {
                limits.set(name, -1);
            }
            let done = root
                .set(&at, Some(Bytes::from(limits.text())), version)
                .await;
            done.map_err(|failure| failure.during(format!("setting {at}")))?;
        }
        return Ok(Some(one(client, &args.path).await?));
    }
    for what in [LIMITS, STATS] {
        delete(&root, &place(&full, what)).await?;
    }
    // What led there is deleted as far as nothing else needs it.
    for path in above(&at).iter().rev() {
        if !delete(&root, path).await? {
            break;
        }
    }
    Ok(None)
}

/// Whether the znode is gone; not if it has children.
async fn delete(root: &Client, path: &str) -> Result<bool, Error> {
    match root.delete(path, -1).await {
        Ok(()) => Ok(true),
        Err(Failure::Refused(ErrorCode::NoNode)) => Ok(true),
        Err(Failure::Refused(ErrorCode::NotEmpty)) => Ok(false),
        Err(failure) => Err(failure.during(format!("deleting {path}"))),
    }
}
