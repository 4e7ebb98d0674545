//! The files that servers read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ottla_config::{BrokerScope, check_dynamic};
use sha2::{Digest, Sha256};

use super::{
    BROKER_POOL, CONTROLLER_POOL, CONTROLLER_PORT, FIRST_CONTROLLER_ID, HTTP_PORT,
    REPLICATION_PORT, names, pod,
};
use crate::api::{ControllersMode, KafkaCluster, KeeperEnsemble};

/// A line that is read only by a node that has no data yet: it must not make the others roll.
const BOOTSTRAP: &str = "controller.quorum.bootstrap.servers";

/// How many of the cluster's own brokers are controllers, too: an odd number.
pub(crate) fn combined_controllers(cluster: &KafkaCluster) -> i32 {
    let wanted = cluster
        .spec
        .controllers
        .replicas
        .min(cluster.spec.replicas)
        .max(1);
    wanted - (wanted + 1) % 2
}

/// How many brokers the resource wants, those of pools included.
pub(crate) fn brokers(cluster: &KafkaCluster) -> i32 {
    let pools: i32 = cluster.spec.pools.iter().map(|pool| pool.replicas).sum();
    cluster.spec.replicas.saturating_add(pools)
}

/// Replication that survives the loss of a broker where there are enough of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replication {
    pub(crate) factor: i32,
    pub(crate) min_isr: i32,
}

impl Replication {
    /// What is right for so many brokers.
    pub(crate) fn safe(brokers: i32) -> Replication {
        let factor = brokers.clamp(1, 3);
        Replication {
            factor,
            min_isr: (factor - 1).max(1),
        }
    }

    /// What counts, with what the resource's own configuration says.
    pub(crate) fn of(cluster: &KafkaCluster) -> Replication {
        let safe = Replication::safe(brokers(cluster));
        let said = |key: &str| cluster.spec.config.get(key)?.trim().parse().ok();
        Replication {
            factor: said("default.replication.factor").unwrap_or(safe.factor),
            min_isr: said("min.insync.replicas").unwrap_or(safe.min_isr),
        }
    }
}

/// Whether a pool's pods can be controllers.
fn may_control(cluster: &KafkaCluster, pool: &str) -> bool {
    match cluster.spec.controllers.mode {
        ControllersMode::Combined => pool == BROKER_POOL,
        ControllersMode::Separate => pool == CONTROLLER_POOL,
    }
}

/// The controllers' line of `listeners`.
fn controller_listener() -> String {
    format!("CONTROLLER://:{CONTROLLER_PORT}")
}

/// `listeners` of a node.
pub(crate) fn listeners(cluster: &KafkaCluster, broker: bool, controller: bool) -> String {
    let mut entries = Vec::new();
    if controller {
        entries.push(controller_listener());
    }
    if broker {
        entries.push(format!("REPLICATION://:{REPLICATION_PORT}"));
        for listener in &cluster.spec.listeners {
            entries.push(format!(
                "{}://:{}",
                names::listener(listener),
                listener.port
            ));
        }
    }
    entries.join(",")
}

/// The controllers' addresses.
fn voters(cluster: &KafkaCluster, domain: &str) -> String {
    let (pool, count) = match cluster.spec.controllers.mode {
        ControllersMode::Combined => (BROKER_POOL, combined_controllers(cluster)),
        ControllersMode::Separate => (CONTROLLER_POOL, cluster.spec.controllers.replicas),
    };
    let entries: Vec<String> = (0..count)
        .map(|ordinal| {
            let pod = names::pod(cluster, pool, ordinal);
            let host = names::pod_host(cluster, &pod, domain);
            format!("{host}:{CONTROLLER_PORT}")
        })
        .collect();
    entries.join(",")
}

/// What is added to a pod's ordinal to get its node id.
pub(crate) fn first_id(cluster: &KafkaCluster, pool: &str) -> i32 {
    match pool {
        BROKER_POOL => 0,
        CONTROLLER_POOL => FIRST_CONTROLLER_ID,
        _ => {
            let pools = &cluster.spec.pools;
            let found = pools.iter().find(|candidate| candidate.name == pool);
            found.map_or(0, |pool| pool.first_id)
        }
    }
}

/// The `server.properties` that all pods of a pool share.
pub(crate) fn server(cluster: &KafkaCluster, pool: &str, domain: &str) -> String {
    let spec = &cluster.spec;
    let is_broker = pool != CONTROLLER_POOL;
    let own = operators_own(cluster, pool, domain);
    let mut config: BTreeMap<&str, String> = BTreeMap::new();
    let replication = Replication::of(cluster);
    let internal = Replication::safe(brokers(cluster));
    for (key, value) in [
        ("default.replication.factor", replication.factor),
        ("min.insync.replicas", replication.min_isr),
        ("offsets.topic.replication.factor", internal.factor),
        ("transaction.state.log.replication.factor", internal.factor),
        ("transaction.state.log.min.isr", internal.min_isr),
    ] {
        config.insert(key, value.to_string());
    }
    let for_pool = spec.pools.iter().find(|candidate| candidate.name == pool);
    for (key, value) in spec
        .config
        .iter()
        .chain(for_pool.iter().flat_map(|p| &p.config))
    {
        config.insert(key, value.clone());
    }
    let mut text = String::from("# Written by ottla-operator: change the KafkaCluster instead.\n");
    for (key, value) in own {
        line(&mut text, key, &value);
    }
    let said = if is_broker {
        "\n# Defaults that are safe for so many brokers, and the resource's config.\n"
    } else {
        "\n# The same as the brokers have: the controllers decide by it.\n"
    };
    text.push_str(said);
    for (key, value) in config {
        line(&mut text, key, &value);
    }
    text
}

/// What follows from the resource, and cannot be said in its config.
fn operators_own(cluster: &KafkaCluster, pool: &str, domain: &str) -> Vec<(&'static str, String)> {
    let mut protocols = vec![
        "CONTROLLER:PLAINTEXT".to_owned(),
        "REPLICATION:PLAINTEXT".to_owned(),
    ];
    for listener in &cluster.spec.listeners {
        protocols.push(format!("{}:PLAINTEXT", names::listener(listener)));
    }
    let is_broker = pool != CONTROLLER_POOL;
    let listeners = listeners(cluster, is_broker, may_control(cluster, pool));
    vec![
        (
            "ottla.node.id.ordinal.offset",
            first_id(cluster, pool).to_string(),
        ),
        ("listeners", listeners),
        ("listener.security.protocol.map", protocols.join(",")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "REPLICATION".to_owned()),
        (BOOTSTRAP, voters(cluster, domain)),
        // A controller that is added takes part by itself.
        ("controller.quorum.auto.join.enable", "true".to_owned()),
        ("log.dirs", format!("{}/data", pod::DATA_FOLDER)),
        ("ottla.http.listener", format!(":{HTTP_PORT}")),
    ]
}

/// The `zoo.cfg` of an ensemble of so many servers.
pub(crate) fn zoo_cfg(
    ensemble: &KeeperEnsemble,
    servers: i32,
    domain: &str,
    super_digest: Option<&str>,
) -> String {
    let mut config = BTreeMap::from([
        ("tickTime", "2000".to_owned()),
        ("initLimit", "10".to_owned()),
        ("syncLimit", "5".to_owned()),
        // Servers are added and removed with it, by those who may write /zookeeper/config.
        ("reconfigEnabled", "true".to_owned()),
        ("standaloneEnabled", "false".to_owned()),
        // The others connect to the pod's address, which is not known here.
        ("quorumListenOnAllIPs", "true".to_owned()),
        (
            "4lw.commands.whitelist",
            "conf,dirs,isro,mntr,ruok,srvr,stat,wchs".to_owned(),
        ),
    ]);
    for (key, value) in &ensemble.spec.config {
        config.insert(key, value.clone());
    }
    let mut text =
        String::from("# Written by ottla-operator: change the KeeperEnsemble instead.\n");
    line(
        &mut text,
        "dataDir",
        &format!("{}/keeper", pod::DATA_FOLDER),
    );
    line(
        &mut text,
        "clientPort",
        &super::keeper::CLIENT_PORT.to_string(),
    );
    if let Some(digest) = super_digest {
        line(
            &mut text,
            "DigestAuthenticationProvider.superDigest",
            digest,
        );
    }
    for (key, value) in config {
        line(&mut text, key, &value);
    }
    for ordinal in 0..servers {
        let host = names::keeper_pod_host(ensemble, ordinal, domain);
        let (server, election) = (super::keeper::SERVER_PORT, super::keeper::ELECTION_PORT);
        line(
            &mut text,
            &format!("server.{}", super::keeper::id(ordinal)),
            &format!("{host}:{server}:{election}"),
        );
    }
    text
}

/// Limits of connections are none of the properties that are set while brokers run: one that is too low
/// would keep everybody out, also who sets it right, and a roll stops at the first pod.
const CONNECTIONS: &str = "max.connection";

/// The resource's properties that can be set for all brokers while they run. What is set so stands
/// before what a pool's file says, so pools' own properties are none of them, nor are templates.
pub(crate) fn live(cluster: &KafkaCluster) -> BTreeMap<&str, &str> {
    let spec = &cluster.spec;
    let of_a_pool = |key: &String| spec.pools.iter().any(|pool| pool.config.contains_key(key));
    let is_live = |(key, value): &(&String, &String)| {
        let one = BTreeMap::from([((*key).clone(), value.trim().to_owned())]);
        !key.starts_with(CONNECTIONS)
            && !of_a_pool(key)
            && !value.contains(['{', '$'])
            && check_dynamic(&one, BrokerScope::All).is_ok()
    };
    let live = spec.config.iter().filter(is_live);
    live.map(|(key, value)| (key.as_str(), value.trim()))
        .collect()
}

/// What changes when pods have to start anew to have the text, in 16 digits. Of `live` properties only
/// the names count.
pub(crate) fn hash(text: &str, live: &BTreeMap<&str, &str>) -> String {
    let mut hasher = Sha256::new();
    for line in text.lines() {
        let key = line.split_once('=').map_or(line, |(key, _)| key);
        // Who founded the cluster, or the ensemble, is in its own log by now.
        if line.starts_with('#') || key == BOOTSTRAP || key.starts_with("server.") {
            continue;
        }
        let counts = if live.contains_key(key) { key } else { line };
        hasher.update(counts.as_bytes());
        hasher.update(b"\n");
    }
    let mut digits = String::new();
    for byte in hasher.finalize().iter().take(8) {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// Writes a line in Java's syntax.
pub(crate) fn line(text: &mut String, key: &str, value: &str) {
    let mut escaped = String::new();
    for (at, char) in value.chars().enumerate() {
        match char {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            ' ' if at == 0 => escaped.push_str("\\ "),
            char => escaped.push(char),
        }
    }
    let _ = writeln!(text, "{key}={escaped}");
}
