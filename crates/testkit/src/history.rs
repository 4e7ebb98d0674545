//! What clients did and what they were told, one line each, written before and right after.
//!
//! ```text
//! MICROSECONDS WORD FIELDS…
//!   begin N            commit N → committed N            abort N → aborted N            error N WHY…
//!   send N TOPIC PARTITION VALUE → acked N TOPIC PARTITION VALUE OFFSET | refused N TOPIC PARTITION VALUE WHY…
//!   position TOPIC PARTITION OFFSET      a consumer begins, or goes on somewhere else; -1 is not known
//!   revoked TOPIC PARTITION              a group's member must stop reading it
//!   read TOPIC PARTITION OFFSET VALUE
//!   commit-offset TOPIC PARTITION OFFSET → offset-committed TOPIC PARTITION OFFSET
//!   ask-offset TOPIC PARTITION → offset-told TOPIC PARTITION OFFSET       -1 is none
//! ```
//!
//! `N` is the number of a transaction, and 0 outside of one. Clients in other languages write the same
//! lines (`clients/java`, `clients/checker`); a client that is killed leaves a last line without its end.

mod journal;

use std::collections::{BTreeMap, BTreeSet};

pub use journal::{Journal, now_us};

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The topic's name.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

impl Place {
    /// A partition of this topic.
    pub fn of(topic: &str, partition: i32) -> Place {
        Place {
            topic: topic.to_owned(),
            partition,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the module's page explains each of them")]
pub enum Event {
    Begin {
        number: u64,
    },
    Commit {
        number: u64,
    },
    Committed {
        number: u64,
    },
    Abort {
        number: u64,
    },
    Aborted {
        number: u64,
    },
    Error {
        number: u64,
        why: String,
    },
    Send {
        number: u64,
        at: Place,
        value: String,
    },
    Acked {
        number: u64,
        at: Place,
        value: String,
        offset: i64,
    },
    Refused {
        number: u64,
        at: Place,
        value: String,
        why: String,
    },
    Position {
        at: Place,
        offset: i64,
    },
    Revoked {
        at: Place,
    },
    Read {
        at: Place,
        offset: i64,
        value: String,
    },
    CommitOffset {
        at: Place,
        offset: i64,
    },
    OffsetCommitted {
        at: Place,
        offset: i64,
    },
    AskOffset {
        at: Place,
    },
    OffsetTold {
        at: Place,
        offset: i64,
    },
}

/// A line with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The machine's clock in microseconds.
    pub at_us: u64,
    /// What happened.
    pub event: Event,
}

/// Who wrote a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// An idempotent producer, or a transactional one.
    Producer,
    /// A consumer that chooses its partitions.
    Reader {
        /// It reads only what is committed.
        committed: bool,
    },
    /// A member of a consumer group.
    Member {
        /// The group.
        group: String,
    },
    /// Somebody who asks for a group's committed offsets.
    Observer {
        /// The group.
        group: String,
    },
}

/// One client's life.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name; a client that is started again after its end has a new one.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// In the order in which it wrote them.
    pub entries: Vec<Entry>,
}

impl Client {
    /// The events without their times.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.entries.iter().map(|entry| &entry.event)
    }
}

/// What a partition holds in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// By offset, all records with a value.
    pub everything: BTreeMap<i64, String>,
    /// Those of committed transactions, and those of none.
    pub committed: BTreeMap<i64, String>,
}

/// All that is known of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Every client.
    pub clients: Vec<Client>,
    /// Every partition that they used.
    pub stored: BTreeMap<Place, Stored>,
    /// The offsets that groups have committed in the end.
    pub group_offsets: BTreeMap<(String, Place), i64>,
    /// Records that their client wrote again in a new epoch of its producer id, since it did not know
    /// whether it had been heard. librdkafka does so; brokers cannot tell.
    pub written_again: BTreeSet<(Place, String)>,
    /// Records that were moved in transactions: from the first topic to the second, by this group,
    /// each partition to the same partition.
    pub moves: Option<Moves>,
    /// Times, in microseconds, in which a coordinator may not have heard that another one has taken
    /// its place: it stood still, or did not hear the others. What it tells until then may be as old
    /// as the beginning of such a time. Apache Kafka's coordinators do the same: a broker that hears
    /// nothing goes on, for it may be the controller that is gone.
    pub unaware: Vec<(u64, u64)>,
}

/// Where transactions move records, together with the offsets of what they read.
#[derive(Clone, Debug)]
pub struct Moves {
    /// They read here.
    pub from: String,
    /// They write here.
    pub to: String,
    /// They commit their offsets as this group.
    pub group: String,
}

impl History {
    /// The clients that produce.
    pub fn producers(&self) -> impl Iterator<Item = &Client> {
        self.clients
            .iter()
            .filter(|client| client.role == Role::Producer)
    }

    /// All values that are committed, with their partitions.
    pub fn committed_values(&self) -> BTreeSet<(&Place, &str)> {
        let stored = self.stored.iter();
        stored
            .flat_map(|(place, s)| s.committed.values().map(move |v| (place, v.as_str())))
            .collect()
    }

    /// Where each value lies in a partition, by value.
    pub fn offsets_of_values(&self) -> BTreeMap<(&Place, &str), Vec<i64>> {
        let mut found: BTreeMap<(&Place, &str), Vec<i64>> = BTreeMap::new();
        for (place, stored) in &self.stored {
            for (offset, value) in &stored.everything {
                found.entry((place, value)).or_default().push(*offset);
            }
        }
        found
    }
}
