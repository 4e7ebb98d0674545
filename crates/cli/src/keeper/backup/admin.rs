//! AdminServer of one of the servers, and its commands `snapshot` and `restore`.

use std::time::Duration;

use hyper::Method;
use hyper::http::uri::PathAndQuery;
use indicatif::ProgressBar;

use super::Context;
use super::http::{Answer, Exchange, Head};
use super::source::Source;
use crate::Error;
use crate::keeper::servers::{Server, server_of};

/// Where a node of ours serves HTTP, unless `ottla.http.listener` says otherwise.
const DEFAULT_PORT: u16 = 9644;
/// `admin.commandURL`
const DEFAULT_PATH: &str = "/commands";
/// How long connecting to one server may take.
const DIAL_LIMIT: Duration = Duration::from_secs(5);
/// How long the servers may take for a backup that they have got.
const RESTORE_LIMIT: Duration = Duration::from_secs(1_800);
/// An answer that is no backup is no longer than this.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Where AdminServer is.
#[derive(Debug, Clone, Default, clap::Args)]
pub(in crate::keeper) struct AdminArgs {
    /// A server's HTTP port (ottla.http.listener, or admin.serverPort), and the path of the commands
    /// if it is not /commands [default: port 9644 of the hosts of --server]
    #[arg(long, value_name = "HOST:PORT[/PATH]")]
    admin: Option<String>,
}

/// A server whose commands are asked.
pub(super) struct Admin<'a> {
    server: Server,
    path: String,
    exchange: Exchange,
    authorization: String,
    timeout: Duration,
    action: &'a str,
}

impl<'a> Admin<'a> {
    /// Connects to the first of the servers that can be reached.
    pub(super) async fn connect(
        args: &AdminArgs,
        context: &Context<'_>,
        action: &'a str,
    ) -> Result<Self, Error> {
        let (servers, path) = places(args, context)?;
        let authorization = authorization(context)?;
        let mut tried = Vec::new();
        for server in servers {
            match Exchange::connect(context.runtime, &server, DIAL_LIMIT).await {
                Ok(exchange) => {
                    return Ok(Admin {
                        server,
                        path,
                        exchange,
                        authorization,
                        timeout: context.globals.timeout,
                        action,
                    });
                }
                Err(reason) => tried.push(format!("{server} ({reason})")),
            }
        }
        Err(Error::KeeperUnreachable {
            tried: format!("the HTTP port at {}, which --admin names", tried.join(", ")),
        })
    }

    /// The server, for people.
    pub(super) fn name(&self) -> String {
        self.server.to_string()
    }

    fn head(&self, method: Method, command: &str) -> Head {
        Head {
            method,
            target: format!("{}/{command}", self.path),
            host: self.server.to_string(),
            authorization: self.authorization.clone(),
        }
    }

    /// Asks for a backup; its body follows.
    pub(super) async fn snapshot(self) -> Result<Answer, Error> {
        let head = self.head(Method::GET, "snapshot?streaming=true");
        let (server, action, timeout) = (self.server, self.action, self.timeout);
        let answer = self.exchange.get(&head, timeout).await;
        let answer = answer.map_err(|reason| failed(action, &server, &reason))?;
        if answer.status == 200 && answer.header("snapshot_size").is_some() {
            return Ok(answer);
        }
        Err(refused(action, &server, answer).await)
    }

    /// Sends a backup; what the server says when it is restored.
    pub(super) async fn restore(
        self,
        source: &mut Source<'_>,
        only_if_empty: bool,
        bar: &ProgressBar,
    ) -> Result<serde_json::Value, Error> {
        let command = match only_if_empty {
            true => "restore?onlyIfEmpty=true",
            false => "restore",
        };
        let head = self.head(Method::POST, command);
        let (server, action, timeout) = (self.server, self.action, self.timeout);
        let mut sending = match self.exchange.begin(&head, timeout).await {
            Ok(sending) => sending,
            Err(reason) => return Err(failed(action, &server, &reason)),
        };
        while sending.is_wanted()
            && let Some(piece) = source.next().await?
        {
            let length = piece.len() as u64;
            let sent = sending.piece(piece, RESTORE_LIMIT).await;
            sent.map_err(|reason| failed(action, &server, &reason))?;
            bar.inc(length);
        }
        let answer = sending.end(RESTORE_LIMIT).await;
        let mut answer = answer.map_err(|reason| failed(action, &server, &reason))?;
        if answer.status != 200 {
            return Err(refused(action, &server, answer).await);
        }
        let text = answer.text(ANSWER_BYTES_MAX).await;
        let text = text.map_err(|reason| failed(action, &server, &reason))?;
        let told: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|_| failed(action, &server, "its answer is no JSON"))?;
        match told.get("error").and_then(|error| error.as_str()) {
            Some(reason) => Err(failed(action, &server, reason)),
            None => Ok(told),
        }
    }
}

/// The servers to try, and the path of the commands.
fn places(args: &AdminArgs, context: &Context<'_>) -> Result<(Vec<Server>, String), Error> {
    let Some(admin) = &args.admin else {
        let servers = context.target.servers.list.iter().cloned();
        let at_port = |server: Server| Server {
            port: DEFAULT_PORT,
            ..server
        };
        return Ok((servers.map(at_port).collect(), DEFAULT_PATH.to_owned()));
    };
    let text = admin.strip_prefix("http://").unwrap_or(admin);
    let (server, path) = match text.find('/') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let path = match path.trim_end_matches('/') {
        "" => DEFAULT_PATH,
        path => path,
    };
    if PathAndQuery::try_from(path).is_err() {
        return Err(Error::Usage(format!("{path:?} is no path of a URL")));
    }
    let server = server_of(server, DEFAULT_PORT)?;
    Ok((vec![server], path.to_owned()))
}

/// The header that AdminServer wants, even where everyone may do everything: the first digest that
/// was given, or else the address of this machine.
fn authorization(context: &Context<'_>) -> Result<String, Error> {
    let digest = context.target.auth.iter().find(|c| c.scheme == "digest");
    let Some(digest) = digest else {
        return Ok("ip".to_owned());
    };
    let secret = digest.secret.expose();
    if secret.contains(|c: char| c.is_ascii_control() || c == ' ') {
        return Err(Error::Usage(
            "a password with blanks cannot be sent to AdminServer; use another user".to_owned(),
        ));
    }
    Ok(format!("digest {secret}"))
}

fn failed(action: &str, server: &Server, reason: &str) -> Error {
    Error::Failed {
        action: action.to_owned(),
        reason: format!("{server}: {reason}"),
    }
}

/// Why a server does not do it.
async fn refused(action: &str, server: &Server, mut answer: Answer) -> Error {
    let text = answer.text(ANSWER_BYTES_MAX).await.unwrap_or_default();
    let told: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
    let said = told.as_ref().and_then(|told| told["error"].as_str());
    let reason = match (answer.status, said) {
        (401 | 403, said) => {
            return Error::Keeper {
                action: action.to_owned(),
                reason: format!(
                    "{server} says: {}; give --auth digest:USER:PASSWORD of somebody with all \
                     permissions on /",
                    said.unwrap_or("not authorized")
                ),
                code: ottla_jute::ErrorCode::NoAuth,
            };
        }
        (_, Some(said)) => said.to_owned(),
        (404, None) => "there are no commands of AdminServer; --admin names the HTTP port and \
                        the path (admin.commandURL)"
            .to_owned(),
        (429, None) => "the last one was a moment ago (admin.rateLimiterIntervalInMS)".to_owned(),
        (503, None) => "it is switched off there (admin.snapshot.enabled, admin.restore.enabled), \
                        or the server is starting"
            .to_owned(),
        (status, None) => format!("it answers with HTTP status {status}"),
    };
    failed(action, server, &reason)
}
