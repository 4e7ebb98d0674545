//! Kubernetes' nodes: where they are, and under which addresses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::jiff::Timestamp;
use kube::api::ListParams;
use kube::{Api, Client};
use ottla_runtime::{Instant, Runtime};
use parking_lot::Mutex;

use crate::error::{Asked, Error};

/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(5);

/// An answer, and when it came.
type Answer = (Option<Arc<Node>>, Instant);

/// Asks the API server for nodes, not again and again.
pub(crate) struct Nodes {
    client: Client,
    runtime: Runtime,
    known: Mutex<HashMap<String, Answer>>,
    down: Mutex<Option<(usize, Instant)>>,
}

impl Nodes {
    pub(crate) fn new(client: Client, runtime: Runtime) -> Self {
        Nodes {
            client,
            runtime,
            known: Mutex::default(),
            down: Mutex::default(),
        }
    }

    /// A node; `None` when there is none of that name, or when this operator may not see nodes.
    pub(crate) async fn get(&self, name: &str) -> Result<Option<Arc<Node>>, Error> {
        let now = self.runtime.clock.instant();
        if let Some((node, at)) = self.known.lock().get(name)
            && now.duration_since(*at) < FRESH
        {
            return Ok(node.clone());
        }
        let api: Api<Node> = Api::all(self.client.clone());
        let node = match api.get_opt(name).await {
            Err(kube::Error::Api(status)) if status.code == 403 => None,
            node => node
                .when(|| format!("asking for node {name}"))?
                .map(Arc::new),
        };
        self.known
            .lock()
            .insert(name.to_owned(), (node.clone(), now));
        Ok(node)
    }

    /// How many nodes do not answer; none that is known of, when this operator may not see nodes.
    pub(crate) async fn down(&self) -> Result<usize, Error> {
        let now = self.runtime.clock.instant();
        if let Some((down, at)) = *self.down.lock()
            && now.duration_since(at) < FRESH
        {
            return Ok(down);
        }
        let api: Api<Node> = Api::all(self.client.clone());
        let down = match api.list(&ListParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 403 => 0,
            nodes => {
                let nodes = nodes.when(|| "asking for all nodes".to_owned())?;
                nodes.iter().filter(|node| !is_ready(node)).count()
            }
        };
        *self.down.lock() = Some((down, now));
        Ok(down)
    }
}

/// Whether a node says that it is well.
pub(crate) fn is_ready(node: &Node) -> bool {
    readiness(node).is_some_and(|condition| condition.status == "True")
}

/// Since when it says so, or does not.
pub(crate) fn since(node: &Node) -> Option<Timestamp> {
    Some(readiness(node)?.last_transition_time.as_ref()?.0)
}

fn readiness(node: &Node) -> Option<&NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|condition| condition.type_ == "Ready")
}
