//! Resources that cannot be, and what must not be deleted.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{Cluster, install, operator_restarts, resource};
use crate::kube::Case;
use crate::kube::space::{Space, note};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "operator_bad_resources_are_refused_with_what_to_change",
        run: bad_resources,
    },
    Case {
        name: "operator_a_guarded_cluster_is_not_deleted_by_mistake",
        run: guard,
    },
    Case {
        name: "operator_a_value_out_of_bounds_changes_nothing_that_runs",
        run: bad_value,
    },
];

fn refusal(space: &Space, resource: &Value) -> Result<String> {
    match space.apply(resource) {
        Ok(()) => anyhow::bail!("it was taken: {resource}"),
        Err(error) => Ok(format!("{error:#}")),
    }
}

fn bad_resources(space: &Space) -> Result<()> {
    install(space)?;
    let outside = |more: Value| {
        let mut listener = json!({"name": "outside", "port": 9094, "type": "nodePort"});
        if let (Some(fields), Some(more)) = (listener.as_object_mut(), more.as_object()) {
            fields.extend(more.clone());
        }
        json!({ "listeners": [listener] })
    };
    let bad = [
        (json!({"replicas": 0}), "greater than or equal to 1"),
        (json!({"config": {"node.id": "7"}}), "are the operator's"),
        (outside(json!({"port": 9091})), "choose another port"),
        (
            outside(json!({"loadBalancer": {}})),
            "loadBalancer settings need type: loadBalancer",
        ),
        (
            outside(json!({"type": "ingress"})),
            "needs the settings ingress.host",
        ),
        (json!({"controllers": {"replicas": 2}}), "use 1, 3 or 5"),
        (
            json!({"pools": [{"name": "x", "firstId": 1, "replicas": 1}]}),
            "choose a higher one",
        ),
        (json!({"rebalance": {"throttle": "500"}}), "1k or more"),
        (json!({"nonsense": true}), "nonsense"),
    ];
    for (spec, words) in &bad {
        let refused = refusal(space, &resource("bad", spec))?;
        ensure!(refused.contains(words), "{words:?} is not in: {refused}");
    }
    let even = json!({
        "apiVersion": "ottla.dev/v1alpha1", "kind": "KeeperEnsemble",
        "metadata": {"name": "bad"}, "spec": {"replicas": 2},
    });
    let refused = refusal(space, &even)?;
    ensure!(refused.contains("use 1, 3, 5 or 7"), "{refused}");
    note(&format!("{} resources were refused", bad.len() + 1));
    Ok(())
}

fn guard(space: &Space) -> Result<()> {
    let cluster = Cluster::start(
        space,
        "demo",
        &json!({"replicas": 1, "deletionGuard": true}),
    )?;
    let refused = space.run(&["delete", "kafkacluster", "demo", "--timeout=20s"]);
    let refused = format!(
        "{:#}",
        refused
            .err()
            .unwrap_or_else(|| anyhow::anyhow!("it is deleted"))
    );
    ensure!(refused.contains("deletionGuard"), "{refused}");
    cluster.patch(&json!({"deletionGuard": false}))?;
    space.run(&["delete", "kafkacluster", "demo", "--timeout=60s"])?;
    let claim = space.get("persistentvolumeclaim", "data-demo-broker-0")?;
    ensure!(
        claim["status"]["phase"] == "Bound",
        "the volume is gone with it: {claim}"
    );
    Ok(())
}

fn bad_value(space: &Space) -> Result<()> {
    let cluster = Cluster::start(space, "demo", &json!({"replicas": 1}))?;
    let before = cluster.uids()?;
    cluster.patch(&json!({"config": {"log.retention.hours": "many"}}))?;
    let message = cluster.says("Degraded", "True", "Invalid")?;
    ensure!(message.contains("log.retention.hours is many"), "{message}");
    ensure!(cluster.uids()? == before, "pods were restarted");
    cluster.patch(&json!({"config": {"log.retention.hours": "5"}}))?;
    cluster.settled("True")?;
    ensure!(operator_restarts(space)? < 5, "the operator ends by itself");
    Ok(())
}
