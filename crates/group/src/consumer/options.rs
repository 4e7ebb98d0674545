//! What an operator may set about consumer groups.

use super::assignor::Assignor;

/// Which way a group may change its protocol while it has members
/// (`group.consumer.migration.policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Both ways.
    Bidirectional,
    /// Only from the classic protocol to the new one.
    Upgrade,
    /// Only from the new protocol to the classic one.
    Downgrade,
    /// Not at all.
    Disabled,
}

impl MigrationPolicy {
    /// The policy of this name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        use MigrationPolicy::{Bidirectional, Disabled, Downgrade, Upgrade};
        let named = [
            ("bidirectional", Bidirectional),
            ("upgrade", Upgrade),
            ("downgrade", Downgrade),
            ("disabled", Disabled),
        ];
        named
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, policy)| policy)
    }

    pub(crate) fn allows_upgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    pub(crate) fn allows_downgrade(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

/// The limits and intervals of consumer groups. The names follow Kafka's properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerOptions {
    /// `group.consumer.session.timeout.ms`.
    pub session_timeout_ms: i32,
    /// `group.consumer.min.session.timeout.ms` to `group.consumer.max.session.timeout.ms`: what a
    /// group's own configuration is held to.
    pub session_timeout_ms_range: (i32, i32),
    /// `group.consumer.heartbeat.interval.ms`.
    pub heartbeat_interval_ms: i32,
    /// `group.consumer.min.heartbeat.interval.ms` to `group.consumer.max.heartbeat.interval.ms`.
    pub heartbeat_interval_ms_range: (i32, i32),
    /// `group.consumer.assignment.interval.ms`: the least time from one target assignment to the
    /// next.
    pub assignment_interval_ms: i32,
    /// `group.consumer.min.assignment.interval.ms` to `group.consumer.max.assignment.interval.ms`.
    pub assignment_interval_ms_range: (i32, i32),
    /// `group.consumer.max.size`.
    pub group_size_max: usize,
    /// `group.consumer.assignors`, the default one first; never empty.
    pub assignors: Vec<Assignor>,
    /// `group.consumer.migration.policy`.
    pub migration_policy: MigrationPolicy,
}

/// Kafka's defaults.
impl Default for ConsumerOptions {
    fn default() -> Self {
        ConsumerOptions {
            session_timeout_ms: 45_000,
            session_timeout_ms_range: (45_000, 60_000),
            heartbeat_interval_ms: 5_000,
            heartbeat_interval_ms_range: (5_000, 15_000),
            assignment_interval_ms: 1_000,
            assignment_interval_ms_range: (0, 15_000),
            group_size_max: i32::MAX as usize,
            assignors: vec![Assignor::Uniform, Assignor::Range],
            migration_policy: MigrationPolicy::Bidirectional,
        }
    }
}

impl ConsumerOptions {
    pub(crate) fn default_assignor(&self) -> Assignor {
        self.assignors.first().copied().unwrap_or(Assignor::Uniform)
    }

    pub(crate) fn session_timeout_ms(&self, own: Option<i32>) -> i32 {
        within(own, self.session_timeout_ms_range, self.session_timeout_ms)
    }

    pub(crate) fn heartbeat_interval_ms(&self, own: Option<i32>) -> i32 {
        let range = self.heartbeat_interval_ms_range;
        within(own, range, self.heartbeat_interval_ms)
    }

    pub(crate) fn assignment_interval_ms(&self, own: Option<i32>) -> i32 {
        let range = self.assignment_interval_ms_range;
        within(own, range, self.assignment_interval_ms)
    }
}

/// A group's own value, held to the broker's limits, or else the broker's. The limits may have
/// become tighter after the value was set.
fn within(own: Option<i32>, (min, max): (i32, i32), of_broker: i32) -> i32 {
    own.map_or(of_broker, |own| own.min(max).max(min))
}
