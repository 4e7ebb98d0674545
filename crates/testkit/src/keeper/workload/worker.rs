//! A client of `zookeeper-client`, one request after the other.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions, Error, Stat, WatchedEvent};

use super::{
    Journal, KEPT, MORTAL, NAME, Options, PAIRS, REGISTERS, REQUEST_LIMIT, WORKER_TIMEOUT_MS, pair,
    register,
};
use crate::dice::Dice;
use crate::history::now_us;
use crate::keeper::history::{Answer, Entry, Event, Version};

const KEPT_NODE: CreateOptions<'static> =
    CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
const MORTAL_NODE: CreateOptions<'static> =
    CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
/// How often what is asked at the end is asked again.
const LAST_TRIES: usize = 30;
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// How many nodes of its own a session has at most.
const MORTALS: usize = 4;

type Watch = Pin<Box<dyn Future<Output = WatchedEvent> + Send>>;

pub(super) struct Worker {
    number: usize,
    servers: Vec<String>,
    pause: Duration,
    dice: Dice,
    journal: Journal,
    values: usize,
    known: BTreeMap<String, i32>,
    /// In the session: what is watched, and which nodes it has.
    watches: BTreeMap<String, Watch>,
    mortals: Vec<String>,
}

/// What the crate's errors say about a request.
fn answer<T>(outcome: Result<T, Error>) -> Answer<T> {
    match outcome {
        Ok(said) => Answer::Done(said),
        Err(
            error @ (Error::NoNode
            | Error::NoAuth
            | Error::BadVersion
            | Error::NoChildrenForEphemerals
            | Error::NodeExists
            | Error::NotEmpty
            | Error::InvalidAcl
            | Error::QuotaExceeded),
        ) => Answer::Refused(error.to_string()),
        Err(_) => Answer::Unknown,
    }
}

/// Waits for an answer, but not for ever.
async fn asked<T>(request: impl Future<Output = Result<T, Error>>) -> Answer<T> {
    let outcome = tokio::time::timeout(REQUEST_LIMIT, request).await;
    outcome.map_or(Answer::Unknown, answer)
}

fn version(stat: &Stat) -> Version {
    Version {
        version: stat.version,
        mzxid: stat.mzxid,
    }
}

impl Worker {
    pub(super) fn new(number: usize, options: &Options, dice: Dice, journal: Journal) -> Worker {
        Worker {
            number,
            servers: options.servers.iter().map(ToString::to_string).collect(),
            pause: options.pause,
            dice,
            journal,
            values: 0,
            known: BTreeMap::new(),
            watches: BTreeMap::new(),
            mortals: Vec::new(),
        }
    }

    /// Session after session until it is over.
    pub(super) async fn work(mut self) -> Vec<Entry> {
        while !self.journal.is_over() {
            let Some(client) = self.connect().await else {
                continue;
            };
            self.live(&client).await;
            if self.journal.is_over() && !client.state().is_terminated() {
                self.look_last(&client).await;
            }
            let began_us = now_us();
            // Watches would be taken back one by one.
            drop(client);
            self.watches.clear();
            self.mortals.clear();
            self.journal.note(began_us, Event::Closed(Answer::Unknown));
        }
        self.journal.entries
    }

    async fn connect(&mut self) -> Option<Client> {
        let first = self.dice.below(self.servers.len());
        let mut servers = self.servers.clone();
        servers.rotate_left(first);
        let servers = servers.join(",");
        let timeout = Duration::from_millis(WORKER_TIMEOUT_MS);
        let connector = Client::connector().with_session_timeout(timeout);
        let began_us = now_us();
        let connecting = connector.connect(&servers);
        let client = tokio::time::timeout(REQUEST_LIMIT, connecting).await;
        let Ok(Ok(client)) = client else {
            tokio::time::sleep(self.dice.between_ms(10, 200)).await;
            return None;
        };
        let timeout_ms = u64::try_from(client.session_timeout().as_millis()).unwrap_or(0);
        self.journal.note(began_us, Event::Opened { timeout_ms });
        Some(client)
    }

    async fn live(&mut self, client: &Client) {
        while !self.journal.is_over() && !client.state().is_terminated() {
            self.do_something(client).await;
            let longest_ms = u64::try_from(self.pause.as_millis()).unwrap_or(0);
            tokio::time::sleep(self.dice.between_ms(0, longest_ms)).await;
            if self.dice.below(400) == 0 {
                return;
            }
        }
    }

    async fn do_something(&mut self, client: &Client) {
        let path = if self.dice.below(8) == 0 {
            pair(self.dice.below(PAIRS))
        } else {
            register(self.dice.below(REGISTERS))
        };
        match self.dice.below(20) {
            0..6 => self.write(client).await,
            6..8 => self.write_pair(client).await,
            8..12 => self.read(client, path, None).await,
            12..14 => {
                if let Some(synced_us) = self.sync(client).await {
                    self.read(client, path, Some(synced_us)).await;
                }
            }
            14..16 => self.append(client).await,
            16 => self.make(client).await,
            17 => self.remove(client).await,
            18 => self.look(client).await,
            _ => self.list(client).await,
        }
        self.hear();
    }

    fn value(&mut self) -> String {
        self.values += 1;
        format!("{}-{}", self.number, self.values)
    }

    async fn write(&mut self, client: &Client) {
        let path = register(self.dice.below(REGISTERS));
        let known = self.known.get(&path).copied();
        let expected = known.filter(|_| self.dice.percent(40));
        let value = self.value();
        let began_us = now_us();
        let written = asked(client.set_data(&path, value.as_bytes(), expected)).await;
        self.hear();
        let answer = written.map(|stat| version(&stat));
        if let Answer::Done(at) = &answer {
            self.known.insert(path.clone(), at.version);
        }
        let event = Event::Wrote {
            path,
            value,
            expected,
            answer,
        };
        self.journal.note(began_us, event);
    }

    async fn write_pair(&mut self, client: &Client) {
        let value = self.value();
        let mut writer = client.new_multi_writer();
        for number in 0..PAIRS {
            // Paths are the same ones every time: a wrong one would show at the first.
            let added = writer.add_set_data(&pair(number), value.as_bytes(), None);
            debug_assert!(added.is_ok());
        }
        let began_us = now_us();
        let written = asked(writer.commit().map(|outcome| outcome.map_err(Error::from))).await;
        self.hear();
        let stats = written.map(|results| {
            let stats = results.into_iter().map(|result| match result {
                zookeeper_client::MultiWriteResult::SetData { stat } => version(&stat),
                _ => Version {
                    version: -1,
                    mzxid: -1,
                },
            });
            stats.collect::<Vec<Version>>()
        });
        for number in 0..PAIRS {
            let nothing = Version {
                version: -1,
                mzxid: -1,
            };
            let answer = stats.clone();
            let event = Event::Wrote {
                path: pair(number),
                value: value.clone(),
                expected: None,
                answer: answer.map(|stats| stats.get(number).copied().unwrap_or(nothing)),
            };
            self.journal.note(began_us, event);
        }
    }

    async fn sync(&mut self, client: &Client) -> Option<u64> {
        let began_us = now_us();
        let synced = asked(client.sync("/")).await;
        synced.done().map(|()| began_us)
    }

    async fn read(&mut self, client: &Client, path: String, synced_us: Option<u64>) {
        let watch = !self.watches.contains_key(&path) && self.dice.percent(50);
        let began_us = now_us();
        let (answer, watcher) = if watch {
            match asked(client.get_and_watch_data(&path)).await {
                Answer::Done((data, stat, watcher)) => {
                    (Answer::Done((data, stat)), Some(watcher.changed()))
                }
                other => (other.map(|(data, stat, _)| (data, stat)), None),
            }
        } else {
            (asked(client.get_data(&path)).await, None)
        };
        self.hear();
        let answer = answer.map(|(data, stat)| {
            let value = String::from_utf8_lossy(&data).into_owned();
            (value, version(&stat))
        });
        if let Answer::Done((_, at)) = &answer {
            self.known.insert(path.clone(), at.version);
        }
        if let Some(watcher) = watcher {
            self.watches.insert(path.clone(), Box::pin(watcher));
        }
        let event = Event::Read {
            path,
            watch,
            synced_us,
            answer,
        };
        self.journal.note(began_us, event);
    }

    /// Events come before answers: whatever has fired by now did so before the answer that is there.
    fn hear(&mut self) {
        let mut fired = Vec::new();
        self.watches
            .retain(|_, watch| match watch.as_mut().now_or_never() {
                Some(event) => {
                    fired.push(event);
                    false
                }
                None => true,
            });
        for WatchedEvent {
            event_type, path, ..
        } in fired
        {
            // The others tell that the session is over.
            if !path.is_empty() {
                let kind = format!("{event_type:?}");
                self.journal.note(now_us(), Event::Fired { path, kind });
            }
        }
    }

    async fn append(&mut self, client: &Client) {
        let value = self.value();
        let prefix = format!("{KEPT}/{NAME}");
        let began_us = now_us();
        let made = asked(client.create(&prefix, value.as_bytes(), &KEPT_NODE)).await;
        let answer = made.map(|(_, sequence)| format!("{prefix}{sequence}"));
        self.journal
            .note(began_us, Event::Appended { value, answer });
    }

    async fn make(&mut self, client: &Client) {
        if self.mortals.len() >= MORTALS {
            return self.remove(client).await;
        }
        let prefix = format!("{MORTAL}/{NAME}");
        let began_us = now_us();
        let made = asked(client.create(&prefix, b"", &MORTAL_NODE)).await;
        let answer = made.map(|(_, sequence)| format!("{prefix}{sequence}"));
        self.mortals.extend(answer.done().cloned());
        self.journal.note(began_us, Event::Made(answer));
    }

    async fn remove(&mut self, client: &Client) {
        if self.mortals.is_empty() {
            return;
        }
        let path = self
            .mortals
            .swap_remove(self.dice.below(self.mortals.len()));
        let began_us = now_us();
        let answer = asked(client.delete(&path, None)).await;
        self.journal.note(began_us, Event::Removed { path, answer });
    }

    async fn look(&mut self, client: &Client) {
        if self.mortals.is_empty() {
            return;
        }
        let path = self.mortals[self.dice.below(self.mortals.len())].clone();
        let began_us = now_us();
        let answer = asked(client.check_stat(&path)).await;
        let answer = answer.map(|stat| stat.is_some());
        self.journal.note(began_us, Event::Looked { path, answer });
    }

    async fn list(&mut self, client: &Client) {
        let Some(synced_us) = self.sync(client).await else {
            return;
        };
        let began_us = now_us();
        let listed = asked(client.list_children(MORTAL)).await;
        let answer = listed.map(|names| {
            let paths = names.iter().map(|name| format!("{MORTAL}/{name}"));
            paths.collect()
        });
        self.journal
            .note(began_us, Event::Listed { synced_us, answer });
    }

    /// Sees everything once more, so that no watch can have been missed.
    async fn look_last(&mut self, client: &Client) {
        for _ in 0..LAST_TRIES {
            if let Some(synced_us) = self.sync(client).await {
                let mut paths: Vec<String> = (0..REGISTERS).map(register).collect();
                paths.extend((0..PAIRS).map(pair));
                for path in paths {
                    self.read(client, path, Some(synced_us)).await;
                }
                return;
            }
            if client.state().is_terminated() {
                return;
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }
}
