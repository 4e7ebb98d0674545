//! Quorums and pools that grow and shrink, under load.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::load::{self, TOPIC, nothing_is_lost};
use super::{CHANGE_LIMIT, Cluster};
use crate::kube::Case;
use crate::kube::space::{Space, note, within};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "operator_separate_controllers_grow_to_five_and_back_under_load",
        run: controllers,
    },
    Case {
        name: "operator_a_pool_grows_and_goes_with_its_data_moved_under_load",
        run: pool,
    },
    Case {
        name: "operator_moves_replicas_no_faster_than_it_is_told",
        run: throttled,
    },
];

/// The node ids of separate controllers, and of the pool.
const FIRST_CONTROLLER: i64 = 1000;
const FIRST_OF_POOL: i64 = 100;

fn start<'a>(space: &'a Space, name: &'static str, more: Value) -> Result<Cluster<'a>> {
    let mut spec = json!({"listeners": [{"name": "outside", "port": 9094, "type": "nodePort"}]});
    if let (Some(fields), Value::Object(more)) = (spec.as_object_mut(), more) {
        fields.extend(more);
    }
    Cluster::start(space, name, &spec)
}

fn controllers(space: &Space) -> Result<()> {
    let of = |replicas: i64| {
        let storage = json!({"size": "1Gi"});
        json!({"controllers": {"mode": "separate", "replicas": replicas, "storage": storage}})
    };
    let cluster = start(space, "apart", of(3))?;
    let load = load::start(&cluster, "outside", &[])?;
    for count in [5, 3] {
        let began = Instant::now();
        cluster.patch(&of(count))?;
        cluster.settled("True")?;
        let expected: BTreeSet<i64> = (FIRST_CONTROLLER..FIRST_CONTROLLER + count).collect();
        let voters = cluster.voters()?;
        ensure!(voters == expected, "{voters:?} vote, not {expected:?}");
        let pods = i64::try_from(cluster.uids()?.len())?;
        ensure!(pods == 3 + count, "there are {pods} pods");
        note(&format!(
            "{count} controllers vote after {:.1} s",
            began.elapsed().as_secs_f64()
        ));
    }
    nothing_is_lost(load)
}

fn pool(space: &Space) -> Result<()> {
    let of = |replicas: i64| json!({"pools": [{"name": "big", "firstId": FIRST_OF_POOL, "replicas": replicas}]});
    let cluster = start(space, "pooled", of(1))?;
    let load = load::start(&cluster, "outside", &[])?;
    for count in [3, 0] {
        let began = Instant::now();
        cluster.patch(&of(count))?;
        cluster.settled("True")?;
        let pool: BTreeSet<i64> = (FIRST_OF_POOL..FIRST_OF_POOL + count).collect();
        let expected: BTreeSet<i64> = (0..3).chain(pool.iter().copied()).collect();
        let brokers = cluster.brokers()?;
        ensure!(brokers == expected, "{brokers:?}, not {expected:?}");
        let partitions = cluster.partitions(TOPIC)?;
        let holders: BTreeSet<i64> = partitions.into_iter().flat_map(|p| p.replicas).collect();
        ensure!(holders == expected, "only {holders:?} hold the topic");
        note(&format!(
            "{count} brokers of the pool have their share after {:.1} s",
            began.elapsed().as_secs_f64()
        ));
    }
    cluster.in_sync()?;
    nothing_is_lost(load)
}

/// What a broker may copy in a second, and what there is to copy for one that comes: a quarter of it.
const THROTTLE: (&str, &str) = ("2Mi", "2097152");
const BULK: &str = "bulk";
const BULK_RECORDS: &str = "60000";
/// A fourth of 3 × 60,000 KiB takes longer than this at that rate, the first seconds of its window aside.
const AT_LEAST: Duration = Duration::from_secs(8);

fn throttled(space: &Space) -> Result<()> {
    let rate = |rate: Value| json!({"rebalance": {"throttle": rate}});
    let cluster = start(space, "slow", rate(json!(THROTTLE.0)))?;
    cluster.ottla(0, &["topic", "create", BULK, "--partitions", "8"])?;
    cluster.ottla(0, &["bench", "produce", BULK, "--records", BULK_RECORDS])?;
    let is_limited = || -> Result<bool> {
        let topic = cluster.ottla(0, &["config", "get", &format!("topic/{BULK}")])?;
        let text = topic.to_string();
        let resource = cluster.get()?;
        let is_known = resource["status"]["throttled"] == json!([BULK]);
        ensure!(is_known == text.contains(":3"), "{is_known}, {text}");
        Ok(is_known)
    };
    ensure!(!is_limited()?, "it is limited before anything moves");
    let before = cluster.uids()?;
    let load = load::start(&cluster, "outside", &[])?;
    let began = Instant::now();
    cluster.patch(&json!({"replicas": 4}))?;
    within(CHANGE_LIMIT, "what moves is limited", is_limited)?;
    cluster.settled("True")?;
    let took = began.elapsed();
    note(&format!(
        "the fourth has its share after {:.1} s",
        took.as_secs_f64()
    ));
    ensure!(took > AT_LEAST, "it took only {took:?}");
    ensure!(!is_limited()?, "it is limited after all has moved");
    let rate_of_broker = || cluster.ottla(0, &["config", "get", "broker/0"]);
    ensure!(rate_of_broker()?.to_string().contains(THROTTLE.1));
    cluster.patch(&rate(Value::Null))?;
    within(CHANGE_LIMIT, "the rate is unset", || {
        Ok(!rate_of_broker()?.to_string().contains(THROTTLE.1))
    })?;
    cluster.settled("True")?;
    let after = cluster.uids()?;
    ensure!(
        before.iter().all(|uid| after.contains(uid)),
        "pods were restarted"
    );
    nothing_is_lost(load)
}
