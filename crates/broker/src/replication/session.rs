//! A follower's fetch session with its leader (KIP-227): after a first full fetch only changes are
//! sent.

use std::collections::BTreeMap;

use ottla_model::{BrokerId, LeaderEpoch, Offset};
use ottla_wire::messages::FetchRequest;
use ottla_wire::messages::fetch_request::{
    FetchPartition, FetchTopic, ForgottenTopic, ReplicaState,
};

use super::fetchers::Key;

/// From this version on the replica names itself with its registration (KIP-903).
const REPLICA_STATE: i16 = 15;
/// A fetch without a session before it.
const INITIAL_EPOCH: i32 = 0;

/// What is asked of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) leader_epoch: LeaderEpoch,
    pub(super) fetch_offset: Offset,
    pub(super) last_fetched_epoch: LeaderEpoch,
    pub(super) log_start_offset: Offset,
    pub(super) high_watermark: Offset,
}

/// Limits of each fetch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) max_wait_ms: i32,
    pub(super) min_bytes: i32,
    pub(super) max_bytes: i32,
    pub(super) partition_max_bytes: i32,
}

/// Who fetches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replica {
    pub(super) id: BrokerId,
    pub(super) epoch: i64,
}

/// What the leader knows of this follower.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
    known: BTreeMap<Key, Asked>,
}

impl Session {
    /// The next request, in a version from 13 on (topics by id).
    pub(super) fn request(
        &mut self,
        version: i16,
        replica: Replica,
        bounds: Bounds,
        wanted: &BTreeMap<Key, Asked>,
    ) -> FetchRequest {
        let is_full = self.epoch == INITIAL_EPOCH;
        if is_full {
            self.known.clear();
        }
        let mut topics: Vec<FetchTopic> = Vec::new();
        for (key, asked) in wanted {
            if self.known.get(key) == Some(asked) {
                continue;
            }
            let (topic_id, partition) = *key;
            if topics.last().is_none_or(|t| t.topic_id != topic_id) {
                topics.push(FetchTopic {
                    topic_id,
                    ..FetchTopic::default()
                });
            }
            if let Some(topic) = topics.last_mut() {
                topic.partitions.push(FetchPartition {
                    partition,
                    current_leader_epoch: asked.leader_epoch,
                    fetch_offset: asked.fetch_offset,
                    last_fetched_epoch: asked.last_fetched_epoch,
                    log_start_offset: asked.log_start_offset,
                    partition_max_bytes: bounds.partition_max_bytes,
                    high_watermark: asked.high_watermark,
                    ..FetchPartition::default()
                });
            }
        }
        let forgotten = self.forgotten(wanted);
        self.known.clone_from(wanted);
        let mut request = FetchRequest {
            max_wait_ms: bounds.max_wait_ms,
            min_bytes: bounds.min_bytes,
            max_bytes: bounds.max_bytes,
            session_id: self.id,
            session_epoch: self.epoch,
            topics,
            forgotten_topics_data: forgotten,
            ..FetchRequest::default()
        };
        if version >= REPLICA_STATE {
            request.replica_state = ReplicaState {
                replica_id: replica.id.0,
                replica_epoch: replica.epoch,
                ..ReplicaState::default()
            };
        } else {
            request.replica_id = replica.id.0;
        }
        request
    }

    fn forgotten(&self, wanted: &BTreeMap<Key, Asked>) -> Vec<ForgottenTopic> {
        let mut forgotten: Vec<ForgottenTopic> = Vec::new();
        for (topic_id, partition) in self.known.keys().filter(|key| !wanted.contains_key(key)) {
            if forgotten.last().is_none_or(|t| t.topic_id != *topic_id) {
                forgotten.push(ForgottenTopic {
                    topic_id: *topic_id,
                    ..ForgottenTopic::default()
                });
            }
            if let Some(topic) = forgotten.last_mut() {
                topic.partitions.push(*partition);
            }
        }
        forgotten
    }

    /// Takes note of an answer; the leader may have had no room for a session.
    pub(super) fn answered(&mut self, session_id: i32) {
        if session_id == 0 {
            self.reset();
            return;
        }
        self.id = session_id;
        self.epoch = if self.epoch == i32::MAX {
            1
        } else {
            self.epoch + 1
        };
    }

    /// The next fetch names everything.
    pub(super) fn reset(&mut self) {
        *self = Session::default();
    }
}

#[cfg(test)]
mod tests {
    use ottla_model::Uuid;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 1000,
        partition_max_bytes: 100,
    };
    const ME: Replica = Replica {
        id: BrokerId(2),
        epoch: 7,
    };

    fn asked(fetch_offset: Offset) -> Asked {
        Asked {
            leader_epoch: 1,
            fetch_offset,
            last_fetched_epoch: 1,
            log_start_offset: 0,
            high_watermark: 0,
        }
    }

    fn named(request: &FetchRequest) -> Vec<i32> {
        let topics = request.topics.iter();
        topics
            .flat_map(|t| t.partitions.iter().map(|p| p.partition))
            .collect()
    }

    #[test]
    fn after_a_full_fetch_only_changes_are_named() {
        let topic = Uuid([1; 16]);
        let mut session = Session::default();
        let mut wanted: BTreeMap<Key, Asked> = (0..3).map(|p| ((topic, p), asked(0))).collect();
        let first = session.request(18, ME, BOUNDS, &wanted);
        assert_eq!((named(&first), first.session_epoch), (vec![0, 1, 2], 0));
        assert_eq!(first.replica_state.replica_epoch, 7);
        session.answered(77);
        wanted.insert((topic, 1), asked(5));
        wanted.remove(&(topic, 2));
        let second = session.request(18, ME, BOUNDS, &wanted);
        assert_eq!(
            (named(&second), second.session_id, second.session_epoch),
            (vec![1], 77, 1)
        );
        assert_eq!(second.forgotten_topics_data[0].partitions, [2]);
        session.reset();
        let third = session.request(14, ME, BOUNDS, &wanted);
        assert_eq!((named(&third), third.session_id), (vec![0, 1], 0));
        assert_eq!(third.replica_id, 2);
    }
}
