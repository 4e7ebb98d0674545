//! ZooKeeper's properties in the environment, under the names that images gave them.
//!
//! | image | variables |
//! |---|---|
//! | `kubernetes-zookeeper` | `ZK_REPLICAS`, `ZK_TICK_TIME`, … |
//! | Docker's `zookeeper` | `ZOO_MY_ID`, `ZOO_SERVERS`, `ZOO_CFG_EXTRA`, … |
//! | Bitnami's | `ZOO_PORT_NUMBER`, `ZOO_SERVER_ID`, `ZOO_TLS_CLIENT_ENABLE`, `ZOO_CFG_*`, … |
//! | all with a JVM | `JVMFLAGS`, `SERVER_JVMFLAGS`: what is in them as `-DNAME=VALUE` |

use std::collections::BTreeMap;

use ottla_model::Secret;

use super::environment::Meaning::{Flag, NoEffect, Refused, Sets, Special, Switch};
use super::{Gathered, names};
use crate::environment::is_foreign;
use crate::error::ConfigError;
use crate::found::Found;
use crate::sources::{Level, Origin, Setting};

/// What a variable means.
#[derive(Debug, Clone, Copy)]
enum Meaning {
    /// The property has its value.
    Sets(&'static str),
    /// The property has its value, which is yes or no.
    Flag(&'static str),
    /// If it is yes, the property has this value.
    Switch(&'static str, &'static str),
    /// It is read together with others, below.
    Special,
    /// It is accepted, and changes nothing; the text says why.
    NoEffect(&'static str),
    /// It would change behaviour and is not supported, unless it is empty or no.
    Refused(&'static str),
}

#[rustfmt::skip]
const VARIABLES: &[(&str, Meaning)] = &[
    ("ZK_REPLICAS", Sets("ottla.keeper.replicas")),
    ("ZK_TICK_TIME", Sets("tickTime")),
    ("ZK_INIT_LIMIT", Sets("initLimit")),
    ("ZK_SYNC_LIMIT", Sets("syncLimit")),
    ("ZK_MAX_CLIENT_CNXNS", Sets("maxClientCnxns")),
    ("ZK_SNAP_RETAIN_COUNT", Sets("autopurge.snapRetainCount")),
    ("ZK_PURGE_INTERVAL", Sets("autopurge.purgeInterval")),
    ("ZK_CLIENT_PORT", Sets("clientPort")),
    ("ZK_SERVER_PORT", Sets("ottla.keeper.server.port")),
    ("ZK_ELECTION_PORT", Sets("ottla.keeper.election.port")),
    ("ZK_MIN_SESSION_TIMEOUT", Sets("minSessionTimeout")),
    ("ZK_MAX_SESSION_TIMEOUT", Sets("maxSessionTimeout")),
    ("ZK_DATA_DIR", Sets("dataDir")),
    ("ZK_DATA_LOG_DIR", Sets("dataLogDir")),
    ("ZK_HEAP_SIZE", NoEffect(NO_JVM)),
    ("ZK_SERVER_HEAP", NoEffect(NO_JVM)),
    ("ZK_CLIENT_HEAP", NoEffect(NO_JVM)),
    ("ZK_LOG_LEVEL", NoEffect("the level of the log is OTTLA_LOG")),
    ("ZK_LOG_DIR", NoEffect("the log goes to standard error")),
    ("ZK_CONF_DIR", NoEffect("no configuration is written")),
    ("ZK_USER", NoEffect("the process runs as whoever starts it")),
    ("ZK_ENSEMBLE", NoEffect("the servers follow from ZK_REPLICAS")),

    ("ZOO_MY_ID", Sets("myid")),
    ("ZOO_SERVER_ID", Sets("myid")),
    ("ZOO_SERVERS", Special),
    ("ZOO_CFG_EXTRA", Special),
    ("ZOO_DATA_DIR", Sets("dataDir")),
    ("ZOO_DATA_LOG_DIR", Sets("dataLogDir")),
    ("ZOO_TICK_TIME", Sets("tickTime")),
    ("ZOO_INIT_LIMIT", Sets("initLimit")),
    ("ZOO_SYNC_LIMIT", Sets("syncLimit")),
    ("ZOO_MAX_CLIENT_CNXNS", Sets("maxClientCnxns")),
    ("ZOO_MAX_CNXNS", Sets("maxCnxns")),
    ("ZOO_STANDALONE_ENABLED", Flag("standaloneEnabled")),
    ("ZOO_ADMINSERVER_ENABLED", Flag("admin.enableServer")),
    ("ZOO_AUTOPURGE_PURGEINTERVAL", Sets("autopurge.purgeInterval")),
    ("ZOO_AUTOPURGE_SNAPRETAINCOUNT", Sets("autopurge.snapRetainCount")),
    ("ZOO_4LW_COMMANDS_WHITELIST", Sets("4lw.commands.whitelist")),
    ("ZOO_PORT", Sets("clientPort")),
    ("ZOO_PORT_NUMBER", Sets("clientPort")),
    ("ZOO_PEER_TYPE", Sets("peerType")),
    ("ZOO_ENABLE_ADMIN_SERVER", Flag("admin.enableServer")),
    ("ZOO_ADMIN_SERVER_ADDRESS", Sets("admin.serverAddress")),
    ("ZOO_ADMIN_SERVER_PORT_NUMBER", Sets("admin.serverPort")),
    ("ZOO_AUTOPURGE_INTERVAL", Sets("autopurge.purgeInterval")),
    ("ZOO_AUTOPURGE_RETAIN_COUNT", Sets("autopurge.snapRetainCount")),
    ("ZOO_RECONFIG_ENABLED", Flag("reconfigEnabled")),
    ("ZOO_LISTEN_ALLIPS_ENABLED", Flag("quorumListenOnAllIPs")),
    ("ZOO_MAX_SESSION_TIMEOUT", Sets("maxSessionTimeout")),
    ("ZOO_MIN_SESSION_TIMEOUT", Sets("minSessionTimeout")),
    ("ZOO_SNAPCOUNT", Sets("snapCount")),
    ("ZOO_ENABLE_PROMETHEUS_METRICS", Switch("metricsProvider.className", "org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider")),
    ("ZOO_PROMETHEUS_METRICS_PORT_NUMBER", Sets("metricsProvider.httpPort")),
    ("ZOO_ENABLE_AUTH", Switch("enforce.auth.enabled", "true")),
    ("ZOO_SERVER_USERS", Special),
    ("ZOO_SERVER_PASSWORDS", Special),
    ("ZOO_TLS_CLIENT_ENABLE", Special),
    ("ZOO_TLS_PORT_NUMBER", Special),
    ("ZOO_TLS_CLIENT_AUTH", Sets("ssl.clientAuth")),
    ("ZOO_TLS_CLIENT_KEYSTORE_FILE", Sets("ssl.keyStore.location")),
    ("ZOO_TLS_CLIENT_KEYSTORE_TYPE", Sets("ssl.keyStore.type")),
    ("ZOO_TLS_CLIENT_KEYSTORE_PASSWORD", Sets("ssl.keyStore.password")),
    ("ZOO_TLS_CLIENT_KEYSTORE_PASSWORD_FILE", Sets("ssl.keyStore.passwordPath")),
    ("ZOO_TLS_CLIENT_TRUSTSTORE_FILE", Sets("ssl.trustStore.location")),
    ("ZOO_TLS_CLIENT_TRUSTSTORE_TYPE", Sets("ssl.trustStore.type")),
    ("ZOO_TLS_CLIENT_TRUSTSTORE_PASSWORD", Sets("ssl.trustStore.password")),
    ("ZOO_TLS_CLIENT_TRUSTSTORE_PASSWORD_FILE", Sets("ssl.trustStore.passwordPath")),
    ("ZOO_TLS_QUORUM_ENABLE", Flag("sslQuorum")),
    ("ZOO_TLS_QUORUM_CLIENT_AUTH", Sets("ssl.quorum.clientAuth")),
    ("ZOO_TLS_QUORUM_KEYSTORE_FILE", Sets("ssl.quorum.keyStore.location")),
    ("ZOO_TLS_QUORUM_KEYSTORE_TYPE", Sets("ssl.quorum.keyStore.type")),
    ("ZOO_TLS_QUORUM_KEYSTORE_PASSWORD", Sets("ssl.quorum.keyStore.password")),
    ("ZOO_TLS_QUORUM_KEYSTORE_PASSWORD_FILE", Sets("ssl.quorum.keyStore.passwordPath")),
    ("ZOO_TLS_QUORUM_TRUSTSTORE_FILE", Sets("ssl.quorum.trustStore.location")),
    ("ZOO_TLS_QUORUM_TRUSTSTORE_TYPE", Sets("ssl.quorum.trustStore.type")),
    ("ZOO_TLS_QUORUM_TRUSTSTORE_PASSWORD", Sets("ssl.quorum.trustStore.password")),
    ("ZOO_TLS_QUORUM_TRUSTSTORE_PASSWORD_FILE", Sets("ssl.quorum.trustStore.passwordPath")),
    ("ZOO_ENABLE_QUORUM_AUTH", Refused("servers know each other by certificates: ZOO_TLS_QUORUM_ENABLE")),
    ("ZOO_SERVER_PASSWORDS_FILE", Refused("name a JAAS file with java.security.auth.login.config")),
    ("ZOO_QUORUM_LEARNER_USER", NoEffect("it is for ZOO_ENABLE_QUORUM_AUTH")),
    ("ZOO_QUORUM_LEARNER_PASSWORD", NoEffect("it is for ZOO_ENABLE_QUORUM_AUTH")),
    ("ZOO_QUORUM_SERVER_USERS", NoEffect("it is for ZOO_ENABLE_QUORUM_AUTH")),
    ("ZOO_QUORUM_SERVER_PASSWORDS", NoEffect("it is for ZOO_ENABLE_QUORUM_AUTH")),
    ("ZOO_CLIENT_USER", NoEffect("it is a client's")),
    ("ZOO_CLIENT_PASSWORD", NoEffect("it is a client's")),
    ("ZOO_PRE_ALLOC_SIZE", NoEffect("the log has files of its own")),
    ("ZOO_HEAP_SIZE", NoEffect(NO_JVM)),
    ("ZOO_FIPS_MODE", NoEffect("TLS is rustls with aws-lc-rs")),
    ("ZOO_LOG_LEVEL", NoEffect("the level of the log is OTTLA_LOG")),
    ("ZOO_LOG4J_PROP", NoEffect("there is no log4j")),
    ("ZOO_LOG_DIR", NoEffect("the log goes to standard error")),
    ("ZOO_LOG_FILE", NoEffect("the log goes to standard error")),
    ("ZOO_CONF_DIR", NoEffect("the configuration is named with --keeper-config")),
    ("ZOO_CONF_FILE", NoEffect("the configuration is named with --keeper-config")),
    ("ZOOCFGDIR", NoEffect("the configuration is named with --keeper-config")),
    ("ZOO_HC_TIMEOUT", NoEffect("it is for Bitnami's scripts")),
    ("ZOO_BASE_DIR", NoEffect("it is for Bitnami's scripts")),
    ("ZOO_VOLUME_DIR", NoEffect("it is for Bitnami's scripts")),
    ("ZOO_BIN_DIR", NoEffect("it is for Bitnami's scripts")),
    ("ZOO_DAEMON_USER", NoEffect("it is for Bitnami's scripts")),
    ("ZOO_DAEMON_GROUP", NoEffect("it is for Bitnami's scripts")),
    ("ZOO_DATADIR_AUTOCREATE_DISABLE", Switch("datadir.autocreate", "false")),
    ("JVMFLAGS", Special),
    ("SERVER_JVMFLAGS", Special),
    ("CLIENT_JVMFLAGS", NoEffect("it is a client's")),
    ("JMXDISABLE", NoEffect(NO_JVM)),
    ("JMXPORT", NoEffect(NO_JVM)),
];

const NO_JVM: &str = "there is no JVM";

/// As Bitnami's and the Docker image's scripts read a yes.
fn is_yes(value: &str) -> bool {
    matches!(
        value.trim().to_ascii_lowercase().as_str(),
        "yes" | "true" | "1" | "on"
    )
}

/// Picks what concerns the keeper out of the environment.
pub(crate) fn read_environment(
    env: &BTreeMap<String, String>,
    gathered: &mut Gathered,
    found: &mut Found,
) {
    let mut reading = Reading {
        env,
        gathered,
        found,
    };
    for (name, value) in env {
        reading.variable(name, value);
    }
    reading.users();
    reading.tls_port();
    // Whoever sets a system property by hand means it more than an image's own variables.
    reading.jvm_flags();
}

struct Reading<'a> {
    env: &'a BTreeMap<String, String>,
    gathered: &'a mut Gathered,
    found: &'a mut Found,
}

impl Reading<'_> {
    fn set(&mut self, variable: &str, key: &str, value: &str) {
        let setting = Setting {
            value: value.trim().to_owned(),
            origin: Origin::Environment(variable.to_owned()),
        };
        let earlier = self.gathered.set(key, setting);
        if let Some(Setting {
            origin: Origin::Environment(other),
            value: earlier,
        }) = earlier
            && earlier != value.trim()
        {
            let message = format!("{variable} and {other} both set {key}; {variable} counts.");
            self.found.note(Level::Warn, key, message);
        }
    }

    fn variable(&mut self, name: &str, value: &str) {
        let known = VARIABLES.iter().find(|(known, _)| *known == name);
        if let Some((_, meaning)) = known {
            // A Service that is named `zoo` sets ZOO_PORT, and not as a number.
            if !value.trim().is_empty() && !value.contains("://") {
                self.known(name, *meaning, value);
            }
            return;
        }
        if let Some(rest) = name.strip_prefix("ZOO_CFG_") {
            let key = rest.replace('_', ".");
            let key = names::of_variable(rest).unwrap_or(key);
            self.set(name, &key, value);
            return;
        }
        let rest = name
            .strip_prefix("ZK_")
            .or_else(|| name.strip_prefix("ZOO_"));
        if let Some(rest) = rest
            && !is_foreign(name, rest, value)
        {
            let message = format!(
                "{name} in the environment is not known and has no effect; --set can set any \
                 property of ZooKeeper."
            );
            self.found.note(Level::Warn, name, message);
        }
    }

    fn known(&mut self, name: &str, meaning: Meaning, value: &str) {
        match meaning {
            Sets(key) => self.set(name, key, value),
            Flag(key) => self.set(name, key, if is_yes(value) { "true" } else { "false" }),
            Switch(key, on) if is_yes(value) => {
                self.set(name, key, on);
                if name == "ZOO_ENABLE_AUTH" {
                    self.set(name, "enforce.auth.schemes", "sasl");
                    self.set(name, "authProvider.sasl", "SASLAuthenticationProvider");
                }
            }
            Switch(..) | Special => match name {
                "ZOO_SERVERS" => self.servers(name, value),
                "ZOO_CFG_EXTRA" => self.extra(name, value),
                _ => {}
            },
            NoEffect(reason) => {
                let message = format!("{name} in the environment has no effect: {reason}.");
                self.found.note(Level::Info, name, message);
            }
            Refused(reason) => {
                if !matches!(value.trim().to_ascii_lowercase().as_str(), "no" | "false") {
                    let setting = Setting {
                        value: value.to_owned(),
                        origin: Origin::Environment(name.to_owned()),
                    };
                    self.found.errors.push(ConfigError::Refused {
                        key: name.to_owned(),
                        setting: Box::new(setting),
                        reason: reason.to_owned(),
                    });
                }
            }
        }
    }

    /// `server.1=zoo1:2888:3888;2181 server.2=…` of Docker's image, or
    /// `zoo1:2888:3888,zoo2:2888:3888` and `zoo1:2888:3888::1` of Bitnami's.
    fn servers(&mut self, name: &str, value: &str) {
        if value.trim_start().starts_with("server.") {
            self.extra(name, value);
            return;
        }
        let entries = value.split([',', ';', ' ', '\t', '\n']);
        let entries: Vec<&str> = entries.filter(|entry| !entry.is_empty()).collect();
        if let [_] = entries.as_slice() {
            // As in Bitnami's script: one server is alone.
            return;
        }
        for (index, entry) in entries.into_iter().enumerate() {
            let (server, id) = match entry.rsplit_once("::") {
                Some((server, id)) => (server, id.to_owned()),
                None => (entry, (index + 1).to_string()),
            };
            self.set(name, &format!("server.{id}"), server);
        }
    }

    /// `key=value key=value`, as lines of a `zoo.cfg`.
    fn extra(&mut self, name: &str, value: &str) {
        for entry in value.split_whitespace() {
            match entry.split_once('=') {
                Some((key, value)) => self.set(name, key, value),
                None => self.found.conflict(
                    format!("{name} = {value}"),
                    format!("{entry} is no key=value"),
                ),
            }
        }
    }

    /// Users of SASL, with their passwords in the same order.
    fn users(&mut self) {
        let list = |name: &str| -> Vec<String> {
            let text = self.env.get(name).map_or("", String::as_str);
            let entries = text.split([',', ';', ' ']);
            let entries = entries.filter(|entry| !entry.is_empty());
            entries.map(str::to_owned).collect()
        };
        let (users, passwords) = (list("ZOO_SERVER_USERS"), list("ZOO_SERVER_PASSWORDS"));
        if users.len() != passwords.len() {
            self.found.conflict(
                "ZOO_SERVER_USERS, ZOO_SERVER_PASSWORDS",
                format!(
                    "there are {} users and {} passwords",
                    users.len(),
                    passwords.len()
                ),
            );
            return;
        }
        let pairs = users.into_iter().zip(passwords);
        let pairs = pairs.map(|(user, password)| (user, Secret::new(password)));
        self.gathered.sasl_users.extend(pairs);
    }

    /// Bitnami's TLS port is there only if it is asked for, and is then instead of the other one.
    fn tls_port(&mut self) {
        let enable = "ZOO_TLS_CLIENT_ENABLE";
        if !self.env.get(enable).is_some_and(|value| is_yes(value)) {
            return;
        }
        let port = self.env.get("ZOO_TLS_PORT_NUMBER");
        let port = port.map_or("3181", String::as_str).to_owned();
        self.gathered.unset("clientPort");
        self.set(enable, "secureClientPort", &port);
    }

    fn jvm_flags(&mut self) {
        for name in ["JVMFLAGS", "SERVER_JVMFLAGS"] {
            let Some(flags) = self.env.get(name) else {
                continue;
            };
            let mut without_effect = Vec::new();
            for flag in flags.split_whitespace() {
                let property = flag.strip_prefix("-D").and_then(|d| d.split_once('='));
                match property.and_then(|(key, value)| Some((names::canonical(key)?, value))) {
                    Some((key, value)) => self.set(name, &key, value),
                    None => without_effect.push(flag.split('=').next().unwrap_or(flag)),
                }
            }
            if !without_effect.is_empty() {
                let message = format!(
                    "{} in {name} has no effect: {NO_JVM}.",
                    without_effect.join(" ")
                );
                self.found.note(Level::Info, name, message);
            }
        }
    }
}
