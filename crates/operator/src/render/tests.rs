//! Resource in, manifests out.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{apps, core, discovery, networking, policy};
use ottla_config::{NodeConfig, Sources};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::*;
use crate::api::KeeperEnsemble;

const SETTINGS: fn() -> Settings = || Settings {
    image: "ottla:1".to_owned(),
    image_pull_policy: None,
    cluster_domain: "cluster.local".to_owned(),
};

fn cluster(spec: &str) -> KafkaCluster {
    let spec = serde_saphyr::from_str(spec).expect("the spec is right");
    let mut cluster = KafkaCluster::new("shop", spec);
    cluster.metadata.namespace = Some("kafka".to_owned());
    cluster.metadata.uid = Some("12ab".to_owned());
    cluster
}

fn rendered(cluster: &KafkaCluster, surroundings: &Surroundings) -> Vec<Manifest> {
    let sizes = Sizes::wanted(cluster);
    let known = LastKnown::default();
    let allowed = Evictions::default();
    kafka::manifests(cluster, &SETTINGS(), &sizes, allowed, &known, surroundings)
}

fn yaml(manifests: &[Manifest]) -> String {
    let texts = manifests
        .iter()
        .map(|m| serde_saphyr::to_string(m).expect("YAML"));
    texts.collect::<Vec<_>>().join("---\n")
}

/// The manifests of these kinds, without what is the same in all of them.
fn short(manifests: &[Manifest], kinds: &[&str]) -> String {
    let mut chosen = Vec::new();
    for manifest in manifests.iter().filter(|m| kinds.contains(&m.kind())) {
        let mut value = manifest.value().clone();
        for field in ["ownerReferences", "namespace", "labels"] {
            value["metadata"]
                .as_object_mut()
                .expect("metadata")
                .remove(field);
        }
        chosen.push(Manifest::new(value));
    }
    yaml(&chosen)
}

fn find<'a>(manifests: &'a [Manifest], kind: &str, name: &str) -> &'a Value {
    let found = manifests
        .iter()
        .find(|m| m.kind() == kind && m.name() == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}")).value()
}

/// Three nodes in three zones, each with a pod, and an address for each Service.
fn surroundings(cluster: &KafkaCluster) -> Surroundings {
    let mut around = Surroundings::default();
    let nodes = kafka::nodes(cluster, &Sizes::wanted(cluster));
    for (at, node) in nodes.iter().enumerate() {
        let on = at % 3 + 1;
        let facts = PodFacts {
            node: Some(format!("n{on}")),
            node_addresses: vec![("InternalIP".to_owned(), format!("10.0.0.{on}"))],
            zone: Some(format!("z{on}")),
            ip: Some(format!("10.244.{on}.{at}")),
            ready: at != 1,
        };
        around.pods.insert(node.pod.clone(), facts);
    }
    for (at, manifest) in rendered(cluster, &Surroundings::default())
        .iter()
        .enumerate()
    {
        if manifest.kind() != "Service" {
            continue;
        }
        let ports = manifest.value()["spec"]["ports"].as_array().expect("ports");
        let of_port = |port: &Value| {
            let given = port["nodePort"].as_i64().unwrap_or(31000 + at as i64);
            (
                port["name"].as_str().expect("name").to_owned(),
                given as i32,
            )
        };
        let ingress = manifest.value()["spec"]["loadBalancerIP"].as_str();
        let facts = ServiceFacts {
            node_ports: ports.iter().map(of_port).collect(),
            ingress: vec![ingress.map_or_else(|| format!("198.51.100.{at}"), str::to_owned)],
        };
        around.services.insert(manifest.name().to_owned(), facts);
    }
    around
}

/// All that pods are told, and what people are told.
fn told(cluster: &KafkaCluster) -> String {
    let around = surroundings(cluster);
    let nodes = kafka::nodes(cluster, &Sizes::wanted(cluster));
    let mut text = String::new();
    for node in &nodes {
        let config = pod_config(cluster, node, &around).expect("all is known");
        text.push_str(&format!(
            "# {}, node {}\n{}\n",
            node.pod,
            node.id,
            config.text()
        ));
    }
    for status in listener_status(cluster, &around, &nodes) {
        assert_eq!(status.waiting_for, None);
        let (bootstrap, line) = (
            status.bootstrap.expect("known"),
            status.try_it.expect("known"),
        );
        text.push_str(&format!("{}: {bootstrap}\n    {line}\n", status.name));
    }
    text
}

const EVERY_TYPE: &str = r"
    listeners:
      - { name: internal, port: 9092 }
      - { name: ports, port: 9094, type: nodePort, nodePort: { first: 31980, bootstrap: 31979 } }
      - name: balanced
        port: 9095
        type: loadBalancer
        loadBalancer: { mode: perPod, port: 19092, annotations: { 'lb/name': 'kafka-{ordinal}' } }
      - name: ingress
        port: 9096
        type: ingress
        ingress:
          class: nginx
          host: 'broker-{id}.example.org'
          bootstrapHost: kafka.example.org
          annotations: { nginx.ingress.kubernetes.io/ssl-passthrough: 'true' }
      - name: route
        port: 9097
        type: tlsRoute
        tlsRoute:
          gateway: { name: edge, namespace: gateways, sectionName: kafka }
          host: '{pod}.example.org'
          bootstrapHost: kafka.example.org
          port: 9443";

const SHARED: &str = r"
    listeners:
      - { name: outside, port: 9094, type: loadBalancer }";

const SHARED_ADDRESS: &str = r"
    listeners:
      - { name: outside, port: 9094, type: loadBalancer, loadBalancer: { address: 192.0.2.7 } }";

const SEPARATE: &str = r"
    controllers: { mode: separate, storage: { size: 1Gi } }
    pools:
      - { name: large, firstId: 100, replicas: 2, storage: { size: 1Ti, class: slow },
          config: { log.retention.hours: '1' }, resources: { limits: { memory: 8Gi } } }
    zones: { required: true }
    config: { log.retention.hours: '48', num.partitions: '6' }";

const ALL: [&str; 8] = [
    "{}",
    "replicas: 1",
    "replicas: 2",
    EVERY_TYPE,
    SHARED,
    SHARED_ADDRESS,
    SEPARATE,
    "{ replicas: 4, mesh: Istio, metrics: { podMonitor: true } }",
];

#[test]
fn defaults() {
    let cluster = cluster("{}");
    insta::assert_snapshot!(yaml(&rendered(&cluster, &Surroundings::default())));
    insta::assert_snapshot!("defaults_told", told(&cluster));
}

#[test]
fn every_type_of_listener() {
    let cluster = cluster(EVERY_TYPE);
    let kinds = ["Service", "Ingress", "TLSRoute"];
    insta::assert_snapshot!(short(&rendered(&cluster, &Surroundings::default()), &kinds));
    insta::assert_snapshot!("every_type_of_listener_told", told(&cluster));
}

#[test]
fn one_address_for_all_brokers() {
    let cluster = cluster(SHARED);
    let around = surroundings(&cluster);
    let kinds = ["Service", "EndpointSlice"];
    insta::assert_snapshot!(short(&rendered(&cluster, &around), &kinds));
    insta::assert_snapshot!("one_address_for_all_brokers_told", told(&cluster));
}

#[test]
fn one_given_address_for_all_brokers() {
    let cluster = cluster(SHARED_ADDRESS);
    let kinds = ["Service", "EndpointSlice"];
    insta::assert_snapshot!(short(&rendered(&cluster, &Surroundings::default()), &kinds));
    insta::assert_snapshot!("one_given_address_for_all_brokers_told", told(&cluster));
}

#[test]
fn separate_controllers_and_pools() {
    let cluster = cluster(SEPARATE);
    let kinds = ["StatefulSet", "ConfigMap", "PodDisruptionBudget"];
    insta::assert_snapshot!(short(&rendered(&cluster, &Surroundings::default()), &kinds));
    insta::assert_snapshot!("separate_controllers_and_pools_told", told(&cluster));
}

#[test]
fn one_broker() {
    let cluster = cluster("replicas: 1");
    let kinds = ["ConfigMap", "PodDisruptionBudget"];
    insta::assert_snapshot!(short(&rendered(&cluster, &Surroundings::default()), &kinds));
    insta::assert_snapshot!("one_broker_told", told(&cluster));
}

#[test]
fn meshes() {
    for mesh in ["Istio", "Linkerd"] {
        let cluster = cluster(&format!("{{ replicas: 1, mesh: {mesh} }}"));
        let manifests = rendered(&cluster, &Surroundings::default());
        let set = find(&manifests, "StatefulSet", "shop-broker");
        let pod = &set["spec"]["template"]["metadata"];
        let service = &find(&manifests, "Service", "shop-internal")["metadata"]["annotations"];
        let text = serde_saphyr::to_string(&serde_json::json!({ "pod": pod, "service": service }));
        insta::assert_snapshot!(format!("mesh_{mesh}"), text.expect("YAML"));
    }
}

fn ensemble(spec: &str) -> KeeperEnsemble {
    let spec = serde_saphyr::from_str(spec).expect("the spec is right");
    let mut ensemble = KeeperEnsemble::new("zk", spec);
    ensemble.metadata.namespace = Some("kafka".to_owned());
    ensemble
}

fn rendered_keeper(ensemble: &KeeperEnsemble) -> Vec<Manifest> {
    let sizes = keeper::sizes(ensemble);
    keeper::manifests(ensemble, &SETTINGS(), &sizes, Disruptions::Allowed, None)
}

#[test]
fn an_ensemble() {
    let ensemble = ensemble("{ config: { tickTime: '1000' } }");
    insta::assert_snapshot!(yaml(&rendered_keeper(&ensemble)));
}

/// A field that Kubernetes does not know would be lost on the way through its types.
#[test]
fn manifests_have_no_fields_that_kubernetes_does_not_know() {
    fn same<T: DeserializeOwned + Serialize>(manifest: &Manifest) {
        let typed: T = serde_json::from_value(manifest.value().clone()).expect("the right types");
        let back = serde_json::to_value(typed).expect("JSON");
        assert_eq!(
            &back,
            manifest.value(),
            "{} {}",
            manifest.kind(),
            manifest.name()
        );
    }
    let mut manifests = rendered_keeper(&ensemble("metrics: { podMonitor: true }"));
    for spec in ALL {
        let cluster = cluster(spec);
        manifests.extend(rendered(&cluster, &surroundings(&cluster)));
    }
    for manifest in &manifests {
        match manifest.kind() {
            "StatefulSet" => same::<apps::v1::StatefulSet>(manifest),
            "Service" => same::<core::v1::Service>(manifest),
            "ConfigMap" => same::<core::v1::ConfigMap>(manifest),
            "ServiceAccount" => same::<core::v1::ServiceAccount>(manifest),
            "PodDisruptionBudget" => same::<policy::v1::PodDisruptionBudget>(manifest),
            "Ingress" => same::<networking::v1::Ingress>(manifest),
            "EndpointSlice" => same::<discovery::v1::EndpointSlice>(manifest),
            "TLSRoute" | "PodMonitor" => {}
            other => panic!("{other} is not compared"),
        }
    }
}

#[test]
fn names_within_a_kind_are_unique() {
    for spec in ALL {
        let cluster = cluster(spec);
        let manifests = rendered(&cluster, &surroundings(&cluster));
        let names: BTreeSet<_> = manifests.iter().map(|m| (m.kind(), m.name())).collect();
        assert_eq!(names.len(), manifests.len(), "{spec}");
    }
}

/// Each server takes what is written for it, with nothing to remark.
#[test]
fn servers_take_what_is_written_for_them() {
    for spec in ALL {
        let cluster = cluster(spec);
        let around = surroundings(&cluster);
        for node in kafka::nodes(&cluster, &Sizes::wanted(&cluster)) {
            let shared = properties::server(&cluster, &node.pool, "cluster.local");
            let own = pod_config(&cluster, &node, &around).expect("all is known");
            let shared: String = shared
                .lines()
                .filter(|line| !line.starts_with("listeners="))
                .map(|line| format!("{line}\n"))
                .collect();
            let loaded = NodeConfig::load(Sources {
                file: Some(("server.properties".to_owned(), shared + &own.text())),
                hostname: node.pod.clone(),
                ..Sources::default()
            });
            let loaded = loaded.unwrap_or_else(|errors| panic!("{spec}, {}: {errors}", node.pod));
            assert_eq!(loaded.notices, [], "{spec}, {}", node.pod);
            assert_eq!(loaded.config.node_id.configured(), Some(node.id));
            assert_eq!(loaded.config.roles.controller, node.controller);
            assert_eq!(loaded.config.roles.broker, node.broker);
        }
    }
    let text = properties::zoo_cfg(&ensemble("{}"), 3, "cluster.local", Some("super:abc="));
    let loaded = NodeConfig::load(Sources {
        keeper_file: Some(("zoo.cfg".to_owned(), text)),
        flags: vec![(
            "ottla.keeper.myid.ordinal.offset".to_owned(),
            "1".to_owned(),
        )],
        hostname: "zk-keeper-2".to_owned(),
        ..Sources::default()
    });
    let loaded = loaded.expect("the ensemble's file is right");
    assert_eq!(loaded.notices, []);
    let keeper = loaded.config.keeper.expect("it is a keeper");
    assert_eq!(keeper.servers.len(), 3);
}

#[test]
fn pods_roll_for_what_they_read_and_not_for_who_founded_the_cluster() {
    let hash = |spec: &str| {
        properties::hash(
            &properties::server(&cluster(spec), "broker", "x"),
            &BTreeMap::new(),
        )
    };
    let before = hash("replicas: 3");
    assert_eq!(before, hash("replicas: 5"));
    assert_eq!(
        before,
        hash("{ replicas: 3, controllers: { replicas: 1 } }")
    );
    assert_ne!(
        before,
        hash("{ replicas: 3, config: { num.partitions: '2' } }")
    );
    let of_servers = |n| properties::zoo_cfg(&ensemble("{}"), n, "x", None);
    assert_eq!(
        properties::hash(&of_servers(3), &BTreeMap::new()),
        properties::hash(&of_servers(5), &BTreeMap::new())
    );
}

#[test]
fn what_pods_were_told_last_is_in_their_files_and_rolls_nobody() {
    let cluster = cluster("{}");
    let render = |known: &LastKnown| {
        let (sizes, around) = (Sizes::wanted(&cluster), Surroundings::default());
        kafka::manifests(
            &cluster,
            &SETTINGS(),
            &sizes,
            Evictions::default(),
            known,
            &around,
        )
    };
    let before = render(&LastKnown::default());
    let text = "process.roles=broker\n".to_owned();
    let known = [("shop-broker-1".to_owned(), text.clone())];
    let after = render(&LastKnown {
        by_pod: known.into(),
    });
    let files = &find(&after, "ConfigMap", "shop-broker-config")["data"];
    assert_eq!(files["shop-broker-1.properties"], text);
    let set = |manifests: &[Manifest]| find(manifests, "StatefulSet", "shop-broker").clone();
    assert_eq!(set(&before), set(&after));
}

#[test]
fn budgets_follow_from_the_quorum_and_the_replicas() {
    let allowed = |spec: &str, evictions, name: &str| {
        let cluster = cluster(spec);
        let (sizes, known) = (Sizes::wanted(&cluster), LastKnown::default());
        let around = Surroundings::default();
        let all = kafka::manifests(&cluster, &SETTINGS(), &sizes, evictions, &known, &around);
        find(&all, "PodDisruptionBudget", name)["spec"]["maxUnavailable"].as_i64()
    };
    let allow = Evictions::default();
    let forbid = Evictions {
        brokers: Disruptions::Forbidden,
        ..allow
    };
    assert_eq!(allowed("replicas: 3", allow, "shop-broker"), Some(1));
    assert_eq!(allowed("replicas: 3", forbid, "shop-broker"), Some(0));
    assert_eq!(allowed("replicas: 1", allow, "shop-broker"), Some(1));
    let durable = "config: { default.replication.factor: '5', min.insync.replicas: '2' }";
    let five = format!("{{ replicas: 5, controllers: {{ replicas: 5 }}, {durable} }}");
    assert_eq!(allowed(&five, allow, "shop-broker"), Some(2));
    let five = format!("{{ replicas: 5, controllers: {{ mode: separate }}, {durable} }}");
    assert_eq!(allowed(&five, allow, "shop-broker"), Some(3));
    assert_eq!(allowed(&five, allow, "shop-controller"), Some(1));
    assert_eq!(allowed(&five, forbid, "shop-broker"), Some(0));
    assert_eq!(allowed(&five, forbid, "shop-controller"), Some(1));
}

#[test]
fn what_is_waited_for_is_named() {
    let waiting = |spec: &str, change: fn(&mut Surroundings)| {
        let cluster = cluster(spec);
        let mut around = surroundings(&cluster);
        change(&mut around);
        let nodes = kafka::nodes(&cluster, &Sizes::wanted(&cluster));
        let error = pod_config(&cluster, &nodes[0], &around).expect_err("it waits");
        error.to_string()
    };
    let not_scheduled: fn(&mut Surroundings) = |around| around.pods.clear();
    assert_eq!(
        waiting("{}", not_scheduled),
        "pod shop-broker-0 to get a node"
    );
    let no_services: fn(&mut Surroundings) = |around| around.services.clear();
    let ports = "listeners: [{ name: p, port: 9094, type: nodePort }]";
    assert_eq!(
        waiting(ports, no_services),
        "Service shop-broker-0-p to get a node port"
    );
    assert!(waiting(SHARED, no_services).starts_with("Service shop-outside to get an address"));
    let outer =
        "listeners: [{ name: p, port: 9094, type: nodePort, nodePort: { address: ExternalIP } }]";
    assert!(
        waiting(outer, |_| {}).starts_with("node n1 to have an address of type ExternalIP"),
        "{}",
        waiting(outer, |_| {})
    );
}

#[test]
fn what_the_resource_advertises_counts_before_what_kubernetes_tells() {
    let advertised = |spec: &str| {
        let cluster = cluster(spec);
        let nodes = kafka::nodes(&cluster, &Sizes::wanted(&cluster));
        let entries = nodes.iter().map(|node| {
            let mut config = pod_config(&cluster, node, &surroundings(&cluster)).expect("known");
            config.advertised.pop().expect("one")
        });
        entries.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        advertised(
            "listeners: [{ name: o, port: 9094, type: nodePort, advertisedHost: k.example.org, \
             advertisedPort: 9000 }]"
        ),
        "O://k.example.org:9000 O://k.example.org:9001 O://k.example.org:9002"
    );
    assert_eq!(
        advertised(
            "listeners: [{ name: o, port: 9094, advertisedHost: 'k{id}.example.org', \
             advertisedPort: 9000 }]"
        ),
        "O://k0.example.org:9000 O://k1.example.org:9000 O://k2.example.org:9000"
    );
    assert_eq!(
        advertised("listeners: [{ name: o, port: 9094, advertisedHost: '2001:db8::{id}' }]"),
        "O://[2001:db8::0]:9094 O://[2001:db8::1]:9094 O://[2001:db8::2]:9094"
    );
}

proptest! {
    /// Whatever a valid resource says, each node has an id of its own, a pod of its own, and there
    /// is an odd number of controllers.
    #[test]
    fn ids_never_collide(
        replicas in 1..100_i32,
        controllers in 1..5_i32,
        separate in any::<bool>(),
        pools in prop::collection::vec(0..100_i32, 0..5),
    ) {
        let mode = if separate { "separate" } else { "combined" };
        let controllers = controllers * 2 - 1;
        let mut spec = format!(
            "replicas: {replicas}\ncontrollers: {{ mode: {mode}, replicas: {controllers} }}\npools:\n"
        );
        // Ids as the resource's rules want them: above the cluster's own, beside the controllers'.
        for (at, size) in pools.iter().enumerate() {
            let first = [100, 200, 900, 1100, 5000][at];
            spec.push_str(&format!("- {{ name: p{at}, firstId: {first}, replicas: {size} }}\n"));
        }
        if pools.is_empty() {
            spec.push_str("  []\n");
        }
        let cluster = cluster(&spec);
        let nodes = kafka::nodes(&cluster, &Sizes::wanted(&cluster));
        let ids: BTreeSet<i32> = nodes.iter().map(|node| node.id).collect();
        prop_assert_eq!(ids.len(), nodes.len());
        let pods: BTreeSet<&String> = nodes.iter().map(|node| &node.pod).collect();
        prop_assert_eq!(pods.len(), nodes.len());
        let voters = nodes.iter().filter(|node| node.controller).count();
        prop_assert_eq!(voters % 2, 1);
    }
}

#[test]
fn a_version_is_a_tag_of_the_operators_own_image() {
    let settings = Settings {
        image: "registry:5000/ottla:1@sha256:00".to_owned(),
        ..SETTINGS()
    };
    for (named, version, expected) in [
        (None, None, "registry:5000/ottla:1@sha256:00"),
        (None, Some("2"), "registry:5000/ottla:2"),
        (Some("mine:3"), None, "mine:3"),
    ] {
        assert_eq!(settings.image_of(named, version), expected);
    }
    let set = rendered(&cluster("version: 0.2.0"), &Surroundings::default());
    let set = find(&set, "StatefulSet", "shop-broker");
    let image = set.pointer("/spec/template/spec/containers/0/image");
    assert_eq!(image.and_then(Value::as_str), Some("ottla:0.2.0"));
}

#[test]
fn a_value_that_brokers_take_while_they_run_rolls_nobody() {
    let hash = |spec: &str| {
        let all = rendered(&cluster(spec), &Surroundings::default());
        let set = find(&all, "StatefulSet", "shop-broker");
        let annotations = &set["spec"]["template"]["metadata"]["annotations"];
        annotations[CONFIG_HASH_ANNOTATION].clone()
    };
    let one = "config: { log.retention.ms: '5', num.io.threads: '4' }";
    let other = "config: { log.retention.ms: '6', num.io.threads: '4' }";
    assert_eq!(hash(one), hash(other));
    // A property that comes or goes is in the pods' files, or in them no more.
    assert_ne!(hash("config: { num.io.threads: '4' }"), hash(one));
    let live = |spec: &str| properties::live(&cluster(spec)).into_keys().count();
    assert_eq!(live(one), 1);
    assert_eq!(live("config: { max.connections: '9', node.id: '1' }"), 0);
    let own = "{ name: big, firstId: 100, replicas: 1, config: { log.retention.ms: '7' } }";
    let pools = format!("{{ {one}, pools: [{own}] }}");
    assert_eq!(live(&pools), 0);
    assert_ne!(
        hash("config: { log.retention.hours: '5' }"),
        hash("config: { log.retention.hours: '6' }")
    );
}
