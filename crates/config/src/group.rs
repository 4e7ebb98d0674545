//! The properties of groups: resources of the type GROUP (KIP-848, KIP-932, KIP-1071).

use std::collections::BTreeMap;

use crate::declare::declare_properties;
use crate::error::InvalidConfig;
use crate::node::NodeConfig;
use crate::others;
use crate::overrides;
use crate::property::{
    Bounds::{Any, AtLeast, OneOf},
    Effect::{NoEffect, Refused, Works},
    Property,
};
use crate::topic::inherited;

const NO_SHARE: &str = "share groups are not supported yet";
const NO_STREAMS: &str = "streams groups are not supported yet";

declare_properties! {
    /// The properties of one group: its own settings, or else the node's, or else Kafka's defaults.
    ///
    /// Numbers lie within the bounds that the node's `group.*.min.*` and `group.*.max.*` set.
    pub struct GroupConfig { table GROUP_PROPERTIES }

    Groups {
        consumer_session_timeout_ms: i32 = "45000", "consumer.session.timeout.ms",
            AtLeast(1), Ms, Live, Works, from [("group.consumer.session.timeout.ms", 1)];
            "A member of a consumer group (KIP-848) without a heartbeat for this long is taken out of it."
        consumer_heartbeat_interval_ms: i32 = "5000", "consumer.heartbeat.interval.ms",
            AtLeast(1), Ms, Live, Works, from [("group.consumer.heartbeat.interval.ms", 1)];
            "How often the members of a consumer group (KIP-848) send heartbeats."
        consumer_assignment_interval_ms: i32 = "1000", "consumer.assignment.interval.ms",
            AtLeast(0), Ms, Live, Works, from [("group.consumer.assignment.interval.ms", 1)];
            "The least time between two assignments of a consumer group (KIP-848)."
        consumer_assignor_offload_enable: bool = "true", "consumer.assignor.offload.enable",
            Any, None, Live, NoEffect("an assignment never holds up other groups' heartbeats for long"),
            from [("group.consumer.assignor.offload.enable", 1)];
            "Whether assignments are computed by a thread of their own."
        share_session_timeout_ms: i32 = "45000", "share.session.timeout.ms",
            AtLeast(1), Ms, Live, Refused(NO_SHARE), from [("group.share.session.timeout.ms", 1)];
            "A member of a share group without a heartbeat for this long is taken out of it."
        share_heartbeat_interval_ms: i32 = "5000", "share.heartbeat.interval.ms",
            AtLeast(1), Ms, Live, Refused(NO_SHARE), from [("group.share.heartbeat.interval.ms", 1)];
            "How often the members of a share group send heartbeats."
        share_record_lock_duration_ms: i32 = "30000", "share.record.lock.duration.ms",
            AtLeast(1000), Ms, Live, Refused(NO_SHARE), from [("group.share.record.lock.duration.ms", 1)];
            "How long a record of a share group stays with the member that fetched it."
        share_delivery_count_limit: i32 = "5", "share.delivery.count.limit",
            AtLeast(2), Count, Live, Refused(NO_SHARE), from [("group.share.delivery.count.limit", 1)];
            "How often a share group tries to deliver a record."
        share_partition_max_record_locks: i32 = "2000", "share.partition.max.record.locks",
            AtLeast(100), Count, Live, Refused(NO_SHARE), from [("group.share.partition.max.record.locks", 1)];
            "How many records of a partition a share group may have under way."
        share_auto_offset_reset: String = "latest", "share.auto.offset.reset",
            Any, None, Live, Refused(NO_SHARE);
            "Where a share group begins: earliest, latest, or by_duration:<ISO 8601>."
        share_isolation_level: String = "read_uncommitted", "share.isolation.level",
            OneOf(&["read_committed", "read_uncommitted"]), None, Live, Refused(NO_SHARE);
            "Whether a share group waits for the end of transactions."
        share_renew_acknowledge_enable: bool = "true", "share.renew.acknowledge.enable",
            Any, None, Live, Refused(NO_SHARE);
            "Whether members of a share group may renew the time that they have for a record."
        share_assignment_interval_ms: i32 = "1000", "share.assignment.interval.ms",
            AtLeast(0), Ms, Live, Refused(NO_SHARE), from [("group.share.assignment.interval.ms", 1)];
            "The least time between two assignments of a share group."
        share_assignor_offload_enable: bool = "true", "share.assignor.offload.enable",
            Any, None, Live, Refused(NO_SHARE), from [("group.share.assignor.offload.enable", 1)];
            "Whether assignments of a share group are computed by a thread of their own."
        errors_deadletterqueue_topic_name: String = "", "errors.deadletterqueue.topic.name",
            Any, None, Live, Refused(NO_SHARE);
            "The topic for records that a share group could not process."
        errors_deadletterqueue_copy_record_enable: bool = "false",
            "errors.deadletterqueue.copy.record.enable",
            Any, None, Live, Refused(NO_SHARE);
            "Whether such a record is copied, or only described."
        streams_session_timeout_ms: i32 = "45000", "streams.session.timeout.ms",
            AtLeast(1), Ms, Live, Refused(NO_STREAMS), from [("group.streams.session.timeout.ms", 1)];
            "A member of a streams group without a heartbeat for this long is taken out of it."
        streams_heartbeat_interval_ms: i32 = "5000", "streams.heartbeat.interval.ms",
            AtLeast(1), Ms, Live, Refused(NO_STREAMS), from [("group.streams.heartbeat.interval.ms", 1)];
            "How often the members of a streams group send heartbeats."
        streams_num_standby_replicas: i32 = "0", "streams.num.standby.replicas",
            AtLeast(0), Count, Live, Refused(NO_STREAMS), from [("group.streams.num.standby.replicas", 1)];
            "The standby copies of each task's state."
        streams_initial_rebalance_delay_ms: i32 = "3000", "streams.initial.rebalance.delay.ms",
            AtLeast(0), Ms, Live, Refused(NO_STREAMS), from [("group.streams.initial.rebalance.delay.ms", 1)];
            "How long an empty streams group waits for more members."
        streams_assignment_interval_ms: i32 = "1000", "streams.assignment.interval.ms",
            AtLeast(0), Ms, Live, Refused(NO_STREAMS), from [("group.streams.assignment.interval.ms", 1)];
            "The least time between two assignments of a streams group."
        streams_assignor_offload_enable: bool = "true", "streams.assignor.offload.enable",
            Any, None, Live, Refused(NO_STREAMS), from [("group.streams.assignor.offload.enable", 1)];
            "Whether assignments of a streams group are computed by a thread of their own."
        streams_task_offset_interval_ms: i32 = "60000", "streams.task.offset.interval.ms",
            AtLeast(1), Ms, Live, Refused(NO_STREAMS), from [("group.streams.task.offset.interval.ms", 1)];
            "How often the members of a streams group tell how far their tasks are."
        streams_num_warmup_replicas: i32 = "2", "streams.num.warmup.replicas",
            AtLeast(0), Count, Live, Refused(NO_STREAMS), from [("group.streams.num.warmup.replicas", 1)];
            "The copies of state that are warmed up at a time."
        streams_rack_aware_assignment_tags: Vec<String> = "", "streams.rack.aware.assignment.tags",
            Any, None, Live, Refused(NO_STREAMS), from [("group.streams.rack.aware.assignment.tags", 1)];
            "The clients' tags that standby copies are spread over."
        streams_acceptable_recovery_lag: i64 = "10000", "streams.acceptable.recovery.lag",
            AtLeast(0), Count, Live, Refused(NO_STREAMS), from [("group.streams.acceptable.recovery.lag", 1)];
            "How far behind a copy of state may be to take over."
        streams_assignor_name: Option<String>, "streams.assignor.name",
            Any, None, Live, Refused(NO_STREAMS);
            "The assignor of a streams group; unset, the first of group.streams.assignors."
    }
}

/// A number of a group, with the node's properties that bound it.
struct Bounded {
    name: &'static str,
    min: &'static str,
    max: &'static str,
}

#[rustfmt::skip]
static BOUNDED: &[Bounded] = &[
    Bounded { name: "consumer.session.timeout.ms", min: "group.consumer.min.session.timeout.ms", max: "group.consumer.max.session.timeout.ms" },
    Bounded { name: "consumer.heartbeat.interval.ms", min: "group.consumer.min.heartbeat.interval.ms", max: "group.consumer.max.heartbeat.interval.ms" },
    Bounded { name: "consumer.assignment.interval.ms", min: "group.consumer.min.assignment.interval.ms", max: "group.consumer.max.assignment.interval.ms" },
];

impl GroupConfig {
    /// What applies to a group. Its own settings were checked when they were made; the node's
    /// bounds may have changed since, so numbers are brought within them, as in Kafka.
    ///
    /// # Errors
    /// The text for `INVALID_CONFIG`, when a setting cannot be read.
    pub fn resolve(
        node: &NodeConfig,
        overrides: &BTreeMap<String, String>,
    ) -> Result<GroupConfig, InvalidConfig> {
        overrides::check("group config name", &find, overrides)?;
        let text_of = |property: &Property| match overrides.get(property.name) {
            Some(value) => Some(within_bounds(node, property, value)),
            None => inherited(property, &node.settings),
        };
        GroupConfig::read(&text_of).map_err(|name| InvalidConfig::InvalidValue {
            name: name.to_owned(),
            value: overrides.get(name).cloned().unwrap_or_default(),
            reason: "The value cannot be read".to_owned(),
        })
    }

    /// Checks all settings that a group would have.
    ///
    /// # Errors
    /// The text for `INVALID_CONFIG`, as Kafka words it.
    pub fn check(
        node: &NodeConfig,
        overrides: &BTreeMap<String, String>,
    ) -> Result<(), InvalidConfig> {
        overrides::check("group config name", &find, overrides)?;
        for bounded in BOUNDED {
            let Some(value) = overrides.get(bounded.name) else {
                continue;
            };
            let (min, max) = bounded.of(node);
            let within = value
                .trim()
                .parse()
                .is_ok_and(|n: i64| (min..=max).contains(&n));
            if !within {
                return Err(InvalidConfig::OutOfRange {
                    name: bounded.name,
                    value: value.clone(),
                    min: (bounded.min, min),
                    max: (bounded.max, max),
                });
            }
        }
        let (session, heartbeat) = (
            "consumer.session.timeout.ms",
            "consumer.heartbeat.interval.ms",
        );
        if overrides.contains_key(session) || overrides.contains_key(heartbeat) {
            let config = GroupConfig::resolve(node, overrides)?;
            if config.consumer_session_timeout_ms <= config.consumer_heartbeat_interval_ms {
                return Err(InvalidConfig::NotGreater {
                    greater: session,
                    greater_value: config.consumer_session_timeout_ms.into(),
                    smaller: heartbeat,
                    smaller_value: config.consumer_heartbeat_interval_ms.into(),
                });
            }
        }
        Ok(())
    }
}

impl Bounded {
    fn of(&self, node: &NodeConfig) -> (i64, i64) {
        let bound = |name: &str, otherwise: i64| {
            let property = others::find(name);
            let text = property.and_then(|p| crate::judge::text_of(p, &node.settings));
            text.and_then(|t| t.trim().parse().ok())
                .unwrap_or(otherwise)
        };
        (bound(self.min, i64::MIN), bound(self.max, i64::MAX))
    }
}

fn within_bounds(node: &NodeConfig, property: &Property, value: &str) -> String {
    let bounded = BOUNDED.iter().find(|bounded| bounded.name == property.name);
    match (bounded, value.trim().parse::<i64>()) {
        (Some(bounded), Ok(number)) => {
            let (min, max) = bounded.of(node);
            number.max(min).min(max).to_string()
        }
        _ => value.to_owned(),
    }
}

/// The value that a list of a group has by default; `None` when the property is no list.
#[must_use]
pub fn group_list_default(name: &str) -> Option<&'static str> {
    crate::dynamic::list_default(find(name)?)
}

/// The declaration of a group property.
pub(crate) fn find(name: &str) -> Option<&'static Property> {
    GROUP_PROPERTIES
        .iter()
        .find(|property| property.name == name)
}

#[cfg(test)]
mod tests;
