//! AdminServer's commands: the same facts as those of the four-letter words, as JSON (classes
//! `Commands` and `JsonOutputter`).
//!
//! A command is pure but for the few that begin figures anew, so that whoever has an HTTP server
//! serves them.

mod ensemble;
mod figures;
mod lists;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::backup::{RESTORE, SNAPSHOT};
use crate::json::{Fields, Json, text};
use crate::monitor::ServerState;
use crate::monitor::reading::state_of;
use crate::server::Server;
use crate::service::Handle;
use crate::words::NOT_SERVING;

/// The parameters of a request.
pub type Query = BTreeMap<String, String>;

/// What a command is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminAnswer {
    /// The HTTP status. It is 200 also for commands that are unknown or impossible, as in
    /// ZooKeeper; the field `error` tells.
    pub status: u16,
    /// The body.
    pub json: String,
}

/// A command.
struct Command {
    /// Its names; the first one is in the list.
    names: &'static [&'static str],
    /// Whether it only works while clients are served.
    needs_leader: bool,
    run: fn(&Server, &Query) -> Result<Fields, String>,
}

const fn command(
    names: &'static [&'static str],
    run: fn(&Server, &Query) -> Result<Fields, String>,
) -> Command {
    Command {
        names,
        needs_leader: true,
        run,
    }
}

const fn always(
    names: &'static [&'static str],
    run: fn(&Server, &Query) -> Result<Fields, String>,
) -> Command {
    Command {
        needs_leader: false,
        ..command(names, run)
    }
}

/// All commands, in the order of their first names.
const COMMANDS: &[Command] = &[
    command(&["configuration", "conf", "config"], figures::configuration),
    command(&["connection_stat_reset", "crst"], lists::reset),
    command(&["connections", "cons"], lists::connections),
    command(&["dirs"], figures::dirs),
    command(&["dump"], lists::dump),
    always(&["environment", "env", "envi"], figures::environment),
    always(&["get_trace_mask", "gtmk"], figures::trace_mask),
    command(&["hash"], figures::hash),
    command(
        &["initial_configuration", "icfg"],
        ensemble::initial_configuration,
    ),
    command(&["is_read_only", "isro"], figures::is_read_only),
    command(&["last_snapshot", "lsnp"], figures::last_snapshot),
    command(&["leader", "lead"], ensemble::leader),
    always(&["monitor", "mntr"], figures::monitor),
    command(
        &["observer_connection_stat_reset", "orst"],
        ensemble::reset_observers,
    ),
    command(&["observers", "obsr"], ensemble::observers),
    command(&RESTORE, |_, _| elsewhere("POST")),
    command(&["ruok"], |_, _| Ok(Fields::new())),
    command(&["server_stats", "srvr"], figures::server_stats),
    always(&["set_trace_mask", "stmk"], figures::set_trace_mask),
    command(&SNAPSHOT, |_, _| elsewhere("GET")),
    command(&["stat_reset", "srst"], figures::reset),
    command(&["stats", "stat"], figures::stats),
    always(&["system_properties", "sysp"], figures::system_properties),
    command(&["voting_view"], ensemble::voting_view),
    command(&["watch_summary", "wchs"], lists::watch_summary),
    command(&["watches", "wchc"], lists::watches),
    command(&["watches_by_path", "wchp"], lists::watches_by_path),
    always(&["zabstate"], ensemble::zab_state),
];

/// What takes or gives a body is answered by whoever has the HTTP server ([`crate::backup`]).
fn elsewhere(method: &str) -> Result<Fields, String> {
    Err(format!("it is asked for with {method}, over HTTP"))
}

impl Handle {
    /// Carries out one of AdminServer's commands, which is named by any of its names. Blocks, since
    /// some of them ask the system.
    #[must_use]
    pub fn admin(&self, command: &str, query: &Query) -> AdminAnswer {
        run(&self.server, command, query)
    }
}

/// The list of commands as ZooKeeper shows it to browsers.
#[must_use]
pub fn index(command_url: &str) -> String {
    let mut html = String::new();
    for command in COMMANDS {
        let name = command.names[0];
        let _ = writeln!(html, "<a href=\"{command_url}/{name}\">{name}</a>\n<br/>");
    }
    html
}

fn run(server: &Server, name: &str, query: &Query) -> AdminAnswer {
    let known = COMMANDS
        .iter()
        .find(|command| command.names.contains(&name));
    let Some(command) = known else {
        return failed(name, format!("Unknown command: {name}"));
    };
    if command.needs_leader && state_of(server) == ServerState::Looking {
        return failed(name, NOT_SERVING.to_owned());
    }
    let mut fields = Fields::new();
    let name = || ("command".to_owned(), text(command.names[0]));
    match (command.run)(server, query) {
        Ok(data) => {
            fields.extend(data);
            fields.push(name());
            fields.push(("error".to_owned(), Json::Null));
        }
        Err(reason) => {
            fields.push(("error".to_owned(), text(reason)));
            fields.push(name());
        }
    }
    answered(fields)
}

fn failed(name: &str, reason: String) -> AdminAnswer {
    let fields = [("command", text(name)), ("error", text(reason))];
    answered(crate::json::fields(fields))
}

fn answered(fields: Fields) -> AdminAnswer {
    AdminAnswer {
        status: 200,
        json: Json::Object(fields).encode(),
    }
}

#[cfg(test)]
mod tests;
