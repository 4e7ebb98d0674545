//! `ottla keeper acl`: who may do what.

use ottla_jute::{Acl, Id, perms};
use serde::Serialize;

use super::data::StatView;
use super::paths::{failed, join, znode};
use super::session::Session;
use crate::Error;
use crate::output::{self, View};

/// The entries of an ACL. A name of its own, so that clap takes it as one value.
pub(super) type AclList = Vec<Acl>;

/// The verbs of `ottla keeper acl`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AclCommand {
    /// Show the ACL of a znode
    Get(GetArgs),
    /// Set the ACL of a znode
    Set(SetArgs),
}

/// What `ottla keeper acl get` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// The znode
    #[arg(value_parser = znode)]
    path: String,
    /// Also its stat
    #[arg(short, long)]
    stat: bool,
}

/// What `ottla keeper acl set` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An ACL is a list of SCHEME:ID:PERMISSIONS, separated by commas. Permissions are \
                  c(reate children), d(elete children), r(ead), w(rite) and a(dminister).\n\
                  Examples:\n  \
        world:anyone:r                        everyone reads\n  \
        auth::cdrwa                           whoever --auth says you are\n  \
        digest:alice:BASE64OFSHA1:cdrwa       a user of the scheme digest\n  \
        ip:10.0.0.0/8:rw                      a network"
)]
pub(crate) struct SetArgs {
    /// The znode
    #[arg(value_parser = znode)]
    path: String,
    /// Who may do what
    #[arg(value_name = "ACL", value_parser = parse)]
    acl: AclList,
    /// Only if its ACL has this version
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    version: Option<i32>,
    /// Also everything below it
    #[arg(short = 'R', long, conflicts_with = "version")]
    recursive: bool,
}

/// The letters of permissions, in zkCli's order.
const LETTERS: [(char, i32); 5] = [
    ('c', perms::CREATE),
    ('d', perms::DELETE),
    ('r', perms::READ),
    ('w', perms::WRITE),
    ('a', perms::ADMIN),
];

/// Permissions as letters.
fn letters(perms: i32) -> String {
    let given = LETTERS.iter().filter(|(_, bit)| perms & bit != 0);
    given.map(|(letter, _)| *letter).collect()
}

/// Reads `SCHEME:ID:PERMISSIONS,…`; an id may have colons, and so may not permissions or schemes.
pub(crate) fn parse(text: &str) -> Result<Vec<Acl>, String> {
    let mut acl = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
        let parts = entry.split_once(':').and_then(|(scheme, rest)| {
            let (id, perms) = rest.rsplit_once(':')?;
            Some((scheme, id, perms))
        });
        let Some((scheme, id, perms)) = parts.filter(|(scheme, ..)| !scheme.is_empty()) else {
            return Err(format!(
                "{entry} is no SCHEME:ID:PERMISSIONS, such as world:anyone:cdrwa or auth::cdrwa"
            ));
        };
        let mut bits = 0;
        for letter in perms.chars() {
            let known = LETTERS.iter().find(|(known, _)| *known == letter);
            let (_, bit) = known.ok_or_else(|| {
                format!("{entry}: {letter} is no permission; there are c, d, r, w and a")
            })?;
            bits |= bit;
        }
        if bits == 0 {
            return Err(format!(
                "{entry} gives no permission; leave it out, or write some of cdrwa"
            ));
        }
        acl.push(Acl::new(bits, Id::new(scheme, id)));
    }
    if acl.is_empty() {
        return Err("an ACL has at least one entry, such as world:anyone:cdrwa".to_owned());
    }
    Ok(acl)
}

/// The ACL of a znode.
#[derive(Debug, Serialize)]
struct AclOf {
    path: String,
    acl: Vec<EntryView>,
    stat: StatView,
    #[serde(skip)]
    with_stat: bool,
}

#[derive(Debug, Serialize)]
struct EntryView {
    scheme: String,
    id: String,
    permissions: String,
}

impl From<&Acl> for EntryView {
    fn from(entry: &Acl) -> Self {
        EntryView {
            scheme: entry.id.scheme.clone(),
            id: entry.id.id.clone(),
            permissions: letters(entry.perms),
        }
    }
}

impl EntryView {
    fn text(&self) -> String {
        format!("{}:{}:{}", self.scheme, self.id, self.permissions)
    }
}

impl View for AclOf {
    fn table(&self, _wide: bool) -> String {
        let mut text: String = self.acl.iter().map(|e| e.text() + "\n").collect();
        if self.with_stat {
            text.push_str(&self.stat.lines());
        }
        text
    }

    fn names(&self) -> Vec<String> {
        self.acl.iter().map(EntryView::text).collect()
    }
}

/// What was set.
#[derive(Debug, Serialize)]
struct AclSet {
    path: String,
    /// How many znodes have the ACL now.
    znodes: usize,
    /// The version of its ACL.
    aversion: i32,
}

impl View for AclSet {
    fn table(&self, _wide: bool) -> String {
        match self.znodes {
            1 => format!("{}: ACL set (version {})\n", self.path, self.aversion),
            n => format!("{}: ACL set, here and below: {n} znodes\n", self.path),
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.path.clone()]
    }
}

pub(super) async fn run(command: &AclCommand, session: &mut Session<'_>) -> Result<(), Error> {
    match command {
        AclCommand::Get(args) => get(args, session).await,
        AclCommand::Set(args) => set(args, session).await,
    }
}

async fn get(args: &GetArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let client = session.client;
    let (acl, stat) = match client.acl(&args.path).await {
        Ok(got) => got,
        Err(failure) => {
            return Err(failed(client, "reading the ACL of", &args.path, failure).await);
        }
    };
    let view = AclOf {
        path: args.path.clone(),
        acl: acl.iter().map(EntryView::from).collect(),
        stat: stat.into(),
        with_stat: args.stat,
    };
    output::print(&view, session.format, session.streams)
}

async fn set(args: &SetArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let client = session.client;
    let action = "setting the ACL of";
    let mut paths = vec![args.path.clone()];
    if args.recursive {
        // All are found before the first is set, which may take the right to read away.
        let mut at = 0;
        while let Some(path) = paths.get(at).cloned() {
            match client.children(&path, false).await {
                Ok((names, _)) => paths.extend(names.iter().map(|name| join(&path, name))),
                Err(failure) => return Err(failed(client, "listing", &path, failure).await),
            }
            at += 1;
        }
    }
    let mut first = None;
    for path in &paths {
        let version = args.version.unwrap_or(-1);
        match client.set_acl(path, args.acl.clone(), version).await {
            Ok(stat) => {
                first.get_or_insert(stat.aversion);
            }
            Err(failure) => return Err(failed(client, action, path, failure).await),
        }
    }
    let view = AclSet {
        path: args.path.clone(),
        znodes: paths.len(),
        aversion: first.unwrap_or(0),
    };
    output::print(&view, session.format, session.streams)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_set() {
        let text = "world:anyone:r,digest:a:b=:cdrwa,ip:::1:w,auth::c";
        let acl = parse(text).unwrap();
        let shown: Vec<String> = acl.iter().map(|e| EntryView::from(e).text()).collect();
        assert_eq!(shown.join(","), text);
        assert_eq!(acl[1].id, Id::new("digest", "a:b="));
        assert_eq!(letters(perms::ALL), "cdrwa");
    }

    #[test]
    fn what_is_no_acl_is_told_how_to_be_one() {
        for (text, reason) in [
            ("", "at least one entry"),
            ("world:anyone", "no SCHEME:ID:PERMISSIONS"),
            ("r", "no SCHEME:ID:PERMISSIONS"),
            (":anyone:r", "no SCHEME:ID:PERMISSIONS"),
            ("world:anyone:x", "x is no permission"),
            ("world:anyone:", "gives no permission"),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }
}
