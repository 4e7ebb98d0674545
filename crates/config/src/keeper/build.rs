//! From the keeper's properties to its configuration.

use ottla_model::{ClientAuth, DigestAlgorithm, Secret, TlsOptions};

use super::properties::KeeperProperties;
use super::tls::{ClientTlsProperties, QuorumTlsProperties};
use super::{
    ConnectionThrottle, FourLetterWords, KeeperAdmin, KeeperAuth, KeeperConfig, KeeperContainers,
    KeeperLimits, KeeperListener, KeeperPeerType, KeeperServer, KeeperStorage, RequestThrottle,
};
use crate::found::Found;
use crate::sources::Level;

/// The port of clients when nothing is said.
const CLIENT_PORT: u16 = 2181;

/// `PurgeTxnLog` leaves no fewer snapshots than these.
const SNAP_RETAIN_COUNT_MIN: u32 = 3;

/// A limit in ticks that makes more than this was hardly meant as ticks.
const TICKS_MS_PLAUSIBLE: u64 = 3_600_000;

/// What the properties alone do not say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given {
    /// Where the keeper's data is if `dataDir` is unset.
    pub(crate) data_dir: String,
    /// The lines `server.N`, or those that follow from the hostname.
    pub(crate) servers: Vec<KeeperServer>,
    /// Whether SASL is among the `authProvider.N`.
    pub(crate) sasl_provider: bool,
    /// `superUser` and `superUser.N`.
    pub(crate) sasl_super_users: Vec<String>,
    /// Users that the environment names.
    pub(crate) sasl_users: Vec<(String, Secret)>,
}

/// The keeper's properties and its two families of TLS.
pub(crate) struct AllProperties {
    pub(crate) keeper: KeeperProperties,
    pub(crate) client_tls: ClientTlsProperties,
    pub(crate) quorum_tls: QuorumTlsProperties,
}

/// Puts the configuration together; what does not fit together is found.
pub(crate) fn build(all: AllProperties, given: Given, found: &mut Found) -> KeeperConfig {
    let AllProperties {
        keeper: p,
        client_tls,
        quorum_tls,
    } = all;
    warn_of_ticks(&p, found);
    let (client_listener, secure_client_listener) = listeners(&p, found);
    let client_tls = client_tls.build();
    let client_tls = wanted_tls(
        secure_client_listener.is_some(),
        "secureClientPort",
        "ssl.",
        client_tls,
        found,
    );
    let quorum_tls = quorum_tls.build();
    let quorum_tls = wanted_tls(p.ssl_quorum, "sslQuorum", "ssl.quorum.", quorum_tls, found);
    let (session_timeout_ms_min, session_timeout_ms_max) = session_timeouts(&p, found);
    let init_limit_ticks = count(p.init_limit_ticks);
    let peer_type = KeeperPeerType::parse(&p.peer_type).unwrap_or_else(|| {
        found.conflict(
            format!("peerType = {}", p.peer_type),
            "it is neither participant nor observer",
        );
        KeeperPeerType::Participant
    });
    KeeperConfig {
        my_id_given: p.my_id,
        my_id_of_hostname: None,
        dynamic_config_file: p.dynamic_config_file.clone(),
        dynamic_config_version: 0,
        peer_type,
        standalone_enabled: p.standalone_enabled,
        reconfig_enabled: p.reconfig_enabled,
        quorum_listen_on_all_ips: p.quorum_listen_on_all_ips,
        client_listener,
        secure_client_listener,
        client_tls,
        quorum_tls,
        tick_time_ms: count(p.tick_time_ms),
        init_limit_ticks,
        sync_limit_ticks: count(p.sync_limit_ticks),
        connect_limit_ticks: limit(p.connect_limit_ticks.into()).unwrap_or(init_limit_ticks),
        session_timeout_ms_min,
        session_timeout_ms_max,
        read_only_mode_enabled: p.read_only_mode_enabled,
        leader_serves: is_yes(&p.leader_serves),
        extended_types_enabled: p.extended_types_enabled,
        enforce_quota: p.enforce_quota,
        audit_enabled: p.audit_enable,
        storage: storage(&p, given.data_dir, found),
        limits: limits(&p),
        containers: KeeperContainers {
            check_interval_ms: count(p.container_check_interval_ms),
            deletes_per_minute_max: count(p.container_deletes_per_minute),
            never_used_ms_max: limit(p.container_never_used_ms),
        },
        four_letter_words: four_letter_words(&p),
        admin: admin(&p, found),
        metrics_listener: metrics_listener(&p, found),
        auth: auth(
            p,
            given.sasl_provider,
            given.sasl_super_users,
            given.sasl_users,
        ),
        servers: given.servers,
    }
}

/// A number that has passed its bounds, of which none lets one below 0 pass.
fn count(number: impl Into<i64>) -> u64 {
    u64::try_from(number.into()).unwrap_or(0)
}

/// A limit for which 0 and below means none.
fn limit(number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|&number| number > 0)
}

fn port(number: i32) -> u16 {
    u16::try_from(number).unwrap_or(0)
}

fn is_yes(text: &str) -> bool {
    matches!(text, "yes" | "true")
}

/// A limit in ticks that was read from a property in milliseconds makes hours.
fn warn_of_ticks(p: &KeeperProperties, found: &mut Found) {
    let tick_ms = count(p.tick_time_ms);
    let limits = [
        ("initLimit", p.init_limit_ticks),
        ("syncLimit", p.sync_limit_ticks),
        ("connectToLearnerMasterLimit", p.connect_limit_ticks),
    ];
    for (name, ticks) in limits {
        let ms = count(ticks).saturating_mul(tick_ms);
        if ms > TICKS_MS_PLAUSIBLE {
            let message = format!(
                "{name} = {ticks} ticks of tickTime = {tick_ms} ms are {} s: a server that is lost \
                 would be missed only then. {name} counts ticks, not milliseconds.",
                ms / 1000
            );
            found.note(Level::Warn, name, message);
        }
    }
}

fn listeners(
    p: &KeeperProperties,
    found: &mut Found,
) -> (Option<KeeperListener>, Option<KeeperListener>) {
    let mut listener =
        |port_key: &str, given: Option<i32>, address: &Option<String>| match (given, address) {
            (Some(number), address) => Some(KeeperListener {
                host: host(address.as_deref().unwrap_or("")),
                port: port(number),
            }),
            (None, Some(address)) => {
                let reason = format!("{port_key} is not set");
                found.conflict(format!("{port_key}Address = {address}"), reason);
                None
            }
            (None, None) => None,
        };
    let plain = listener("clientPort", p.client_port, &p.client_port_address);
    let secure = listener(
        "secureClientPort",
        p.secure_client_port,
        &p.secure_client_port_address,
    );
    if let (Some(one), Some(other)) = (&plain, &secure)
        && one.port == other.port
        && one.port != 0
    {
        let reason = "the plaintext port and the TLS port must differ";
        found.conflict(
            format!(
                "clientPort = {}, secureClientPort = {}",
                one.port, other.port
            ),
            reason,
        );
    }
    if plain.is_none() && secure.is_none() {
        let nowhere_said = KeeperListener {
            host: "127.0.0.1".to_owned(),
            port: CLIENT_PORT,
        };
        return (Some(nowhere_said), None);
    }
    (plain, secure)
}

/// A host without brackets. ZooKeeper's word for every interface is an address.
fn host(text: &str) -> String {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    if matches!(text, "0.0.0.0" | "::" | "0:0:0:0:0:0:0:0") {
        return String::new();
    }
    text.to_owned()
}

fn wanted_tls(
    wanted: bool,
    by: &str,
    prefix: &str,
    built: Result<Option<TlsOptions>, (String, String)>,
    found: &mut Found,
) -> Option<TlsOptions> {
    if !wanted {
        return None;
    }
    match built {
        Ok(Some(tls)) => {
            let trusts = tls.trust_store.is_some();
            if !trusts && tls.client_auth != ClientAuth::None {
                let reason = format!(
                    "whoever connects must be judged by {prefix}trustStore.location, which is not \
                     set; with {prefix}clientAuth=none nobody is"
                );
                found.conflict(by, reason);
            } else if !trusts && by == "sslQuorum" {
                let reason = format!("servers must be judged by {prefix}trustStore.location");
                found.conflict(by, reason);
            }
            Some(tls)
        }
        Ok(None) => {
            let reason = format!("it needs {prefix}keyStore.location, a key and its certificates");
            found.conflict(by, reason);
            None
        }
        Err((keys, reason)) => {
            found.conflict(keys, reason);
            None
        }
    }
}

fn session_timeouts(p: &KeeperProperties, found: &mut Found) -> (u64, u64) {
    let tick_ms = count(p.tick_time_ms);
    let or_ticks = |given: i32, ticks: u64| {
        u64::try_from(given).unwrap_or_else(|_| tick_ms.saturating_mul(ticks))
    };
    let min = or_ticks(p.min_session_timeout_ms, 2);
    let max = or_ticks(p.max_session_timeout_ms, 20);
    if min > max {
        found.conflict(
            format!("minSessionTimeout = {min}, maxSessionTimeout = {max}"),
            "the shortest session timeout is longer than the longest one",
        );
    }
    (min, max)
}

fn storage(p: &KeeperProperties, default_dir: String, found: &mut Found) -> KeeperStorage {
    let data_dir = p.data_dir.clone().unwrap_or(default_dir);
    let mut snap_retain_count = u32::try_from(p.snap_retain_count).unwrap_or(0);
    if snap_retain_count < SNAP_RETAIN_COUNT_MIN {
        let message = format!(
            "autopurge.snapRetainCount = {snap_retain_count} is less than {SNAP_RETAIN_COUNT_MIN}, \
             which is what a purge leaves at least."
        );
        found.note(Level::Warn, "autopurge.snapRetainCount", message);
        snap_retain_count = SNAP_RETAIN_COUNT_MIN;
    }
    let force_sync = is_yes(&p.force_sync);
    if !force_sync {
        let message = "forceSync = no: a power failure can take writes that were answered.";
        found.note(Level::Warn, "forceSync", message);
    }
    let kib = |number: i64| limit(number).map(|kib| kib.saturating_mul(1024));
    KeeperStorage {
        data_log_dir: p.data_log_dir.clone().unwrap_or_else(|| data_dir.clone()),
        data_dir,
        data_dir_autocreate: p.data_dir_autocreate,
        snap_count: count(p.snap_count),
        snap_size_limit_bytes: kib(p.snap_size_limit_kb),
        txn_log_size_limit_bytes: kib(p.txn_log_size_limit_kb),
        snap_retain_count,
        purge_interval_ms: limit(p.purge_interval_hours.into())
            .map(|hours| hours.saturating_mul(3_600_000)),
        fsync_warning_threshold_ms: count(p.fsync_warning_threshold_ms),
        force_sync,
    }
}

fn limits(p: &KeeperProperties) -> KeeperLimits {
    KeeperLimits {
        jute_max_buffer_bytes: usize::try_from(p.jute_max_buffer_bytes).unwrap_or(0),
        connections_max: limit(p.connections_max.into()),
        connections_per_ip_max: limit(p.connections_per_ip_max.into()),
        outstanding_requests_max: count(p.outstanding_requests_max),
        large_requests_bytes_max: count(p.large_request_max_bytes),
        large_request_threshold_bytes: limit(p.large_request_threshold.into()),
        request_throttle: RequestThrottle {
            requests_max: limit(p.request_throttle_max_requests.into()),
            stall_time_ms: count(p.request_throttle_stall_time_ms),
            drop_stale: p.request_throttle_drop_stale,
            stale_latency_check: p.request_stale_latency_check,
            stale_connection_check: p.request_stale_connection_check,
            throttled_wait_ms: limit(p.throttled_op_wait_time_ms.into()),
        },
        connection_throttle: limit(p.connection_throttle_tokens.into()).map(|tokens| {
            ConnectionThrottle {
                tokens,
                fill_time_ms: count(p.connection_throttle_fill_time_ms),
                fill_count: count(p.connection_throttle_fill_count),
                freeze_time_ms: limit(p.connection_throttle_freeze_time_ms.into()),
                drop_increase: p.connection_throttle_drop_increase,
                drop_decrease: p.connection_throttle_drop_decrease,
                decrease_ratio: p.connection_throttle_decrease_ratio,
                weight_enabled: p.connection_throttle_weight_enabled,
                global_session_weight: count(p.connection_throttle_global_weight),
                renew_session_weight: count(p.connection_throttle_renew_weight),
            }
        }),
    }
}

fn four_letter_words(p: &KeeperProperties) -> FourLetterWords {
    if p.four_letter_words.iter().any(|word| word == "*") {
        return FourLetterWords::All;
    }
    let mut words = p.four_letter_words.clone();
    // As in ZooKeeper: clients find out with it whether a server only lets them read.
    if p.read_only_mode_enabled && !words.iter().any(|word| word == "isro") {
        words.push("isro".to_owned());
    }
    FourLetterWords::Only(words)
}

fn admin(p: &KeeperProperties, found: &mut Found) -> KeeperAdmin {
    if let (None, Some(address)) = (p.admin_server_port, &p.admin_server_address) {
        let message = format!(
            "admin.serverAddress = {address} has no effect without admin.serverPort: AdminServer's \
             commands are on ottla.http.listener."
        );
        found.note(Level::Info, "admin.serverAddress", message);
    }
    if !p.admin_command_url.starts_with('/') {
        found.conflict(
            format!("admin.commandURL = {}", p.admin_command_url),
            "a path begins with /",
        );
    }
    KeeperAdmin {
        enabled: p.admin_enable_server,
        listener: p
            .admin_server_port
            .filter(|_| p.admin_enable_server)
            .map(|number| KeeperListener {
                host: host(p.admin_server_address.as_deref().unwrap_or("")),
                port: port(number),
            }),
        command_url: p.admin_command_url.trim_end_matches('/').to_owned(),
        snapshot_enabled: p.admin_snapshot_enabled,
        restore_enabled: p.admin_restore_enabled,
        rate_limiter_interval_ms: count(p.admin_rate_limiter_interval_ms),
    }
}

fn metrics_listener(p: &KeeperProperties, found: &mut Found) -> Option<KeeperListener> {
    let class = p.metrics_provider_class.as_deref()?;
    match class.rsplit('.').next().unwrap_or(class) {
        "PrometheusMetricsProvider" => Some(KeeperListener {
            host: host(&p.metrics_provider_host),
            port: port(p.metrics_provider_port),
        }),
        "DefaultMetricsProvider" | "NullMetricsProvider" => None,
        _ => {
            found.conflict(
                format!("metricsProvider.className = {class}"),
                "Java plugins cannot be loaded; there is PrometheusMetricsProvider",
            );
            None
        }
    }
}

fn auth(
    p: KeeperProperties,
    sasl_provider: bool,
    sasl_super_users: Vec<String>,
    sasl_users: Vec<(String, Secret)>,
) -> KeeperAuth {
    let mut enforced_schemes = Vec::new();
    if p.session_require_client_sasl_auth {
        enforced_schemes.push("sasl".to_owned());
    }
    if p.enforce_auth_enabled {
        for scheme in p.enforce_auth_schemes {
            if !enforced_schemes.contains(&scheme) {
                enforced_schemes.push(scheme);
            }
        }
    }
    KeeperAuth {
        skip_acl: is_yes(&p.skip_acl),
        digest_enabled: p.digest_enabled,
        digest_algorithm: DigestAlgorithm::parse(&p.digest_algorithm).unwrap_or_default(),
        super_digest: p.super_digest,
        x509_super_user: p.x509_super_user,
        sasl_super_users,
        sasl_enabled: sasl_provider
            || p.jaas_file.is_some()
            || p.sasl_super_password.is_some()
            || !sasl_users.is_empty(),
        sasl_super_password: p.sasl_super_password,
        any_sasl_user_acl: p.any_sasl_user_acl,
        jaas_file: p.jaas_file,
        jaas_section: p.jaas_section,
        sasl_users,
        allow_sasl_failed_clients: p.allow_sasl_failed_clients,
        enforced_schemes,
        ensemble_names: p.ensemble_auth_name.unwrap_or_default(),
    }
}
