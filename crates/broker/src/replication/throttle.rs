//! Bounds for the replication of replicas that their topics name: moves must not starve clients
//! (KIP-73).

use ottla_config::TopicConfig;
use ottla_model::BrokerId;
use ottla_security::quota::{Window, WindowedRate};
use parking_lot::Mutex;

use crate::partitions::Partition;

/// Which side of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// What this broker sends to followers.
    Leader,
    /// What this broker fetches as a follower.
    Follower,
}

/// What a node allows, and what has passed lately.
pub(crate) struct Throttle {
    me: BrokerId,
    window: Window,
    sides: Mutex<[Measured; 2]>,
}

#[derive(Default)]
struct Measured {
    rate: WindowedRate,
    /// Bytes a second; none for no bound.
    limit: Option<f64>,
}

impl Throttle {
    pub(crate) fn new(me: BrokerId, window: Window) -> Self {
        Throttle {
            me,
            window,
            sides: Mutex::default(),
        }
    }

    /// Takes over what is configured, in bytes a second; Kafka's largest number means no bound.
    pub(crate) fn set_limits(&self, leader: i64, follower: i64) {
        let limit = |bytes: i64| (bytes != i64::MAX).then_some(bytes as f64);
        let mut sides = self.sides.lock();
        sides[0].limit = limit(leader);
        sides[1].limit = limit(follower);
    }

    /// Whether a partition's replica on this broker is throttled on that side.
    pub(crate) fn applies(&self, side: Side, partition: &Partition) -> bool {
        if self.sides.lock()[side as usize].limit.is_none() {
            return false;
        }
        let config = partition.config();
        let replicas = throttled(&config, side);
        let me = format!("{}:{}", partition.index, self.me);
        replicas.iter().any(|entry| *entry == "*" || *entry == me)
    }

    /// Whether more has passed lately than is allowed.
    pub(crate) fn is_exceeded(&self, side: Side, now_ms: i64) -> bool {
        let mut sides = self.sides.lock();
        let measured = &mut sides[side as usize];
        let Some(limit) = measured.limit else {
            return false;
        };
        measured.rate.per_second(self.window, now_ms) > limit
    }

    /// Takes note of bytes of throttled replicas.
    pub(crate) fn record(&self, side: Side, bytes: usize, now_ms: i64) {
        let mut sides = self.sides.lock();
        let measured = &mut sides[side as usize];
        if measured.limit.is_some() && bytes > 0 {
            measured.rate.record(self.window, bytes as f64, now_ms);
        }
    }
}

fn throttled(config: &TopicConfig, side: Side) -> &[String] {
    match side {
        Side::Leader => &config.leader_replication_throttled_replicas,
        Side::Follower => &config.follower_replication_throttled_replicas,
    }
}
