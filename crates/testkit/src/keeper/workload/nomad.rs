//! A client whose session goes from server to server, with and without its connection ended before, and
//! sometimes without any connection for longer than it may.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ottla_jute::{Delete, ErrorCode, Exists, GetChildren, GetData, Request, Response};

use super::{Journal, MORTAL, NAME, NOMAD_TIMEOUT_MS, Options, REGISTERS, create, register};
use crate::dice::Dice;
use crate::history::now_us;
use crate::keeper::connection::{Answer as Reply, Connection, Opened, Session};
use crate::keeper::history::{Answer, Entry, Event, Version};

/// A server that is cut off does not answer at all.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(3);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long a session is asked for on one server after the other.
const RESUME_LIMIT: Duration = Duration::from_secs(60);
const EPHEMERAL_SEQUENTIAL: i32 = 3;

pub(super) struct Nomad {
    servers: Vec<SocketAddr>,
    dice: Dice,
    journal: Journal,
    session: Option<Session>,
    mortals: Vec<String>,
    last_zxid: i64,
    /// A request was given up on this connection: what comes next may be its answer.
    is_lost: bool,
}

impl Nomad {
    pub(super) fn new(options: &Options, dice: Dice, journal: Journal) -> Nomad {
        Nomad {
            servers: options.servers.clone(),
            dice,
            journal,
            session: None,
            mortals: Vec::new(),
            last_zxid: 0,
            is_lost: false,
        }
    }

    /// Session after session until it is over.
    pub(super) fn wander(mut self) -> Result<Vec<Entry>> {
        while !self.journal.is_over() {
            if let Some(connection) = self.open() {
                self.live(connection)?;
            }
        }
        Ok(self.journal.entries)
    }

    fn server(&mut self) -> SocketAddr {
        self.servers[self.dice.below(self.servers.len())]
    }

    fn open(&mut self) -> Option<Connection> {
        let server = self.server();
        let began_us = now_us();
        let opened = Connection::open(server, NOMAD_TIMEOUT_MS, HANDSHAKE_LIMIT);
        let Ok(connection) = opened else {
            thread::sleep(self.dice.between_ms(10, 200));
            return None;
        };
        let session = connection.session().clone();
        let timeout_ms = u64::try_from(session.timeout_ms).unwrap_or(0);
        self.session = Some(session);
        self.mortals.clear();
        self.last_zxid = 0;
        self.is_lost = false;
        self.journal.note(began_us, Event::Opened { timeout_ms });
        Some(connection)
    }

    /// One session.
    fn live(&mut self, mut connection: Connection) -> Result<()> {
        let moves = 1 + self.dice.below(6);
        for _ in 0..moves {
            self.use_connection(&mut connection)?;
            if self.journal.is_over() {
                break;
            }
            let is_kept = self.dice.percent(25);
            let kept = if is_kept {
                // The session is taken away from this connection.
                Some(connection)
            } else {
                drop(connection);
                thread::sleep(self.absence());
                None
            };
            match self.resume()? {
                Some(other) => connection = other,
                None => return Ok(()),
            }
            drop(kept);
        }
        if !self.is_lost && (self.journal.is_over() || self.dice.percent(60)) {
            let began_us = now_us();
            let answer = self.ask(&mut connection, &Request::CloseSession)?;
            let answer = answer.map(|_| ());
            self.journal.note(began_us, Event::Closed(answer));
        } else {
            drop(connection);
            // It dies by itself; from here on nobody may see what it had.
            if self.dice.percent(50) {
                thread::sleep(Duration::from_millis(NOMAD_TIMEOUT_MS.unsigned_abs().into()) * 2);
                if let Some(mut connection) = self.resume()? {
                    self.use_connection(&mut connection)?;
                }
            }
        }
        Ok(())
    }

    fn absence(&mut self) -> Duration {
        let timeout_ms = u64::from(NOMAD_TIMEOUT_MS.unsigned_abs());
        match self.dice.below(10) {
            0 => self.dice.between_ms(timeout_ms, 2 * timeout_ms),
            1..3 => self.dice.between_ms(timeout_ms / 2, timeout_ms),
            _ => self.dice.between_ms(0, timeout_ms / 10),
        }
    }

    /// Asks servers for the session until one gives it or says that it is over.
    fn resume(&mut self) -> Result<Option<Connection>> {
        let session = self.session.clone().context("there is no session")?;
        let deadline = Instant::now() + RESUME_LIMIT;
        while Instant::now() < deadline {
            let server = self.server();
            let began_us = now_us();
            // A server without a quorum stays silent.
            let opened = Connection::resume(server, &session, self.last_zxid, HANDSHAKE_LIMIT);
            let (answer, connection) = match opened {
                Ok(Opened::Session(connection)) => {
                    anyhow::ensure!(
                        connection.session().id == session.id,
                        "{server} gives another session back"
                    );
                    (Answer::Done(()), Some(connection))
                }
                Ok(Opened::Expired) => (Answer::Refused("expired".to_owned()), None),
                Ok(Opened::Closed) | Err(_) => (Answer::Unknown, None),
            };
            let is_known = answer != Answer::Unknown;
            self.journal.note(began_us, Event::Resumed(answer));
            if is_known {
                self.is_lost = false;
                return Ok(connection);
            }
            thread::sleep(self.dice.between_ms(5, 100));
        }
        Ok(None)
    }

    fn ask(&mut self, connection: &mut Connection, request: &Request) -> Result<Answer<Response>> {
        let (zxid, answer) = match connection.call(request, ANSWER_LIMIT)? {
            Reply::Done { zxid, response } => (zxid, Answer::Done(response)),
            Reply::Failed { zxid, error } => {
                let is_of_node = matches!(error, ErrorCode::NoNode | ErrorCode::BadVersion);
                let answer = if is_of_node {
                    Answer::Refused(error.to_string())
                } else {
                    Answer::Unknown
                };
                (zxid, answer)
            }
            Reply::Lost => {
                self.is_lost = true;
                (0, Answer::Unknown)
            }
        };
        self.last_zxid = self.last_zxid.max(zxid);
        Ok(answer)
    }

    fn use_connection(&mut self, connection: &mut Connection) -> Result<()> {
        for _ in 0..2 + self.dice.below(6) {
            if self.is_lost || self.journal.is_over() {
                return Ok(());
            }
            match self.dice.below(8) {
                0 | 1 => self.make(connection)?,
                2 => self.remove(connection)?,
                3 | 4 => self.look(connection)?,
                5 => self.list(connection)?,
                _ => self.read(connection)?,
            }
            thread::sleep(self.dice.between_ms(0, 20));
        }
        Ok(())
    }

    fn make(&mut self, connection: &mut Connection) -> Result<()> {
        let request = create(format!("{MORTAL}/{NAME}"), "", EPHEMERAL_SEQUENTIAL);
        let began_us = now_us();
        let answer = self
            .ask(connection, &request)?
            .map(|response| match response {
                Response::Create { path } => path,
                other => format!("{other:?}"),
            });
        self.mortals.extend(answer.done().cloned());
        self.journal.note(began_us, Event::Made(answer));
        Ok(())
    }

    fn remove(&mut self, connection: &mut Connection) -> Result<()> {
        if self.mortals.len() < 2 {
            return Ok(());
        }
        let path = self
            .mortals
            .swap_remove(self.dice.below(self.mortals.len()));
        let request = Request::Delete(Delete {
            path: path.clone(),
            version: -1,
        });
        let began_us = now_us();
        let answer = self.ask(connection, &request)?.map(|_| ());
        self.journal.note(began_us, Event::Removed { path, answer });
        Ok(())
    }

    fn look(&mut self, connection: &mut Connection) -> Result<()> {
        if self.mortals.is_empty() {
            return Ok(());
        }
        let path = self.mortals[self.dice.below(self.mortals.len())].clone();
        let watch = false;
        let request = Request::Exists(Exists {
            path: path.clone(),
            watch,
        });
        let began_us = now_us();
        let answer = match self.ask(connection, &request)? {
            Answer::Done(_) => Answer::Done(true),
            Answer::Refused(_) => Answer::Done(false),
            Answer::Unknown => Answer::Unknown,
        };
        self.journal.note(began_us, Event::Looked { path, answer });
        Ok(())
    }

    fn list(&mut self, connection: &mut Connection) -> Result<()> {
        let synced_us = now_us();
        let path = "/".to_owned();
        let synced = self.ask(connection, &Request::Sync(ottla_jute::Sync { path }))?;
        if synced.done().is_none() {
            return Ok(());
        }
        let request = Request::GetChildren(GetChildren {
            path: MORTAL.to_owned(),
            watch: false,
        });
        let began_us = now_us();
        let answer = self
            .ask(connection, &request)?
            .map(|response| match response {
                Response::GetChildren { children } => {
                    let paths = children.iter().map(|name| format!("{MORTAL}/{name}"));
                    paths.collect()
                }
                _ => Vec::new(),
            });
        self.journal
            .note(began_us, Event::Listed { synced_us, answer });
        Ok(())
    }

    fn read(&mut self, connection: &mut Connection) -> Result<()> {
        let path = register(self.dice.below(REGISTERS));
        let request = Request::GetData(GetData {
            path: path.clone(),
            watch: false,
        });
        let began_us = now_us();
        let answer = self.ask(connection, &request)?;
        let answer = match answer {
            Answer::Done(Response::GetData { data, stat }) => {
                let value = String::from_utf8_lossy(&data.unwrap_or_default()).into_owned();
                let at = Version {
                    version: stat.version,
                    mzxid: stat.mzxid,
                };
                Answer::Done((value, at))
            }
            Answer::Done(other) => Answer::Refused(format!("{other:?}")),
            Answer::Refused(why) => Answer::Refused(why),
            Answer::Unknown => Answer::Unknown,
        };
        let event = Event::Read {
            path,
            watch: false,
            synced_us: None,
            answer,
        };
        self.journal.note(began_us, event);
        Ok(())
    }
}
