//! Pods and nodes that go.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{CHANGE_LIMIT, Cluster};
use crate::kube::Case;
use crate::kube::clients::{Load, hello_world, read_all};
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
    within(CHANGE_LIMIT, "all replicas are in sync", || {
        let behind = space.exec(
            "demo-broker-0",
            &[
                "/ottla",
                "topic",
                "describe",
                "--under-replicated",
                "-b",
                "localhost:9091",
                "-o",
                "json",
            ],
        )?;
        let behind: serde_json::Value = serde_json::from_str(&behind)?;
        let behind = behind["partitions"].as_array();
        Ok(behind.is_some_and(Vec::is_empty))
    })?;
    let quorum = space.exec(
        "demo-broker-0",
        &["/ottla", "quorum", "describe", "-b", "localhost:9091"],
    )?;
    ensure!(quorum.contains("Voters:           3"), "{quorum}");
    let bootstrap = cluster.bootstrap("outside")?;
    let lines = read_all(&bootstrap, "kept")?;
    ensure!(lines == ["hello", "world"], "{lines:?}");
    Ok(())
}
