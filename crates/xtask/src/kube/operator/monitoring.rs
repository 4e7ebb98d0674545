//! What Prometheus makes of the metrics: every query of the dashboard has an answer, and no alert is
//! blind.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::resources::{ensemble, is_ready};
use super::{CHANGE_LIMIT, Cluster, SYSTEM, load};
use crate::kube::Case;
use crate::kube::finished::output;
use crate::kube::space::{Space, not_run, note, within};
use crate::setup;
use crate::workspace::root;

pub(super) const CASES: &[Case] = &[Case {
    name: "operator_prometheus_answers_every_query_and_raises_no_false_alarm",
    run: monitored,
}];

const LIMIT: Duration = Duration::from_secs(20);
/// Comparisons that stand between what is measured and a threshold.
const COMPARISONS: [&str; 3] = [" > ", " < ", " == "];
/// There is a series of it for each log that is in trouble, and none as long as all are well.
const IN_TROUBLE: &str = "ottla_compaction_uncleanable";

fn monitored(space: &Space) -> Result<()> {
    let programs = setup::prometheus().map_err(|error| not_run(&format!("{error:#}")))?;
    space.testbed()?;
    let [prometheus, promtool] = programs;
    let folder = tempfile(space)?;
    let rules = folder.join("rules.yaml");
    fs::write(&rules, alert_rules()?)?;
    let check = |arguments: &[&str], file: &Path| {
        let mut command = Command::new(&promtool);
        output(command.args(arguments).arg(file), b"", LIMIT)
    };
    check(&["check", "rules"], &rules)?;
    let tests = root().join("clients/kube/alerts_test.yaml");
    let local = folder.join("alerts_test.yaml");
    fs::copy(tests, &local)?;
    check(&["test", "rules"], &local)?;

    let outside = json!({"name": "outside", "port": 9094, "type": "nodePort"});
    let spec = json!({"listeners": [outside], "canary": {"enabled": true, "intervalSeconds": 1}});
    let cluster = Cluster::start(space, "demo", &spec)?;
    space.apply(&ensemble(json!({})))?;
    within(CHANGE_LIMIT, "the ensemble is ready", || {
        is_ready(space, "keeperensemble", "zk")
    })?;
    let load = load::start(&cluster, "outside", &[])?;
    let server = Server::start(&prometheus, promtool, space, &folder)?;
    let dashboard = queries(&dashboard()?);
    ensure!(dashboard.len() > 15, "{dashboard:?}");
    for query in &dashboard {
        let namespaces = format!("{}|{SYSTEM}", space.name);
        server.measures(&query.replace("$namespace", &namespaces))?;
    }
    let alerts = alert_expressions(&alert_rules()?);
    ensure!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts.iter().filter(|alert| !alert.contains(IN_TROUBLE)) {
        server.measures(alert)?;
    }
    // Of ours: other clusters may be in what trouble they like.
    let firing = server.query(&format!(
        "ALERTS{{alertstate=\"firing\", namespace=~\"{}|\"}}",
        space.name
    ))?;
    ensure!(firing.is_empty(), "alerts without a reason: {firing:?}");
    note(&format!(
        "{} queries and {} alerts answered",
        dashboard.len(),
        alerts.len()
    ));
    load::nothing_is_lost(load)?;
    drop(server);
    fs::remove_dir_all(&folder)?;
    Ok(())
}

fn tempfile(space: &Space) -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(&space.name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The rules within the resource of the Prometheus operator: a file of rules, two spaces further in.
fn alert_rules() -> Result<String> {
    let resource = fs::read_to_string(root().join("deploy/monitoring/alerts.yaml"))?;
    let (_, spec) = resource
        .split_once("\nspec:\n")
        .context("the alerts have no spec")?;
    let lines = spec.lines().map(|line| line.strip_prefix("  "));
    let lines: Option<Vec<&str>> = lines.collect();
    let lines = lines.context("the alerts' spec is not all there is")?;
    Ok(lines.join("\n") + "\n")
}

fn alert_expressions(rules: &str) -> Vec<String> {
    let lines = rules.lines();
    let lines = lines.filter_map(|line| line.trim().strip_prefix("expr: "));
    lines
        .filter_map(|text| serde_json::from_str(text).ok())
        .collect()
}

fn dashboard() -> Result<Value> {
    let text = fs::read_to_string(root().join("deploy/monitoring/dashboard.json"))?;
    Ok(serde_json::from_str(&text)?)
}

fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = targets.filter_map(|target| target["expr"].as_str());
    queries.map(str::to_owned).collect()
}

/// What an expression measures, without the thresholds that it is held against.
fn measured(expression: &str) -> Vec<String> {
    let mut parts = vec![expression.to_owned()];
    for comparison in COMPARISONS {
        let split =
            |part: String| -> Vec<String> { part.split(comparison).map(str::to_owned).collect() };
        parts = parts.into_iter().flat_map(split).collect();
    }
    let count = |text: &str, sign| text.matches(sign).count();
    let whole = parts.into_iter().map(|part| {
        let open = count(&part, '(').saturating_sub(count(&part, ')'));
        let close = count(&part, ')').saturating_sub(count(&part, '('));
        let mut part = part.as_str();
        // `count(a == 0)` and `absent(a == 1)` are about `a`.
        for _ in 0..open {
            part = part.rsplit_once('(').map_or(part, |(_, rest)| rest);
        }
        for _ in 0..close {
            part = part.rsplit_once(')').map_or(part, |(rest, _)| rest);
        }
        part.trim().to_owned()
    });
    whole.filter(|part| part.parse::<f64>().is_err()).collect()
}

/// A Prometheus on this machine that finds pods as one in the cluster does.
struct Server {
    child: Child,
    promtool: PathBuf,
    address: String,
    folder: PathBuf,
}

impl Server {
    fn start(prometheus: &Path, promtool: PathBuf, space: &Space, folder: &Path) -> Result<Server> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let config = folder.join("prometheus.json");
        fs::write(&config, configuration(space)?.to_string())?;
        let log = fs::File::create(folder.join("log"))?;
        let child = Command::new(prometheus)
            .current_dir(folder)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot run prometheus")?;
        let folder = folder.to_path_buf();
        let server = Server {
            child,
            promtool,
            address,
            folder,
        };
        let answers = within(LIMIT, "Prometheus answers", || {
            Ok(server.query("vector(1)").is_ok())
        });
        answers.with_context(|| server.log())?;
        Ok(server)
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log"));
        format!("Prometheus says: {}", log.unwrap_or_default())
    }

    /// The series that a query gives.
    fn query(&self, query: &str) -> Result<Vec<Value>> {
        let mut command = Command::new(&self.promtool);
        let url = format!("http://{}", self.address);
        command.args(["query", "instant", "-o", "json", &url, query]);
        let text = output(&mut command, b"", LIMIT)?;
        let series: Value = serde_json::from_str(&text)?;
        Ok(series.as_array().cloned().unwrap_or_default())
    }

    /// Waits until there is something in all that an expression measures.
    fn measures(&self, expression: &str) -> Result<()> {
        for part in measured(expression) {
            within(CHANGE_LIMIT, &format!("there is a value of {part}"), || {
                Ok(!self.query(&part)?.is_empty())
            })
            .with_context(|| format!("the query {expression}"))?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What the Prometheus operator makes of our `PodMonitor`s: the ports of pods that are called `http`.
/// Debian's Prometheus does not look for pods itself.
fn configuration(space: &Space) -> Result<Value> {
    let job = |name: &str, namespace: &str, honor: bool| -> Result<Value> {
        let pods = space.kubectl.items(&["-n", namespace, "get", "pods"])?;
        let targets: Vec<Value> = pods.iter().filter_map(target).collect();
        ensure!(!targets.is_empty(), "{namespace} has no pods to look at");
        Ok(json!({"job_name": name, "honor_labels": honor, "static_configs": targets}))
    };
    Ok(json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            job("ottla", &space.name, false)?,
            job("ottla-operator", SYSTEM, true)?,
        ],
    }))
}

fn target(pod: &Value) -> Option<Value> {
    let containers = pod["spec"]["containers"].as_array()?.iter();
    let mut ports = containers.flat_map(|one| one["ports"].as_array().into_iter().flatten());
    let port = ports.find(|port| port["name"] == "http")?["containerPort"].as_u64()?;
    let address = pod["status"]["podIP"].as_str()?;
    let metadata = &pod["metadata"];
    let mut labels = json!({"namespace": metadata["namespace"], "pod": metadata["name"]});
    for name in ["cluster", "ensemble", "pool"] {
        let value = &metadata["labels"][format!("ottla.dev/{name}")];
        if value.is_string() {
            labels[format!("ottla_dev_{name}")] = value.clone();
        }
    }
    Some(json!({"targets": [format!("{address}:{port}")], "labels": labels}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_is_told_from_thresholds() {
        assert_eq!(measured("sum by (a) (b) > 0"), ["sum by (a) (b)"]);
        assert_eq!(measured("absent(leading == 1)"), ["leading"]);
        assert_eq!(
            measured("max by (n) (f) + 1 < max by (n) (q)"),
            ["max by (n) (f) + 1", "max by (n) (q)"]
        );
        assert_eq!(measured("count by (kind) (ready == 0)"), ["ready"]);
        assert_eq!(measured("1 - up{a=\"b\"}"), ["1 - up{a=\"b\"}"]);
    }

    #[test]
    fn alerts_are_a_file_of_rules_two_spaces_further_in() {
        let rules = alert_rules().unwrap();
        assert!(rules.starts_with("groups:\n  - name:"), "{rules}");
        assert!(alert_expressions(&rules).len() > 10);
    }
}
