//! The operator as a process: one leads, and watches resources and what they own.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{StreamExt, TryStreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::{Action, Config as Pace, Controller};
use kube::runtime::reflector::{self, ObjectRef};
use kube::runtime::{Predicate, PredicateConfig, WatchStreamExt, predicates, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use ottla_runtime::Runtime;
use serde::de::DeserializeOwned;

use crate::api::{KafkaCluster, KafkaTopic, KeeperEnsemble};
use crate::context::Context;
use crate::election::Election;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::render::{Settings, label};
use crate::status::Ours;
use crate::{cluster, ensemble, kafka, topic, watch};

/// How soon a failed reconciliation is tried again.
const RETRY: Duration = Duration::from_secs(2);
/// So many resources of a kind are looked at at the same time.
const CONCURRENCY: u16 = 16;
/// Events that come together are one.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// How the operator runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespaces that are watched; none: all of them.
    pub namespaces: Vec<String>,
    /// Where the lease is.
    pub own_namespace: String,
    /// Who this is among several operators: its pod's name.
    pub identity: String,
    /// Whether there may be several.
    pub leader_election: bool,
    /// What does not come from resources.
    pub settings: Settings,
}

/// Runs until the end is announced.
///
/// # Errors
/// The API server cannot be found, or the lease was lost.
pub async fn run(options: Options, runtime: Runtime, metrics: Arc<Metrics>) -> Result<(), Error> {
    let client = Client::try_default().await.map_err(|error| {
        Error::Start(format!(
            "the API server is not known: {error}; run in a pod with a service account, or set \
             KUBECONFIG"
        ))
    })?;
    let election = Election::new(
        client.clone(),
        runtime.clone(),
        &options.own_namespace,
        options.identity.clone(),
    );
    metrics.set_ready();
    if options.leader_election {
        tracing::info!(identity = %options.identity, "waiting for the lease");
        tokio::select! {
            biased;
            () = runtime.shutdown().announced() => return Ok(()),
            () = election.win() => {}
        }
    }
    metrics.set_leading(true);
    tracing::info!(namespaces = ?options.namespaces, "at work");
    let context = Arc::new(Context::new(
        client,
        runtime.clone(),
        options.settings.clone(),
        Arc::clone(&metrics),
        Some(options.identity.clone()),
    ));
    let mut working = controllers(&options, &context);
    let work = async { while working.next().await.is_some() {} };
    let lost = async {
        if options.leader_election {
            election.keep().await
        } else {
            std::future::pending().await
        }
    };
    let ended = tokio::select! {
        biased;
        error = lost => Err(error),
        () = runtime.shutdown().announced() => Ok(()),
        () = work => Err(Error::Start("the watches have ended".to_owned())),
    };
    metrics.set_leading(false);
    context.canaries.stop_all();
    if options.leader_election && ended.is_ok() {
        election.resign().await;
    }
    ended
}

/// A controller of each kind, for each namespace.
fn controllers(
    options: &Options,
    context: &Arc<Context>,
) -> FuturesUnordered<BoxFuture<'static, ()>> {
    let running = FuturesUnordered::new();
    let scopes: Vec<Option<&str>> = match options.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().map(|name| Some(name.as_str())).collect(),
    };
    for namespace in scopes {
        running.push(clusters(context, namespace));
        running.push(ensembles(context, namespace));
        running.push(topics(context, namespace));
    }
    running
}

fn clusters(context: &Arc<Context>, namespace: Option<&str>) -> BoxFuture<'static, ()> {
    let controller = controller::<KafkaCluster>(context, namespace);
    let controller =
        owned::<KafkaCluster, StatefulSet>(controller, context, namespace, label::CLUSTER);
    let controller = owned::<KafkaCluster, Service>(controller, context, namespace, label::CLUSTER);
    let controller = owned::<KafkaCluster, Pod>(controller, context, namespace, label::CLUSTER);
    let controller = controller.reconcile_on(context.canaries.changes(namespace));
    drive(controller, cluster::reconcile, context)
}

fn ensembles(context: &Arc<Context>, namespace: Option<&str>) -> BoxFuture<'static, ()> {
    type Ensemble = KeeperEnsemble;
    let controller = controller::<Ensemble>(context, namespace);
    let controller =
        owned::<Ensemble, StatefulSet>(controller, context, namespace, label::ENSEMBLE);
    let controller = owned::<Ensemble, Service>(controller, context, namespace, label::ENSEMBLE);
    let controller = owned::<Ensemble, Pod>(controller, context, namespace, label::ENSEMBLE);
    drive(controller, ensemble::reconcile, context)
}

/// Topics are looked at when they are edited, and when their cluster begins or ends to answer.
fn topics(context: &Arc<Context>, namespace: Option<&str>) -> BoxFuture<'static, ()> {
    let controller = controller::<KafkaTopic>(context, namespace);
    context.topics.watch(controller.store());
    let reach = |cluster: &KafkaCluster| {
        let mut hasher = DefaultHasher::new();
        cluster.metadata.generation.hash(&mut hasher);
        kafka::is_reached(cluster).hash(&mut hasher);
        Some(hasher.finish())
    };
    let clusters = watch::resources::<KafkaCluster>(context, api(context, namespace))
        .touched_objects()
        .predicate_filter(reach, PredicateConfig::default());
    let known = Arc::clone(context);
    let controller = controller.watches_stream(clusters, move |cluster: KafkaCluster| {
        let namespace = cluster.namespace().unwrap_or_default();
        known.topics.of_cluster(&namespace, &cluster.name_any())
    });
    drive(controller, topic::reconcile, context)
}

fn api<K>(context: &Context, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    }
}

/// A controller that is called when a resource itself is edited, not when its status is written.
fn controller<K>(context: &Arc<Context>, namespace: Option<&str>) -> Controller<K>
where
    K: Ours + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    let metrics = Arc::clone(&context.metrics);
    let events = watch::resources::<K>(context, api(context, namespace))
        .inspect_ok(move |event| {
            // A resource that nothing holds is gone before anybody is asked to look at it.
            if let watcher::Event::Delete(gone) = event {
                let namespace = gone.namespace().unwrap_or_default();
                metrics.set_resource_ready(&K::kind(&()), &namespace, &gone.name_any(), None);
            }
        })
        .reflect(writer)
        .applied_objects()
        .predicate_filter(
            predicates::generation.combine(predicates::finalizers),
            PredicateConfig::default(),
        );
    Controller::for_stream(events, reader)
        .with_config(Pace::default().debounce(DEBOUNCE).concurrency(CONCURRENCY))
}

/// Calls the controller when something changes that carries the label.
fn owned<K, Child>(
    controller: Controller<K>,
    context: &Context,
    namespace: Option<&str>,
    label: &'static str,
) -> Controller<K>
where
    K: Ours + Send + Sync + 'static,
    Child: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Send
        + Sync
        + 'static,
{
    let api: Api<PartialObjectMeta<Child>> = match namespace {
        Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        None => Api::all(context.client.clone()),
    };
    let events = watcher(api, watcher::Config::default().labels(label)).default_backoff();
    let events = watch::failures_told(Child::plural(&()).into_owned(), events).touched_objects();
    controller.watches_stream(events, move |child: PartialObjectMeta<Child>| {
        let name = child.labels().get(label).cloned()?;
        let namespace = child.namespace()?;
        Some(ObjectRef::new(&name).within(&namespace))
    })
}

/// Runs a controller for ever.
fn drive<K, F>(
    controller: Controller<K>,
    reconcile: fn(Arc<K>, Arc<Context>) -> F,
    context: &Arc<Context>,
) -> BoxFuture<'static, ()>
where
    K: Ours + Send + Sync + 'static,
    F: Future<Output = Result<Action, Error>> + Send + 'static,
{
    let timed = move |resource: Arc<K>, context: Arc<Context>| {
        let begin = context.runtime.clock.instant();
        let reconciling = reconcile(resource, Arc::clone(&context));
        async move {
            let outcome = reconciling.await;
            let took = context.runtime.clock.instant().duration_since(begin);
            context
                .metrics
                .reconciled(&K::kind(&()), outcome.is_ok(), took);
            outcome
        }
    };
    let policy = |resource: Arc<K>, error: &Error, _: Arc<Context>| {
        let namespace = resource.namespace().unwrap_or_default();
        let (kind, name) = (K::kind(&()), resource.name_any());
        if error.is_conflict() {
            tracing::debug!("{kind} {namespace}/{name}: somebody else was faster: {error}");
        } else {
            tracing::warn!("{kind} {namespace}/{name}: {error}");
        }
        Action::requeue(RETRY)
    };
    let stream = controller.run(timed, policy, Arc::clone(context));
    Box::pin(stream.for_each(|_| std::future::ready(())))
}
