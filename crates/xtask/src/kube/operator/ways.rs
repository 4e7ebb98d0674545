//! Every way in.

use anyhow::{Result, ensure};
use serde_json::json;

use super::Cluster;
use crate::kube::Case;
use crate::kube::clients::{brokers, hello_world, kafkas_own, program, sees};
use crate::kube::space::{Space, note};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "operator_three_brokers_are_reached_from_inside_and_outside",
        run: every_way,
    },
    Case {
        name: "operator_kafkas_own_client_needs_one_address_only",
        run: kafkas_own_client,
    },
    Case {
        name: "operator_separate_controllers_and_pools_make_one_cluster",
        run: separate_controllers,
    },
];

fn every_way(space: &Space) -> Result<()> {
    let listeners = json!([
        {"name": "internal", "port": 9092},
        {"name": "ports", "port": 9094, "type": "nodePort"},
        {"name": "shared", "port": 9095, "type": "loadBalancer"},
        {"name": "each", "port": 9096, "type": "loadBalancer", "loadBalancer": {"mode": "perPod"}},
    ]);
    let cluster = Cluster::start(space, "demo", &json!({ "listeners": listeners }))?;
    for listener in ["ports", "shared", "each"] {
        let expected = cluster.advertised(listener)?;
        ensure!(expected.len() == 3, "{listener} has {expected:?}");
        let bootstrap = cluster.bootstrap(listener)?;
        sees(&bootstrap, &expected)?;
        // Whoever knows one broker finds the others.
        for address in &expected {
            sees(address, &expected)?;
        }
        hello_world(&bootstrap, &format!("hello-{listener}"))?;
        let all: Vec<&str> = expected.iter().map(String::as_str).collect();
        let told = program(
            "one_address.py",
            &["--bootstrap", all[2], "--expect", &all.join(",")],
        )?;
        note(&format!("{listener}: {}", told.trim()));
    }
    let ports = cluster.advertised("shared")?;
    let ports: Vec<&str> = ports.iter().filter_map(|a| a.rsplit(':').next()).collect();
    ensure!(ports == ["9092", "9093", "9094"], "{ports:?}");
    // From a pod: the binary is a client, too.
    let inside = format!("demo-internal.{}.svc:9092", space.name);
    let listed = space.exec(
        "demo-broker-0",
        &["/ottla", "broker", "list", "-b", &inside],
    )?;
    ensure!(listed.matches("running").count() == 3, "{listed}");
    let zones: Vec<String> = (0..3)
        .map(|at| {
            cluster
                .get()
                .map(|r| r["status"]["brokers"][at]["zone"].to_string())
        })
        .collect::<Result<_>>()?;
    let resource = cluster.get()?;
    ensure!(
        resource["status"]["listeners"][1]["tryIt"]
            .as_str()
            .is_some_and(|t| t.starts_with("kcat -b "))
    );
    note(&format!("zones {zones:?}"));
    Ok(())
}

fn kafkas_own_client(space: &Space) -> Result<()> {
    let listeners = json!([
        {"name": "ports", "port": 9094, "type": "nodePort"},
        {"name": "shared", "port": 9095, "type": "loadBalancer"},
    ]);
    let cluster = Cluster::start(space, "demo", &json!({ "listeners": listeners }))?;
    for listener in ["ports", "shared"] {
        let expected = cluster.advertised(listener)?;
        let bootstrap = cluster.bootstrap(listener)?;
        sees(&bootstrap, &expected)?;
        let all: Vec<&str> = expected.iter().map(String::as_str).collect();
        let told = kafkas_own(&["--bootstrap", all[1], "--expect", &all.join(",")])?;
        note(&format!("{listener}: {}", told.trim()));
    }
    Ok(())
}

fn separate_controllers(space: &Space) -> Result<()> {
    let spec = json!({
        "replicas": 2,
        "controllers": {"mode": "separate", "replicas": 3, "storage": {"size": "1Gi"}},
        "pools": [{"name": "big", "firstId": 100, "replicas": 1, "storage": {"size": "2Gi"}}],
        "listeners": [{"name": "outside", "port": 9094, "type": "nodePort"}],
    });
    let cluster = Cluster::start(space, "apart", &spec)?;
    let bootstrap = cluster.bootstrap("outside")?;
    ensure!(brokers(&bootstrap)?.len() == 3);
    hello_world(&bootstrap, "hello")?;
    let quorum = space.exec(
        "apart-broker-0",
        &["/ottla", "quorum", "describe", "-b", "localhost:9091"],
    )?;
    for id in ["1000", "1001", "1002"] {
        ensure!(quorum.contains(id), "{id} does not vote: {quorum}");
    }
    Ok(())
}
