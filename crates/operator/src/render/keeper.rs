//! An ensemble of keepers.

use std::collections::BTreeMap;

use serde_json::json;

use super::metadata::{Labels, Owner, label};
use super::pod::Pod;
use super::stateful_set::StatefulSet;
use super::{
    Disruptions, HTTP_PORT, Manifest, Node, Settings, Sizes, budget, kafka, mesh, names, pod,
    properties,
};
use crate::api::KeeperEnsemble;

/// The port of clients.
pub const CLIENT_PORT: i32 = 2181;
/// The port on which servers talk to each other.
pub const SERVER_PORT: i32 = 2888;
/// The port of elections, which is told on and not opened.
pub const ELECTION_PORT: i32 = 3888;
/// The pool of an ensemble in [`Sizes`], and the component of its pods.
pub const POOL: &str = "keeper";

/// A server's number, `myid`: ZooKeeper's begin at 1.
#[must_use]
pub fn id(ordinal: i32) -> i32 {
    ordinal + 1
}

/// How many servers the resource wants.
#[must_use]
pub fn sizes(ensemble: &KeeperEnsemble) -> Sizes {
    let by_pool = [(POOL.to_owned(), ensemble.spec.replicas)];
    Sizes {
        by_pool: by_pool.into(),
    }
}

/// The pods that there shall be. They are neither brokers nor controllers.
#[must_use]
pub fn nodes(ensemble: &KeeperEnsemble, sizes: &Sizes) -> Vec<Node> {
    let node = |ordinal| Node {
        id: id(ordinal),
        pool: POOL.to_owned(),
        ordinal,
        pod: names::keeper_pod(ensemble, ordinal),
        broker: false,
        controller: false,
    };
    (0..sizes.of(POOL)).map(node).collect()
}

/// Everything that an ensemble is made of. `super_digest` is `super:BASE64`, with whose password the
/// operator may add and remove servers; without one nobody may unless the resource's config says so.
#[must_use]
pub fn manifests(
    ensemble: &KeeperEnsemble,
    settings: &Settings,
    sizes: &Sizes,
    disruptions: Disruptions,
    super_digest: Option<&str>,
) -> Vec<Manifest> {
    let owner = Owner::of(ensemble, label::ENSEMBLE);
    let labels = owner.labels(POOL);
    let name = names::keeper_stateful_set(ensemble);
    let spec = &ensemble.spec;
    let servers = sizes.of(POOL);
    let zoo_cfg = properties::zoo_cfg(ensemble, servers, &settings.cluster_domain, super_digest);
    let hash = properties::hash(&zoo_cfg, &BTreeMap::new());
    let files = Labels::from([("zoo.cfg".to_owned(), zoo_cfg)]);
    let mut manifests = vec![
        kafka::service_account(&owner, &name),
        servers_service(ensemble, &owner),
        client_service(ensemble, &owner),
        kafka::config_map(&owner, &names::keeper_config_map(ensemble), &labels, &files),
        stateful_set(ensemble, settings, &owner, servers, hash),
        budget::manifest(
            &owner,
            &name,
            &labels,
            &owner.selector(),
            (spec.replicas - 1) / 2,
            disruptions,
        ),
    ];
    if spec.metrics.pod_monitor {
        manifests.push(kafka::pod_monitor(&owner, &name, &spec.metrics.labels));
    }
    manifests
}

/// The headless Service. Servers have to find each other before they are ready.
fn servers_service(ensemble: &KeeperEnsemble, owner: &Owner) -> Manifest {
    let ports = [
        ("tcp-client".to_owned(), CLIENT_PORT),
        ("tcp-server".to_owned(), SERVER_PORT),
    ];
    let opaque = mesh::service_annotations(ensemble.spec.mesh, &[CLIENT_PORT, SERVER_PORT]);
    let name = names::keeper_servers_service(ensemble);
    kafka::headless(owner, &name, &ports, &opaque)
}

fn client_service(ensemble: &KeeperEnsemble, owner: &Owner) -> Manifest {
    let annotations = mesh::service_annotations(ensemble.spec.mesh, &[CLIENT_PORT]);
    let name = names::keeper_client_service(ensemble);
    Manifest::new(json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owner.annotated(&name, &owner.labels(POOL), &annotations),
        "spec": {
            "type": "ClusterIP",
            "selector": owner.selector(),
            "ports": [{ "name": "tcp-client", "port": CLIENT_PORT, "protocol": "TCP" }],
        },
    }))
}

fn stateful_set(
    ensemble: &KeeperEnsemble,
    settings: &Settings,
    owner: &Owner,
    replicas: i32,
    config_hash: String,
) -> Manifest {
    let spec = &ensemble.spec;
    let labels = owner.labels(POOL);
    let mut pod_labels = labels.clone();
    pod_labels.insert(label::POOL.to_owned(), POOL.to_owned());
    let template = Pod {
        settings,
        image: settings.image_of(spec.image.as_deref(), spec.version.as_deref()),
        options: &spec.pod,
        resources: &spec.resources,
        zones: &spec.zones,
        mesh: spec.mesh,
        labels: pod_labels,
        peers: owner.selector(),
        config_map: names::keeper_config_map(ensemble),
        config_hash,
        service_account: names::keeper_stateful_set(ensemble),
        args: args(),
        ports: vec![
            ("client".to_owned(), CLIENT_PORT),
            ("server".to_owned(), SERVER_PORT),
        ],
        told_later: false,
    };
    let set = StatefulSet {
        name: &names::keeper_stateful_set(ensemble),
        labels: &labels,
        selector: owner.selector(),
        replicas,
        service: &names::keeper_servers_service(ensemble),
        template: template.template(),
        storage: &spec.storage,
    };
    set.manifest(owner)
}

fn args() -> Vec<String> {
    [
        "server",
        "--keeper-config",
        &format!("{}/zoo.cfg", pod::CONFIG_FOLDER),
        "--set",
        "ottla.keeper.myid.ordinal.offset=1",
        "--set",
        &format!("ottla.http.listener=:{HTTP_PORT}"),
        "--set",
        &format!("log.dirs={}/data", pod::DATA_FOLDER),
    ]
    .map(str::to_owned)
    .to_vec()
}
