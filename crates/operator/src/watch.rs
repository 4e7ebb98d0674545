//! What the API server tells of our resources. One that cannot be read holds up no other, and neither
//! that nor a watch that fails goes by in silence.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Resource, ResourceExt};

use crate::api::Reason;
use crate::context::Context;
use crate::status::Ours;

/// So many resources are asked for in one answer: what a whole answer takes, memory has to be there for.
const PAGE: u32 = 100;

/// All that happens to resources of a kind, for ever.
pub(crate) fn resources<K>(
    context: &Arc<Context>,
    api: Api<DeserializeGuard<K>>,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + use<K>
where
    K: Ours + Send + 'static,
{
    let few = watcher::Config::default().page_size(PAGE);
    let events = watcher(api, few).default_backoff();
    readable(
        Arc::clone(context),
        failures_told(K::plural(&()).into_owned(), events),
    )
}

/// Logs what goes wrong with a watch. It is begun again, later each time.
pub(crate) fn failures_told<T: Send>(
    what: String,
    events: impl Stream<Item = watcher::Result<T>> + Send,
) -> impl Stream<Item = watcher::Result<T>> + Send {
    events.inspect(move |event| {
        if let Err(error) = event {
            tracing::warn!("{what} cannot be watched, which is tried again: {error}");
        }
    })
}

/// Leaves out resources that are not as their kind should be. One that was readable before goes on as
/// it was then.
fn readable<K>(
    context: Arc<Context>,
    events: impl Stream<Item = watcher::Result<Event<DeserializeGuard<K>>>> + Send,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Ours + Send,
{
    events.filter_map(move |event| {
        let context = Arc::clone(&context);
        async move {
            let event = match event {
                Err(error) => return Some(Err(error)),
                Ok(Event::Init) => Event::Init,
                Ok(Event::InitDone) => Event::InitDone,
                Ok(Event::Apply(guard)) => Event::Apply(read(&context, guard).await?),
                Ok(Event::InitApply(guard)) => Event::InitApply(read(&context, guard).await?),
                Ok(Event::Delete(guard)) => Event::Delete(guard.0.ok()?),
            };
            Some(Ok(event))
        }
    })
}

async fn read<K: Ours>(context: &Context, guard: DeserializeGuard<K>) -> Option<K> {
    let about = guard.object_ref(&());
    match guard.0 {
        Ok(mut resource) => {
            // Nobody asks who wrote which field, and it takes more memory than all the rest.
            resource.managed_fields_mut().clear();
            Some(resource)
        }
        Err(bad) => {
            let note = format!(
                "this version of the operator cannot read it, and leaves it alone: {}; apply the \
                 definitions of this version (deploy/crds, or `ottla operator crds`), and edit the resource",
                bad.error
            );
            context.warn(&about, Reason::Invalid, note).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::KeeperEnsemble;
    use crate::testing::Fake;

    fn guarded(name: &str, spec: &Value) -> DeserializeGuard<KeeperEnsemble> {
        let resource = json!({
            "apiVersion": "ottla.dev/v1alpha1",
            "kind": "KeeperEnsemble",
            "metadata": { "name": name, "namespace": "default", "uid": name },
            "spec": spec,
        });
        serde_json::from_value(resource).expect("a guard takes everything with a name")
    }

    #[tokio::test]
    async fn one_that_cannot_be_read_holds_up_no_other_and_is_told_of() {
        let fake = Fake::default();
        let context = fake.context();
        let events = [
            Event::Init,
            Event::InitApply(guarded("good", &json!({}))),
            // Of newer definitions, with a default: what this operator does not know it cannot heed.
            Event::InitApply(guarded("newer", &json!({ "noSuchField": 1 }))),
            Event::InitApply(guarded("older", &json!({ "storage": 1 }))),
            Event::InitDone,
            Event::Apply(guarded("older", &json!({ "replicas": "three" }))),
            Event::Apply(guarded("other", &json!({ "replicas": 1 }))),
        ];
        let events = stream::iter(events.map(Ok));
        let seen: Vec<_> = readable(context, events).collect().await;
        let names: Vec<String> = seen
            .into_iter()
            .filter_map(|event| match event {
                Ok(Event::Apply(one) | Event::InitApply(one)) => one.metadata.name,
                _ => None,
            })
            .collect();
        assert_eq!(names, ["good", "newer", "other"]);
        let notes = fake.notes("older");
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(
            notes.iter().all(|note| note.contains("deploy/crds")),
            "{notes:?}"
        );
    }
}
