//! What clients of an ensemble did and were told, in the order of each client, with the times between
//! which every request was carried out.

use std::collections::BTreeMap;
use std::fmt;

use ottla_jute::Stat;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It was carried out.
    Done(T),
    /// It was not, for this reason.
    Refused(String),
    /// Nobody knows: it may have been carried out, or may still be.
    Unknown,
}

impl<T> Answer<T> {
    /// What it says, if it was carried out.
    pub fn done(&self) -> Option<&T> {
        match self {
            Answer::Done(said) => Some(said),
            Answer::Refused(_) | Answer::Unknown => None,
        }
    }

    /// The same with another content.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Answer::Done(said) => Answer::Done(change(said)),
            Answer::Refused(why) => Answer::Refused(why),
            Answer::Unknown => Answer::Unknown,
        }
    }
}

/// Which state of a register it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// How often it was written before.
    pub version: i32,
    /// The transaction that wrote it.
    pub mzxid: i64,
}

/// One thing that happened to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new session, with the timeout that the server granted.
    Opened {
        /// The timeout in milliseconds.
        timeout_ms: u64,
    },
    /// The session was asked for on another connection; refused means that it is over.
    Resumed(Answer<()>),
    /// The session was ended by its client.
    Closed(Answer<()>),
    /// A register was written. Every value is written at most once in all.
    Wrote {
        /// Its path.
        path: String,
        /// The value.
        value: String,
        /// The version that it was to have before; none writes in any case.
        expected: Option<i32>,
        /// What it is now.
        answer: Answer<Version>,
    },
    /// A register was read.
    Read {
        /// Its path.
        path: String,
        /// Whether a watch was left there.
        watch: bool,
        /// When the `sync` right before it began.
        synced_us: Option<u64>,
        /// The value and its version.
        answer: Answer<(String, Version)>,
    },
    /// A watch on a register fired.
    Fired {
        /// Its path.
        path: String,
        /// What the event said.
        kind: String,
    },
    /// A sequential node that stays was made; its path.
    Appended {
        /// Its data, used once in all.
        value: String,
        /// Its path.
        answer: Answer<String>,
    },
    /// A sequential node that lives as long as the session was made; its path.
    Made(Answer<String>),
    /// A node of the session was removed before its end.
    Removed {
        /// Its path.
        path: String,
        /// Whether that worked.
        answer: Answer<()>,
    },
    /// The session's client asked whether its node is there.
    Looked {
        /// Its path.
        path: String,
        /// Whether it was.
        answer: Answer<bool>,
    },
    /// All nodes that live as long as their session, by path, behind a `sync`.
    Listed {
        /// When the `sync` began.
        synced_us: u64,
        /// Their paths.
        answer: Answer<Vec<String>>,
    },
}

/// An event with its times. What was noticed only has the same one twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which of its client's sessions it belongs to, counted from 1.
    pub session: usize,
    /// When it was asked for.
    pub began_us: u64,
    /// When the answer was there, or given up.
    pub ended_us: u64,
    /// What it was.
    pub event: Event,
}

impl Entry {
    /// A moment at which the session certainly lived, if this shows one: the ensemble, and not only a
    /// server that may be cut off from it, did something for it that was asked for then.
    pub fn life_us(&self) -> Option<u64> {
        let began_us = Some(self.began_us);
        match &self.event {
            Event::Opened { .. } => began_us,
            Event::Resumed(answer) | Event::Removed { answer, .. } => answer.done().and(began_us),
            Event::Wrote { answer, .. } => answer.done().and(began_us),
            Event::Appended { answer, .. } | Event::Made(answer) => answer.done().and(began_us),
            Event::Listed { synced_us, answer } => answer.done().map(|_| *synced_us),
            Event::Read {
                synced_us, answer, ..
            } => answer.done().and(*synced_us),
            Event::Closed(_) | Event::Fired { .. } | Event::Looked { .. } => None,
        }
    }
}

/// A znode as it is at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Znode {
    /// Its data.
    pub data: String,
    /// Its stat.
    pub stat: Stat,
}

/// All znodes of a server, by path.
pub type Tree = BTreeMap<String, Znode>;

/// Everything of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Each client's entries, in their order.
    pub clients: Vec<Vec<Entry>>,
    /// What each server has at the end, in the order of their ids.
    pub trees: Vec<Tree>,
}

/// An entry with whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Of<'a> {
    /// The client, by its place.
    pub client: usize,
    /// The entry.
    pub entry: &'a Entry,
}

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry {
            session,
            began_us,
            ended_us,
            event,
        } = self.entry;
        write!(
            f,
            "client {} session {session} [{began_us}..{ended_us}] {event:?}",
            self.client + 1
        )
    }
}

impl History {
    /// All entries, client by client.
    pub fn entries(&self) -> impl Iterator<Item = Of<'_>> {
        let clients = self.clients.iter().enumerate();
        clients.flat_map(|(client, entries)| entries.iter().map(move |entry| Of { client, entry }))
    }

    /// The entries of each session, in their order.
    pub fn sessions(&self) -> BTreeMap<(usize, usize), Vec<&Entry>> {
        let mut sessions: BTreeMap<_, Vec<&Entry>> = BTreeMap::new();
        for Of { client, entry } in self.entries() {
            let session = (client, entry.session);
            sessions.entry(session).or_default().push(entry);
        }
        sessions
    }

    /// The whole of it, a line for each entry, for somebody who looks into a finding.
    pub fn text(&self) -> String {
        let mut all: Vec<Of<'_>> = self.entries().collect();
        all.sort_by_key(|of| of.entry.began_us);
        let lines: Vec<String> = all.iter().map(|of| format!("{of}\n")).collect();
        lines.concat()
    }
}
