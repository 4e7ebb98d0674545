//! Quorums and pools that grow and shrink, under load.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Cluster;
use super::load::{self, TOPIC, nothing_is_lost};
use crate::kube::Case;
use crate::kube::space::{Space, note};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "operator_separate_controllers_grow_to_five_and_back_under_load",
        run: controllers,
    },
    Case {
        name: "operator_a_pool_grows_and_goes_with_its_data_moved_under_load",
        run: pool,
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
