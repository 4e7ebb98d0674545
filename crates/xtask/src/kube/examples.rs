//! The Kafka examples as they stand: started, and reached from outside by clients that know one
//! address.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Case;
use super::clients::{hello_world, program, read_all, sees};
use super::pod::Pod;
use super::space::{Space, named, note, replace, says, within};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "three_nodes_are_reached_through_node_ports",
        run: through_node_ports,
    },
    Case {
        name: "three_nodes_are_reached_through_one_load_balancer_address",
        run: through_a_load_balancer,
    },
    Case {
        name: "brokers_on_one_node_have_node_ports_of_their_own",
        run: on_one_node,
    },
    Case {
        name: "a_deleted_pod_comes_back_with_its_volume",
        run: deleted_pod,
    },
    Case {
        name: "the_single_node_serves_kafka_and_zookeeper",
        run: single_node,
    },
];

const NODE_PORT_FIRST: usize = 31_980;
/// The address in the example, which stands for the reader's own.
const EXAMPLE_ADDRESS: &str = "203.0.113.10";

/// What clients outside are told of the pods of `kafka-nodeport.yaml`.
pub(super) fn node_ports(pods: &[Pod]) -> Vec<String> {
    let addresses = pods.iter().enumerate();
    addresses
        .map(|(ordinal, pod)| format!("{}:{}", pod.host_ip, NODE_PORT_FIRST + ordinal))
        .collect()
}

/// Applies the example and waits for its three nodes.
pub(super) fn start_with_node_ports(space: &Space) -> Result<Vec<Pod>> {
    space.apply_all(&space.example("kafka-nodeport.yaml")?)?;
    let (pods, took) = space.ready("kafka", 3)?;
    note(&format!(
        "three nodes were ready {:.1} s after apply",
        took.as_secs_f64()
    ));
    Ok(pods)
}

fn through_node_ports(space: &Space) -> Result<()> {
    let pods = start_with_node_ports(space)?;
    let nodes: BTreeSet<_> = pods.iter().map(|pod| &pod.node).collect();
    note(&format!("they are on {nodes:?}"));
    let addresses = node_ports(&pods);
    let all = addresses.iter().cloned().collect();
    for address in &addresses {
        sees(address, &all)?;
    }
    one_address_is_enough(&addresses)?;
    let log = space.logs("kafka-0", false)?;
    says(&log, &addresses[0])?;
    Ok(())
}

/// Each address alone leads to all brokers, with kcat and with confluent-kafka.
fn one_address_is_enough(addresses: &[String]) -> Result<()> {
    for (number, address) in addresses.iter().enumerate() {
        hello_world(address, &format!("hello-{number}"))?;
    }
    let expected = addresses.join(",");
    let told = program(
        "one_address.py",
        &["--bootstrap", &addresses[1], "--expect", &expected],
    )?;
    note(told.trim());
    Ok(())
}

/// Applies the example with an address of this cluster's load balancer; what clients are told.
pub(super) fn start_with_load_balancer(space: &Space) -> Result<Vec<String>> {
    let mut resources = space.example("kafka-loadbalancer.yaml")?;
    let address = load_balancer_address(space)?;
    for resource in &mut resources {
        replace(resource, EXAMPLE_ADDRESS, &address);
    }
    space.apply_all(&resources)?;
    let (_, took) = space.ready("kafka", 3)?;
    note(&format!(
        "three nodes were ready {:.1} s after apply, at {address}",
        took.as_secs_f64()
    ));
    Ok((9092..9095)
        .map(|port| format!("{address}:{port}"))
        .collect())
}

/// An address that the load balancer has to give: it is asked for one, and the Service goes again.
fn load_balancer_address(space: &Space) -> Result<String> {
    space.apply(&json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "which-address"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "none"}, "ports": [{"port": 9092}]},
    }))?;
    let mut address = String::new();
    within(
        Duration::from_secs(60),
        "the load balancer gives an address",
        || {
            let service = space.get("service", "which-address")?;
            let given = &service["status"]["loadBalancer"]["ingress"][0]["ip"];
            address = given.as_str().unwrap_or_default().to_owned();
            Ok(!address.is_empty())
        },
    )?;
    space.run(&["delete", "service", "which-address"])?;
    Ok(address)
}

fn through_a_load_balancer(space: &Space) -> Result<()> {
    let addresses = start_with_load_balancer(space)?;
    let all = addresses.iter().cloned().collect();
    for address in &addresses {
        sees(address, &all)?;
    }
    one_address_is_enough(&addresses)
}

fn on_one_node(space: &Space) -> Result<()> {
    let mut resources = space.example("kafka-nodeport.yaml")?;
    let node = some_node(space)?;
    let set = named(&mut resources, "StatefulSet", "kafka")?;
    set["spec"]["template"]["spec"]["nodeSelector"] = json!({"kubernetes.io/hostname": node});
    set["spec"]["template"]["spec"]["affinity"] = Value::Null;
    space.apply_all(&resources)?;
    let (pods, _) = space.ready("kafka", 3)?;
    ensure!(pods.iter().all(|pod| pod.node == node), "{pods:?}");
    let addresses = node_ports(&pods);
    let all: BTreeSet<_> = addresses.iter().cloned().collect();
    ensure!(all.len() == 3, "{addresses:?}");
    sees(&addresses[2], &all)?;
    hello_world(&addresses[2], "together")
}

/// The name of a node that takes pods.
fn some_node(space: &Space) -> Result<String> {
    let nodes = space.kubectl.items(&["get", "nodes"])?;
    let free = nodes.iter().find(|node| node["spec"]["taints"].is_null());
    let name = free.and_then(|node| node["metadata"]["labels"]["kubernetes.io/hostname"].as_str());
    name.map(str::to_owned).context("no node takes pods")
}

fn deleted_pod(space: &Space) -> Result<()> {
    let pods = start_with_node_ports(space)?;
    let addresses = node_ports(&pods);
    sees(&addresses[0], &addresses.iter().cloned().collect())?;
    hello_world(&addresses[0], "kept")?;
    let volume = |space: &Space| -> Result<String> {
        let claim = space.get("persistentvolumeclaim", "data-kafka-1")?;
        let name = claim["spec"]["volumeName"].as_str();
        name.map(str::to_owned)
            .context("data-kafka-1 has no volume")
    };
    let before = volume(space)?;
    let took = space.replace_pod("kafka-1")?;
    note(&format!(
        "kafka-1 was ready {:.1} s after it was deleted",
        took.as_secs_f64()
    ));
    ensure!(volume(space)? == before, "kafka-1 has another volume");
    let log = space.logs("kafka-1", false)?;
    ensure!(
        !log.contains("founding a cluster"),
        "kafka-1 began anew:\n{log}"
    );
    // Its place may be another one now, and so may its address.
    let (pods, _) = space.ready("kafka", 3)?;
    let addresses = node_ports(&pods);
    sees(&addresses[1], &addresses.iter().cloned().collect())?;
    let lines = read_all(&addresses[1], "kept")?;
    ensure!(lines == ["hello", "world"], "{lines:?}");
    Ok(())
}

fn single_node(space: &Space) -> Result<()> {
    space.apply_all(&space.example("single-node.yaml")?)?;
    let (_, took) = space.ready("ottla", 1)?;
    note(&format!("ready {:.1} s after apply", took.as_secs_f64()));
    let kafka = [
        space.exec(
            "ottla-0",
            &["/ottla", "topic", "create", "greetings", "-b", "ottla:9092"],
        )?,
        space.exec("ottla-0", &["/ottla", "topic", "list", "-b", "ottla:9092"])?,
    ];
    says(&kafka[1], "greetings")?;
    let status = space.exec(
        "ottla-0",
        &["/ottla", "keeper", "status", "-S", "ottla:2181"],
    )?;
    says(&status, "Mode: standalone")?;
    // Through `kubectl port-forward`, as the file says: the listener FORWARDED is for that.
    let mut forwarding = Forwarding::start(space, "service/ottla-forwarded", 9094)?;
    let told = hello_world("localhost:9094", "greetings");
    forwarding.end()?;
    told
}

/// A running `kubectl port-forward`.
struct Forwarding(std::process::Child);

impl Forwarding {
    fn start(space: &Space, to: &str, port: u16) -> Result<Forwarding> {
        let ports = format!("{port}:{port}");
        let mut command = space
            .kubectl
            .command(&["-n", &space.name, "port-forward", to, &ports]);
        command.stdout(std::process::Stdio::null());
        let forwarding = Forwarding(command.spawn().context("cannot run kubectl")?);
        within(Duration::from_secs(20), "the port is forwarded", || {
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok())
        })?;
        Ok(forwarding)
    }

    fn end(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        // It has ended, unless its case has failed before.
        drop(self.end());
    }
}
