//! Brings manifests to the API server, and takes away what is not wanted any more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, ResourceExt};
use parking_lot::Mutex;
use serde_json::Value;

use crate::api::Reason;
use crate::context::{Context, MANAGER};
use crate::error::{Asked, Error};

/// An object by kind and name; its namespace is the resource's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// What was applied last for each resource, and which version of the object came of it.
#[derive(Default)]
pub(crate) struct Applied(Mutex<HashMap<(String, Key), (u64, String)>>);

impl Applied {
    pub(crate) fn forget(&self, uid: &str) {
        self.0.lock().retain(|(owner, _), _| owner != uid);
    }

    fn is(&self, owner: &str, key: &Key, hash: u64, version: &str) -> bool {
        let known = self.0.lock();
        known.get(&(owner.to_owned(), key.clone())) == Some(&(hash, version.to_owned()))
    }

    fn set(&self, owner: &str, key: &Key, hash: u64, version: String) {
        self.0
            .lock()
            .insert((owner.to_owned(), key.clone()), (hash, version));
    }
}

/// Who owns what is applied.
pub(crate) struct Owner<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) uid: &'a str,
    /// The label that all that is owned carries.
    pub(crate) selector: String,
    /// Names of what is not deleted, rendered or not.
    pub(crate) keeps: BTreeSet<String>,
}

/// What applying came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) created: Vec<String>,
    pub(crate) changed: Vec<String>,
    pub(crate) deleted: Vec<String>,
}

impl Outcome {
    /// What is under way because of stateful sets that were made or changed: what was observed before
    /// tells nothing of their pods any more.
    pub(crate) fn new_templates(&self) -> Option<Reason> {
        let has_set = |all: &[String]| all.iter().any(|what| what.starts_with("StatefulSet "));
        match (has_set(&self.created), has_set(&self.changed)) {
            (true, _) => Some(Reason::Creating),
            (false, true) => Some(Reason::Rolling),
            (false, false) => None,
        }
    }
}

/// Kinds of objects that a resource can have: what of them is owned and not rendered is deleted.
/// The second of a pair is whether every API server has it.
const KINDS: [(&str, &str, bool); 9] = [
    ("v1", "ConfigMap", true),
    ("v1", "Service", true),
    ("v1", "ServiceAccount", true),
    ("apps/v1", "StatefulSet", true),
    ("policy/v1", "PodDisruptionBudget", true),
    ("discovery.k8s.io/v1", "EndpointSlice", true),
    ("networking.k8s.io/v1", "Ingress", true),
    ("gateway.networking.k8s.io/v1alpha2", "TLSRoute", false),
    ("monitoring.coreos.com/v1", "PodMonitor", false),
];

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn api(context: &Context, namespace: &str, api_version: &str, kind: &str) -> Api<DynamicObject> {
    Api::namespaced_with(
        context.client.clone(),
        namespace,
        &resource(api_version, kind),
    )
}

/// Applies each manifest that differs from what is there, and deletes what is owned and not among
/// them.
pub(crate) async fn apply(
    context: &Context,
    owner: &Owner<'_>,
    manifests: &[Value],
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    let there = there(context, owner).await?;
    let mut wanted = BTreeSet::new();
    for manifest in manifests {
        let key = key_of(manifest);
        let what = format!("{} {}", key.kind, key.name);
        let hash = hash_of(manifest);
        let version = there.get(&key);
        wanted.insert(key.clone());
        if version.is_some_and(|version| context.applied.is(owner.uid, &key, hash, version)) {
            continue;
        }
        let api = api(context, owner.namespace, &key.api_version, &key.kind);
        let parameters = PatchParams::apply(MANAGER).force();
        let applied = api
            .patch(&key.name, &parameters, &Patch::Apply(manifest))
            .await;
        let applied = applied.when(|| format!("applying {what}"))?;
        let now = applied.resource_version().unwrap_or_default();
        match version {
            None => outcome.created.push(what),
            Some(before) if *before != now => outcome.changed.push(what),
            Some(_) => {}
        }
        context.applied.set(owner.uid, &key, hash, now);
    }
    let surplus = there.keys().filter(|key| !wanted.contains(key));
    for key in surplus.filter(|key| !owner.keeps.contains(&key.name)) {
        let api = api(context, owner.namespace, &key.api_version, &key.kind);
        let what = format!("{} {}", key.kind, key.name);
        match api
            .delete(&key.name, &kube::api::DeleteParams::default())
            .await
        {
            Ok(_) => outcome.deleted.push(what),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error).when(|| format!("deleting {what}")),
        }
    }
    Ok(outcome)
}

/// What is owned now, with its version.
async fn there(context: &Context, owner: &Owner<'_>) -> Result<BTreeMap<Key, String>, Error> {
    let mut there = BTreeMap::new();
    for (api_version, kind, everywhere) in KINDS {
        let api = api(context, owner.namespace, api_version, kind);
        let list = api
            .list_metadata(&ListParams::default().labels(&owner.selector))
            .await;
        let list = match list {
            // An API that is not installed, or not allowed, has nothing of ours.
            Err(kube::Error::Api(status)) if !everywhere && matches!(status.code, 403 | 404) => {
                continue;
            }
            list => list.when(|| format!("listing {kind} objects"))?,
        };
        for object in list {
            let owners = object
                .metadata
                .owner_references
                .as_deref()
                .unwrap_or_default();
            if owners.iter().any(|reference| reference.uid == owner.uid)
                && object.metadata.deletion_timestamp.is_none()
            {
                let key = Key {
                    api_version: api_version.to_owned(),
                    kind: kind.to_owned(),
                    name: object.name_any(),
                };
                there.insert(key, object.resource_version().unwrap_or_default());
            }
        }
    }
    Ok(there)
}

fn key_of(manifest: &Value) -> Key {
    let text = |pointer: &str| {
        let value = manifest.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    Key {
        api_version: text("/apiVersion"),
        kind: text("/kind"),
        name: text("/metadata/name"),
    }
}

fn hash_of(manifest: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    manifest.to_string().hash(&mut hasher);
    hasher.finish()
}
