//! A node, and Kubernetes itself, that fall silent under load.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use super::load::{self, TOPIC, goes_on, nothing_is_lost};
use super::{CHANGE_LIMIT, Cluster, operator_restarts};
use crate::kube::Case;
use crate::kube::faults::{CutOff, NoApiServer};
use crate::kube::space::{Space, note, within};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "operator_a_node_is_cut_off_under_load_and_nothing_is_lost",
        run: cut_off,
    },
    Case {
        name: "operator_and_brokers_go_on_without_the_api_server",
        run: no_api_server,
    },
];

/// The node of the broker that leads the quorum falls silent: its partitions and the quorum have to find
/// other leaders, without a word from it.
fn cut_off(space: &Space) -> Result<()> {
    space.testbed()?;
    // Each broker on a node of its own.
    let spec = json!({
        "listeners": [{"name": "outside", "port": 9094, "type": "nodePort"}],
        "pod": {"terminationGracePeriodSeconds": 60},
    });
    let cluster = Cluster::start(space, "demo", &spec)?;
    let mut load = load::start(&cluster, "outside", &["--impatient"])?;
    let leader = cluster.quorum_leader()?;
    let lost = space.pod(&cluster.pod(usize::try_from(leader)?))?;
    let partitions = cluster.partitions(TOPIC)?;
    let led = partitions.iter().filter(|p| p.leader == Some(leader));
    let led = led.count();
    ensure!(led > 0, "broker {leader} leads no partition");
    note(&format!(
        "broker {leader} leads the quorum and {led} of {} partitions",
        partitions.len()
    ));

    let began = Instant::now();
    let cut = CutOff::node(space, &lost.node)?;
    within(CHANGE_LIMIT, "Kubernetes has noticed", || {
        Ok(!space.kubectl.is_node_ready(&lost.node)?)
    })?;
    // Each partition is written to with nothing but the two others.
    goes_on(&mut load)?;
    cluster.says("Degraded", "True", "PodLost")?;
    let away = began.elapsed();
    cut.heal()?;
    let began = Instant::now();
    cluster.settled("True")?;
    cluster.in_sync()?;
    note(&format!(
        "away for {:.1} s, and all in sync and Ready {:.1} s after it was back",
        away.as_secs_f64(),
        began.elapsed().as_secs_f64()
    ));
    nothing_is_lost(load)
}

/// Longer than the operator's lease, so that it has to get it anew.
const AWAY: Duration = Duration::from_secs(30);

fn no_api_server(space: &Space) -> Result<()> {
    space.testbed()?;
    let spec = json!({"listeners": [{"name": "outside", "port": 9094, "type": "nodePort"}]});
    let cluster = Cluster::start(space, "demo", &spec)?;
    let mut load = load::start(&cluster, "outside", &[])?;
    let (pods, restarts) = (cluster.uids()?, operator_restarts(space)?);
    let away = NoApiServer::stop(space)?;
    let began = Instant::now();
    while began.elapsed() < AWAY {
        goes_on(&mut load)?;
    }
    let away_for = began.elapsed();
    let began = Instant::now();
    away.heal(&space.kubectl)?;
    note(&format!(
        "away for {:.1} s; all nodes are ready {:.1} s after the API server was started",
        away_for.as_secs_f64(),
        began.elapsed().as_secs_f64()
    ));
    let began = Instant::now();
    cluster.patch(&json!({"config": {"log.retention.hours": "24"}}))?;
    cluster.settled("True")?;
    note(&format!(
        "a change took {:.1} s then",
        began.elapsed().as_secs_f64()
    ));
    cluster.is_all_new(&pods)?;
    // Who led gives up, so that two never do, and is started again once; nobody ends a second time.
    let restarts = operator_restarts(space)? - restarts;
    note(&format!(
        "containers of the operator were started again: {restarts}"
    ));
    ensure!(restarts <= 1, "the operator ended {restarts} times");
    nothing_is_lost(load)
}
