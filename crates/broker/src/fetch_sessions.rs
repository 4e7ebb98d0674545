//! Fetch sessions (KIP-227): a consumer names its partitions once and then sends only changes;
//! the broker answers only with partitions that have news.
//!
//! ```text
//! client                                    broker
//!   session 0, epoch 0, all partitions  ──▶  makes session 77
//!   ◀── session 77, all partitions
//!   session 77, epoch 1, changes only   ──▶  updates the session
//!   ◀── session 77, partitions with records, errors or moved offsets
//!   session 77, epoch -1                ──▶  ends it
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ottla_model::{ErrorCode, Offset, PartitionIndex, Uuid};
use ottla_wire::Text;
use ottla_wire::messages::fetch_response::PartitionData;
use parking_lot::Mutex;

/// The epoch of a full fetch that wants a session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a fetch that wants none, or wants its session closed.
const FINAL_EPOCH: i32 = -1;
/// A session that was used within this time is not thrown out for another one (Kafka's bound).
const EVICTION_AGE_MS: i64 = 120_000;

/// A topic as the request names it: by name up to version 12, by id from version 13 on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum TopicKey {
    Name(Text),
    Id(Uuid),
}

impl TopicKey {
    /// The same key with memory of its own: a session outlives the frame that named the topic.
    fn detached(&self) -> Self {
        match self {
            TopicKey::Name(name) => TopicKey::Name(name.detached()),
            TopicKey::Id(id) => TopicKey::Id(*id),
        }
    }
}

/// What a fetch asks of one partition.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) topic: TopicKey,
    pub(crate) partition: PartitionIndex,
    pub(crate) fetch_offset: Offset,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) max_bytes: i32,
    /// Of a follower: where its log begins, or -1.
    pub(crate) log_start_offset: Offset,
    /// Of a follower: the high watermark that it knows, or more than any when it does not say.
    pub(crate) high_watermark: Offset,
}

type PartitionKey = (TopicKey, PartitionIndex);

/// One client's session.
#[derive(Debug)]
struct Session {
    id: i32,
    epoch: i32,
    by_id: bool,
    last_used_ms: i64,
    /// The partitions in the order in which they are served; those that got records go last.
    order: BTreeMap<u64, PartitionKey>,
    partitions: HashMap<PartitionKey, Cached>,
    next_order: u64,
}

#[derive(Debug)]
struct Cached {
    order: u64,
    wanted: Wanted,
    high_watermark: Offset,
    log_start_offset: Offset,
}

/// The sessions of this broker, at most `slots` of them.
pub(crate) struct FetchSessions {
    slots: usize,
    sessions: Mutex<HashMap<i32, Arc<Mutex<Session>>>>,
}

/// What one fetch is: which partitions it serves and how its answer is put together.
pub(crate) struct FetchContext {
    kind: Kind,
}

enum Kind {
    /// No session, neither before nor after.
    Sessionless(Vec<Wanted>),
    /// All partitions are named; a session is made if there is room.
    Full(Vec<Wanted>),
    /// The session's partitions are served.
    Incremental(Arc<Mutex<Session>>, Vec<Wanted>),
}

/// The parts of a request that concern sessions.
pub(crate) struct SessionRequest {
    pub(crate) session_id: i32,
    pub(crate) session_epoch: i32,
    pub(crate) by_id: bool,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) forgotten: Vec<PartitionKey>,
}

impl FetchSessions {
    pub(crate) fn new(slots: usize) -> Self {
        FetchSessions {
            slots,
            sessions: Mutex::new(HashMap::new()),
        }
    }

    /// How many sessions are open.
    pub(crate) fn len(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Finds or changes the session that the request speaks of.
    pub(crate) fn begin(
        &self,
        request: SessionRequest,
        now_ms: i64,
    ) -> Result<FetchContext, ErrorCode> {
        let SessionRequest {
            session_id,
            session_epoch,
            by_id,
            wanted,
            forgotten,
        } = request;
        if session_epoch == INITIAL_EPOCH || session_epoch == FINAL_EPOCH {
            if session_id != 0 {
                self.sessions.lock().remove(&session_id);
            }
            let kind = if session_epoch == FINAL_EPOCH {
                Kind::Sessionless(wanted)
            } else {
                Kind::Full(wanted)
            };
            return Ok(FetchContext { kind });
        }
        let session = self.sessions.lock().get(&session_id).cloned();
        let session = session.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let served = {
            let mut open = session.lock();
            if open.epoch != session_epoch {
                return Err(ErrorCode::InvalidFetchSessionEpoch);
            }
            if open.by_id != by_id {
                return Err(ErrorCode::FetchSessionTopicIdError);
            }
            open.epoch = next_epoch(session_epoch);
            open.last_used_ms = now_ms;
            open.update(wanted, &forgotten);
            open.served()
        };
        if served.is_empty() {
            self.sessions.lock().remove(&session_id);
            return Ok(FetchContext {
                kind: Kind::Sessionless(served),
            });
        }
        Ok(FetchContext {
            kind: Kind::Incremental(session, served),
        })
    }

    /// Makes a session for a full fetch and returns its id, or 0 when there is no room.
    fn open(&self, by_id: bool, results: &[(Wanted, PartitionData)], random: u64, now: i64) -> i32 {
        let mut sessions = self.sessions.lock();
        if sessions.len() >= self.slots && !evict_oldest(&mut sessions, now) {
            return 0;
        }
        let mut id = first_id(random);
        while sessions.contains_key(&id) {
            id = if id == i32::MAX { 1 } else { id + 1 };
        }
        let mut session = Session {
            id,
            epoch: next_epoch(INITIAL_EPOCH),
            by_id,
            last_used_ms: now,
            order: BTreeMap::new(),
            partitions: HashMap::new(),
            next_order: 0,
        };
        for (wanted, _) in results {
            session.insert(wanted.clone());
        }
        // Only now: those with records go behind all others.
        for (wanted, data) in results {
            session.note(wanted, data);
        }
        sessions.insert(id, Arc::new(Mutex::new(session)));
        id
    }
}

/// An id is a positive number that is hard to guess.
fn first_id(random: u64) -> i32 {
    ((random % (i32::MAX as u64 - 1)) + 1) as i32
}

/// Epochs wrap to 1: 0 and -1 have meanings of their own.
fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

fn evict_oldest(sessions: &mut HashMap<i32, Arc<Mutex<Session>>>, now_ms: i64) -> bool {
    // A session that is being answered right now is in use and not a candidate.
    let oldest = sessions
        .iter()
        .filter_map(|(id, s)| s.try_lock().map(|s| (s.last_used_ms, *id)))
        .min();
    match oldest {
        Some((used_ms, id)) if now_ms - used_ms > EVICTION_AGE_MS => {
            sessions.remove(&id);
            true
        }
        _ => false,
    }
}

impl FetchContext {
    /// The partitions to read, in the order in which they share the response's bytes.
    pub(crate) fn wanted(&self) -> &[Wanted] {
        match &self.kind {
            Kind::Sessionless(wanted) | Kind::Full(wanted) | Kind::Incremental(_, wanted) => wanted,
        }
    }

    /// The session that was there when the request came, or 0.
    pub(crate) fn session_id(&self) -> i32 {
        match &self.kind {
            Kind::Sessionless(_) | Kind::Full(_) => 0,
            Kind::Incremental(session, _) => session.lock().id,
        }
    }

    /// Chooses what goes into the answer and remembers it. Returns the session's id.
    pub(crate) fn finish(
        self,
        sessions: &FetchSessions,
        by_id: bool,
        results: Vec<(Wanted, PartitionData)>,
        random: u64,
        now_ms: i64,
    ) -> (i32, Vec<(Wanted, PartitionData)>) {
        match self.kind {
            Kind::Sessionless(_) => (0, results),
            Kind::Full(_) if results.is_empty() => (0, results),
            Kind::Full(_) => {
                let id = sessions.open(by_id, &results, random, now_ms);
                (id, results)
            }
            Kind::Incremental(session, _) => {
                let mut session = session.lock();
                let mut news = Vec::with_capacity(results.len());
                for (wanted, data) in results {
                    if session.note(&wanted, &data) {
                        news.push((wanted, data));
                    }
                }
                (session.id, news)
            }
        }
    }
}

impl Session {
    fn update(&mut self, wanted: Vec<Wanted>, forgotten: &[PartitionKey]) {
        for wanted in wanted {
            let key = (wanted.topic.clone(), wanted.partition);
            match self.partitions.get_mut(&key) {
                Some(cached) => {
                    let topic = cached.wanted.topic.clone();
                    cached.wanted = Wanted { topic, ..wanted };
                }
                None => self.insert(wanted),
            }
        }
        for key in forgotten {
            if let Some(cached) = self.partitions.remove(key) {
                self.order.remove(&cached.order);
            }
        }
    }

    fn insert(&mut self, mut wanted: Wanted) {
        wanted.topic = wanted.topic.detached();
        let key = (wanted.topic.clone(), wanted.partition);
        let order = self.next_order;
        self.next_order += 1;
        self.order.insert(order, key.clone());
        // Offsets that no log has: the first answer always names the partition.
        let cached = Cached {
            order,
            wanted,
            high_watermark: -1,
            log_start_offset: -1,
        };
        if let Some(before) = self.partitions.insert(key, cached) {
            self.order.remove(&before.order);
        }
    }

    fn served(&self) -> Vec<Wanted> {
        let wanted = |key| self.partitions.get(key).map(|c| c.wanted.clone());
        self.order.values().filter_map(wanted).collect()
    }

    /// Remembers what the client is told; `true` when it is news.
    fn note(&mut self, wanted: &Wanted, data: &PartitionData) -> bool {
        let key = (wanted.topic.clone(), wanted.partition);
        let Some(cached) = self.partitions.get_mut(&key) else {
            return true;
        };
        let has_records = data.records.as_ref().is_some_and(|r| !r.is_empty());
        let failed = data.error_code != ErrorCode::None.code();
        let moved = cached.high_watermark != data.high_watermark
            || cached.log_start_offset != data.log_start_offset;
        cached.high_watermark = data.high_watermark;
        cached.log_start_offset = data.log_start_offset;
        if failed {
            // After an error the client must hear of the partition's state again.
            cached.high_watermark = -1;
        }
        if has_records {
            let order = self.next_order;
            self.next_order += 1;
            // The key of the map, not that of the request, whose frame it would keep.
            let kept = self.order.remove(&cached.order).unwrap_or(key);
            cached.order = order;
            self.order.insert(order, kept);
        }
        has_records || failed || moved || data.diverging_epoch.end_offset >= 0
    }
}

#[cfg(test)]
mod tests;
