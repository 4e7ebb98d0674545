//! Topics and ensembles as resources.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{CHANGE_LIMIT, Cluster, install};
use crate::kube::Case;
use crate::kube::clients::program;
use crate::kube::space::{Space, note, within};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "operator_topics_are_made_changed_and_deleted",
        run: topics,
    },
    Case {
        name: "operator_an_ensemble_serves_probes_and_kazoo_and_rolls",
        run: keepers,
    },
    Case {
        name: "operator_the_canary_says_when_it_began_to_fail",
        run: canary,
    },
];

fn topic(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "ottla.dev/v1alpha1", "kind": "KafkaTopic",
        "metadata": {"name": name}, "spec": spec,
    })
}

pub(super) fn is_ready(space: &Space, kind: &str, name: &str) -> Result<bool> {
    let resource = space.get(kind, name)?;
    let conditions = resource["status"]["conditions"].as_array();
    let mut all = conditions.into_iter().flatten();
    let ready = all.find(|condition| condition["type"] == "Ready");
    let current = &resource["metadata"]["generation"];
    Ok(ready.is_some_and(|c| c["status"] == "True" && c["observedGeneration"] == *current))
}

fn topics(space: &Space) -> Result<()> {
    let cluster = Cluster::start(space, "demo", &json!({}))?;
    let ottla = |arguments: &[&str]| {
        let all = [
            &["/ottla"],
            arguments,
            &["-b", "localhost:9091", "-o", "json"],
        ]
        .concat();
        space.exec(&cluster.pod(0), &all)
    };
    let ready = |name: &str| within(CHANGE_LIMIT, name, || is_ready(space, "kafkatopic", name));
    ottla(&["topic", "create", "elsewhere", "--partitions", "1"])?;
    let config = json!({"retention.ms": "3600000"});
    space.apply(&topic(
        "orders",
        json!({"cluster": "demo", "partitions": 3, "config": config}),
    ))?;
    ready("orders")?;
    let described = ottla(&["topic", "describe", "orders"])?;
    ensure!(described.contains("3600000"), "{described}");
    space.apply(&topic(
        "orders",
        json!({"cluster": "demo", "partitions": 6, "deletionPolicy": "Delete"}),
    ))?;
    within(CHANGE_LIMIT, "orders has six partitions", || {
        let resource = space.get("kafkatopic", "orders")?;
        Ok(resource["status"]["partitions"] == 6)
    })?;
    ready("orders")?;
    let described = ottla(&["topic", "describe", "orders"])?;
    ensure!(
        !described.contains("3600000"),
        "a property that is not named any more stays: {described}"
    );
    let refused = space.apply(&topic(
        "orders",
        json!({"cluster": "demo", "partitions": 2}),
    ));
    let refused = format!(
        "{:#}",
        refused
            .err()
            .unwrap_or_else(|| anyhow::anyhow!("it was taken"))
    );
    ensure!(refused.contains("fewer partitions"), "{refused}");
    space.run(&["delete", "kafkatopic", "orders", "--timeout=60s"])?;
    let listed = ottla(&["topic", "list"])?;
    ensure!(
        !listed.contains("\"orders\"") && listed.contains("elsewhere"),
        "{listed}"
    );
    Ok(())
}

/// Three keepers with small volumes, named `zk`.
pub(super) fn ensemble(config: Value) -> Value {
    json!({
        "apiVersion": "ottla.dev/v1alpha1", "kind": "KeeperEnsemble",
        "metadata": {"name": "zk"},
        "spec": {"replicas": 3, "storage": {"size": "1Gi"}, "deletionGuard": false, "config": config,
            "pod": {"shareNodes": true, "terminationGracePeriodSeconds": 60}},
    })
}

fn keepers(space: &Space) -> Result<()> {
    install(space)?;
    let began = std::time::Instant::now();
    space.apply(&ensemble(json!({})))?;
    within(CHANGE_LIMIT, "the ensemble is ready", || {
        is_ready(space, "keeperensemble", "zk")
    })?;
    note(&format!(
        "ready {:.1} s after apply",
        began.elapsed().as_secs_f64()
    ));
    let status = space.get("keeperensemble", "zk")?;
    let servers = status["status"]["servers"].as_array().map_or(0, Vec::len);
    ensure!(
        servers == 3 && status["status"]["leader"].is_string(),
        "{}",
        status["status"]
    );
    let pods = status["status"]["servers"].as_array().into_iter().flatten();
    let pods: Vec<String> = pods
        .filter_map(|s| Some(s["pod"].as_str()?.to_owned()))
        .collect();
    let mut addresses = Vec::new();
    for pod in &pods {
        let alive = space.exec(pod, &["/ottla", "keeper", "status", "-S", "localhost:2181"])?;
        ensure!(
            alive.contains("follower") || alive.contains("leader"),
            "{alive}"
        );
        addresses.push(format!("{}:2181", space.pod(pod)?.ip));
    }
    let told = program(
        "chroots.py",
        &["--connect", &addresses[0], "--all", &addresses.join(",")],
    );
    note(&format!("kazoo: {}", told?.trim()));
    let before: Vec<String> = pods
        .iter()
        .map(|p| Ok(space.pod(p)?.uid))
        .collect::<Result<_>>()?;
    let began = std::time::Instant::now();
    space.apply(&ensemble(json!({"tickTime": "1500"})))?;
    within(CHANGE_LIMIT, "the ensemble has rolled", || {
        let now: Vec<String> = pods
            .iter()
            .map(|p| Ok(space.pod(p)?.uid))
            .collect::<Result<_>>()?;
        let all_new = now.iter().all(|uid| !before.contains(uid));
        Ok(all_new && is_ready(space, "keeperensemble", "zk")?)
    })?;
    note(&format!("rolled in {:.1} s", began.elapsed().as_secs_f64()));
    Ok(())
}

fn canary(space: &Space) -> Result<()> {
    let spec = json!({"replicas": 1, "canary": {"enabled": true, "intervalSeconds": 1}});
    let cluster = Cluster::start(space, "demo", &spec)?;
    cluster.says("CanaryHealthy", "True", "Healthy")?;
    // The broker finds no place for as long as nodes take no pods.
    let nodes = space.kubectl.items(&["get", "nodes"])?;
    let nodes: Vec<String> = nodes
        .iter()
        .filter_map(|node| Some(node["metadata"]["name"].as_str()?.to_owned()))
        .collect();
    let on_all = |verb: &str| {
        let names: Vec<&str> = nodes.iter().map(String::as_str).collect();
        space.kubectl.run(&[&[verb], &names[..]].concat())
    };
    on_all("cordon")?;
    let deleted = space.run(&["delete", "pod", &cluster.pod(0), "--grace-period=1"]);
    let failed = deleted.and_then(|_| cluster.says("CanaryHealthy", "False", "Failing"));
    on_all("uncordon")?;
    let failed = failed?;
    ensure!(
        failed.contains("since"),
        "it does not say since when: {failed}"
    );
    cluster.says("CanaryHealthy", "True", "Healthy")?;
    note(&format!("the canary said {failed:?}"));
    Ok(())
}
