//! `ottla keeper members`: the servers of the ensemble, and changes of them.

use std::path::PathBuf;

use ottla_config::{KeeperPeerType, KeeperServer};
use ottla_jute::Reconfig;
use serde::Serialize;

use super::data::hex;
use super::session::Session;
use crate::output::{self, View};
use crate::table::table;
use crate::{Error, Streams};

/// What `ottla keeper members` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct MembersArgs {
    #[command(subcommand)]
    command: Option<MembersCommand>,
}

/// The verbs of `ottla keeper members`.
#[derive(Debug, clap::Subcommand)]
enum MembersCommand {
    /// List the members
    #[command(visible_alias = "ls")]
    List,
    /// Add servers that run already, or change what is said of some
    #[command(after_help = "Example:\n  \
        ottla keeper members add 'server.4=zk-3:2888:3888:participant;2181'\n\
        The server must run and know the others, or it cannot catch up.")]
    Add(AddArgs),
    /// Take servers out
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
    /// Set all members at once
    Set(SetArgs),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// As zoo.cfg has them: server.N=HOST:PORT:PORT[:participant|observer][;[ADDRESS:]CLIENTPORT]
    #[arg(required = true, value_name = "SERVER", value_parser = server_line)]
    servers: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// Their numbers
    #[arg(required = true, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    ids: Vec<i64>,
    #[command(flatten)]
    change: ChangeArgs,
    /// Do not ask first
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// As zoo.cfg has them
    #[arg(value_name = "SERVER", value_parser = server_line, required_unless_present = "file")]
    servers: Vec<String>,
    /// A file with such lines
    #[arg(short, long, value_name = "FILE", conflicts_with = "servers")]
    file: Option<PathBuf>,
    #[command(flatten)]
    change: ChangeArgs,
    /// Do not ask first
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
struct ChangeArgs {
    /// Only if the members have this version, such as 100000003
    #[arg(short, long, value_name = "HEX", value_parser = version)]
    version: Option<i64>,
}

impl ChangeArgs {
    fn request(&self) -> Reconfig {
        Reconfig {
            joining_servers: None,
            leaving_servers: None,
            new_members: None,
            current_config_id: self.version.unwrap_or(-1),
        }
    }
}

fn version(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    i64::from_str_radix(digits, 16)
        .map_err(|_| "write it as `ottla keeper members` shows it".to_owned())
}

/// Reads `server.N=…` and gives it back as it is.
fn server_line(text: &str) -> Result<String, String> {
    let (id, value) = of_line(text).ok_or("write it as server.N=HOST:PORT:PORT;CLIENTPORT")??;
    KeeperServer::parse(id, &value)?;
    Ok(text.trim().to_owned())
}

/// The number and the rest of a line `server.N=…`; none if it is another one.
fn of_line(line: &str) -> Option<Result<(i64, String), String>> {
    let (key, value) = line.split_once('=')?;
    let id = KeeperServer::id_of_key(key.trim())?;
    Some(id.map(|id| (id, value.trim().to_owned())))
}

/// The members of an ensemble.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Members {
    /// The change that has set them; 0x0 for a server that is alone.
    version: String,
    members: Vec<Member>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Member {
    id: i64,
    /// `participant` or `observer`.
    role: &'static str,
    /// Where servers reach it.
    servers: String,
    /// Where clients reach it; null if the configuration does not say.
    clients: Option<String>,
    /// As zoo.cfg has it.
    line: String,
}

impl Members {
    /// Reads the znode.
    fn parse(text: &str) -> Result<Self, Error> {
        let mut members = Members {
            version: hex(0),
            members: Vec::new(),
        };
        for line in text.lines() {
            if let Some(version) = line.strip_prefix("version=") {
                members.version = format!("0x{}", version.trim());
                continue;
            }
            let Some(read) = of_line(line) else { continue };
            let parsed = read.and_then(|(id, value)| KeeperServer::parse(id, &value));
            let server = parsed.map_err(|reason| Error::Failed {
                action: "reading the members".to_owned(),
                reason: format!("{line}: {reason}"),
            })?;
            members.members.push(Member::of(&server));
        }
        members.members.sort_by_key(|member| member.id);
        Ok(members)
    }
}

impl Member {
    fn of(server: &KeeperServer) -> Self {
        let addresses = server.addresses.iter();
        let addresses: Vec<String> = addresses
            .map(|a| format!("{}:{}", a.host, a.peer_port))
            .collect();
        Member {
            id: server.id,
            role: match server.peer_type {
                KeeperPeerType::Participant => "participant",
                KeeperPeerType::Observer => "observer",
            },
            servers: addresses.join("|"),
            clients: server
                .client
                .as_ref()
                .map(|c| format!("{}:{}", c.host, c.port)),
            line: server.to_string(),
        }
    }
}

impl View for Members {
    fn table(&self, _wide: bool) -> String {
        let row = |member: &Member| {
            [
                member.id.to_string(),
                member.role.to_owned(),
                member.servers.clone(),
                member.clients.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        };
        let mut text = format!("Version: {}\n\n", self.version);
        text.push_str(&table(
            &["SERVER", "ROLE", "SERVERS", "CLIENTS"],
            self.members.iter().map(row),
        ));
        text
    }

    fn names(&self) -> Vec<String> {
        self.members
            .iter()
            .map(|member| member.id.to_string())
            .collect()
    }
}

impl MembersArgs {
    /// Asks before a server loses its vote.
    pub(super) fn confirm(&self, streams: &mut Streams) -> Result<(), Error> {
        match &self.command {
            Some(MembersCommand::Remove(args)) => {
                let ids: Vec<String> = args.ids.iter().map(ToString::to_string).collect();
                let question = format!("Take {} out of the ensemble?", ids.join(", "));
                crate::confirm::confirm(&question, args.yes, streams)
            }
            Some(MembersCommand::Set(args)) => {
                let question = "Set all members of the ensemble?";
                crate::confirm::confirm(question, args.yes, streams)
            }
            _ => Ok(()),
        }
    }
}

pub(super) async fn run(args: &MembersArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let request = match &args.command {
        None | Some(MembersCommand::List) => None,
        Some(MembersCommand::Add(args)) => Some(Reconfig {
            joining_servers: Some(args.servers.join(",")),
            ..args.change.request()
        }),
        Some(MembersCommand::Remove(args)) => {
            let ids: Vec<String> = args.ids.iter().map(ToString::to_string).collect();
            Some(Reconfig {
                leaving_servers: Some(ids.join(",")),
                ..args.change.request()
            })
        }
        Some(MembersCommand::Set(args)) => Some(Reconfig {
            new_members: Some(all_members(args, session)?.join("\n")),
            ..args.change.request()
        }),
    };
    let (action, asked) = match request {
        None => ("reading the members", session.client.config().await),
        Some(request) => (
            "changing the members",
            session.client.reconfig(request).await,
        ),
    };
    let (data, _) = asked.map_err(|failure| failure.during(action))?;
    let text = String::from_utf8_lossy(data.as_deref().unwrap_or_default()).into_owned();
    let members = Members::parse(&text)?;
    if members.members.is_empty() {
        session
            .streams
            .say("the server is alone: its configuration names no servers");
    }
    output::print(&members, session.format, session.streams)
}

fn all_members(args: &SetArgs, session: &mut Session<'_>) -> Result<Vec<String>, Error> {
    let Some(file) = &args.file else {
        return Ok(args.servers.clone());
    };
    let path = file.display().to_string();
    let bytes = session
        .runtime
        .disk
        .read(file)
        .map_err(|source| Error::File {
            path: path.clone(),
            source,
        })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut servers = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("server.") {
            servers.push(server_line(line).map_err(|reason| Error::Line {
                input: path.clone(),
                line: number,
                reason,
            })?);
        }
    }
    if servers.is_empty() {
        return Err(Error::Failed {
            action: format!("reading {path}"),
            reason: "it has no lines server.N=…".to_owned(),
        });
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_the_znode_has_them() {
        let text =
            "server.2=b:2888:3888:observer;0.0.0.0:2181\nserver.1=a:2888:3888\nversion=100000003";
        let members = Members::parse(text).unwrap();
        assert_eq!(members.version, "0x100000003");
        let told: Vec<_> = members
            .members
            .iter()
            .map(|m| (m.id, m.role, m.clients.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                (1, "participant", None),
                (2, "observer", Some("0.0.0.0:2181"))
            ]
        );
        assert_eq!(members.members[1].servers, "b:2888");
        assert!(Members::parse("server.1=x").is_err());
        assert_eq!(Members::parse("").unwrap().version, "0x0");
    }

    #[test]
    fn lines_of_servers_are_checked_before_anything_is_asked() {
        assert!(server_line("server.4=zk:2888:3888;2181").is_ok());
        for wrong in [
            "4=zk:2888:3888",
            "server.x=zk:1:2",
            "server.4=zk",
            "zk:2888:3888",
        ] {
            assert!(server_line(wrong).is_err(), "{wrong}");
        }
        assert_eq!(version("100000003"), Ok(0x1_0000_0003));
        assert_eq!(version("0x1"), Ok(1));
        assert!(version("x").is_err());
    }
}
