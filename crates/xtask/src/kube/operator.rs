//! The operator on a real Kubernetes: installed as people install it, with clusters in each case's own
//! namespace.

mod changes;
mod chart;
mod kazoo;
mod load;
mod losses;
mod monitoring;
mod outages;
mod refused;
mod resources;
mod sizes;
mod told;
mod ways;

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::Case;
use super::space::{Space, note, replace, within};
use crate::workspace::root;

pub(super) const CASES: [&[Case]; 10] = [
    ways::CASES,
    changes::CASES,
    sizes::CASES,
    losses::CASES,
    outages::CASES,
    resources::CASES,
    kazoo::CASES,
    monitoring::CASES,
    refused::CASES,
    chart::CASES,
];

/// The namespace that `deploy/install.yaml` makes.
pub(super) const SYSTEM: &str = "ottla-system";
const DEPLOYMENT: &str = "ottla-operator";
/// What stands in `deploy/install.yaml`.
const RELEASED: &str = concat!("ottla:", env!("CARGO_PKG_VERSION"));
/// A change of a whole cluster, on a busy machine.
pub(super) const CHANGE_LIMIT: Duration = Duration::from_secs(240);

/// A cluster under test.
pub(super) struct Cluster<'a> {
    pub(super) space: &'a Space,
    pub(super) name: &'static str,
}

/// Installs the operator with one file, once in a run, and waits until it works.
pub(super) fn install(space: &Space) -> Result<()> {
    static INSTALLED: OnceLock<Result<(), String>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let done = install_now(space);
        done.map_err(|error| format!("{error:#}"))
    });
    match installed {
        Ok(()) => Ok(()),
        Err(error) => bail!("the operator could not be installed: {error}"),
    }
}

fn install_now(space: &Space) -> Result<()> {
    let mut objects = space
        .kubectl
        .manifests(&root().join("deploy/install.yaml"))?;
    for object in &mut objects {
        replace(object, RELEASED, space.image());
        if object["kind"] == "Deployment" {
            let container = &mut object["spec"]["template"]["spec"]["containers"][0];
            container["imagePullPolicy"] = json!("Never");
            let env = container["env"]
                .as_array_mut()
                .context("the operator has no env")?;
            for variable in env {
                if variable["name"] == "OTTLA_IMAGE_PULL_POLICY" {
                    variable["value"] = json!("Never");
                }
            }
        }
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    space.kubectl.feed(&apply, &list.to_string())?;
    let restart = ["-n", SYSTEM, "rollout", "restart", "deployment", DEPLOYMENT];
    space.kubectl.run(&restart)?;
    let wait = ["-n", SYSTEM, "rollout", "status", "deployment", DEPLOYMENT];
    space.kubectl.run_within(&wait, CHANGE_LIMIT)?;
    Ok(())
}

/// A resource of a cluster: small volumes, an image that is there, and no guard, so that a case can
/// clean up.
pub(super) fn resource(name: &str, spec: &Value) -> Value {
    let mut whole = json!({
        "apiVersion": "ottla.dev/v1alpha1",
        "kind": "KafkaCluster",
        "metadata": {"name": name},
        "spec": {
            "storage": {"size": "1Gi"},
            "deletionGuard": false,
            "pod": {"shareNodes": true, "terminationGracePeriodSeconds": 60},
        },
    });
    if let (Some(fields), Some(more)) = (whole["spec"].as_object_mut(), spec.as_object()) {
        fields.extend(more.clone());
    }
    whole
}

impl<'a> Cluster<'a> {
    /// Applies a cluster and waits until it is ready; how long that took.
    pub(super) fn start(space: &'a Space, name: &'static str, spec: &Value) -> Result<Self> {
        install(space)?;
        let began = Instant::now();
        space.apply(&resource(name, spec))?;
        let cluster = Cluster { space, name };
        cluster.settled("True")?;
        note(&format!(
            "ready {:.1} s after apply",
            began.elapsed().as_secs_f64()
        ));
        Ok(cluster)
    }

    pub(super) fn get(&self) -> Result<Value> {
        self.space.get("kafkacluster", self.name)
    }

    /// Changes the resource as `kubectl patch` does.
    pub(super) fn patch(&self, spec: &Value) -> Result<String> {
        let patch = json!({ "spec": spec }).to_string();
        self.space.run(&[
            "patch",
            "kafkacluster",
            self.name,
            "--type=merge",
            "-p",
            &patch,
        ])
    }

    /// A condition of the newest generation: its status, reason and message.
    pub(super) fn condition(&self, kind: &str) -> Result<(String, String, String)> {
        let resource = self.get()?;
        let generation = &resource["metadata"]["generation"];
        let conditions = resource["status"]["conditions"].as_array();
        let conditions = conditions.map(Vec::as_slice).unwrap_or_default();
        let found = conditions.iter().find(|c| c["type"] == kind);
        let found = found.filter(|c| c["observedGeneration"] == *generation);
        let found = found.with_context(|| format!("{kind} is not known yet"))?;
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        Ok((text("status"), text("reason"), text("message")))
    }

    /// Waits until nothing is under way and readiness is as expected.
    pub(super) fn settled(&self, ready: &str) -> Result<()> {
        let mut last = String::new();
        let what = format!(
            "cluster {} has Ready={ready} and nothing under way",
            self.name
        );
        let settled = within(CHANGE_LIMIT, &what, || {
            let now = self.condition("Ready")?;
            let progressing = self.condition("Progressing")?;
            last = format!("Ready {now:?}, Progressing {progressing:?}");
            Ok(now.0 == ready && progressing.0 == "False")
        });
        settled.with_context(|| format!("the last of it: {last}"))
    }

    /// Waits for a condition with this reason; its message.
    pub(super) fn says(&self, kind: &str, status: &str, reason: &str) -> Result<String> {
        self.says_that(kind, status, reason, "")
    }

    /// Waits for a condition with this reason, whose message has these words; the message.
    pub(super) fn says_that(
        &self,
        kind: &str,
        status: &str,
        reason: &str,
        words: &str,
    ) -> Result<String> {
        let mut message = String::new();
        let what = format!("{kind} is {status} for {reason} and says {words:?}");
        within(CHANGE_LIMIT, &what, || {
            let now = self.condition(kind)?;
            message = now.2;
            ensure!(
                now.0 == status && now.1 == reason && message.contains(words),
                "it is {} for {}: {message}",
                now.0,
                now.1
            );
            Ok(true)
        })?;
        Ok(message)
    }

    /// The first bootstrap address of a listener.
    pub(super) fn bootstrap(&self, listener: &str) -> Result<String> {
        let all = self.bootstraps(listener)?;
        Ok(all.split(',').next().unwrap_or_default().to_owned())
    }

    /// All of them, as clients take them.
    pub(super) fn bootstraps(&self, listener: &str) -> Result<String> {
        let resource = self.get()?;
        let listeners = resource["status"]["listeners"].as_array();
        let listeners = listeners.map(Vec::as_slice).unwrap_or_default();
        let found = listeners.iter().find(|l| l["name"] == listener);
        let found = found.and_then(|listener| listener["bootstrap"].as_str());
        let all = found.with_context(|| format!("listener {listener} has no address"))?;
        Ok(all.to_owned())
    }

    /// What the brokers advertise on a listener.
    pub(super) fn advertised(&self, listener: &str) -> Result<BTreeSet<String>> {
        let resource = self.get()?;
        let brokers = resource["status"]["brokers"].as_array();
        let prefix = format!("{}://", listener.to_uppercase());
        let all = brokers.into_iter().flatten();
        let all = all.flat_map(|broker| broker["advertised"].as_array().into_iter().flatten());
        let all = all.filter_map(|address| address.as_str()?.strip_prefix(&prefix));
        Ok(all.map(str::to_owned).collect())
    }

    pub(super) fn pod(&self, ordinal: usize) -> String {
        format!("{}-broker-{ordinal}", self.name)
    }

    /// Whether no pod is one of those that there were before.
    pub(super) fn is_all_new(&self, before: &[String]) -> Result<()> {
        let after = self.uids()?;
        let is_new = before.iter().all(|uid| !after.contains(uid));
        ensure!(
            is_new,
            "not all pods were restarted: {before:?}, then {after:?}"
        );
        Ok(())
    }

    /// The brokers' pods, with what tells two of the same name apart.
    pub(super) fn uids(&self) -> Result<Vec<String>> {
        let label = format!("ottla.dev/cluster={}", self.name);
        let namespace = ["-n", &*self.space.name, "get", "pods", "-l", &label];
        let pods = self.space.kubectl.items(&namespace)?;
        let mut uids: Vec<String> = pods
            .iter()
            .filter_map(|pod| Some(pod["metadata"]["uid"].as_str()?.to_owned()))
            .collect();
        uids.sort();
        Ok(uids)
    }
}

/// How often a container of the operator was started again, and what it takes, in all its pods.
pub(super) fn operator_restarts(space: &Space) -> Result<u64> {
    let label = "app.kubernetes.io/name=ottla-operator";
    let pods = space
        .kubectl
        .items(&["-n", SYSTEM, "get", "pods", "-l", label])?;
    let counts = pods
        .iter()
        .map(|pod| pod["status"]["containerStatuses"][0]["restartCount"].as_u64());
    Ok(counts.map(Option::unwrap_or_default).sum())
}
