//! Pods and nodes that go.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::resources::{ensemble, is_ready};
use super::{CHANGE_LIMIT, Cluster, install};
use crate::kube::Case;
use crate::kube::clients::{Load, hello_world, kcat, read_all};
use crate::kube::space::{Space, note, within};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "operator_a_node_is_drained_and_a_pod_killed_under_load",
        run: drain_and_kill,
    },
    Case {
        name: "operator_a_lost_volume_is_built_again_from_the_others",
        run: lost_volume,
    },
    Case {
        name: "operator_the_volume_with_the_only_copy_is_never_given_up",
        run: only_copy,
    },
    Case {
        name: "operator_a_lost_volume_of_the_leading_keeper_is_built_again_under_load",
        run: lost_keeper,
    },
];

fn drain_and_kill(space: &Space) -> Result<()> {
    let spec = json!({"listeners": [{"name": "outside", "port": 9094, "type": "loadBalancer"}]});
    let cluster = Cluster::start(space, "demo", &spec)?;
    let bootstrap = cluster.bootstrap("outside")?;
    let load = Load::start(
        "rolling_load.py",
        &["--bootstrap", &bootstrap, "--topic", "load"],
    )?;
    let began = Instant::now();
    space.run(&[
        "delete",
        "pod",
        &cluster.pod(0),
        "--grace-period=0",
        "--force",
    ])?;
    cluster.settled("True")?;
    note(&format!(
        "a killed pod is back after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    let node = space.pod(&cluster.pod(1))?.node;
    let drain = [
        "drain",
        &node,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--force",
        "--timeout=120s",
    ];
    let selector = format!("--pod-selector=ottla.dev/cluster={}", cluster.name);
    let drained = space
        .kubectl
        .run_within(&[&drain[..], &[&selector]].concat(), CHANGE_LIMIT);
    let undone = space.kubectl.run(&["uncordon", &node]);
    drained.with_context(|| format!("draining {node}"))?;
    undone?;
    cluster.settled("True")?;
    let seen = load.end()?;
    note(&format!("the clients saw {seen}"));
    for nothing in ["failed", "missing", "duplicates", "out_of_order"] {
        ensure!(seen[nothing] == 0, "{nothing}: {seen}");
    }
    Ok(())
}

/// The volume of a pod lies on a node that takes no pods any more: after the declared wait the claim
/// is given up.
fn lost_volume(space: &Space) -> Result<()> {
    let spec = json!({
        "listeners": [{"name": "outside", "port": 9094, "type": "nodePort"}],
        "rolling": {"rebuildAfterSeconds": 5, "timeoutSeconds": 120},
    });
    let cluster = Cluster::start(space, "demo", &spec)?;
    let bootstrap = cluster.bootstrap("outside")?;
    hello_world(&bootstrap, "kept")?;
    let pod = space.pod(&cluster.pod(2))?;
    let claim = "data-demo-broker-2";
    let volume = space.get("persistentvolumeclaim", claim)?["spec"]["volumeName"].clone();
    let began = Instant::now();
    space.kubectl.run(&["cordon", &pod.node])?;
    let lost = space.run(&["delete", "pod", &pod.name, "--grace-period=1"]);
    let rebuilt = lost.and_then(|_| {
        within(CHANGE_LIMIT, "the claim is another one", || {
            let claim = space.get("persistentvolumeclaim", claim)?;
            Ok(claim["spec"]["volumeName"].is_string() && claim["spec"]["volumeName"] != volume)
        })?;
        cluster.settled("True")
    });
    let undone = space.kubectl.run(&["uncordon", &pod.node]);
    rebuilt?;
    undone?;
    note(&format!(
        "a lost volume was built again after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    cluster.in_sync()?;
    let voters = cluster.voters()?;
    ensure!(voters.len() == 3, "{voters:?} vote");
    let bootstrap = cluster.bootstrap("outside")?;
    let lines = read_all(&bootstrap, "kept")?;
    ensure!(lines == ["hello", "world"], "{lines:?}");
    Ok(())
}

/// As above, but of one partition nobody else has anything.
fn only_copy(space: &Space) -> Result<()> {
    let spec = json!({
        "listeners": [{"name": "outside", "port": 9094, "type": "nodePort"}],
        "rolling": {"rebuildAfterSeconds": 5, "timeoutSeconds": 120},
    });
    let cluster = Cluster::start(space, "demo", &spec)?;
    let create = ["topic", "create", "single", "-p", "3", "-r", "1"];
    cluster.ottla(0, &create)?;
    let partitions = cluster.partitions("single")?;
    let on_it = partitions.iter().position(|p| p.replicas == [2]);
    let on_it = on_it.with_context(|| format!("broker 2 has nothing: {partitions:?}"))?;
    let here = ["-t", "single", "-p", &on_it.to_string()];
    let bootstrap = cluster.bootstrap("outside")?;
    kcat(&bootstrap, &[&["-P"], &here[..]].concat(), "only\nhere\n")?;
    let pod = space.pod(&cluster.pod(2))?;
    let claim = || space.get("persistentvolumeclaim", "data-demo-broker-2");
    let before = claim()?["metadata"]["uid"].clone();
    space.kubectl.run(&["cordon", &pod.node])?;
    let lost = space.run(&["delete", "pod", &pod.name, "--grace-period=1"]);
    let kept = lost.and_then(|_| {
        let words = format!("nobody else has all of single-{on_it}");
        let message = cluster.says_that("Degraded", "PodLost", &words)?;
        let now = claim()?["metadata"].take();
        let is_deleted = !now["deletionTimestamp"].is_null();
        ensure!(now["uid"] == before && !is_deleted, "the claim is {now}");
        Ok(message)
    });
    let undone = space.kubectl.run(&["uncordon", &pod.node]);
    note(&kept?);
    undone?;
    cluster.settled("True")?;
    ensure!(claim()?["metadata"]["uid"] == before, "the claim is new");
    let bootstrap = cluster.bootstrap("outside")?;
    let whole = ["-C", "-o", "beginning", "-e", "-q"];
    let lines = kcat(&bootstrap, &[&whole[..], &here[..]].concat(), "")?;
    ensure!(lines == "only\nhere\n", "{lines:?}");
    Ok(())
}

/// The volume of the server that leads goes; the other two go on, and give the new one all it needs.
fn lost_keeper(space: &Space) -> Result<()> {
    install(space)?;
    let mut resource = ensemble(json!({}));
    resource["spec"]["rolling"] = json!({"rebuildAfterSeconds": 5});
    space.apply(&resource)?;
    let ready = || is_ready(space, "keeperensemble", "zk");
    within(CHANGE_LIMIT, "the ensemble is ready", ready)?;
    let status = || Ok::<_, anyhow::Error>(space.get("keeperensemble", "zk")?["status"].take());
    let leader = status()?["leader"].as_str().map(str::to_owned);
    let leader = space.pod(&leader.context("nobody leads")?)?;
    let service = space.get("service", "zk")?;
    let address = service["spec"]["clusterIP"].as_str();
    let address = format!("{}:2181", address.context("no address")?);
    let load = Load::start("session_load.py", &["--connect", &address])?;
    let claim = || space.get("persistentvolumeclaim", &format!("data-{}", leader.name));
    let before = claim()?["metadata"]["uid"].take();
    let began = Instant::now();
    space.kubectl.run(&["cordon", &leader.node])?;
    let lost = space.run(&["delete", "pod", &leader.name, "--grace-period=1"]);
    let rebuilt = lost.and_then(|_| {
        within(CHANGE_LIMIT, "the claim is another one", || {
            Ok(claim()?["metadata"]["uid"] != before)
        })?;
        within(CHANGE_LIMIT, "the ensemble is ready again", || {
            let pod = space.pod(&leader.name)?;
            Ok(pod.is_ready && pod.uid != leader.uid && ready()?)
        })
    });
    let undone = space.kubectl.run(&["uncordon", &leader.node]);
    rebuilt?;
    undone?;
    note(&format!(
        "{}, which led, has a new volume and all servers are ready after {:.1} s",
        leader.name,
        began.elapsed().as_secs_f64()
    ));
    let seen = load.end()?;
    note(&format!("the client saw {seen}"));
    ensure!(seen["missing"] == 0, "acknowledged writes are gone: {seen}");
    ensure!(seen["sessions"] == 1, "its session ended: {seen}");
    // The new one has all that was written, and its vote.
    within(CHANGE_LIMIT, "the new server has everything", || {
        let own = ["/ottla", "keeper", "ls", "/load", "-S", "localhost:2181"];
        let names = space.exec(&leader.name, &own)?;
        let count = u64::try_from(names.split_whitespace().count())?;
        Ok(Some(count) >= seen["acknowledged"].as_u64())
    })?;
    let servers = (0..3).map(|n| format!("zk-keeper-{n}.zk-servers"));
    let servers = servers.collect::<Vec<_>>().join(",");
    let modes = space.exec(
        &leader.name,
        &["/ottla", "keeper", "status", "-S", &servers],
    )?;
    ensure!(modes.matches("Mode: follower").count() == 2, "{modes}");
    ensure!(modes.matches("Mode: leader").count() == 1, "{modes}");
    Ok(())
}
