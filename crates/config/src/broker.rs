//! The properties of a node that are honoured; what Kafka has besides is in `others`.

use crate::declare::declare_properties;
use crate::field::{CleanupPolicy, CompressionType, TimestampType};
use crate::property::{
    Bounds::{Any, AtLeast, Between, BetweenOr, NoDuplicates, NonEmpty, OneOf},
    Effect::{NoEffect, Works},
};

declare_properties! {
    /// The node's properties as they stand in its sources, typed and within their bounds.
    ///
    /// Listeners, the node's id and the topics' defaults are put together from several of them:
    /// ask [`NodeConfig`](crate::NodeConfig) for these.
    pub struct BrokerProperties { table BROKER_PROPERTIES }

    Identity {
        node_id: Option<i32>, "node.id",
            AtLeast(0), None, Restart, Works;
            "The node's number, unique in the cluster. Unset, it comes from the hostname's ordinal if ottla.node.id.ordinal.offset is set, or else from the data directory (0 for a new one)."
        broker_id: Option<i32>, "broker.id",
            AtLeast(-1), None, Restart, Works;
            "The older name of node.id; -1 is unset. Both may be given if they agree."
        node_id_ordinal_offset: Option<i32>, "ottla.node.id.ordinal.offset",
            AtLeast(0), None, Restart, Works;
            "If set and no id is given, the node's id is the number at the end of its hostname (kafka-2) plus this."
        cluster_id: Option<String>, "cluster.id",
            Any, None, Restart, Works;
            "The cluster's id: 16 bytes in base64. Unset, a new one is made with the data and kept with it."
        process_roles: Vec<String> = "broker,controller,keeper", "process.roles",
            OneOf(&["broker", "controller", "keeper"]), None, Restart, Works;
            "The roles of this process. A broker serves clients, a controller votes in the metadata quorum, a keeper serves clients of ZooKeeper; a process may be all of them. With a zoo.cfg and no server.properties it is a keeper."
        broker_rack: Option<String>, "broker.rack",
            Any, None, Restart, Works;
            "The rack or zone of the node, told to clients (KIP-36)."
    }
    Quorum {
        quorum_voters: Vec<String> = "", "controller.quorum.voters",
            NoDuplicates, None, Restart, Works;
            "The controllers that found the cluster: id@host:port, separated by commas. Unset, controller.quorum.bootstrap.servers tells where to look; with neither, the node is a cluster of its own."
        quorum_bootstrap_servers: Vec<String> = "", "controller.quorum.bootstrap.servers",
            NoDuplicates, None, Restart, Works;
            "Where controllers are found: host:port, separated by commas. A name may stand for several of them, as that of a headless service does; then ottla.quorum.bootstrap.expect says for how many."
        quorum_bootstrap_expect: Option<i32>, "ottla.quorum.bootstrap.expect",
            AtLeast(1), Count, Restart, Works;
            "How many controllers have to meet before they found a new cluster. Unset, it is the number of entries of controller.quorum.voters or controller.quorum.bootstrap.servers."
        quorum_auto_join_enable: bool = "false", "controller.quorum.auto.join.enable",
            Any, None, Restart, Works;
            "Whether a controller that finds a quorum becomes one of its voters by itself (KIP-853). Those in controller.quorum.voters always do."
        quorum_fetch_timeout_ms: i32 = "300", "controller.quorum.fetch.timeout.ms",
            AtLeast(50), Ms, Restart, Works;
            "How long a controller hears nothing of the quorum's leader before it stands for election; up to twice as long, at random. Kafka's own default is 2000; with this one a killed controller costs well under a second. Raise it where the network between the controllers is slow."
        quorum_election_timeout_ms: i32 = "1000", "controller.quorum.election.timeout.ms",
            AtLeast(50), Ms, Restart, NoEffect("a candidate stands again after controller.quorum.fetch.timeout.ms");
            "How long a candidate waits for votes before it stands again."
        quorum_request_timeout_ms: i32 = "2000", "controller.quorum.request.timeout.ms",
            AtLeast(1), Ms, Restart, Works;
            "How long a message between members of the quorum may wait for its answer."
        quorum_retry_backoff_ms: i32 = "20", "controller.quorum.retry.backoff.ms",
            AtLeast(1), Ms, Restart, Works;
            "The wait before the quorum is asked again; it doubles with each further time, up to a second."
        broker_heartbeat_interval_ms: i32 = "500", "broker.heartbeat.interval.ms",
            AtLeast(1), Ms, Restart, Works;
            "How often a broker tells the controller that it is there. Kafka's own default is 2000."
        broker_session_timeout_ms: i32 = "3000", "broker.session.timeout.ms",
            AtLeast(1), Ms, Restart, Works;
            "How long a broker may be silent before it is fenced and others lead its partitions. One whose process is gone, so that its port refuses connections, is fenced at once. Kafka's own default is 9000."
        initial_broker_registration_timeout_ms: i32 = "60000", "initial.broker.registration.timeout.ms",
            AtLeast(1), Ms, Restart, Works;
            "How long a broker tries to register before its start fails."
        controlled_shutdown_enable: bool = "true", "controlled.shutdown.enable",
            Any, None, Restart, Works;
            "Whether a broker hands over its leaders before it stops."
        auto_leader_rebalance_enable: bool = "true", "auto.leader.rebalance.enable",
            Any, None, Restart, Works;
            "Whether the controller gives partitions back to their preferred leaders by itself."
        leader_imbalance_check_interval_seconds: i64 = "300", "leader.imbalance.check.interval.seconds",
            AtLeast(1), Seconds, Restart, Works;
            "How often the controller looks for partitions whose preferred leader does not lead."
        metadata_log_dir: Option<String>, "metadata.log.dir",
            Any, None, Restart, NoEffect("a node keeps its metadata in its data directory");
            "Where the metadata is kept."
        metadata_snapshot_bytes: i64 = "20971520", "metadata.log.max.record.bytes.between.snapshots",
            AtLeast(1), Bytes, Restart, Works;
            "After so many bytes of changes of the metadata a snapshot is written, and the changes before it are deleted."
    }
    Listeners {
        listeners: Vec<String> = "PLAINTEXT://127.0.0.1:9092", "listeners",
            NonEmpty, None, Restart, Works;
            "Where the node listens: NAME://host:port, separated by commas. An empty host is every interface, port 0 any free port. Kafka's own default is every interface; here it is only this machine."
        advertised_listeners: Option<Vec<String>>, "advertised.listeners",
            NonEmpty, None, Restart, Works;
            "What clients are told to connect to, listener by listener. A listener without an entry is advertised as it is bound, or by the hostname when it is bound to every interface."
        listener_security_protocol_map: Vec<String> =
            "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
            "listener.security.protocol.map",
            NoDuplicates, None, Restart, Works;
            "The security protocol of each listener's name: NAME:PROTOCOL, separated by commas. Only PLAINTEXT is supported yet."
        inter_broker_listener_name: Option<String>, "inter.broker.listener.name",
            Any, None, Restart, Works;
            "The listener that brokers use among themselves."
        security_inter_broker_protocol: String = "PLAINTEXT", "security.inter.broker.protocol",
            OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), None, Restart, Works;
            "Without inter.broker.listener.name, the first listener of this protocol is the brokers' own."
        controller_listener_names: Vec<String> = "", "controller.listener.names",
            NoDuplicates, None, Restart, Works;
            "Listeners for the metadata quorum. A node that is a cluster of its own needs none: such a listener is not opened."
        http_listener: String = "127.0.0.1:9644", "ottla.http.listener",
            Any, None, Restart, Works;
            "Where health checks and metrics are served: host:port; an empty host is every interface, empty turns it off."
    }
    Resources {
        max_connections: i32 = "2147483647", "max.connections",
            AtLeast(0), Count, Live, Works;
            "The most connections to the node."
        max_connections_per_ip: i32 = "2147483647", "max.connections.per.ip",
            AtLeast(0), Count, Live, Works;
            "The most connections from one address."
        max_connections_per_ip_overrides: String = "", "max.connections.per.ip.overrides",
            Any, None, Live, Works;
            "Other limits for single addresses: address:count, separated by commas."
        max_connection_creation_rate: i32 = "2147483647", "max.connection.creation.rate",
            AtLeast(0), Count, Live, Works;
            "The most new connections a second; beyond it, accepting rests."
        quota_window_num: i32 = "11", "quota.window.num",
            AtLeast(1), Count, Restart, Works;
            "Over how many windows the rates of client quotas are measured."
        quota_window_size_seconds: i32 = "1", "quota.window.size.seconds",
            AtLeast(1), Seconds, Restart, Works;
            "The length of each window of client quotas."
        controller_quota_window_num: i32 = "11", "controller.quota.window.num",
            AtLeast(1), Count, Restart, Works;
            "How many windows' worth of partitions a client may create or delete in a burst."
        controller_quota_window_size_seconds: i32 = "1", "controller.quota.window.size.seconds",
            AtLeast(1), Seconds, Restart, Works;
            "The length of each window of the quotas of topic changes."
        connections_max_idle_ms: i64 = "600000", "connections.max.idle.ms",
            Any, Ms, Restart, Works;
            "A connection without a request for this long is closed; below 0, never."
        socket_request_max_bytes: i32 = "104857600", "socket.request.max.bytes",
            AtLeast(1), Bytes, Restart, Works;
            "The largest request; a larger one closes its connection."
        socket_send_buffer_bytes: i32 = "102400", "socket.send.buffer.bytes",
            AtLeast(-1), Bytes, Restart, NoEffect("the system sizes the buffers of sockets by itself");
            "SO_SNDBUF of client sockets; -1 is the system's own."
        socket_receive_buffer_bytes: i32 = "102400", "socket.receive.buffer.bytes",
            AtLeast(-1), Bytes, Restart, NoEffect("the system sizes the buffers of sockets by itself");
            "SO_RCVBUF of client sockets; -1 is the system's own."
        socket_listen_backlog_size: i32 = "50", "socket.listen.backlog.size",
            AtLeast(1), Count, Restart, NoEffect("1,024 connections may wait to be accepted");
            "How many new connections may wait to be accepted."
        queued_max_requests: i32 = "500", "queued.max.requests",
            AtLeast(1), Count, Restart, NoEffect("waiting requests are bounded by their bytes: ottla.memory.budget.bytes");
            "How many requests may wait to be handled before reading from connections pauses."
        queued_max_request_bytes: i64 = "-1", "queued.max.request.bytes",
            AtLeast(-1), Bytes, Restart, Works;
            "How many bytes of requests may be in memory before reading from connections pauses; -1 leaves it to ottla.memory.budget.bytes."
        memory_budget_bytes: i64 = "0", "ottla.memory.budget.bytes",
            AtLeast(0), Bytes, Restart, Works;
            "The memory for requests, responses and caches; 0 is a part of the container's or the machine's memory."
        request_timeout_ms: i32 = "30000", "request.timeout.ms",
            AtLeast(1), Ms, Restart, NoEffect("a single node asks nobody");
            "The longest wait for an answer inside the cluster."
        fetch_max_bytes: i32 = "57671680", "fetch.max.bytes",
            AtLeast(1024), Bytes, Restart, Works;
            "The most bytes of records in one fetch response, whatever the client asks for."
        max_incremental_fetch_session_cache_slots: i32 = "1000",
            "max.incremental.fetch.session.cache.slots",
            AtLeast(0), Count, Restart, Works;
            "How many fetch sessions are kept (KIP-227)."
        max_request_partition_size_limit: i32 = "2000", "max.request.partition.size.limit",
            AtLeast(1), Count, Restart, Works;
            "The most partitions in one answer to DescribeTopicPartitions (KIP-966)."
        telemetry_max_bytes: i32 = "1048576", "telemetry.max.bytes",
            AtLeast(1), Bytes, Restart, Works;
            "The largest push of a client's metrics, before and after it is decompressed (KIP-714)."
        client_metrics_series_max: i32 = "20000", "ottla.client.metrics.series.max",
            AtLeast(0), Count, Restart, Works;
            "The most series at /metrics that clients have pushed (KIP-714); a client may have up to 2,000 of them. One takes about 300 bytes of memory."
        num_network_threads: i32 = "3", "num.network.threads",
            AtLeast(1), Count, Restart, Works;
            "Threads that serve connections; never more than the processors at hand."
        num_io_threads: i32 = "8", "num.io.threads",
            AtLeast(1), Count, Restart, Works;
            "Threads that write logs; never more than are useful for the log directories."
        background_threads: i32 = "10", "background.threads",
            AtLeast(1), Count, Live, NoEffect("background work has no threads of its own");
            "The most background tasks, such as retention, at once."
    }
    Replication {
        num_replica_fetchers: i32 = "1", "num.replica.fetchers",
            Between(1, 64), Count, Restart, Works;
            "How many connections fetch from each leader; a leader's partitions are spread over them."
        replica_fetch_backoff_ms: i32 = "200", "replica.fetch.backoff.ms",
            AtLeast(0), Ms, Restart, Works;
            "How long a follower leaves a partition alone that could not be fetched, and the longest pause before it connects again. Kafka's own default is 1000."
        replica_fetch_max_bytes: i32 = "1048576", "replica.fetch.max.bytes",
            AtLeast(0), Bytes, Restart, Works;
            "What a follower fetches of one partition at a time; a batch that is larger comes alone."
        replica_fetch_min_bytes: i32 = "1", "replica.fetch.min.bytes",
            AtLeast(0), Bytes, Restart, Works;
            "The bytes for which a leader holds a follower's fetch back, for up to replica.fetch.wait.max.ms."
        replica_fetch_response_max_bytes: i32 = "10485760", "replica.fetch.response.max.bytes",
            AtLeast(0), Bytes, Restart, Works;
            "What a follower fetches of all partitions at a time."
        replica_fetch_wait_max_ms: i32 = "500", "replica.fetch.wait.max.ms",
            AtLeast(1), Ms, Restart, Works;
            "How long a leader holds a follower's fetch back when there is nothing new; it must be well below replica.lag.time.max.ms."
        replica_lag_time_max_ms: i64 = "30000", "replica.lag.time.max.ms",
            AtLeast(1), Ms, Restart, Works;
            "A follower that has not had everything for so long is not in sync any more."
        replica_selector_class: Option<String>, "replica.selector.class",
            Any, None, Restart, Works;
            "With org.apache.kafka.common.replica.RackAwareReplicaSelector consumers that say their rack are sent to a replica in it (KIP-392). Unset, everybody reads from the leader."
        replica_socket_timeout_ms: i32 = "30000", "replica.socket.timeout.ms",
            AtLeast(1), Ms, Restart, Works;
            "How long a follower waits for the answer to a fetch, beyond the time that the leader may hold it back; then it connects again. At most 10 seconds are waited."
        unclean_leader_election_enable: bool = "false", "unclean.leader.election.enable",
            Any, None, Live, Works;
            "Whether a replica that is not in sync may become the leader, at the price of lost records, for topics without a setting of their own."
        follower_replication_throttled_rate: i64 = "9223372036854775807", "follower.replication.throttled.rate",
            AtLeast(0), Bytes, Live, Works;
            "The bytes a second that this broker fetches of replicas that are throttled (follower.replication.throttled.replicas of their topic)."
        leader_replication_throttled_rate: i64 = "9223372036854775807", "leader.replication.throttled.rate",
            AtLeast(0), Bytes, Live, Works;
            "The bytes a second that this broker sends of replicas that are throttled (leader.replication.throttled.replicas of their topic)."
        replication_quota_window_num: i32 = "11", "replication.quota.window.num",
            AtLeast(1), Count, Restart, Works;
            "The windows over which the rates of throttled replicas are measured."
        replication_quota_window_size_seconds: i32 = "1", "replication.quota.window.size.seconds",
            AtLeast(1), Seconds, Restart, Works;
            "The length of such a window."
    }
    Topics {
        num_partitions: i32 = "1", "num.partitions",
            AtLeast(1), Count, Restart, Works;
            "The partitions of a topic that is created without a number of its own."
        default_replication_factor: i32 = "1", "default.replication.factor",
            AtLeast(1), Count, Restart, Works;
            "The replicas of a topic that is created without a number of its own."
        auto_create_topics_enable: bool = "true", "auto.create.topics.enable",
            Any, None, Restart, Works;
            "Whether a topic that a client asks for is created."
        delete_topic_enable: bool = "true", "delete.topic.enable",
            Any, None, Restart, Works;
            "Whether topics can be deleted."
        min_insync_replicas: i32 = "1", "min.insync.replicas",
            AtLeast(1), Count, Live, Works;
            "The replicas that must be in sync for a produce with acks=all, for topics without a setting of their own."
        message_max_bytes: i32 = "1048588", "message.max.bytes",
            AtLeast(0), Bytes, Live, Works;
            "The largest record batch, compressed, for topics without a setting of their own."
    }
    Log {
        log_dir: Vec<String> = "./ottla-data", "log.dir",
            NonEmpty, None, Restart, Works;
            "The data directory, if log.dirs is unset. Kafka's own default is /tmp/kafka-logs."
        log_dirs: Option<Vec<String>>, "log.dirs",
            NonEmpty, None, Restart, Works;
            "The data directories, separated by commas."
        acks_wait_for_disk: bool = "true", "ottla.acks.wait.for.disk",
            Any, None, Live, Works;
            "Whether an acknowledged record is on disk, for topics without a setting of their own. With false, produce is faster, and a power cut can lose acknowledged records, as with Kafka's defaults."
        log_segment_bytes: i32 = "1073741824", "log.segment.bytes",
            AtLeast(1024 * 1024), Bytes, Live, Works;
            "The size of a segment."
        log_roll_ms: Option<i64>, "log.roll.ms",
            AtLeast(1), Ms, Live, Works;
            "The age at which a segment is closed; unset, log.roll.hours counts."
        log_roll_hours: i32 = "168", "log.roll.hours",
            AtLeast(1), Hours, Restart, Works;
            "The age at which a segment is closed."
        log_roll_jitter_ms: Option<i64>, "log.roll.jitter.ms",
            AtLeast(0), Ms, Live, Works;
            "The most that is taken off that age at random; unset, log.roll.jitter.hours counts."
        log_roll_jitter_hours: i32 = "0", "log.roll.jitter.hours",
            AtLeast(0), Hours, Restart, Works;
            "The most that is taken off that age at random."
        log_retention_ms: Option<i64>, "log.retention.ms",
            AtLeast(-1), Ms, Live, Works;
            "How long records are kept, -1 for ever; unset, log.retention.minutes counts."
        log_retention_minutes: Option<i32>, "log.retention.minutes",
            Any, Minutes, Restart, Works;
            "How long records are kept, below 0 for ever; unset, log.retention.hours counts."
        log_retention_hours: i32 = "168", "log.retention.hours",
            Any, Hours, Restart, Works;
            "How long records are kept, below 0 for ever."
        log_retention_bytes: i64 = "-1", "log.retention.bytes",
            Any, Bytes, Live, Works;
            "How large a partition may become before its oldest segments go; -1 sets no limit."
        log_retention_check_interval_ms: i64 = "300000", "log.retention.check.interval.ms",
            AtLeast(1), Ms, Restart, Works;
            "How often old segments are looked for."
        log_cleanup_policy: CleanupPolicy = "delete", "log.cleanup.policy",
            OneOf(CleanupPolicy::NAMES), None, Live, Works;
            "What happens to old segments: delete, compact (of each key only the last record stays), both, or (empty) nothing."
        log_segment_delete_delay_ms: i64 = "60000", "log.segment.delete.delay.ms",
            AtLeast(0), Ms, Live, Works;
            "How long the files of a deleted segment stay on disk."
        disk_reserve_bytes: i64 = "33554432", "ottla.disk.reserve.bytes",
            AtLeast(0), Bytes, Restart, Works;
            "Records are refused while fewer bytes than this are free on the disk: so topics can still be deleted, consumers can still commit, and the node can be restarted."
        log_preallocate: bool = "false", "log.preallocate",
            Any, None, Live, Works;
            "Whether a new segment takes its whole room on disk at once."
        log_index_interval_bytes: i32 = "4096", "log.index.interval.bytes",
            AtLeast(0), Bytes, Live, Works;
            "Roughly how many bytes of records lie between two index entries."
        log_index_size_max_bytes: i32 = "10485760", "log.index.size.max.bytes",
            AtLeast(4), Bytes, Live, Works;
            "The largest offset index."
        log_flush_interval_messages: i64 = "9223372036854775807", "log.flush.interval.messages",
            AtLeast(1), Count, Live, Works;
            "Without waiting for the disk, force a log to disk after this many records."
        log_flush_interval_ms: Option<i64>, "log.flush.interval.ms",
            AtLeast(0), Ms, Live, Works;
            "Without waiting for the disk, force a log to disk after this time; unset, log.flush.scheduler.interval.ms counts."
        log_flush_scheduler_interval_ms: i64 = "9223372036854775807",
            "log.flush.scheduler.interval.ms",
            AtLeast(0), Ms, Restart, Works;
            "How often logs are looked at for a flush that is due."
        log_flush_offset_checkpoint_interval_ms: i32 = "60000",
            "log.flush.offset.checkpoint.interval.ms",
            AtLeast(0), Ms, Restart, Works;
            "How often the recovery checkpoint is written: after a crash only what lies behind it is read again."
        log_flush_start_offset_checkpoint_interval_ms: i32 = "60000",
            "log.flush.start.offset.checkpoint.interval.ms",
            AtLeast(0), Ms, Restart, NoEffect("written together with the recovery checkpoint, and before anything is deleted");
            "How often the log start offsets are written to their checkpoint."
        num_recovery_threads_per_data_dir: i32 = "2", "num.recovery.threads.per.data.dir",
            AtLeast(1), Count, Restart, NoEffect("logs are recovered by the threads of num.io.threads");
            "Logs that are recovered at once in one data directory."
    }
    Compression {
        compression_type: CompressionType = "producer", "compression.type",
            OneOf(CompressionType::NAMES), None, Live, Works;
            "How batches are stored: producer keeps them as they were sent."
        compression_gzip_level: i32 = "-1", "compression.gzip.level",
            BetweenOr(1, 9, -1), None, Live, Works;
            "The level when the broker compresses with gzip; -1 is the library's own."
        compression_lz4_level: i32 = "9", "compression.lz4.level",
            Between(1, 17), None, Live, NoEffect("lz4 is always compressed by its fast method");
            "The level when the broker compresses with lz4."
        compression_zstd_level: i32 = "3", "compression.zstd.level",
            Between(-131_072, 22), None, Live, Works;
            "The level when the broker compresses with zstd."
    }
    Compaction {
        log_cleaner_enable: bool = "true", "log.cleaner.enable",
            Any, None, Restart, Works;
            "Whether topics with cleanup.policy=compact are compacted. Without it they grow for ever, the consumers' offsets among them."
        log_cleaner_threads: i32 = "1", "log.cleaner.threads",
            AtLeast(0), Count, Live, Works;
            "Logs that are compacted at the same time; 0 counts as 1."
        log_cleaner_dedupe_buffer_size: i64 = "134217728", "log.cleaner.dedupe.buffer.size",
            AtLeast(0), Bytes, Live, Works;
            "Memory for the keys of logs that are compacted, of all threads together: 24 bytes for each key. It is taken as keys come, at most a quarter of the node's memory budget, and given back after each log. With less, a log takes several passes."
        log_cleaner_io_buffer_load_factor: f64 = "0.9", "log.cleaner.io.buffer.load.factor",
            Any, None, Live, Works;
            "How full log.cleaner.dedupe.buffer.size becomes before a pass ends; fuller is slower."
        log_cleaner_io_buffer_size: i32 = "524288", "log.cleaner.io.buffer.size",
            AtLeast(0), Bytes, Live, Works;
            "Bytes that compaction reads and writes at once, of all threads together."
        log_cleaner_io_max_bytes_per_second: f64 = "1.7976931348623157E308", "log.cleaner.io.max.bytes.per.second",
            Any, None, Live, Works;
            "Bytes that compaction reads and writes in a second, of all threads together; the default is no limit."
        log_cleaner_backoff_ms: i64 = "15000", "log.cleaner.backoff.ms",
            AtLeast(0), Ms, Live, Works;
            "How long compaction waits when no log is dirty enough."
        log_cleaner_min_cleanable_ratio: f64 = "0.5", "log.cleaner.min.cleanable.ratio",
            Between(0, 1), None, Live, Works;
            "The uncompacted part of a log above which it is compacted."
        log_cleaner_delete_retention_ms: i64 = "86400000", "log.cleaner.delete.retention.ms",
            AtLeast(0), Ms, Live, Works;
            "How long a compacted topic keeps the markers of deleted keys."
        log_cleaner_min_compaction_lag_ms: i64 = "0", "log.cleaner.min.compaction.lag.ms",
            AtLeast(0), Ms, Live, Works;
            "How long a record stays uncompacted at least."
        log_cleaner_max_compaction_lag_ms: i64 = "9223372036854775807", "log.cleaner.max.compaction.lag.ms",
            AtLeast(1), Ms, Live, Works;
            "How long a record stays uncompacted at most."
    }
    Timestamps {
        log_message_timestamp_type: TimestampType = "CreateTime", "log.message.timestamp.type",
            OneOf(TimestampType::NAMES), None, Live, Works;
            "Whether records carry the producer's time (CreateTime) or the broker's (LogAppendTime)."
        log_message_timestamp_before_max_ms: i64 = "9223372036854775807",
            "log.message.timestamp.before.max.ms",
            AtLeast(0), Ms, Live, Works;
            "How far a record's time may lie before the broker's."
        log_message_timestamp_after_max_ms: i64 = "3600000",
            "log.message.timestamp.after.max.ms",
            AtLeast(0), Ms, Live, Works;
            "How far a record's time may lie after the broker's."
    }
    Producers {
        producer_id_expiration_ms: i32 = "86400000", "producer.id.expiration.ms",
            AtLeast(1), Ms, Live, Works;
            "How long an idle producer's sequences are remembered."
        producer_id_expiration_check_interval_ms: i32 = "600000",
            "producer.id.expiration.check.interval.ms",
            AtLeast(1), Ms, Restart, Works;
            "How often idle producers are looked for."
        transactional_id_expiration_ms: i32 = "604800000", "transactional.id.expiration.ms",
            AtLeast(1), Ms, Restart, Works;
            "How long an idle transactional id is remembered."
        transaction_partition_verification_enable: bool = "true",
            "transaction.partition.verification.enable",
            Any, None, Live, Works;
            "Whether the coordinator is asked before a partition takes the first records of a transaction (KIP-890). Without it a client's late request can leave a transaction open for ever."
        transaction_remove_expired_interval_ms: i32 = "3600000",
            "transaction.remove.expired.transaction.cleanup.interval.ms",
            AtLeast(1), Ms, Restart, Works;
            "How often idle transactional ids are looked for."
        transaction_max_timeout_ms: i32 = "900000", "transaction.max.timeout.ms",
            AtLeast(1), Ms, Restart, Works;
            "The longest timeout that a producer may ask for its transactions."
        transaction_abort_timed_out_interval_ms: i32 = "10000",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms",
            AtLeast(1), Ms, Restart, Works;
            "The least time between two looks for transactions that are open for longer than their timeout."
        add_partitions_to_txn_retry_backoff_ms: i32 = "20",
            "add.partitions.to.txn.retry.backoff.ms",
            AtLeast(1), Ms, Restart, NoEffect("the coordinator answers as soon as the transaction before has ended");
            "How long a broker waits before it asks again to add a partition while the transaction before still ends."
        add_partitions_to_txn_retry_backoff_max_ms: i32 = "100",
            "add.partitions.to.txn.retry.backoff.max.ms",
            AtLeast(0), Ms, Restart, Works;
            "How long a partition that is produced to waits to be added while the transaction before still ends; then the producer is told to try again."
        transaction_state_log_num_partitions: i32 = "50", "transaction.state.log.num.partitions",
            AtLeast(1), Count, Restart, Works;
            "The partitions of __transaction_state when it is created; transactional ids are spread over them."
        transaction_state_log_replication_factor: i16 = "3",
            "transaction.state.log.replication.factor",
            AtLeast(1), Count, Restart, Works;
            "The replicas of __transaction_state when it is created; never more than there are nodes."
        transaction_state_log_min_isr: i32 = "2", "transaction.state.log.min.isr",
            AtLeast(1), Count, Restart, Works;
            "The replicas of __transaction_state that must have a record; never more than there are replicas."
        transaction_state_log_segment_bytes: i32 = "104857600",
            "transaction.state.log.segment.bytes",
            AtLeast(1), Bytes, Restart, Works;
            "The size of a segment of __transaction_state."
        transaction_state_log_load_buffer_size: i32 = "5242880",
            "transaction.state.log.load.buffer.size",
            AtLeast(1), Bytes, Restart, Works;
            "How much of __transaction_state is read at once while a partition is loaded."
    }
    Groups {
        group_min_session_timeout_ms: i32 = "6000", "group.min.session.timeout.ms",
            AtLeast(0), Ms, Restart, Works;
            "The shortest session timeout that a member may ask for."
        group_max_session_timeout_ms: i32 = "1800000", "group.max.session.timeout.ms",
            AtLeast(0), Ms, Restart, Works;
            "The longest session timeout that a member may ask for."
        group_initial_rebalance_delay_ms: i32 = "3000", "group.initial.rebalance.delay.ms",
            AtLeast(0), Ms, Restart, Works;
            "How long an empty group waits for more members before its first rebalance."
        group_max_size: i32 = "2147483647", "group.max.size",
            AtLeast(1), Count, Restart, Works;
            "The most members of a group."
        group_consumer_session_timeout_ms: i32 = "45000", "group.consumer.session.timeout.ms",
            AtLeast(1), Ms, Restart, Works;
            "How long a member of a consumer group may stay silent."
        group_consumer_min_session_timeout_ms: i32 = "45000",
            "group.consumer.min.session.timeout.ms",
            AtLeast(1), Ms, Restart, Works;
            "The shortest session timeout that a consumer group's own configuration may have."
        group_consumer_max_session_timeout_ms: i32 = "60000",
            "group.consumer.max.session.timeout.ms",
            AtLeast(1), Ms, Restart, Works;
            "The longest session timeout that a consumer group's own configuration may have."
        group_consumer_heartbeat_interval_ms: i32 = "5000",
            "group.consumer.heartbeat.interval.ms",
            AtLeast(1), Ms, Restart, Works;
            "How often members of a consumer group are told to send a heartbeat."
        group_consumer_min_heartbeat_interval_ms: i32 = "5000",
            "group.consumer.min.heartbeat.interval.ms",
            AtLeast(1), Ms, Restart, Works;
            "The shortest heartbeat interval that a consumer group's own configuration may have."
        group_consumer_max_heartbeat_interval_ms: i32 = "15000",
            "group.consumer.max.heartbeat.interval.ms",
            AtLeast(1), Ms, Restart, Works;
            "The longest heartbeat interval that a consumer group's own configuration may have."
        group_consumer_assignment_interval_ms: i32 = "1000",
            "group.consumer.assignment.interval.ms",
            AtLeast(0), Ms, Restart, Works;
            "The least time from one target assignment of a consumer group to its next."
        group_consumer_min_assignment_interval_ms: i32 = "0",
            "group.consumer.min.assignment.interval.ms",
            AtLeast(0), Ms, Restart, Works;
            "The shortest assignment interval that a consumer group's own configuration may have."
        group_consumer_max_assignment_interval_ms: i32 = "15000",
            "group.consumer.max.assignment.interval.ms",
            AtLeast(0), Ms, Restart, Works;
            "The longest assignment interval that a consumer group's own configuration may have."
        group_consumer_max_size: i32 = "2147483647", "group.consumer.max.size",
            AtLeast(1), Count, Restart, Works;
            "The most members of a consumer group."
        group_consumer_assignors: Vec<String> = "uniform,range", "group.consumer.assignors",
            OneOf(&["uniform", "range"]), None, Restart, Works;
            "The assignors that members may choose; the first one is for those that do not."
        group_consumer_migration_policy: String = "bidirectional",
            "group.consumer.migration.policy",
            OneOf(&["bidirectional", "upgrade", "downgrade", "disabled"]), None, Restart, Works;
            "Which way a group with members may change between the classic protocol and the new one."
        offsets_retention_minutes: i32 = "10080", "offsets.retention.minutes",
            AtLeast(1), Minutes, Restart, Works;
            "How long a group's offsets are kept once it has no members."
        offsets_retention_check_interval_ms: i64 = "600000",
            "offsets.retention.check.interval.ms",
            AtLeast(1), Ms, Restart, Works;
            "How often expired offsets are looked for."
        offset_metadata_max_bytes: i32 = "4096", "offset.metadata.max.bytes",
            AtLeast(0), Bytes, Restart, Works;
            "The most bytes of metadata with a committed offset."
        offsets_commit_timeout_ms: i32 = "5000", "offsets.commit.timeout.ms",
            AtLeast(1), Ms, Restart, Works;
            "How long a commit waits until it is stored."
        offsets_topic_num_partitions: i32 = "50", "offsets.topic.num.partitions",
            AtLeast(1), Count, Restart, Works;
            "The partitions of __consumer_offsets when it is created; groups are spread over them."
        offsets_topic_replication_factor: i16 = "3", "offsets.topic.replication.factor",
            AtLeast(1), Count, Restart, Works;
            "The replicas of __consumer_offsets when it is created; never more than there are nodes."
        offsets_topic_segment_bytes: i32 = "104857600", "offsets.topic.segment.bytes",
            AtLeast(1), Bytes, Restart, Works;
            "The size of a segment of __consumer_offsets."
    }
}
