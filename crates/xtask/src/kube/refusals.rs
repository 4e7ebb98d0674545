//! Manifests with a defect: what they do, and what a person is told.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Case;
use super::clients::{hello_world, sees};
use super::examples::{node_ports, start_with_node_ports};
use super::space::{READY_LIMIT, Space, named, note, replace, says, within};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "an_endpoint_of_another_broker_is_refused_and_that_broker_exits",
        run: taken_endpoint,
    },
    Case {
        name: "of_three_that_start_with_one_endpoint_one_takes_part",
        run: taken_at_the_first_start,
    },
    Case {
        name: "a_probe_of_a_port_where_nothing_listens_never_turns_ready",
        run: wrong_probe,
    },
    Case {
        name: "a_hostname_without_an_ordinal_ends_the_start",
        run: no_ordinal,
    },
];

/// What `kafka-nodeport.yaml` advertises outside.
const OF_EACH: &str = "OUTSIDE://$(MY_HOST_IP):{31980+ordinal}";
/// The same address for all brokers, as people configure it who have one address.
const OF_ALL: &str = "OUTSIDE://1.1.1.1:9094";
const REFUSAL: &str =
    "Configured end points 1.1.1.1:9094 in advertised listeners are already registered by broker ";

/// Sets what all brokers advertise; it counts when they start again.
fn advertise(space: &Space, from: &str, to: &str) -> Result<()> {
    let mut config = space.get("configmap", "kafka")?;
    replace(&mut config["data"], from, to);
    space.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "kafka", "labels": {"app": "kafka"}},
        "data": config["data"],
    }))
}

/// A rolling restart begins with the highest number, which is still alone with the address; the next one
/// is refused, and the restart goes no further.
fn taken_endpoint(space: &Space) -> Result<()> {
    let pods = start_with_node_ports(space)?;
    advertise(space, OF_EACH, OF_ALL)?;
    space.run(&["rollout", "restart", "statefulset/kafka"])?;
    within(READY_LIMIT, "kafka-1 is refused", || {
        Ok(has_said(space, "kafka-1", &format!("{REFUSAL}2")))
    })?;
    within(
        READY_LIMIT,
        "kafka-1 exits with 1, and is started again",
        || {
            let refused = space.pod("kafka-1")?;
            Ok(refused.restarts > 0 && refused.exit_code == Some(1))
        },
    )?;
    let others = [space.pod("kafka-0")?, space.pod("kafka-2")?];
    ensure!(others.iter().all(|pod| pod.is_ready), "{others:?}");
    ensure!(others[0].uid == pods[0].uid, "kafka-0 was restarted, too");
    // With the right addresses the restart goes on where it was.
    advertise(space, OF_ALL, OF_EACH)?;
    // A StatefulSet leaves a pod that never got ready as it is.
    space.run(&["delete", "pod", "kafka-1", "--wait=false"])?;
    space.run(&["rollout", "restart", "statefulset/kafka"])?;
    let wait = ["-n", &space.name, "rollout", "status", "statefulset/kafka"];
    space.kubectl.run_within(&wait, READY_LIMIT)?;
    let (pods, _) = space.ready("kafka", 3)?;
    let addresses = node_ports(&pods);
    sees(&addresses[0], &addresses.iter().cloned().collect())?;
    hello_world(&addresses[0], "again")
}

/// All register before any of them takes part.
fn taken_at_the_first_start(space: &Space) -> Result<()> {
    let mut resources = space.example("kafka-nodeport.yaml")?;
    let config = named(&mut resources, "ConfigMap", "kafka")?;
    replace(config, OF_EACH, OF_ALL);
    space.apply_all(&resources)?;
    let mut refused = Vec::new();
    within(READY_LIMIT, "two of three are refused", || {
        let pods = space.pods("kafka")?;
        let found = pods
            .iter()
            .filter(|pod| has_said(space, &pod.name, REFUSAL));
        for pod in found {
            if !refused.contains(&pod.name) {
                refused.push(pod.name.clone());
            }
        }
        Ok(refused.len() >= 2)
    })?;
    // Whoever was first goes on, and nobody refuses it.
    let pods = space.pods("kafka")?;
    let others = pods.iter().find(|pod| !refused.contains(&pod.name));
    let first = others.context("all three were refused")?;
    ensure!(first.restarts == 0, "{pods:?}");
    let codes: Vec<_> = pods.iter().filter_map(|pod| pod.exit_code).collect();
    ensure!(
        codes.iter().all(|code| *code == 1),
        "it is an error of the configuration: {pods:?}"
    );
    note(&format!(
        "{} takes part; {refused:?} were refused",
        first.name
    ));
    Ok(())
}

/// Whether the container, or its run before, has said this. A run that is just beginning has no log yet.
fn has_said(space: &Space, pod: &str, part: &str) -> bool {
    [false, true].into_iter().any(|previous| {
        space
            .logs(pod, previous)
            .is_ok_and(|log| log.contains(part))
    })
}

/// The third document's probe asks 9092 while only 9093 listens.
fn wrong_probe(space: &Space) -> Result<()> {
    let mut resources = space.example("single-node.yaml")?;
    let set = named(&mut resources, "StatefulSet", "ottla")?;
    replace(
        set,
        "CLIENT://:9092,FORWARDED://:9094",
        "CLIENT://:9093,FORWARDED://:9094",
    );
    replace(set, ".svc:9092", ".svc:9093");
    let container = &mut set["spec"]["template"]["spec"]["containers"][0];
    for probe in ["startupProbe", "livenessProbe"] {
        container[probe] = Value::Null;
    }
    container["readinessProbe"] = json!({"tcpSocket": {"port": 9092}, "periodSeconds": 1});
    space.apply_all(&resources)?;
    let mut log = String::new();
    within(READY_LIMIT, "the node is up", || {
        log = space.logs("ottla-0", false)?;
        Ok(log.contains(" is up."))
    })?;
    for port in [":9093", ":9094", ":2181", ":9644"] {
        says(&log, port)?;
    }
    ensure!(!log.contains(":9092"), "the log speaks of 9092:\n{log}");
    // Twelve probes.
    std::thread::sleep(Duration::from_secs(12));
    let pod = space.pod("ottla-0")?;
    ensure!(!pod.is_ready && pod.restarts == 0, "{pod:?}");
    note("not ready after 12 probes of 9092; the log names 9093, 9094, 2181 and 9644");
    Ok(())
}

/// A Deployment's pods have no numbers.
fn no_ordinal(space: &Space) -> Result<()> {
    let mut resources = space.example("kafka-nodeport.yaml")?;
    let config = named(&mut resources, "ConfigMap", "kafka")?.clone();
    let set = named(&mut resources, "StatefulSet", "kafka")?;
    let mut pod = set["spec"]["template"].take();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = "kafka".into();
    pod["spec"]["restartPolicy"] = "Never".into();
    let volumes = pod["spec"]["volumes"].as_array_mut();
    let volumes = volumes.context("the example has no volumes")?;
    volumes.push(json!({"name": "data", "emptyDir": {}}));
    space.apply_all(&[config, pod])?;
    within(READY_LIMIT, "the pod has ended", || {
        Ok(space.pod("kafka")?.exit_code.is_some())
    })?;
    let log = space.logs("kafka", false)?;
    says(&log, "Failed to extract ordinal from hostname kafka")?;
    let code = space.pod("kafka")?.exit_code;
    ensure!(code == Some(1), "it exits with {code:?}");
    Ok(())
}
