//! A cluster as a client sees it: brokers, partitions, quorum.

mod view;

use std::collections::HashMap;
use std::time::Duration;

use ottla_client::{Client, ClientOptions};
use ottla_runtime::Runtime;
use parking_lot::Mutex;

pub(crate) use view::View;

use crate::api::KafkaCluster;
use crate::error::{Asked, Error};
use crate::render::{self, Node, REPLICATION_PORT, Sizes, names};

/// How long one question may take: a reconciliation rather comes again than waits.
const DEADLINE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(2);

/// Where those of the brokers are reached whose pods are ready.
pub(crate) fn bootstrap(
    cluster: &KafkaCluster,
    nodes: &[Node],
    domain: &str,
    is_ready: impl Fn(&str) -> bool,
) -> Vec<String> {
    let brokers = nodes.iter().filter(|node| node.broker);
    brokers
        .filter(|node| is_ready(&node.pod))
        .map(|node| {
            let host = names::pod_host(cluster, &node.pod, domain);
            format!("{host}:{REPLICATION_PORT}")
        })
        .collect()
}

/// The same for whoever does not look at pods, but at the cluster's status.
pub(crate) fn bootstrap_of(cluster: &KafkaCluster, domain: &str) -> Vec<String> {
    let nodes = render::kafka::nodes(cluster, &Sizes::wanted(cluster));
    let known = cluster.status.as_ref();
    let known = known.map(|status| status.brokers.as_slice());
    let known = known.unwrap_or_default();
    bootstrap(cluster, &nodes, domain, |pod| {
        known.iter().any(|broker| broker.pod == pod && broker.ready)
    })
}

/// Whether some broker is ready, as the status says.
pub(crate) fn is_reached(cluster: &KafkaCluster) -> bool {
    !bootstrap_of(cluster, "").is_empty()
}

/// Connections to clusters, which are kept.
pub(crate) struct Clusters {
    runtime: Runtime,
    known: Mutex<HashMap<Vec<String>, Client>>,
}

impl Clusters {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Clusters {
            runtime,
            known: Mutex::default(),
        }
    }

    /// A client of the cluster at these addresses.
    pub(crate) async fn client(&self, bootstrap: &[String]) -> Result<Client, Error> {
        if let Some(client) = self.known.lock().get(bootstrap) {
            return Ok(client.clone());
        }
        let options = ClientOptions {
            client_id: "ottla-operator".to_owned(),
            connect_timeout: CONNECT,
            request_timeout: DEADLINE,
            deadline: DEADLINE,
            ..ClientOptions::default()
        };
        // Whether it is there is asked once: a cluster that does not answer must not hold up others.
        let once = ClientOptions {
            deadline: Duration::ZERO,
            ..options.clone()
        };
        let connect = |options| Client::connect(self.runtime.clone(), bootstrap.to_vec(), options);
        let action = || format!("connecting to {}", bootstrap.join(","));
        connect(once).await.when(action)?;
        let client = connect(options).await.when(action)?;
        self.known.lock().insert(bootstrap.to_vec(), client.clone());
        Ok(client)
    }

    /// Forgets a client whose cluster did not answer.
    pub(crate) fn forget(&self, bootstrap: &[String]) {
        self.known.lock().remove(bootstrap);
    }

    /// Looks at a cluster.
    pub(crate) async fn view(&self, bootstrap: &[String]) -> Result<View, Error> {
        let client = self.client(bootstrap).await?;
        let view = View::of(client).await;
        if view.is_err() {
            self.forget(bootstrap);
        }
        view
    }
}
