//! An API server in memory: keeps objects, and answers get, list, create, replace, patch and delete
//! as the real one does, as far as the operator uses it.
//!
//! Server-side apply is a merge here: fields are owned by nobody, and one that is not applied any more
//! stays. What needs more is tried on a real Kubernetes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Request, Response};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::client::Body;
use kube::{Client, Resource, ResourceExt};
use ottla_runtime::Runtime;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::context::Context;
use crate::metrics::Metrics;
use crate::render::Settings;

/// Where an object is: its collection's path with the namespace, and its name.
type Place = (String, String);

#[derive(Default)]
struct State {
    objects: BTreeMap<Place, Value>,
    version: u64,
    /// Requests that changed something, or tried to: `PATCH services/demo`.
    changes: Vec<String>,
    /// What fails next: a part of a request's line, and the code.
    failures: Vec<(String, u16)>,
}

/// An API server in memory. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<State>>);

/// What a request is about.
struct Asked {
    collection: String,
    plural: String,
    name: Option<String>,
    is_status: bool,
}

impl Asked {
    fn of(path: &str) -> Option<Asked> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let api = if parts.first() == Some(&"api") { 2 } else { 3 };
        let rest = parts.get(api..)?;
        let (before, rest) = match rest {
            ["namespaces", _, _, ..] => (api + 2, rest.get(2..)?),
            rest => (api, rest),
        };
        let plural = (*rest.first()?).to_owned();
        Some(Asked {
            collection: parts.get(..=before)?.join("/"),
            plural,
            name: rest.get(1).map(|name| (*name).to_owned()),
            is_status: rest.get(2) == Some(&"status"),
        })
    }
}

impl Fake {
    /// A client of it. Must be called inside a tokio runtime.
    pub(crate) fn client(&self) -> Client {
        let state = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let state = state.clone();
            async move {
                let (head, body) = request.into_parts();
                let bytes = body
                    .collect()
                    .await
                    .map(http_body_util::Collected::to_bytes);
                let body = serde_json::from_slice(&bytes.unwrap_or_default());
                let body = body.unwrap_or(Value::Null);
                let (code, answer) = state.answer(&head, body);
                let text = Full::new(Bytes::from(answer.to_string()));
                let response = Response::builder().status(code).body(text);
                Ok::<_, Infallible>(response.expect("a response"))
            }
        });
        Client::new(service, "default")
    }

    /// What a reconciler needs, with this API server.
    pub(crate) fn context(&self) -> Arc<Context> {
        let settings = Settings {
            image: "ottla:1".to_owned(),
            image_pull_policy: None,
            cluster_domain: "invalid".to_owned(),
        };
        let metrics = Arc::new(Metrics::new());
        let runtime = Runtime::real();
        Arc::new(Context::new(
            self.client(),
            runtime,
            settings,
            metrics,
            Some("operator-0".to_owned()),
        ))
    }

    /// Puts an object there, as a person would.
    pub(crate) fn put<K>(&self, object: &K)
    where
        K: Resource<DynamicType = ()> + Serialize,
    {
        let place = place::<K>(object.namespace().as_deref(), &object.name_any());
        let mut value = serde_json::to_value(object).expect("an object");
        value["apiVersion"] = json!(K::api_version(&()));
        value["kind"] = json!(K::kind(&()));
        let mut state = self.0.lock();
        state.keep(place, value);
    }

    /// An object as it is now.
    pub(crate) fn get<K>(&self, namespace: &str, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let state = self.0.lock();
        let value = state.objects.get(&place::<K>(Some(namespace), name))?;
        Some(serde_json::from_value(value.clone()).expect("the kind"))
    }

    /// Lets the next request whose line has this in it fail.
    pub(crate) fn fail(&self, line: &str, code: u16) {
        self.0.lock().failures.push((line.to_owned(), code));
    }

    /// What was changed since the last time, Events and statuses aside.
    pub(crate) fn changes(&self) -> Vec<String> {
        let all = std::mem::take(&mut self.0.lock().changes);
        let quiet = |line: &String| !line.contains(" events/") && !line.ends_with("/status");
        all.into_iter().filter(quiet).collect()
    }

    /// The notes of all Events about an object.
    pub(crate) fn notes(&self, about: &str) -> Vec<String> {
        let state = self.0.lock();
        let events = state.objects.iter();
        let events = events.filter(|((collection, _), event)| {
            collection.ends_with("/events") && event["regarding"]["name"] == about
        });
        let notes = events.filter_map(|(_, event)| event["note"].as_str());
        notes.map(str::to_owned).collect()
    }

    fn answer(&self, head: &hyper::http::request::Parts, body: Value) -> (u16, Value) {
        let mut state = self.0.lock();
        let path = head.uri.path();
        let Some(asked) = Asked::of(path) else {
            return failure(404, path);
        };
        let status = if asked.is_status { "/status" } else { "" };
        let name = asked.name.clone().unwrap_or_default();
        let line = format!("{} {}/{name}{status}", head.method, asked.plural);
        if let Some(at) = state
            .failures
            .iter()
            .position(|(part, _)| line.contains(part.as_str()))
        {
            let (_, code) = state.failures.remove(at);
            return failure(code, &line);
        }
        if head.method != hyper::Method::GET {
            state.changes.push(line);
        }
        let place = (asked.collection.clone(), name);
        match head.method.as_str() {
            "GET" if asked.name.is_none() => {
                let query = head.uri.query().unwrap_or_default();
                (200, state.list(&asked.collection, query))
            }
            "GET" => state.found(&place),
            "POST" => state.create(&asked.collection, body),
            "PUT" => state.replace(place, body),
            "PATCH" => {
                let kind = head.headers.get("content-type");
                let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
                state.patch(place, body, asked.is_status, kind.contains("apply"))
            }
            "DELETE" => state.delete(&place, &body),
            other => failure(405, other),
        }
    }
}

fn place<K: Resource<DynamicType = ()>>(namespace: Option<&str>, name: &str) -> Place {
    let path = K::url_path(&(), namespace);
    (path.trim_matches('/').to_owned(), name.to_owned())
}

fn failure(code: u16, what: &str) -> (u16, Value) {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        _ => "InternalError",
    };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": what, "reason": reason, "code": code,
    });
    (code, status)
}

impl State {
    fn keep(&mut self, place: Place, mut value: Value) -> Value {
        self.version += 1;
        let version = self.version;
        let metadata = &mut value["metadata"];
        metadata["resourceVersion"] = json!(version.to_string());
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("uid-{version}"));
        }
        if metadata["generation"].is_null() {
            metadata["generation"] = json!(1);
        }
        if metadata["creationTimestamp"].is_null() {
            let made = Time(Timestamp::from_second(1_700_000_000).expect("a time"));
            metadata["creationTimestamp"] = json!(made);
        }
        self.objects.insert(place, value.clone());
        value
    }

    fn found(&self, place: &Place) -> (u16, Value) {
        match self.objects.get(place) {
            Some(value) => (200, value.clone()),
            None => failure(404, &format!("{} {}", place.0, place.1)),
        }
    }

    fn list(&self, collection: &str, query: &str) -> Value {
        let selector = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("labelSelector="));
        let selector = selector
            .unwrap_or_default()
            .replace("%2F", "/")
            .replace("%3D", "=");
        let wanted = selector.split_once('=');
        let items = self.objects.iter().filter(|((own, _), value)| {
            let labels = &value["metadata"]["labels"];
            own == collection && wanted.is_none_or(|(key, wanted)| labels[key] == wanted)
        });
        let items: Vec<&Value> = items.map(|(_, value)| value).collect();
        let version = self.version.to_string();
        json!({
            "kind": "List", "apiVersion": "v1",
            "metadata": { "resourceVersion": version }, "items": items,
        })
    }

    fn create(&mut self, collection: &str, body: Value) -> (u16, Value) {
        let name = body["metadata"]["name"].as_str().unwrap_or_default();
        let name = match name {
            "" => format!("generated-{}", self.version),
            name => name.to_owned(),
        };
        let place = (collection.to_owned(), name);
        if self.objects.contains_key(&place) {
            return failure(409, "it is there already");
        }
        (201, self.keep(place, body))
    }

    fn replace(&mut self, place: Place, body: Value) -> (u16, Value) {
        let Some(now) = self.objects.get(&place) else {
            return failure(404, &place.1);
        };
        if now["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
            return failure(409, "somebody was faster");
        }
        (200, self.keep(place, body))
    }

    fn patch(&mut self, place: Place, body: Value, status: bool, applies: bool) -> (u16, Value) {
        let now = match self.objects.get(&place) {
            Some(now) => now.clone(),
            None if applies => Value::Null,
            None => return failure(404, &place.1),
        };
        let wanted = &body["metadata"]["resourceVersion"];
        if !wanted.is_null() && *wanted != now["metadata"]["resourceVersion"] {
            return failure(409, "somebody was faster");
        }
        let patch = if status {
            json!({ "status": body["status"] })
        } else {
            body
        };
        let mut then = now.clone();
        merge(&mut then, &patch);
        if then == now {
            return (200, now);
        }
        if !now.is_null() && then["spec"] != now["spec"] {
            let generation = now["metadata"]["generation"].as_i64().unwrap_or(1);
            then["metadata"]["generation"] = json!(generation + 1);
        }
        let finalizers = then["metadata"]["finalizers"].as_array();
        let is_held = finalizers.is_some_and(|all| !all.is_empty());
        if !then["metadata"]["deletionTimestamp"].is_null() && !is_held {
            self.objects.remove(&place);
            return (200, then);
        }
        (200, self.keep(place, then))
    }

    fn delete(&mut self, place: &Place, body: &Value) -> (u16, Value) {
        let Some(now) = self.objects.get(place) else {
            return failure(404, &place.1);
        };
        let wanted = &body["preconditions"]["uid"];
        if !wanted.is_null() && *wanted != now["metadata"]["uid"] {
            return failure(409, "it is another one");
        }
        self.objects.remove(place);
        (
            200,
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }),
        )
    }
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(target) = target.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}
