//! A case's own namespace, under the restricted profile of Pod Security, and what is waited for in it.

use std::fmt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::kubectl::Kubectl;
use super::pod::Pod;
use super::testbed::Site;
use crate::image;
use crate::workspace::root;

/// How often is looked whether something has come to pass.
const GLANCE: Duration = Duration::from_millis(250);
/// How long a namespace may take to go, with its pods and volumes.
const REMOVAL_LIMIT: Duration = Duration::from_secs(240);
/// A pod of three that start for the first time, on a busy machine.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(150);

/// The namespace of one case.
pub(crate) struct Space {
    pub(crate) kubectl: Kubectl,
    pub(crate) name: String,
    /// What the manifests' image is replaced by.
    image: String,
    site: Site,
}

impl Space {
    /// An empty namespace; one that an earlier run has left goes first.
    pub(crate) fn create(site: &Site, case: &str, image: &str) -> Result<Space> {
        let space = Space {
            kubectl: site.kubectl.clone(),
            name: name_of(case),
            image: image.to_owned(),
            site: site.clone(),
        };
        space.remove()?;
        space.enter()?;
        Ok(space)
    }

    /// A second namespace for the same case.
    pub(crate) fn beside(&self, what: &str) -> Result<Space> {
        Space::create(&self.site, &format!("{}-{what}", self.name), &self.image)
    }

    /// The folder of the test cluster, for a case that harms it or puts an image onto its nodes.
    pub(crate) fn testbed(&self) -> Result<&Path> {
        let why = "the cluster in KUBECONFIG is no test cluster of this machine";
        self.site.testbed.as_deref().ok_or_else(|| not_run(why))
    }

    /// The program under test.
    pub(crate) fn program(&self) -> Result<&Path> {
        let why = "there is an --image, and no program to make another one of";
        self.site.program.as_deref().ok_or_else(|| not_run(why))
    }

    fn enter(&self) -> Result<()> {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": self.name,
                "labels": {
                    "ottla.test": "case",
                    "pod-security.kubernetes.io/enforce": "restricted",
                },
            },
        });
        self.apply(&namespace)?;
        // Pods are refused until the namespace has its account.
        within(READY_LIMIT, "the namespace has its service account", || {
            Ok(self.get("serviceaccount", "default").is_ok())
        })
    }

    /// Removes the namespace with everything in it, and waits until it is gone.
    pub(crate) fn remove(&self) -> Result<()> {
        let limit = format!("--timeout={}s", REMOVAL_LIMIT.as_secs());
        let delete = |arguments: &[&str]| {
            let all = [&["delete", "--ignore-not-found", &*limit], arguments].concat();
            let slack = Duration::from_secs(10);
            self.kubectl
                .run_within(&all, REMOVAL_LIMIT + slack)
                .map(drop)
        };
        // Nobody is to make anew what goes; where there is no operator, there are no such resources.
        for kind in ["kafkatopics", "kafkaclusters", "keeperensembles"] {
            let patch = r#"{"spec":{"deletionGuard":false}}"#;
            let found = self.kubectl.items(&self.here(&["get", kind]));
            for resource in found.unwrap_or_default() {
                let name = resource["metadata"]["name"].as_str().unwrap_or_default();
                if kind != "kafkatopics" {
                    self.run(&["patch", kind, name, "--type=merge", "-p", patch])?;
                }
                delete(&self.here(&[kind, name]))?;
            }
        }
        // A namespace that finds pods in it looks again after half of their time to stop, which is minutes.
        delete(&self.here(&["statefulsets,jobs", "--all"]))?;
        delete(&self.here(&["pods", "--all", "--grace-period=1"]))?;
        delete(&["namespace", &self.name])
    }

    /// The image under test.
    pub(crate) fn image(&self) -> &str {
        &self.image
    }

    /// A pod in which programs are run, as a person would start one; it is ready then.
    pub(crate) fn idle_pod(
        &self,
        name: &str,
        image: &str,
        pull: &str,
        command: &[&str],
    ) -> Result<()> {
        self.apply(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "securityContext": {
                    "runAsNonRoot": true, "runAsUser": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": name, "image": image, "imagePullPolicy": pull, "command": command,
                    "securityContext": {
                        "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
                    },
                }],
            },
        }))?;
        self.ready(name, 1).map(drop)
    }

    /// `kubectl` in this namespace.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl.run(&self.here(arguments))
    }

    fn here<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["-n", &*self.name], arguments].concat()
    }

    pub(crate) fn get(&self, kind: &str, name: &str) -> Result<Value> {
        self.kubectl.json(&self.here(&["get", kind, name]))
    }

    pub(crate) fn apply(&self, resource: &Value) -> Result<()> {
        let arguments = match resource["kind"].as_str() {
            Some("Namespace") => vec!["apply", "-f", "-"],
            _ => self.here(&["apply", "-f", "-"]),
        };
        self.kubectl
            .feed(&arguments, &resource.to_string())
            .map(drop)
    }

    /// The resources of a file in `deploy/examples`, with the image under test.
    pub(crate) fn example(&self, file: &str) -> Result<Vec<Value>> {
        let path = root().join("deploy/examples").join(file);
        let mut resources = self.kubectl.manifests(&path)?;
        for resource in &mut resources {
            replace(resource, image::TAG, &self.image);
        }
        Ok(resources)
    }

    pub(crate) fn apply_all(&self, resources: &[Value]) -> Result<()> {
        resources
            .iter()
            .try_for_each(|resource| self.apply(resource))
    }

    /// The pods with the label `app=APP`, by name.
    pub(crate) fn pods(&self, app: &str) -> Result<Vec<Pod>> {
        let label = format!("app={app}");
        let found = self
            .kubectl
            .items(&self.here(&["get", "pods", "-l", &label]))?;
        let mut pods: Vec<Pod> = found.iter().map(Pod::of).collect();
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(pods)
    }

    pub(crate) fn pod(&self, name: &str) -> Result<Pod> {
        self.get("pod", name).map(|value| Pod::of(&value))
    }

    /// Waits until so many pods of an app are ready, and no other is there; they, and how long it took.
    pub(crate) fn ready(&self, app: &str, count: usize) -> Result<(Vec<Pod>, Duration)> {
        let began = Instant::now();
        let mut last = Vec::new();
        within(
            READY_LIMIT,
            &format!("{count} pods of {app} are ready"),
            || {
                last = self.pods(app)?;
                Ok(last.len() == count && last.iter().all(|pod| pod.is_ready && !pod.is_deleted))
            },
        )?;
        Ok((last, began.elapsed()))
    }

    /// Deletes a pod and waits until its successor is ready; how long that took.
    pub(crate) fn replace_pod(&self, name: &str) -> Result<Duration> {
        let began = Instant::now();
        let before = self.pod(name)?;
        self.run(&["delete", "pod", name, "--wait=false"])?;
        within(READY_LIMIT, &format!("{name} is back"), || {
            // Between the two there is none.
            Ok(self
                .pod(name)
                .is_ok_and(|pod| pod.uid != before.uid && pod.is_ready))
        })?;
        Ok(began.elapsed())
    }

    /// What the container has said; of the run before with `previous`, if there was one.
    pub(crate) fn logs(&self, pod: &str, previous: bool) -> Result<String> {
        let mut arguments = vec!["logs", pod];
        if previous {
            arguments.push("--previous");
        }
        self.run(&arguments)
    }

    /// Runs a program in a pod.
    pub(crate) fn exec(&self, pod: &str, program: &[&str]) -> Result<String> {
        self.run(&[&["exec", pod, "--"], program].concat())
    }

    /// What a person wants to see when a case has failed.
    pub(crate) fn report(&self) -> String {
        let say = |arguments: &[&str]| {
            let told = self.kubectl.say(&self.here(arguments));
            format!("$ kubectl {}\n{told}", arguments.join(" "))
        };
        let mut text = say(&["get", "pods,services,persistentvolumeclaims", "-o", "wide"]);
        text += &say(&["get", "events", "--sort-by=.lastTimestamp"]);
        let pods = self.kubectl.items(&self.here(&["get", "pods"]));
        for pod in pods.unwrap_or_default().iter().map(Pod::of) {
            text += &say(&["logs", &pod.name, "--tail=40"]);
            if pod.restarts > 0 {
                text += &say(&["logs", &pod.name, "--tail=40", "--previous"]);
            }
        }
        text
    }
}

/// A namespace's name for a case's: a label of DNS.
fn name_of(case: &str) -> String {
    let plain = case.replace('_', "-");
    let name = match plain.strip_prefix("case-") {
        Some(_) => plain,
        None => format!("case-{plain}"),
    };
    let short: String = name.chars().take(63).collect();
    short.trim_end_matches('-').to_owned()
}

/// Replaces a text wherever it stands in strings.
pub(crate) fn replace(value: &mut Value, text: &str, by: &str) {
    match value {
        Value::String(string) => *string = string.replace(text, by),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, text, by)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|field| replace(field, text, by)),
        _ => {}
    }
}

/// The resource of this kind and name among others.
pub(crate) fn named<'a>(
    resources: &'a mut [Value],
    kind: &str,
    name: &str,
) -> Result<&'a mut Value> {
    resources
        .iter_mut()
        .find(|r| r["kind"] == kind && r["metadata"]["name"] == name)
        .with_context(|| format!("there is no {kind} {name} among the manifests"))
}

/// Waits until something is so. A look that fails is repeated; the last complaint is told.
pub(crate) fn within(
    limit: Duration,
    what: &str,
    mut is_so: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let looked = is_so();
        if matches!(looked, Ok(true)) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let complaint = looked.err().map(|error| format!(": {error:#}"));
            bail!(
                "not in {} s: {what}{}",
                limit.as_secs(),
                complaint.unwrap_or_default()
            );
        }
        thread::sleep(GLANCE);
    }
}

/// Says something worth knowing about the case, such as a time.
pub(crate) fn note(text: &str) {
    println!("    {text}");
}

/// The end of a case that cannot run here; the reason is told.
#[derive(Debug)]
pub(crate) struct NotRun(pub(crate) String);

impl fmt::Display for NotRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not run: {}", self.0)
    }
}

impl std::error::Error for NotRun {}

pub(crate) fn not_run(why: &str) -> anyhow::Error {
    anyhow::Error::new(NotRun(why.to_owned()))
}

/// Fails unless the text has this part.
pub(crate) fn says(text: &str, part: &str) -> Result<()> {
    ensure!(text.contains(part), "{part:?} is not in:\n{text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_named_after_its_case() {
        assert_eq!(
            name_of("one_address_is_enough"),
            "case-one-address-is-enough"
        );
        assert_eq!(name_of("case-x-beside"), "case-x-beside");
        let long = name_of(&"a_b".repeat(40));
        assert!(long.len() <= 63 && !long.ends_with('-'), "{long}");
    }

    #[test]
    fn texts_are_replaced_wherever_they_stand() {
        let mut value = json!({"a": ["x:1", {"b": "x:1 y"}], "c": 1});
        replace(&mut value, "x:1", "z");
        assert_eq!(value, json!({"a": ["z", {"b": "z y"}], "c": 1}));
    }

    #[test]
    fn waiting_ends_with_what_is_waited_for_or_with_the_last_complaint() {
        let mut looks = 0;
        let soon = within(Duration::from_secs(60), "it is so", || {
            looks += 1;
            Ok(looks == 3)
        });
        soon.unwrap();
        let never = within(Duration::ZERO, "it is so", || bail!("no such thing"));
        let text = never.unwrap_err().to_string();
        assert_eq!(text, "not in 0 s: it is so: no such thing");
    }
}
