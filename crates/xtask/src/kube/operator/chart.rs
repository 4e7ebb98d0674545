//! The operator from its chart, for one namespace alone.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{CHANGE_LIMIT, Cluster, DEPLOYMENT, SYSTEM, install, resource};
use crate::kube::Case;
use crate::kube::finished::output;
use crate::kube::space::{Space, not_run, note};
use crate::setup;
use crate::workspace::root;

pub(super) const CASES: &[Case] = &[Case {
    name: "operator_from_its_chart_looks_after_one_namespace_alone",
    run: one_namespace,
}];

const RELEASE: &str = "ottla-operator";
const ACCOUNT: &str = "ottla-operator";

/// The other cases' operator, which looks after all namespaces, while it rests.
struct Rest<'a> {
    space: &'a Space,
    over: bool,
}

impl Rest<'_> {
    fn of(space: &Space) -> Result<Rest<'_>> {
        let rest = Rest { space, over: false };
        rest.scale(0)?;
        Ok(rest)
    }

    fn end(mut self) -> Result<()> {
        self.over = true;
        self.scale(2)
    }

    fn scale(&self, replicas: usize) -> Result<()> {
        let kubectl = &self.space.kubectl;
        let replicas = format!("--replicas={replicas}");
        kubectl.run(&["-n", SYSTEM, "scale", "deployment", DEPLOYMENT, &replicas])?;
        let wait = ["-n", SYSTEM, "rollout", "status", "deployment", DEPLOYMENT];
        kubectl.run_within(&wait, CHANGE_LIMIT)?;
        if replicas == "--replicas=0" {
            let gone = "--timeout=60s";
            let pods = format!("app.kubernetes.io/name={DEPLOYMENT}");
            let wait = [
                "-n",
                SYSTEM,
                "wait",
                "--for=delete",
                "pod",
                "-l",
                &pods,
                gone,
            ];
            kubectl.run_within(&wait, CHANGE_LIMIT)?;
        }
        Ok(())
    }
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if !self.over
            && let Err(error) = self.scale(2)
        {
            note(&format!("the other cases' operator rests on: {error:#}"));
        }
    }
}

fn one_namespace(space: &Space) -> Result<()> {
    let helm = setup::helm().map_err(|error| not_run(&format!("{error:#}")))?;
    // The definitions are an administrator's; who has one namespace finds them there.
    install(space)?;
    let (watched, other) = (space.beside("watched")?, space.beside("other")?);
    let rest = Rest::of(space)?;
    let chart = Chart { helm, space };
    let played = play(&chart, &watched, &other);
    if played.is_err() {
        println!("{}{}", watched.report(), other.report());
    }
    // What is left of it is the other operator's to clean up, but not to build.
    let unwanted = other.run(&["delete", "kafkacluster", "left", "--ignore-not-found"]);
    rest.end()?;
    watched.remove()?;
    other.remove()?;
    unwanted?;
    played
}

fn play(chart: &Chart<'_>, watched: &Space, other: &Space) -> Result<()> {
    chart.install(watched)?;
    // Asked for first, so that there is time enough to be mistaken.
    other.apply(&resource("left", &json!({})))?;
    watched.apply(&resource("demo", &json!({})))?;
    let cluster = Cluster {
        space: watched,
        name: "demo",
    };
    cluster.settled("True")?;
    let left = other.get("kafkacluster", "left")?;
    ensure!(left["status"].is_null(), "it is looked after: {left}");
    let made = ["-n", &other.name, "get", "statefulsets,services,pods"];
    let made = other.kubectl.items(&made)?;
    ensure!(made.is_empty(), "there is {made:?}");
    chart.has_rights_in(watched, other)?;
    let before = cluster.uids()?;
    chart.uninstall()?;
    let brokers = cluster.brokers()?;
    ensure!(brokers.len() == 3, "{brokers:?} run");
    cluster.ottla(0, &["topic", "create", "after", "-p", "3"])?;
    ensure!(cluster.uids()? == before, "pods are other ones");
    Ok(())
}

/// A release in the case's own namespace.
struct Chart<'a> {
    helm: std::path::PathBuf,
    space: &'a Space,
}

impl Chart<'_> {
    fn helm(&self, arguments: &[&str], limit: Duration) -> Result<String> {
        let mut command = Command::new(&self.helm);
        command
            .env("KUBECONFIG", &self.space.kubectl.config)
            .args(["--namespace", &self.space.name])
            .args(arguments);
        output(&mut command, b"", limit)
    }

    fn install(&self, watched: &Space) -> Result<()> {
        let image = self.space.image();
        let (repository, tag) = image
            .rsplit_once(':')
            .with_context(|| format!("the image {image} has no tag"))?;
        let chart = root().join("deploy/helm/ottla-operator");
        let mut arguments = vec!["install", RELEASE];
        let chart = chart.to_string_lossy();
        arguments.push(&chart);
        let values = [
            format!("image.repository={repository}"),
            format!("image.tag={tag}"),
            "image.pullPolicy=Never".to_owned(),
            format!("watchNamespaces={{{}}}", watched.name),
            // Nothing that belongs to the whole Kubernetes cluster.
            "crds.install=false".to_owned(),
            "deletionGuard.enabled=false".to_owned(),
            "rbac.nodes=false".to_owned(),
        ];
        for value in &values {
            arguments.extend(["--set", value]);
        }
        arguments.extend(["--wait", "--timeout", "150s"]);
        self.helm(&arguments, CHANGE_LIMIT)?;
        let manifest = self.helm(&["get", "manifest", RELEASE], CHANGE_LIMIT)?;
        ensure!(
            manifest.contains("kind: Role\n") && !manifest.contains("kind: Cluster"),
            "there are rights beyond namespaces:\n{manifest}"
        );
        Ok(())
    }

    /// The operator may do there what it has to, and nothing elsewhere.
    fn has_rights_in(&self, watched: &Space, other: &Space) -> Result<()> {
        let user = format!("system:serviceaccount:{}:{ACCOUNT}", self.space.name);
        let user = format!("--as={user}");
        for (verb, kind) in [
            ("create", "statefulsets"),
            ("delete", "pods"),
            ("list", "kafkaclusters.ottla.dev"),
        ] {
            for (space, expected) in [(watched, "yes"), (other, "no")] {
                let ask = ["-n", &*space.name, "auth", "can-i", verb, kind, &user];
                let told = space.kubectl.say(&ask);
                ensure!(
                    told.lines().any(|line| line == expected),
                    "{verb} {kind} in {}: {told}",
                    space.name
                );
            }
        }
        let everywhere = ["auth", "can-i", "list", "pods", "-A", &user];
        let told = self.space.kubectl.say(&everywhere);
        ensure!(told.lines().any(|line| line == "no"), "all pods: {told}");
        Ok(())
    }

    fn uninstall(&self) -> Result<()> {
        self.helm(
            &["uninstall", RELEASE, "--wait", "--timeout", "120s"],
            CHANGE_LIMIT,
        )
        .map(drop)
    }
}
