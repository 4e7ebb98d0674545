//! The properties of topics.

use std::collections::BTreeMap;

use crate::declare::declare_properties;
use crate::error::InvalidConfig;
use crate::field::{CleanupPolicy, CompressionType, TimestampType};
use crate::node::NodeConfig;
use crate::overrides;
use crate::property::{
    Bounds::{Any, AtLeast, Between, BetweenOr, OneOf, Replicas},
    Effect::{NoEffect, Refused, Works},
    Property,
};
use crate::sources::Setting;

const ONE_LZ4: &str = "lz4 is always compressed by its fast method";
const NO_TIER: &str = "tiered storage is not supported yet";

declare_properties! {
    /// The properties of one topic: its own settings, or else the node's, or else Kafka's defaults.
    pub struct TopicConfig { table TOPIC_PROPERTIES }

    Log {
        segment_bytes: i32 = "1073741824", "segment.bytes",
            AtLeast(1024 * 1024), Bytes, Live, Works, from [("log.segment.bytes", 1)];
            "A segment that would outgrow this size is closed and a new one begins."
        segment_ms: i64 = "604800000", "segment.ms",
            AtLeast(1), Ms, Live, Works,
            from [("log.roll.ms", 1), ("log.roll.hours", 3_600_000)];
            "A segment older than this is closed even when it is not full, so that retention can reach it."
        segment_jitter_ms: i64 = "0", "segment.jitter.ms",
            AtLeast(0), Ms, Live, Works,
            from [("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", 3_600_000)];
            "The most that is taken off segment.ms at random, so that segments do not all roll at once."
        segment_index_bytes: i32 = "10485760", "segment.index.bytes",
            AtLeast(4), Bytes, Live, Works, from [("log.index.size.max.bytes", 1)];
            "The largest offset index; a segment whose index is full is closed."
        index_interval_bytes: i32 = "4096", "index.interval.bytes",
            AtLeast(0), Bytes, Live, Works, from [("log.index.interval.bytes", 1)];
            "Roughly how many bytes of records lie between two index entries."
        preallocate: bool = "false", "preallocate",
            Any, None, Live, Works,
            from [("log.preallocate", 1)];
            "Whether a new segment takes its whole size on disk at once."
        cleanup_policy: CleanupPolicy = "delete", "cleanup.policy",
            OneOf(CleanupPolicy::NAMES), None, Live, Works, from [("log.cleanup.policy", 1)];
            "What happens to old segments: delete, compact (of each key only the last record stays), both, or (empty) nothing."
        retention_ms: i64 = "604800000", "retention.ms",
            AtLeast(-1), Ms, Live, Works,
            from [("log.retention.ms", 1), ("log.retention.minutes", 60_000),
                  ("log.retention.hours", 3_600_000)];
            "Segments whose newest record is older than this are deleted; -1 keeps them for ever."
        retention_bytes: i64 = "-1", "retention.bytes",
            Any, Bytes, Live, Works, from [("log.retention.bytes", 1)];
            "The oldest segments of a partition are deleted while it is larger than this; -1 sets no limit."
        file_delete_delay_ms: i64 = "60000", "file.delete.delay.ms",
            AtLeast(0), Ms, Live, Works, from [("log.segment.delete.delay.ms", 1)];
            "How long the files of a deleted segment stay on disk, so that running reads can end."
        flush_messages: i64 = "9223372036854775807", "flush.messages",
            AtLeast(1), Count, Live, Works, from [("log.flush.interval.messages", 1)];
            "Without waiting for the disk, force the log to disk after this many records."
        flush_ms: i64 = "9223372036854775807", "flush.ms",
            AtLeast(0), Ms, Live, Works,
            from [("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)];
            "Without waiting for the disk, force the log to disk after this time."
        acks_wait_for_disk: bool = "true", "ottla.acks.wait.for.disk",
            Any, None, Live, Works, from [("ottla.acks.wait.for.disk", 1)];
            "Whether an acknowledged record is on disk. With false a produce is acknowledged from memory, as Kafka does it; then flush.messages and flush.ms say when the disk is forced, and a power cut can lose what came after."
        max_message_bytes: i32 = "1048588", "max.message.bytes",
            AtLeast(0), Bytes, Live, Works, from [("message.max.bytes", 1)];
            "The largest record batch, compressed, that a producer may send."
    }
    Compression {
        compression_type: CompressionType = "producer", "compression.type",
            OneOf(CompressionType::NAMES), None, Live, Works, from [("compression.type", 1)];
            "How batches are stored: producer keeps them as they were sent."
        compression_gzip_level: i32 = "-1", "compression.gzip.level",
            BetweenOr(1, 9, -1), None, Live, Works, from [("compression.gzip.level", 1)];
            "The gzip level when the broker compresses with gzip; -1 is the library's own."
        compression_lz4_level: i32 = "9", "compression.lz4.level",
            Between(1, 17), None, Live, NoEffect(ONE_LZ4), from [("compression.lz4.level", 1)];
            "The lz4 level when the broker compresses with lz4."
        compression_zstd_level: i32 = "3", "compression.zstd.level",
            Between(-131_072, 22), None, Live, Works, from [("compression.zstd.level", 1)];
            "The zstd level when the broker compresses with zstd."
    }
    Timestamps {
        message_timestamp_type: TimestampType = "CreateTime", "message.timestamp.type",
            OneOf(TimestampType::NAMES), None, Live, Works, from [("log.message.timestamp.type", 1)];
            "Whether records carry the producer's time (CreateTime) or the broker's (LogAppendTime)."
        message_timestamp_before_max_ms: i64 = "9223372036854775807",
            "message.timestamp.before.max.ms",
            AtLeast(0), Ms, Live, Works, from [("log.message.timestamp.before.max.ms", 1)];
            "With CreateTime, how far a record's time may lie before the broker's; older ones are refused."
        message_timestamp_after_max_ms: i64 = "3600000", "message.timestamp.after.max.ms",
            AtLeast(0), Ms, Live, Works, from [("log.message.timestamp.after.max.ms", 1)];
            "With CreateTime, how far a record's time may lie after the broker's; later ones are refused."
    }
    Compaction {
        delete_retention_ms: i64 = "86400000", "delete.retention.ms",
            AtLeast(0), Ms, Live, Works,
            from [("log.cleaner.delete.retention.ms", 1)];
            "How long a compacted topic keeps the markers of deleted keys, so that consumers that read from the start see them; it counts from their first compaction."
        min_compaction_lag_ms: i64 = "0", "min.compaction.lag.ms",
            AtLeast(0), Ms, Live, Works,
            from [("log.cleaner.min.compaction.lag.ms", 1)];
            "How long a record stays uncompacted at least, counted from its timestamp."
        max_compaction_lag_ms: i64 = "9223372036854775807", "max.compaction.lag.ms",
            AtLeast(1), Ms, Live, Works,
            from [("log.cleaner.max.compaction.lag.ms", 1)];
            "How long a record stays uncompacted at most: older segments are closed and compacted, however little of the log they are."
        min_cleanable_dirty_ratio: f64 = "0.5", "min.cleanable.dirty.ratio",
            Between(0, 1), None, Live, Works,
            from [("log.cleaner.min.cleanable.ratio", 1)];
            "The uncompacted part of a log above which it is compacted. Less means less waste and more work."
    }
    Replication {
        min_insync_replicas: i32 = "1", "min.insync.replicas",
            AtLeast(1), Count, Live, Works, from [("min.insync.replicas", 1)];
            "A produce with acks=all is refused while fewer replicas than this are in sync. Equal to the replication factor it blocks writes while one broker is away."
        unclean_leader_election_enable: bool = "false", "unclean.leader.election.enable",
            Any, None, Live, Works, from [("unclean.leader.election.enable", 1)];
            "Whether a replica that is not in sync may become the leader, at the price of lost records."
        leader_replication_throttled_replicas: Vec<String> = "",
            "leader.replication.throttled.replicas",
            Replicas, None, Live, Works;
            "The replicas whose replication is throttled on the leader's side."
        follower_replication_throttled_replicas: Vec<String> = "",
            "follower.replication.throttled.replicas",
            Replicas, None, Live, Works;
            "The replicas whose replication is throttled on the follower's side."
    }
    Tier {
        remote_storage_enable: bool = "false", "remote.storage.enable",
            Any, None, Live, Refused(NO_TIER);
            "Whether closed segments move to an object store."
        local_retention_ms: i64 = "-2", "local.retention.ms",
            AtLeast(-2), Ms, Live, NoEffect(NO_TIER), from [("log.local.retention.ms", 1)];
            "How long a tiered segment also stays on the local disk; -2 is retention.ms."
        local_retention_bytes: i64 = "-2", "local.retention.bytes",
            AtLeast(-2), Bytes, Live, NoEffect(NO_TIER), from [("log.local.retention.bytes", 1)];
            "How much of a tiered partition also stays on the local disk; -2 is retention.bytes."
        remote_log_copy_disable: bool = "false", "remote.log.copy.disable",
            Any, None, Live, Refused(NO_TIER);
            "Whether a tiered topic stops copying segments to the object store."
        remote_copy_lag_ms: i64 = "0", "remote.copy.lag.ms",
            AtLeast(-1), Ms, Live, NoEffect(NO_TIER), from [("log.remote.copy.lag.ms", 1)];
            "How old a closed segment becomes before it is copied to the object store."
        remote_copy_lag_bytes: i64 = "-1", "remote.copy.lag.bytes",
            AtLeast(-1), Bytes, Live, NoEffect(NO_TIER), from [("log.remote.copy.lag.bytes", 1)];
            "How many newer bytes follow a closed segment before it is copied to the object store."
        remote_log_delete_on_disable: bool = "false", "remote.log.delete.on.disable",
            Any, None, Live, Refused(NO_TIER);
            "Whether tiered segments are deleted when tiering is turned off."
    }
    Groups {
        errors_deadletterqueue_group_enable: bool = "false",
            "errors.deadletterqueue.group.enable",
            Any, None, Live, Refused("share groups are not supported yet");
            "Whether share groups may use the topic for records that could not be processed."
    }
}

impl TopicConfig {
    /// Checks a topic's own settings and puts them on top of the node's.
    ///
    /// # Errors
    /// The text for `INVALID_CONFIG`, as Kafka words it.
    pub fn resolve(
        node: &NodeConfig,
        overrides: &BTreeMap<String, String>,
    ) -> Result<TopicConfig, InvalidConfig> {
        overrides::check("topic config name", &find, overrides)?;
        TopicConfig::from_settings(&node.settings, overrides)
    }

    /// What applies to a topic, from settings whose values have been checked.
    pub(crate) fn from_settings(
        settings: &BTreeMap<String, Setting>,
        overrides: &BTreeMap<String, String>,
    ) -> Result<TopicConfig, InvalidConfig> {
        let config = TopicConfig::read(&|property: &Property| match overrides.get(property.name) {
            Some(value) => Some(value.clone()),
            None => inherited(property, settings),
        })
        .map_err(|name| InvalidConfig::InvalidValue {
            name: name.to_owned(),
            value: overrides.get(name).cloned().unwrap_or_default(),
            reason: "The value cannot be read".to_owned(),
        })?;
        if config.min_compaction_lag_ms > config.max_compaction_lag_ms {
            return Err(InvalidConfig::Conflict {
                first: "min.compaction.lag.ms",
                first_value: config.min_compaction_lag_ms,
                second: "max.compaction.lag.ms",
                second_value: config.max_compaction_lag_ms,
            });
        }
        Ok(config)
    }

    /// How long records are kept, in milliseconds; `None` is for ever.
    #[must_use]
    pub fn retention_limit_ms(&self) -> Option<i64> {
        Some(self.retention_ms).filter(|&ms| ms >= 0)
    }

    /// How large a partition may become, in bytes; `None` is without limit.
    #[must_use]
    pub fn retention_limit_bytes(&self) -> Option<i64> {
        Some(self.retention_bytes).filter(|&bytes| bytes >= 0)
    }
}

/// The properties of a topic when neither it nor the node has settings.
impl Default for TopicConfig {
    fn default() -> Self {
        TopicConfig::from_settings(&BTreeMap::new(), &BTreeMap::new())
            .expect("the declared defaults are valid together")
    }
}

/// The declaration of a topic property.
pub(crate) fn find(name: &str) -> Option<&'static Property> {
    TOPIC_PROPERTIES
        .iter()
        .find(|property| property.name == name)
}

/// The value that a list of a topic has by default; `None` when the property is no list.
#[must_use]
pub fn topic_list_default(name: &str) -> Option<&'static str> {
    crate::dynamic::list_default(find(name)?)
}

/// The value that a topic inherits: that of the first broker property that is set, in the topic's
/// unit, or else the default.
pub(crate) fn inherited(
    property: &Property,
    settings: &BTreeMap<String, Setting>,
) -> Option<String> {
    property
        .fallbacks
        .iter()
        .find_map(|fallback| {
            let setting = settings.get(fallback.name)?;
            Some(scaled(&setting.value, fallback.factor))
        })
        .or_else(|| property.default.map(str::to_owned))
}

/// A broker's value in the topic's unit. Whatever is negative in hours or minutes means for ever.
pub(crate) fn scaled(value: &str, factor: i64) -> String {
    if factor == 1 {
        return value.to_owned();
    }
    match value.trim().parse::<i64>() {
        Ok(number) if number < 0 => "-1".to_owned(),
        Ok(number) => number.saturating_mul(factor).to_string(),
        Err(_) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests;
