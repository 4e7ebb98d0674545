//! What the clients asked and what they were told, in the order of virtual time.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Which record: its writer, and the writer's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RecordId {
    pub(crate) writer: u32,
    pub(crate) number: u64,
}

/// A replica's committed part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Replica {
    pub(crate) node: usize,
    pub(crate) start: i64,
    pub(crate) high_watermark: i64,
    /// Its batches up to the high watermark, in order.
    pub(crate) batches: Vec<StoredBatch>,
}

/// A batch on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StoredBatch {
    pub(crate) base_offset: i64,
    pub(crate) leader_epoch: i32,
    /// Of all its bytes.
    pub(crate) digest: u64,
}

/// Who has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reader {
    /// Follows the partitions while there are faults.
    Tail,
    /// Reads everything when the faults are over.
    Audit,
}

/// A moment of the run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A record was given to a producer.
    Sent {
        id: RecordId,
        place: Place,
        value: Bytes,
    },
    /// The record was acknowledged; no offset when the broker only said that it has it already.
    Acknowledged { id: RecordId, offset: Option<i64> },
    /// The producer gave up: the record may be there or not.
    GaveUp { id: RecordId, error: String },
    /// A record was read.
    Read {
        reader: Reader,
        place: Place,
        offset: i64,
        value: Bytes,
    },
    /// The tailing reader goes on at an offset.
    Positioned { place: Place, offset: i64 },
    /// The end of a partition that can be read (its high watermark), as ListOffsets told.
    EndSeen { place: Place, offset: i64 },
    /// The start of a partition.
    StartSeen { place: Place, offset: i64 },
    /// A group's offset is to be committed.
    CommitAsked { place: Place, offset: i64 },
    /// The last commit that was asked for is done.
    CommitAcknowledged { place: Place, offset: i64 },
    /// A group's committed offset was asked for; `None` when there is none.
    CommitSeen { place: Place, offset: Option<i64> },
    /// A topic is to be created.
    TopicAsked { name: String },
    /// It exists.
    TopicAcknowledged { name: String },
    /// A topic is to be deleted.
    DeleteAsked { name: String },
    /// It is gone.
    DeleteAcknowledged { name: String },
    /// All topics with their number of partitions, when the faults are over.
    TopicsSeen { topics: Vec<(String, usize)> },
    /// Somebody got an answer that a correct client can only understand as an error for good.
    Refused { who: &'static str, error: String },
    /// Something that could not be done in time, as happens while the node is away.
    Missed { who: &'static str, error: String },
    /// What was done to a node or to the network, or happened to it.
    Node { what: String },
    /// A node shows metadata up to this offset; the digest is of all that it shows.
    ImageSeen {
        node: usize,
        offset: i64,
        digest: u64,
    },
    /// A node's metadata says who leads a partition; the offset is the metadata's. Ids tell topics of
    /// the same name apart.
    LeaderSeen {
        node: usize,
        offset: i64,
        topic_id: [u8; 16],
        partition: i32,
        leader_epoch: i32,
        leader: Option<i32>,
    },
    /// A node's metadata says in which life a broker has an epoch; the offset is the metadata's.
    BrokerSeen {
        node: usize,
        offset: i64,
        broker: i32,
        broker_epoch: i64,
        incarnation: [u8; 16],
    },
    /// A node knows who leads the metadata quorum.
    ControllerSeen { node: usize, term: u64, leader: u64 },
    /// The committed part of a replica, when all is at rest.
    ReplicaSeen { place: Place, replica: Replica },
    /// All nodes were at rest, and what they have was looked at.
    AtRest { nodes: usize },
    /// An operator has asked for a change of the cluster.
    Moved { what: String },
    /// The audit has read everything.
    AuditEnded,
}

/// An event and when it was, in milliseconds of virtual time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) at_ms: u64,
    pub(crate) event: Event,
}

/// The history of one run; clones are the same.
#[derive(Clone, Default)]
pub(crate) struct History(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    now_ms: u64,
    entries: Vec<Entry>,
}

impl History {
    /// The world's clock goes on.
    pub(crate) fn set_now_ms(&self, now_ms: u64) {
        self.0.lock().now_ms = now_ms;
    }

    pub(crate) fn note(&self, event: Event) {
        let mut inner = self.0.lock();
        let at_ms = inner.now_ms;
        tracing::debug!(target: "ottla_sim", at_ms, ?event);
        inner.entries.push(Entry { at_ms, event });
    }

    /// What a client that failed is to be remembered for.
    pub(crate) fn note_error(&self, who: &'static str, error: &ottla_client::Error) {
        let last = match error {
            ottla_client::Error::Deadline { last, .. } => last,
            other => other,
        };
        let text = error.to_string();
        self.note(if last.is_retriable() {
            Event::Missed { who, error: text }
        } else {
            Event::Refused { who, error: text }
        });
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.lock().entries.clone()
    }
}

/// A number that is different when anything in the history is.
pub(crate) fn digest(entries: &[Entry]) -> u64 {
    let mut hasher = DefaultHasher::new();
    entries.hash(&mut hasher);
    hasher.finish()
}

/// A record's bytes: who wrote it, and filling that follows from that.
pub(crate) fn value(id: RecordId, len: usize) -> Bytes {
    let mut bytes = format!("{}:{}:", id.writer, id.number).into_bytes();
    let mut state = u64::from(id.writer) << 32 | id.number;
    while bytes.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    Bytes::from(bytes)
}

/// The record that the bytes say to be.
pub(crate) fn id_of(value: &[u8]) -> Option<RecordId> {
    let mut parts = value.splitn(3, |b| *b == b':');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse().ok();
    let (writer, number): (u64, u64) = (number()?, number()?);
    let writer = u32::try_from(writer).ok()?;
    Some(RecordId { writer, number })
}
