//! What an operator may set about groups.

use crate::consumer::options::ConsumerOptions;

/// The limits and delays of classic groups and of committed offsets.
///
/// The names follow Kafka's properties; each field says which one it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `group.min.session.timeout.ms`: shorter session timeouts are refused.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`: longer session timeouts are refused.
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members.
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`: the largest number of members of one group.
    pub group_size_max: usize,
    /// How long the JoinGroup of a new member may stay parked before the member is dropped. Kafka
    /// keeps this fixed at five minutes: such a member cannot heartbeat yet, so nothing else would
    /// ever clear it away after its client is gone.
    pub new_member_join_timeout_ms: i32,
    /// `offset.metadata.max.bytes`, counted as Kafka does in UTF-16 units.
    pub offset_metadata_len_max: usize,
    /// `offsets.retention.minutes`, in milliseconds (KIP-211).
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`: how often expired offsets are looked for.
    pub offsets_retention_check_interval_ms: i64,
    /// What concerns the groups of the new protocol.
    pub consumer: ConsumerOptions,
}

/// Kafka's defaults.
impl Default for Options {
    fn default() -> Self {
        Options {
            session_timeout_ms_min: 6_000,
            session_timeout_ms_max: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            group_size_max: i32::MAX as usize,
            new_member_join_timeout_ms: 5 * 60 * 1_000,
            offset_metadata_len_max: 4_096,
            offsets_retention_ms: 7 * 24 * 60 * 60 * 1_000,
            offsets_retention_check_interval_ms: 600_000,
            consumer: ConsumerOptions::default(),
        }
    }
}
