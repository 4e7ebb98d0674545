//! A canary for each cluster whose resource asks for one: it produces a record to each partition of
//! its topic and reads it again, through each listener, as clients do.
//!
//! ```text
//!   cluster::reconcile ─▶ Canaries::keep ─▶ one task a cluster ─▶ metrics
//!          ▲                                      │
//!          └── a listener begins or ends to fail ─┘ ─▶ status.canary, CanaryHealthy, an Event
//! ```
//!
//! Listeners that need TLS (ingress, tlsRoute) cannot be tried yet, and are left out.

mod trying;
mod verdict;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use ottla_runtime::{Runtime, Shutdown, TaskKind};
use parking_lot::Mutex;
use tokio::sync::mpsc;

pub(crate) use verdict::{judge, set, tell};

use crate::api::{CanaryStatus, KafkaCluster, ListenerStatus, ListenerType};
use crate::metrics::{Metrics, Tried};
use crate::render;

/// What a canary does; another one is another canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Task {
    pub(crate) namespace: String,
    pub(crate) cluster: String,
    /// Where brokers are reached to make the topic.
    pub(crate) bootstrap: Vec<String>,
    /// The listeners' bootstrap addresses.
    pub(crate) listeners: BTreeMap<String, Vec<String>>,
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    pub(crate) replicas: i16,
    pub(crate) interval: Duration,
}

impl Task {
    /// What the canary of a cluster does; `None` if there is to be none.
    pub(crate) fn of(
        cluster: &KafkaCluster,
        listeners: &[ListenerStatus],
        bootstrap: Vec<String>,
    ) -> Option<Task> {
        let spec = &cluster.spec;
        if !spec.canary.enabled {
            return None;
        }
        let reached = listeners.iter().filter(|listener| is_plain(listener.kind));
        let reached = reached.filter_map(|listener| {
            let addresses = listener.bootstrap.as_ref()?.split(',');
            let addresses = addresses.map(str::to_owned).collect();
            Some((listener.name.clone(), addresses))
        });
        Some(Task {
            namespace: cluster.namespace().unwrap_or_default(),
            cluster: cluster.name_any(),
            bootstrap,
            listeners: reached.collect(),
            topic: spec.canary.topic.clone(),
            partitions: render::brokers(cluster),
            replicas: i16::try_from(render::default_replicas(cluster)).unwrap_or(1),
            interval: Duration::from_secs(spec.canary.interval_seconds.unsigned_abs().max(1)),
        })
    }

    /// Whether another one does the same, wherever the topic is made from.
    fn is_like(&self, other: &Task) -> bool {
        let other = Task {
            bootstrap: self.bootstrap.clone(),
            ..other.clone()
        };
        *self == other
    }

    fn tried(&self, listener: &str) -> Tried {
        Tried {
            namespace: self.namespace.clone(),
            cluster: self.cluster.clone(),
            listener: listener.to_owned(),
        }
    }
}

/// Whether a client without TLS can connect.
fn is_plain(kind: ListenerType) -> bool {
    match kind {
        ListenerType::ClusterIp | ListenerType::NodePort | ListenerType::LoadBalancer => true,
        ListenerType::Ingress | ListenerType::TlsRoute => false,
    }
}

/// What was found last, by listener.
type Findings = Arc<Mutex<BTreeMap<String, CanaryStatus>>>;
type Key = (String, String);

struct Running {
    task: Task,
    stop: Shutdown,
    findings: Findings,
}

/// All canaries.
pub(crate) struct Canaries {
    runtime: Runtime,
    metrics: Arc<Metrics>,
    running: Mutex<HashMap<Key, Running>>,
    /// Who wants to know that a finding has changed.
    told: Mutex<Vec<mpsc::UnboundedSender<Key>>>,
}

impl Canaries {
    pub(crate) fn new(runtime: Runtime, metrics: Arc<Metrics>) -> Self {
        Canaries {
            runtime,
            metrics,
            running: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// Clusters of a namespace (`None`: of all) whose findings have changed.
    pub(crate) fn changes(
        &self,
        namespace: Option<&str>,
    ) -> impl Stream<Item = ObjectRef<KafkaCluster>> + Send + use<> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.told.lock().push(sender);
        let wanted = namespace.map(str::to_owned);
        unfold((receiver, wanted), |(mut receiver, wanted)| async {
            loop {
                let (namespace, name): Key = receiver.recv().await?;
                if wanted.as_ref().is_none_or(|wanted| *wanted == namespace) {
                    let cluster = ObjectRef::new(&name).within(&namespace);
                    return Some((cluster, (receiver, wanted)));
                }
            }
        })
    }

    /// Sees to it that a cluster has the canary that it shall have, and gives what that has found.
    pub(crate) fn keep(self: &Arc<Self>, task: Task) -> Vec<CanaryStatus> {
        let key = (task.namespace.clone(), task.cluster.clone());
        if let Some(running) = self.running.lock().get(&key)
            && running.task.is_like(&task)
        {
            return running.findings.lock().values().cloned().collect();
        }
        self.stop(&key.0, &key.1);
        let running = Running {
            task: task.clone(),
            stop: self.runtime.shutdown().child(),
            findings: Findings::default(),
        };
        let (stop, findings) = (running.stop.clone(), Arc::clone(&running.findings));
        self.running.lock().insert(key, running);
        let own = Arc::clone(self);
        let runtime = self.runtime.clone();
        let tasks = &self.runtime.tasks;
        tasks.spawn(TaskKind::Housekeeping, "a canary", async move {
            tokio::select! {
                biased;
                () = stop.announced() => {}
                () = trying::run(&runtime, &task, |listener, outcome| {
                    own.found(&task, &findings, listener, outcome);
                }) => {}
            }
            Ok::<_, std::convert::Infallible>(())
        });
        Vec::new()
    }

    /// Ends a cluster's canary, if it has one.
    pub(crate) fn stop(&self, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        let Some(running) = self.running.lock().remove(&key) else {
            return;
        };
        running.stop.announce();
        for listener in running.task.listeners.keys() {
            let tried = running.task.tried(listener);
            self.metrics.canary_up.remove(&tried);
            self.metrics.canary_failures.remove(&tried);
            self.metrics.canary_latency.remove(&tried);
        }
    }

    /// Ends all of them: somebody else leads.
    pub(crate) fn stop_all(&self) {
        let keys: Vec<Key> = self.running.lock().keys().cloned().collect();
        for (namespace, name) in keys {
            self.stop(&namespace, &name);
        }
    }

    fn found(
        &self,
        task: &Task,
        findings: &Findings,
        listener: &str,
        outcome: Result<Duration, String>,
    ) {
        let tried = task.tried(listener);
        let healthy = outcome.is_ok();
        self.metrics
            .canary_up
            .get_or_create(&tried)
            .set(i64::from(healthy));
        // A counter that was never touched would not be there to be compared with.
        let failures = self.metrics.canary_failures.get_or_create(&tried);
        if !healthy {
            failures.inc();
        }
        drop(failures);
        if let Ok(took) = outcome {
            let latency = self.metrics.canary_latency.get_or_create(&tried);
            latency.set(took.as_secs_f64());
        }
        let now = self.runtime.clock.now_ms();
        let found = CanaryStatus {
            listener: listener.to_owned(),
            healthy,
            since: None,
            error: outcome.err(),
        };
        let before = findings.lock().get(listener).cloned();
        let is_news = before.as_ref().is_none_or(|b| b.healthy != healthy);
        let since = match before {
            Some(before) if before.healthy == healthy => before.since,
            _ => verdict::time(now),
        };
        let found = CanaryStatus { since, ..found };
        findings.lock().insert(listener.to_owned(), found);
        if is_news {
            let key = (task.namespace.clone(), task.cluster.clone());
            let told = self.told.lock();
            for sender in told.iter() {
                let _ = sender.send(key.clone());
            }
        }
    }
}
