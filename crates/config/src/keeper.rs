//! The keeper's configuration: ZooKeeper's `zoo.cfg`, put together from its properties.
//!
//! ```text
//! zoo.cfg  --set clientPort=2181  ZK_* ZOO_*  server.properties
//!      \          |                  |           /
//!       names (zookeeper.snapCount is snapCount, requestThrottleLimit is …)
//!                         │
//!       properties: types, bounds, defaults, what has no effect, what is refused
//!                         │
//!       KeeperConfig ◀── myid, dynamicConfigFile (their texts, from whoever reads files)
//! ```
//!
//! Names and meanings are those of the page "ZooKeeper Administrator's Guide" of ZooKeeper 3.9, and
//! of its classes `QuorumPeerConfig` and `ServerConfig`.

mod build;
mod environment;
mod identity;
mod listing;
mod load;
mod names;
mod others;
mod properties;
mod server_line;
mod tls;

pub(crate) use environment::read_environment;
pub use listing::{ConfFacts, config_text};
pub(crate) use load::{Gathered, PROPERTIES, Surroundings, TEMPLATED, names_of_all as names};
pub(crate) use names::{canonical, of_variable};
pub(crate) use others::families;
pub use server_line::{KeeperAddress, KeeperPeerType, KeeperServer};

use ottla_model::{DigestAlgorithm, Secret, TlsOptions};

/// Where the keeper listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeeperListener {
    /// The host to bind, without brackets; empty is every interface.
    pub host: String,
    /// The port; 0 is any free one.
    pub port: u16,
}

/// Which four-letter words are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FourLetterWords {
    /// `*`: all of them.
    All,
    /// These.
    Only(Vec<String>),
}

impl FourLetterWords {
    /// Whether a word is answered.
    #[must_use]
    pub fn allows(&self, word: &str) -> bool {
        match self {
            FourLetterWords::All => true,
            FourLetterWords::Only(words) => words.iter().any(|known| known == word),
        }
    }
}

/// AdminServer: `/commands/*` over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperAdmin {
    /// Whether its commands are served at all.
    pub enabled: bool,
    /// A port of its own. Without, they are served with health checks and metrics.
    pub listener: Option<KeeperListener>,
    /// The path under which they are found, such as `/commands`.
    pub command_url: String,
    /// Whether the command `snapshot` works.
    pub snapshot_enabled: bool,
    /// Whether the command `restore` works.
    pub restore_enabled: bool,
    /// How long `snapshot` and `restore` must rest between two calls.
    pub rate_limiter_interval_ms: u64,
}

/// How requests are held back under load (`RequestThrottler`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestThrottle {
    /// The most requests in work before others wait; `None` is no limit.
    pub requests_max: Option<u64>,
    /// How long a request that waits sleeps before it looks again.
    pub stall_time_ms: u64,
    /// Whether stale requests are dropped instead of carried out.
    pub drop_stale: bool,
    /// Whether a request is stale once it has waited longer than its session's timeout.
    pub stale_latency_check: bool,
    /// Whether a request is stale once its connection is closed.
    pub stale_connection_check: bool,
    /// A request that has waited longer than this is answered with `THROTTLEDOP`; `None` is never.
    pub throttled_wait_ms: Option<u64>,
}

/// How new connections are held back (`BlueThrottle`): a bucket of tokens, and, when that is empty,
/// a growing probability of being dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionThrottle {
    /// The bucket's size.
    pub tokens: u64,
    /// How often tokens are put in.
    pub fill_time_ms: u64,
    /// How many at a time.
    pub fill_count: u64,
    /// How often the probability changes; `None` is no dropping by chance.
    pub freeze_time_ms: Option<u64>,
    /// By how much it grows.
    pub drop_increase: f64,
    /// By how much it shrinks.
    pub drop_decrease: f64,
    /// It shrinks while the bucket holds more than this part of its size.
    pub decrease_ratio: f64,
    /// Whether connections cost what the weights say; else each costs one token.
    pub weight_enabled: bool,
    /// The cost of a new session.
    pub global_session_weight: u64,
    /// The cost of a session that comes back.
    pub renew_session_weight: u64,
}

/// Limits of one server.
#[derive(Debug, Clone, PartialEq)]
pub struct KeeperLimits {
    /// `jute.maxbuffer`: the longest frame of a client.
    pub jute_max_buffer_bytes: usize,
    /// `maxCnxns`: the most connections to each of the client ports; `None` is no limit.
    pub connections_max: Option<u64>,
    /// `maxClientCnxns`: the most from one address; `None` is no limit.
    pub connections_per_ip_max: Option<u64>,
    /// `globalOutstandingLimit`: the most requests in work in the whole ensemble.
    pub outstanding_requests_max: u64,
    /// `largeRequestMaxBytes`: the most bytes of large requests in work.
    pub large_requests_bytes_max: u64,
    /// `largeRequestThreshold`: from so many bytes on a request is large; `None` is never.
    pub large_request_threshold_bytes: Option<u64>,
    /// How requests are held back.
    pub request_throttle: RequestThrottle,
    /// How new connections are held back; `None` is not at all.
    pub connection_throttle: Option<ConnectionThrottle>,
}

/// Where data is, and how it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperStorage {
    /// `dataDir`: snapshots, and `myid`.
    pub data_dir: String,
    /// `dataLogDir`: the log of transactions; the same as `data_dir` if it is unset.
    pub data_log_dir: String,
    /// Whether missing directories are made.
    pub data_dir_autocreate: bool,
    /// A snapshot is taken after so many transactions.
    pub snap_count: u64,
    /// A snapshot is taken after so many bytes of log; `None` is never because of bytes.
    pub snap_size_limit_bytes: Option<u64>,
    /// A log file ends after so many bytes; `None` is no limit.
    pub txn_log_size_limit_bytes: Option<u64>,
    /// How many snapshots a purge leaves, at least 3.
    pub snap_retain_count: u32,
    /// How often old snapshots and logs are purged; `None` is never.
    pub purge_interval_ms: Option<u64>,
    /// A flush that takes longer is warned of.
    pub fsync_warning_threshold_ms: u64,
    /// `forceSync`: whether a write is answered only when it is on disk.
    pub force_sync: bool,
}

/// Who is let in, and who may do what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeeperAuth {
    /// `skipACL`: nobody's rights are checked.
    pub skip_acl: bool,
    /// Whether the scheme `digest` is there.
    pub digest_enabled: bool,
    /// The hash of the scheme `digest`.
    pub digest_algorithm: DigestAlgorithm,
    /// `super:BASE64(…)` of the administrator of the scheme `digest`.
    pub super_digest: Option<Secret>,
    /// The subject of the certificate whose owner is an administrator.
    pub x509_super_user: Option<String>,
    /// The names of those who are administrators once SASL has let them in.
    pub sasl_super_users: Vec<String>,
    /// Whether SASL is offered (`authProvider.N` names `SASLAuthenticationProvider`, or there are
    /// users for it).
    pub sasl_enabled: bool,
    /// `java.security.auth.login.config`: the JAAS file with the users.
    pub jaas_file: Option<String>,
    /// `sasl.serverconfig`: its section.
    pub jaas_section: String,
    /// Users that stand in the configuration itself, with their passwords.
    pub sasl_users: Vec<(String, Secret)>,
    /// The password of the SASL user `super`; it counts before the one in the JAAS file.
    pub sasl_super_password: Option<Secret>,
    /// `letAnySaslUserDoX`: an ACL of the scheme `sasl` with this id is for everyone whom SASL has
    /// let in.
    pub any_sasl_user_acl: Option<String>,
    /// Whether a client that fails with SASL goes on without.
    pub allow_sasl_failed_clients: bool,
    /// A client must be known by one of these schemes before anything else; empty is no such demand.
    pub enforced_schemes: Vec<String>,
    /// `ensembleAuthName`: names of this ensemble, for the scheme `ensemble`.
    pub ensemble_names: Vec<String>,
}

/// When containers and znodes with a time to live go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeeperContainers {
    /// How often they are looked for.
    pub check_interval_ms: u64,
    /// The most that are deleted a minute.
    pub deletes_per_minute_max: u64,
    /// How long a container that never had children stays; `None` is for ever.
    pub never_used_ms_max: Option<u64>,
}

/// The configuration of the keeper role: checked, in plain units.
#[derive(Debug, Clone, PartialEq)]
pub struct KeeperConfig {
    /// The server's number as the configuration gives it; [`KeeperConfig::my_id`] also knows the
    /// file `myid` and the hostname.
    pub my_id_given: Option<i64>,
    /// The number that follows from the hostname's ordinal, and whether it must be the right one
    /// (else it only counts when nothing else tells the number).
    pub my_id_of_hostname: Option<HostnameId>,
    /// `server.N`, in the order of N: the ensemble as the configuration knows it. A running one may
    /// have been changed since.
    pub servers: Vec<KeeperServer>,
    /// `dynamicConfigFile`: where the servers stand instead.
    pub dynamic_config_file: Option<String>,
    /// The version of the list of servers, a zxid; 0 for one that was never changed.
    pub dynamic_config_version: i64,
    /// `peerType`
    pub peer_type: KeeperPeerType,
    /// `standaloneEnabled`: one server alone is no ensemble.
    pub standalone_enabled: bool,
    /// `reconfigEnabled`: clients may change the ensemble.
    pub reconfig_enabled: bool,
    /// `quorumListenOnAllIPs`: servers are awaited on every interface, not only on the address of
    /// this server's own line.
    pub quorum_listen_on_all_ips: bool,
    /// The plaintext port of clients, if there is one.
    pub client_listener: Option<KeeperListener>,
    /// The TLS port of clients, if there is one.
    pub secure_client_listener: Option<KeeperListener>,
    /// The TLS of `secure_client_listener`.
    pub client_tls: Option<TlsOptions>,
    /// The TLS between servers; `None` is plaintext.
    pub quorum_tls: Option<TlsOptions>,
    /// `tickTime`: the length of a tick.
    pub tick_time_ms: u64,
    /// `initLimit`: how many ticks a server may take to catch up at first.
    pub init_limit_ticks: u64,
    /// `syncLimit`: how many ticks a server may be behind or silent.
    pub sync_limit_ticks: u64,
    /// `connectToLearnerMasterLimit`: how many ticks connecting to the leader may take.
    pub connect_limit_ticks: u64,
    /// The shortest session timeout that a client gets.
    pub session_timeout_ms_min: u64,
    /// The longest session timeout that a client gets.
    pub session_timeout_ms_max: u64,
    /// `readonlymode.enabled`: clients that want to may read from a server without a leader.
    pub read_only_mode_enabled: bool,
    /// `leaderServes`: the leader takes clients.
    pub leader_serves: bool,
    /// `extendedTypesEnabled`: znodes with a time to live may be made.
    pub extended_types_enabled: bool,
    /// `enforceQuota`: writes beyond a hard quota are refused.
    pub enforce_quota: bool,
    /// `audit.enable`: changes are logged with who made them.
    pub audit_enabled: bool,
    /// Where data is.
    pub storage: KeeperStorage,
    /// Limits.
    pub limits: KeeperLimits,
    /// Who is let in.
    pub auth: KeeperAuth,
    /// Containers and znodes with a time to live.
    pub containers: KeeperContainers,
    /// Which four-letter words are answered.
    pub four_letter_words: FourLetterWords,
    /// AdminServer.
    pub admin: KeeperAdmin,
    /// `metricsProvider.*`: a port of its own for Prometheus, at `/metrics`. Without, the metrics
    /// are with the node's own.
    pub metrics_listener: Option<KeeperListener>,
}

/// A server's number that follows from its hostname.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostnameId {
    /// The number.
    pub my_id: i64,
    /// Whether any other number is a mistake.
    pub is_binding: bool,
}

impl KeeperConfig {
    /// Whether the server is alone, without an ensemble: there is no other participant, and
    /// `standaloneEnabled` is not false.
    #[must_use]
    pub fn is_standalone(&self) -> bool {
        let participants = self
            .servers
            .iter()
            .filter(|server| server.peer_type == KeeperPeerType::Participant)
            .count();
        participants == 0 || participants == 1 && self.standalone_enabled
    }

    /// The line of one server.
    #[must_use]
    pub fn server(&self, id: i64) -> Option<&KeeperServer> {
        self.servers.iter().find(|server| server.id == id)
    }
}

#[cfg(test)]
mod tests;
