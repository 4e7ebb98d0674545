//! One follower's conversation with one leader.
//!
//! ```text
//! connect ─▶ ask for everything that is not resting ─▶ take in what came ─▶ ask again
//!    ▲            │ assignment changed: do not wait        │ a partition failed: it rests a while
//!    └─ backoff ◀─┴──────── connection failed ◀────────────┘
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use ottla_client::Link;
use ottla_metadata::Image;
use ottla_model::{BrokerId, ErrorCode, LeaderEpoch, Offset, Sabotage};
use ottla_runtime::Shutdown;
use ottla_wire::messages::FetchResponse;
use ottla_wire::{ApiKey, Request, Response};
use tokio::sync::watch;

use super::fetchers::{Assignment, Key};
use super::incoming::{Incoming, Outcome};
use super::session::{Asked, Bounds, Replica, Session};
use super::throttle::Side;
use crate::Broker;
use crate::partitions::Partition;
use crate::peers::backoff_ms;

/// Topics are named by id from this version on; all brokers of a cluster are at least so new.
const OLDEST_VERSION: i16 = 13;
/// While the assignment changes often, fetches wait for no longer than this.
const BRISK_WAIT_MS: i32 = 25;
/// For how long after a change.
const BRISK_MS: i64 = 2_000;
/// How long a leader may take to answer, beyond what it waits for records.
const ANSWER_TIMEOUT_MAX_MS: u64 = 10_000;

/// The pause before the first try after a connection has broken off.
const AT_ONCE_MS: u64 = 1;

/// A partition that is fetched.
struct Following {
    partition: Arc<Partition>,
    leader_epoch: LeaderEpoch,
    /// Until when it is left alone after a failure.
    rests_until_ms: i64,
}

/// The task of one lane.
pub(super) struct Fetcher {
    broker: Arc<Broker>,
    leader: BrokerId,
    assignment: watch::Receiver<Assignment>,
    partitions: BTreeMap<Key, Following>,
    session: Session,
    link: Option<Link>,
    failures: u32,
    brisk_until_ms: i64,
}

impl Fetcher {
    pub(super) fn new(
        broker: &Arc<Broker>,
        leader: BrokerId,
        assignment: watch::Receiver<Assignment>,
    ) -> Self {
        Fetcher {
            broker: Arc::clone(broker),
            leader,
            assignment,
            partitions: BTreeMap::new(),
            session: Session::default(),
            link: None,
            failures: 0,
            brisk_until_ms: 0,
        }
    }

    /// Fetches until nothing is left to fetch, or the node stops.
    pub(super) async fn run(mut self) -> Result<(), String> {
        let shutdown = self.broker.runtime.shutdown().clone();
        self.follow();
        while !shutdown.is_announced() && !self.is_retired() {
            if let Err(pause_ms) = self.round(&shutdown).await {
                self.pause(pause_ms, &shutdown).await;
            }
        }
        Ok(())
    }

    /// Whether nobody will ever assign anything again.
    fn is_retired(&self) -> bool {
        self.assignment.has_changed().is_err()
    }

    fn now_ms(&self) -> i64 {
        self.broker.runtime.clock.monotonic_ms()
    }

    /// Takes over the assignment.
    fn follow(&mut self) {
        let assignment = self.assignment.borrow_and_update();
        let old = std::mem::take(&mut self.partitions);
        let mut is_new = false;
        for (key, (leader_epoch, partition)) in assignment.iter() {
            let known = old.get(key).filter(|f| {
                f.leader_epoch == *leader_epoch && Arc::ptr_eq(&f.partition, partition)
            });
            is_new |= known.is_none();
            let following = Following {
                partition: Arc::clone(partition),
                leader_epoch: *leader_epoch,
                rests_until_ms: known.map_or(0, |f| f.rests_until_ms),
            };
            self.partitions.insert(*key, following);
        }
        drop(assignment);
        if is_new {
            self.brisk_until_ms = self.now_ms() + BRISK_MS;
        }
    }

    /// Waits, unless the assignment changes: what was wrong may be right then.
    async fn pause(&mut self, pause_ms: u64, shutdown: &Shutdown) {
        let clock = self.broker.runtime.clock.clone();
        let changed = tokio::select! {
            biased;
            () = shutdown.announced() => return,
            changed = self.assignment.changed() => changed.is_ok(),
            () = clock.sleep(Duration::from_millis(pause_ms)) => false,
        };
        if changed {
            self.follow();
        }
    }

    /// One fetch. An error says how long to wait before the next one.
    async fn round(&mut self, shutdown: &Shutdown) -> Result<(), u64> {
        if self.assignment.has_changed().unwrap_or(false) {
            self.follow();
        }
        let wanted = self.wanted();
        if wanted.is_empty() {
            return Err(self.nothing_to_do_ms());
        }
        let link = self.connect().await?;
        let api = ApiKey::Fetch;
        let newest = *api.stable_versions().end();
        let version = match link.version_within(api, OLDEST_VERSION..=newest) {
            Ok(version) => version,
            Err(error) => return Err(self.failed(&error)),
        };
        let (bounds, replica) = (self.bounds(), self.replica());
        let request = self.session.request(version, replica, bounds, &wanted);
        let request = Request::from(request);
        let call = link.call(version, &request);
        let limit = Duration::from_millis(u64::from(bounds.max_wait_ms.unsigned_abs()))
            + self.answer_timeout();
        let clock = self.broker.runtime.clock.clone();
        let answer = tokio::select! {
            biased;
            () = shutdown.announced() => return Ok(()),
            answer = clock.timeout(limit, call) => answer,
            changed = self.assignment.changed(), if bounds.max_wait_ms > BRISK_WAIT_MS => {
                // The leader may hold the fetch back for long, and answers come in order: it is
                // quicker to ask anew than to let new partitions wait.
                if changed.is_ok() {
                    self.follow();
                }
                self.session.reset();
                return Ok(());
            }
        };
        match answer {
            Some(Ok(Response::Fetch(response))) => {
                self.failures = 0;
                self.link = Some(link);
                self.take_in(response, &wanted).await;
                Ok(())
            }
            Some(Ok(other)) => {
                tracing::error!(leader = %self.leader, api = %other.api(), "a fetch got another answer");
                Err(self.back_off())
            }
            Some(Err(error)) => Err(self.unanswered(&error)),
            None => Err(self.failed(&format!("no answer within {limit:?}"))),
        }
    }

    /// What to ask of each partition that does not rest.
    fn wanted(&self) -> BTreeMap<Key, Asked> {
        let now_ms = self.now_ms();
        let throttle = &self.broker.throttle;
        let is_slow = throttle.is_exceeded(Side::Follower, now_ms);
        // Where consumers read from followers, the high watermark is worth a fetch of its own.
        let serves_consumers = self.broker.config().broker.replica_selector_class.is_some();
        let mut wanted = BTreeMap::new();
        for (key, following) in &self.partitions {
            let partition = &following.partition;
            if following.rests_until_ms > now_ms
                || is_slow && throttle.applies(Side::Follower, partition)
            {
                continue;
            }
            let Some(log) = partition.log() else { continue };
            let offsets = log.offsets();
            let end = offsets.log_end_offset;
            let asked = Asked {
                leader_epoch: following.leader_epoch,
                fetch_offset: end,
                last_fetched_epoch: last_epoch(log, end),
                log_start_offset: offsets.log_start_offset,
                high_watermark: if serves_consumers {
                    offsets.high_watermark
                } else {
                    Offset::MAX
                },
            };
            wanted.insert(*key, asked);
        }
        wanted
    }

    /// How long until a partition need not rest any more.
    fn nothing_to_do_ms(&self) -> u64 {
        let now_ms = self.now_ms();
        let next_ms = self.partitions.values().map(|f| f.rests_until_ms - now_ms);
        next_ms.min().unwrap_or(1000).clamp(10, 1000).unsigned_abs()
    }

    async fn connect(&mut self) -> Result<Link, u64> {
        if let Some(link) = self.link.take().filter(Link::is_open) {
            return Ok(link);
        }
        self.session.reset();
        let image = self.broker.image();
        match self.broker.peers.connect(&image, self.leader).await {
            Ok(link) => {
                self.broker.gone.found(self.leader);
                Ok(link)
            }
            Err(error) => {
                if let (true, Some(epoch)) = (error.is_refused(), epoch_of(&image, self.leader)) {
                    let now_ms = self.now_ms();
                    self.broker.gone.refused(self.leader, epoch, now_ms);
                }
                Err(self.failed(&error))
            }
        }
    }

    /// A fetch was not answered. When the connection has broken off, the leader may have ended: there
    /// is another one at once, or it is known that there can be none.
    fn unanswered(&mut self, error: &ottla_client::Error) -> u64 {
        let pause_ms = self.failed(error);
        let broken = matches!(error, ottla_client::Error::Disconnected { .. });
        match epoch_of(&self.broker.image(), self.leader) {
            Some(epoch) if broken => {
                let now_ms = self.now_ms();
                self.broker.gone.broken(self.leader, epoch, now_ms);
                AT_ONCE_MS
            }
            _ => pause_ms,
        }
    }

    fn failed(&mut self, error: &dyn std::fmt::Display) -> u64 {
        if self.failures == 0 {
            tracing::info!(leader = %self.leader, %error, "cannot fetch from the leader; trying again");
        }
        self.back_off()
    }

    fn back_off(&mut self) -> u64 {
        self.session.reset();
        let most = self.broker.config().broker.replica_fetch_backoff_ms;
        let pause_ms = backoff_ms(&self.broker.runtime, self.failures);
        self.failures += 1;
        pause_ms.min(u64::try_from(most).unwrap_or(0)).max(1)
    }

    fn bounds(&self) -> Bounds {
        let config = self.broker.config();
        let broker = &config.broker;
        let is_brisk = self.now_ms() < self.brisk_until_ms;
        let brisk_ms = if is_brisk { BRISK_WAIT_MS } else { i32::MAX };
        Bounds {
            max_wait_ms: broker.replica_fetch_wait_max_ms.min(brisk_ms),
            min_bytes: broker.replica_fetch_min_bytes,
            max_bytes: broker.replica_fetch_response_max_bytes,
            partition_max_bytes: broker.replica_fetch_max_bytes,
        }
    }

    fn answer_timeout(&self) -> Duration {
        let configured = self.broker.config().broker.replica_socket_timeout_ms;
        let configured = u64::try_from(configured).unwrap_or(0);
        Duration::from_millis(configured.min(ANSWER_TIMEOUT_MAX_MS))
    }

    fn replica(&self) -> Replica {
        Replica {
            id: self.broker.node_id,
            epoch: self.broker.epoch(),
        }
    }

    /// Takes in an answer: all partitions at once, for each waits for its disk.
    async fn take_in(&mut self, response: FetchResponse, wanted: &BTreeMap<Key, Asked>) {
        if response.error_code != ErrorCode::None.code() {
            // The session is gone: the next fetch names everything.
            self.session.reset();
            return;
        }
        self.session.answered(response.session_id);
        let mut incoming = Vec::new();
        for topic in response.responses {
            for data in topic.partitions {
                let key = (topic.topic_id, data.partition_index);
                let (Some(following), Some(asked)) = (self.partitions.get(&key), wanted.get(&key))
                else {
                    continue;
                };
                incoming.push((
                    key,
                    Incoming {
                        broker: Arc::clone(&self.broker),
                        leader: self.leader,
                        partition: Arc::clone(&following.partition),
                        asked: *asked,
                        data,
                    },
                ));
            }
        }
        let taken = incoming
            .into_iter()
            .map(|(key, i)| async move { (key, i.take_in().await) });
        let outcomes = join_all(taken).await;
        let rest_ms = i64::from(self.broker.config().broker.replica_fetch_backoff_ms);
        let now_ms = self.now_ms();
        for (key, outcome) in outcomes {
            if let (Outcome::Rest, Some(following)) = (outcome, self.partitions.get_mut(&key)) {
                following.rests_until_ms = now_ms + rest_ms;
            }
        }
    }
}

/// In which of its lives the metadata knows a broker.
fn epoch_of(image: &Image, broker: BrokerId) -> Option<i64> {
    image.broker(broker).map(|registered| registered.epoch)
}

/// The term of the last record, by which the leader sees whether the logs part.
fn last_epoch(log: &ottla_log::Log, end: Offset) -> LeaderEpoch {
    let epoch = log.leader_epoch_at(end - 1);
    epoch
        .filter(|_| !Sabotage::ForgetsDivergence.is_on())
        .unwrap_or(-1)
}
