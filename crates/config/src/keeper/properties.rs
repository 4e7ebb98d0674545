//! The properties of the keeper that are honoured; what ZooKeeper has besides is in `others`.
//!
//! The names are those that work in `zoo.cfg`. Where the manual names a system property, the part
//! behind `zookeeper.` is the name, and both are understood.

use ottla_model::{DigestAlgorithm, Secret};

use crate::declare::declare_properties;
use crate::property::{
    Bounds::{Any, AtLeast, Between, NonEmpty, OneOf},
    Effect::Works,
};

/// How ZooKeeper writes a switch that is on or off.
const YES_NO: &[&str] = &["yes", "no", "true", "false"];

declare_properties! {
    /// The keeper's properties as they stand in its sources, typed and within their bounds.
    pub(crate) struct KeeperProperties { table KEEPER_PROPERTIES }

    KeeperEnsemble {
        my_id: Option<i64>, "myid",
            Between(0, 254), None, Restart, Works;
            "The server's number N in server.N. Unset, it is in the file myid of dataDir, or follows from the hostname's ordinal."
        my_id_ordinal_offset: Option<i64>, "ottla.keeper.myid.ordinal.offset",
            AtLeast(0), None, Restart, Works;
            "If set, the server's number is the number at the end of its hostname (zk-2) plus this; it is 1 with ottla.keeper.replicas."
        replicas: Option<i32>, "ottla.keeper.replicas",
            Between(1, 254), Count, Restart, Works;
            "How many servers of a StatefulSet make up the ensemble: server.1 is the host with the ordinal 0 of the same name and domain as this one, and so on. It is ZK_REPLICAS, and instead of server.N."
        server_port: i32 = "2888", "ottla.keeper.server.port",
            Between(1, 65535), None, Restart, Works;
            "With ottla.keeper.replicas: the port on which the servers talk to each other."
        election_port: i32 = "3888", "ottla.keeper.election.port",
            Between(1, 65535), None, Restart, Works;
            "With ottla.keeper.replicas: the port of elections in server.N. It is told on and not opened."
        peer_type: String = "participant", "peerType",
            Any, None, Restart, Works;
            "Whether the server votes (participant) or not (observer); its own line server.N counts before it."
        dynamic_config_file: Option<String>, "dynamicConfigFile",
            Any, None, Restart, Works;
            "A file with the lines server.N instead of this one."
        standalone_enabled: bool = "true", "standaloneEnabled",
            Any, None, Restart, Works;
            "Whether a single participant is a server alone. With false it is an ensemble of one, which others may join."
        reconfig_enabled: bool = "false", "reconfigEnabled",
            Any, None, Restart, Works;
            "Whether clients may change the ensemble with reconfig."
        quorum_listen_on_all_ips: bool = "false", "quorumListenOnAllIPs",
            Any, None, Restart, Works;
            "Whether the server awaits the others on every interface, and not only on the address of its own line server.N."
        tick_time_ms: i32 = "2000", "tickTime",
            AtLeast(1), Ms, Restart, Works;
            "The length of a tick, in which other times are counted."
        init_limit_ticks: i32 = "10", "initLimit",
            AtLeast(1), None, Restart, Works;
            "How many ticks a server may take to connect to the leader and catch up. ZooKeeper has no default and wants it set."
        sync_limit_ticks: i32 = "5", "syncLimit",
            AtLeast(1), None, Restart, Works;
            "How many ticks a server may be silent or behind. ZooKeeper has no default and wants it set."
        connect_limit_ticks: i32 = "0", "connectToLearnerMasterLimit",
            AtLeast(0), None, Restart, Works;
            "How many ticks connecting to the leader may take; 0 is initLimit."
        leader_serves: String = "yes", "leaderServes",
            OneOf(YES_NO), None, Restart, Works;
            "Whether the leader takes clients."
    }
    KeeperListeners {
        client_port: Option<i32>, "clientPort",
            Between(0, 65535), None, Restart, Works;
            "The plaintext port of clients. With neither it nor secureClientPort set, it is 2181 on 127.0.0.1; with secureClientPort alone there is none."
        client_port_address: Option<String>, "clientPortAddress",
            Any, None, Restart, Works;
            "The address of clientPort; every interface if it is unset."
        secure_client_port: Option<i32>, "secureClientPort",
            Between(0, 65535), None, Restart, Works;
            "The TLS port of clients; it needs ssl.keyStore.location."
        secure_client_port_address: Option<String>, "secureClientPortAddress",
            Any, None, Restart, Works;
            "The address of secureClientPort; every interface if it is unset."
        four_letter_words: Vec<String> = "conf,dirs,isro,mntr,ruok,srvr,stat,wchs", "4lw.commands.whitelist",
            Any, None, Restart, Works;
            "Which four-letter words are answered, separated by commas; * is all. ZooKeeper's own default is srvr; here it is those that are cheap and change nothing."
        admin_enable_server: bool = "true", "admin.enableServer",
            Any, None, Restart, Works;
            "Whether AdminServer's commands are served over HTTP."
        admin_server_port: Option<i32>, "admin.serverPort",
            Between(0, 65535), None, Restart, Works;
            "A port of AdminServer's own. Unset, its commands are on ottla.http.listener. ZooKeeper's own default is 8080."
        admin_server_address: Option<String>, "admin.serverAddress",
            Any, None, Restart, Works;
            "The address of admin.serverPort; every interface if it is unset."
        admin_command_url: String = "/commands", "admin.commandURL",
            Any, None, Restart, Works;
            "The path under which AdminServer's commands are found."
        admin_snapshot_enabled: bool = "true", "admin.snapshot.enabled",
            Any, None, Restart, Works;
            "Whether AdminServer's command snapshot works."
        admin_restore_enabled: bool = "true", "admin.restore.enabled",
            Any, None, Restart, Works;
            "Whether AdminServer's command restore works."
        admin_rate_limiter_interval_ms: i64 = "300000", "admin.rateLimiterIntervalInMS",
            AtLeast(0), Ms, Restart, Works;
            "How long AdminServer's snapshot and restore rest between two calls."
        metrics_provider_class: Option<String>, "metricsProvider.className",
            Any, None, Restart, Works;
            "PrometheusMetricsProvider opens a port of its own with the metrics; they are at /metrics of ottla.http.listener anyway."
        metrics_provider_port: i32 = "7000", "metricsProvider.httpPort",
            Between(0, 65535), None, Restart, Works;
            "The port of PrometheusMetricsProvider."
        metrics_provider_host: String = "0.0.0.0", "metricsProvider.httpHost",
            Any, None, Restart, Works;
            "The address of PrometheusMetricsProvider."
    }
    KeeperSessions {
        min_session_timeout_ms: i32 = "-1", "minSessionTimeout",
            AtLeast(-1), Ms, Restart, Works;
            "The shortest session timeout that a client gets; -1 is two ticks."
        max_session_timeout_ms: i32 = "-1", "maxSessionTimeout",
            AtLeast(-1), Ms, Restart, Works;
            "The longest session timeout that a client gets; -1 is twenty ticks."
        read_only_mode_enabled: bool = "false", "readonlymode.enabled",
            Any, None, Restart, Works;
            "Whether clients that want to may read from a server that has lost its ensemble."
        extended_types_enabled: bool = "false", "extendedTypesEnabled",
            Any, None, Restart, Works;
            "Whether znodes with a time to live may be made."
        enforce_quota: bool = "false", "enforceQuota",
            Any, None, Restart, Works;
            "Whether writes beyond a hard quota are refused; else they are only logged."
        container_check_interval_ms: i64 = "60000", "znode.container.checkIntervalMs",
            AtLeast(1), Ms, Restart, Works;
            "How often empty containers and znodes whose time is over are looked for."
        container_deletes_per_minute: i64 = "10000", "znode.container.maxPerMinute",
            AtLeast(1), Count, Restart, Works;
            "The most containers and znodes with a time to live that are deleted a minute."
        container_never_used_ms: i64 = "0", "znode.container.maxNeverUsedIntervalMs",
            AtLeast(0), Ms, Restart, Works;
            "How long a container that never had children stays; 0 is for ever."
        audit_enable: bool = "false", "audit.enable",
            Any, None, Restart, Works;
            "Whether changes are logged with who made them."
    }
    KeeperStorage {
        data_dir: Option<String>, "dataDir",
            Any, None, Restart, Works;
            "Where snapshots and the file myid are. Unset, it is the folder keeper in the node's data directory."
        data_log_dir: Option<String>, "dataLogDir",
            Any, None, Restart, Works;
            "Where the log of transactions is; dataDir if it is unset."
        data_dir_autocreate: bool = "true", "datadir.autocreate",
            Any, None, Restart, Works;
            "Whether missing data directories are made."
        snap_count: i32 = "100000", "snapCount",
            AtLeast(2), Count, Restart, Works;
            "After so many transactions a snapshot is taken."
        snap_size_limit_kb: i64 = "4194304", "snapSizeLimitInKb",
            Between(-1, 9_007_199_254_740_991), None, Restart, Works;
            "After so many KiB of log a snapshot is taken; 0 and below, never because of the log's size."
        txn_log_size_limit_kb: i64 = "-1", "txnLogSizeLimitInKb",
            Between(-1, 9_007_199_254_740_991), None, Restart, Works;
            "The size in KiB at which a file of the log ends; 0 and below, no limit of its own."
        snap_retain_count: i32 = "3", "autopurge.snapRetainCount",
            AtLeast(0), Count, Restart, Works;
            "How many snapshots a purge leaves; below 3 it is 3."
        purge_interval_hours: i32 = "0", "autopurge.purgeInterval",
            AtLeast(0), Hours, Restart, Works;
            "How often old snapshots and logs are purged; 0 is never."
        fsync_warning_threshold_ms: i64 = "1000", "fsync.warningthresholdms",
            AtLeast(0), Ms, Restart, Works;
            "A flush of the log that takes longer is warned of."
        force_sync: String = "yes", "forceSync",
            OneOf(YES_NO), None, Restart, Works;
            "Whether a write is answered only when it is on disk. With no, a power failure can take what was answered."
    }
    KeeperLimits {
        jute_max_buffer_bytes: i32 = "1048575", "jute.maxbuffer",
            Between(1024, 1_073_741_824), Bytes, Restart, Works;
            "The longest request of a client; a longer one closes its connection."
        connections_max: i32 = "0", "maxCnxns",
            AtLeast(0), Count, Restart, Works;
            "The most connections to each of the client ports; 0 is no limit."
        connections_per_ip_max: i32 = "60", "maxClientCnxns",
            AtLeast(0), Count, Restart, Works;
            "The most connections from one address; 0 is no limit."
        outstanding_requests_max: i32 = "1000", "globalOutstandingLimit",
            AtLeast(1), Count, Restart, Works;
            "The most requests in work in the whole ensemble; each server takes its part of them, and does not read from clients beyond it."
        large_request_max_bytes: i32 = "104857600", "largeRequestMaxBytes",
            AtLeast(1), Bytes, Restart, Works;
            "The most bytes of large requests in work; one more closes its connection."
        large_request_threshold: i32 = "-1", "largeRequestThreshold",
            AtLeast(-1), Bytes, Restart, Works;
            "From so many bytes on a request is a large one; -1 is never."
        request_throttle_max_requests: i32 = "0", "request_throttle_max_requests",
            AtLeast(0), Count, Restart, Works;
            "The most requests in work before further ones wait; 0 is no limit. The manual also calls it requestThrottleLimit."
        request_throttle_stall_time_ms: i32 = "100", "request_throttle_stall_time",
            AtLeast(1), Ms, Restart, Works;
            "How long a request that waits sleeps before it looks again."
        request_throttle_drop_stale: bool = "true", "request_throttle_drop_stale",
            Any, None, Restart, Works;
            "Whether requests that have become stale while they waited are dropped."
        request_stale_latency_check: bool = "false", "request_stale_latency_check",
            Any, None, Restart, Works;
            "Whether a request is stale once it has waited longer than its session's timeout."
        request_stale_connection_check: bool = "true", "request_stale_connection_check",
            Any, None, Restart, Works;
            "Whether a request is stale once its connection is closed."
        throttled_op_wait_time_ms: i32 = "0", "throttled_op_wait_time",
            AtLeast(0), Ms, Restart, Works;
            "A request that has waited longer than this is answered with THROTTLEDOP; 0 is never."
        connection_throttle_tokens: i32 = "0", "connection_throttle_tokens",
            AtLeast(0), Count, Restart, Works;
            "How many connections may be made at once before further ones are refused; 0 turns that off. The manual also calls it connectionMaxTokens."
        connection_throttle_fill_time_ms: i32 = "1", "connection_throttle_fill_time",
            AtLeast(1), Ms, Restart, Works;
            "How often connections become free again."
        connection_throttle_fill_count: i32 = "1", "connection_throttle_fill_count",
            AtLeast(1), Count, Restart, Works;
            "How many become free at a time."
        connection_throttle_freeze_time_ms: i32 = "-1", "connection_throttle_freeze_time",
            AtLeast(-1), Ms, Restart, Works;
            "How often the probability with which a connection is refused by chance changes; -1 is no chance."
        connection_throttle_drop_increase: f64 = "0.02", "connection_throttle_drop_increase",
            Between(0, 1), None, Restart, Works;
            "By how much that probability grows while no connection is free."
        connection_throttle_drop_decrease: f64 = "0.002", "connection_throttle_drop_decrease",
            Between(0, 1), None, Restart, Works;
            "By how much that probability shrinks while connections are free."
        connection_throttle_decrease_ratio: f64 = "0", "connection_throttle_decrease_ratio",
            Between(0, 1), None, Restart, Works;
            "The part of the connections that must be free for it to shrink."
        connection_throttle_weight_enabled: bool = "false", "connection_throttle_weight_enabled",
            Any, None, Restart, Works;
            "Whether connections count as their weights say, instead of one each."
        connection_throttle_global_weight: i32 = "3", "connection_throttle_global_session_weight",
            AtLeast(1), Count, Restart, Works;
            "What a new session counts."
        connection_throttle_renew_weight: i32 = "2", "connection_throttle_renew_session_weight",
            AtLeast(1), Count, Restart, Works;
            "What a session that comes back counts."
    }
    KeeperSecurity {
        skip_acl: String = "no", "skipACL",
            OneOf(YES_NO), None, Restart, Works;
            "Whether nobody's rights are checked."
        digest_enabled: bool = "true", "DigestAuthenticationProvider.enabled",
            Any, None, Restart, Works;
            "Whether the scheme digest is there."
        digest_algorithm: String = "SHA1", "DigestAuthenticationProvider.digestAlg",
            OneOf(DigestAlgorithm::NAMES), None, Restart, Works;
            "The hash of the scheme digest, the same on all servers."
        super_digest: Option<Secret>, "DigestAuthenticationProvider.superDigest",
            Any, None, Restart, Works;
            "super:BASE64(hash(super:password)): whoever knows the password may do everything."
        x509_super_user: Option<String>, "X509AuthenticationProvider.superUser",
            Any, None, Restart, Works;
            "The subject of a certificate whose owner may do everything."
        jaas_file: Option<String>, "java.security.auth.login.config",
            Any, None, Restart, Works;
            "The JAAS file with the users of SASL."
        jaas_section: String = "Server", "sasl.serverconfig",
            Any, None, Restart, Works;
            "The section of the JAAS file."
        sasl_super_password: Option<Secret>, "SASLAuthenticationProvider.superPassword",
            Any, None, Restart, Works;
            "The password of the SASL user super; it counts before the one in the JAAS file."
        any_sasl_user_acl: Option<String>, "letAnySaslUserDoX",
            Any, None, Restart, Works;
            "An ACL of the scheme sasl with this id lets in everyone whom SASL has let in."
        allow_sasl_failed_clients: bool = "false", "allowSaslFailedClients",
            Any, None, Restart, Works;
            "Whether a client that fails with SASL goes on without."
        session_require_client_sasl_auth: bool = "false", "sessionRequireClientSASLAuth",
            Any, None, Restart, Works;
            "Whether clients must be known by SASL: short for enforce.auth.enabled=true and enforce.auth.schemes=sasl."
        enforce_auth_enabled: bool = "false", "enforce.auth.enabled",
            Any, None, Restart, Works;
            "Whether clients must be known by one of enforce.auth.schemes before anything else."
        enforce_auth_schemes: Vec<String> = "", "enforce.auth.schemes",
            Any, None, Restart, Works;
            "The schemes for enforce.auth.enabled, separated by commas."
        ensemble_auth_name: Option<Vec<String>>, "ensembleAuthName",
            NonEmpty, None, Restart, Works;
            "Names of the ensemble, separated by commas: a client that asks for another one is refused."
        ssl_quorum: bool = "false", "sslQuorum",
            Any, None, Restart, Works;
            "Whether servers talk to each other with TLS; it needs ssl.quorum.keyStore.location."
    }
}
