//! What all reconcilers share.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use kube::api::{PatchParams, PostParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use ottla_runtime::{Instant, Runtime};
use parking_lot::Mutex;

use crate::api::Reason;
use crate::apply::Applied;
use crate::canary::Canaries;
use crate::disruptions::Troubles;
use crate::kafka::Clusters;
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::render::Settings;
use crate::topic::Topics;

/// The name under which the API server keeps which fields the operator has written.
pub(crate) const MANAGER: &str = "ottla-operator";

/// How single fields of an object are changed: the API server writes down by whom.
pub(crate) fn patching() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// How whole objects are made and replaced.
pub(crate) fn posting() -> PostParams {
    PostParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PostParams::default()
    }
}

/// The same is said again after so long.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// What all reconcilers share.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) runtime: Runtime,
    pub(crate) settings: Settings,
    pub(crate) metrics: Arc<Metrics>,
    /// What was applied last, so that nothing is applied again that nobody changed.
    pub(crate) applied: Applied,
    /// What was in the way of evictions lately.
    pub(crate) troubles: Troubles,
    /// Connections to clusters.
    pub(crate) clusters: Clusters,
    /// What is known of Kubernetes' nodes.
    pub(crate) nodes: Nodes,
    /// What the watches know of topics' resources.
    pub(crate) topics: Topics,
    /// What tries clusters as their clients would.
    pub(crate) canaries: Arc<Canaries>,
    reporter: Reporter,
    /// What was said of an object lately, and when, so that no look says it again.
    said: Mutex<HashMap<(String, Reason, String), Instant>>,
}

impl Context {
    pub(crate) fn new(
        client: Client,
        runtime: Runtime,
        settings: Settings,
        metrics: Arc<Metrics>,
        instance: Option<String>,
    ) -> Self {
        let reporter = Reporter {
            controller: MANAGER.to_owned(),
            instance,
        };
        Context {
            reporter,
            applied: Applied::default(),
            troubles: Troubles::default(),
            clusters: Clusters::new(runtime.clone()),
            nodes: Nodes::new(client.clone(), runtime.clone()),
            client,
            topics: Topics::default(),
            canaries: Arc::new(Canaries::new(runtime.clone(), Arc::clone(&metrics))),
            runtime,
            settings,
            metrics,
            said: Mutex::default(),
        }
    }

    /// The wall clock.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.runtime.clock.now_ms()).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Tells people what was done to a resource.
    pub(crate) async fn say(
        &self,
        about: &ObjectReference,
        reason: Reason,
        note: impl Into<String>,
    ) {
        self.event(about, EventType::Normal, reason, note.into())
            .await;
    }

    /// Tells people what is wrong with a resource.
    pub(crate) async fn warn(
        &self,
        about: &ObjectReference,
        reason: Reason,
        note: impl Into<String>,
    ) {
        self.event(about, EventType::Warning, reason, note.into())
            .await;
    }

    /// Whether this was not said lately.
    fn is_news(&self, about: &ObjectReference, reason: Reason, note: &str) -> bool {
        let now = self.runtime.clock.instant();
        let mut said = self.said.lock();
        said.retain(|_, at| now.duration_since(*at) < SAID_AGAIN_AFTER);
        let uid = about.uid.clone().unwrap_or_default();
        match said.entry((uid, reason, note.to_owned())) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(now);
                true
            }
        }
    }

    async fn event(&self, about: &ObjectReference, kind: EventType, reason: Reason, note: String) {
        let name = format!(
            "{}/{}",
            about.namespace.as_deref().unwrap_or_default(),
            about.name.as_deref().unwrap_or_default()
        );
        if !self.is_news(about, reason, &note) {
            return;
        }
        match kind {
            EventType::Normal => {
                tracing::info!(resource = %name, reason = reason.as_str(), "{note}");
            }
            EventType::Warning => {
                tracing::warn!(resource = %name, reason = reason.as_str(), "{note}");
            }
        }
        let event = Event {
            type_: kind,
            reason: reason.as_str().to_owned(),
            // The API server takes no more.
            note: Some(note.chars().take(1000).collect()),
            action: reason.as_str().to_owned(),
            secondary: None,
        };
        // A recorder that lives longer takes Events of one reason for the same, whatever their note.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        if let Err(error) = recorder.publish(&event, about).await {
            tracing::warn!(resource = %name, "an event could not be written: {error}");
        }
    }

    /// Forgets what was said and applied for a resource that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.said.lock().retain(|(about, _, _), _| about != uid);
        self.applied.forget(uid);
        self.troubles.forget(uid);
    }
}
