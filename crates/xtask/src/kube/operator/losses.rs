//! Pods and nodes that go.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::resources::{ensemble, is_ready};
use super::{CHANGE_LIMIT, Cluster, install};
use crate::kube::Case;
use crate::kube::clients::{Load, hello_world, kcat, read_all};
use crate::kube::faults::CutOff;
use crate::kube::space::{Space, note, within};

const REBUILD_AFTER: Duration = Duration::from_secs(5);

pub(super) const CASES: &[Case] = &[
    Case {
        name: "operator_a_node_is_drained_and_a_pod_killed_under_load",
        run: drain_and_kill,
    },
    Case {
        name: "operator_a_lost_volume_is_built_again_from_the_others",
        run: lost_volume,
    },
    Case {
        name: "operator_what_a_lost_node_had_is_built_again_elsewhere",
        run: lost_node,
    },
    Case {
        name: "operator_a_cordoned_node_costs_no_volume",
        run: cordoned,
    },
    Case {
        name: "operator_the_volume_with_the_only_copy_is_never_given_up",
        run: only_copy,
    },
    Case {
        name: "operator_a_lost_volume_of_the_leading_keeper_is_built_again_under_load",
        run: lost_keeper,
    },
];

fn drain_and_kill(space: &Space) -> Result<()> {
    let spec = json!({"listeners": [{"name": "outside", "port": 9094, "type": "loadBalancer"}]});
    let cluster = Cluster::start(space, "demo", &spec)?;
    let bootstrap = cluster.bootstrap("outside")?;
    let load = Load::start(
        "rolling_load.py",
        &["--bootstrap", &bootstrap, "--topic", "load"],
    )?;
    let began = Instant::now();
    space.run(&[
        "delete",
        "pod",
        &cluster.pod(0),
        "--grace-period=0",
        "--force",
    ])?;
    cluster.settled("True")?;
    note(&format!(
        "a killed pod is back after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    let node = space.pod(&cluster.pod(1))?.node;
    let drain = [
        "drain",
        &node,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--force",
        "--timeout=120s",
    ];
    let selector = format!("--pod-selector=ottla.dev/cluster={}", cluster.name);
    let drained = space
        .kubectl
        .run_within(&[&drain[..], &[&selector]].concat(), CHANGE_LIMIT);
    let undone = space.kubectl.run(&["uncordon", &node]);
    drained.with_context(|| format!("draining {node}"))?;
    undone?;
    cluster.settled("True")?;
    let seen = load.end()?;
    note(&format!("the clients saw {seen}"));
    for nothing in ["failed", "missing", "duplicates", "out_of_order"] {
        ensure!(seen[nothing] == 0, "{nothing}: {seen}");
    }
    Ok(())
}

/// A claim, as it was before its volume was lost.
struct Claim<'a> {
    space: &'a Space,
    name: String,
    uid: Value,
}

impl<'a> Claim<'a> {
    fn of(space: &'a Space, pod: &str) -> Result<Claim<'a>> {
        let name = format!("data-{pod}");
        let uid = space.get("persistentvolumeclaim", &name)?["metadata"]["uid"].take();
        Ok(Claim { space, name, uid })
    }

    fn now(&self) -> Result<Value> {
        self.space.get("persistentvolumeclaim", &self.name)
    }

    /// The volume is no more, and the pod is told to stop.
    fn lose_volume(&self, pod: &str) -> Result<()> {
        let volume = self.now()?["spec"]["volumeName"].take();
        let volume = volume.as_str().context("the claim has no volume")?;
        let kubectl = &self.space.kubectl;
        kubectl.run(&["delete", "persistentvolume", volume, "--wait=false"])?;
        // It is protected from people as long as a claim has it; disks ask nobody.
        let unprotected = r#"{"metadata":{"finalizers":null}}"#;
        let patch = ["--type=merge", "-p", unprotected];
        kubectl.run(&[&["patch", "persistentvolume", volume], &patch[..]].concat())?;
        let delete = ["delete", "pod", pod, "--grace-period=1"];
        self.space.run(&delete).map(drop)
    }

    /// Waits until it is another one, with a volume.
    fn is_replaced(&self) -> Result<()> {
        within(CHANGE_LIMIT, "the claim is another one", || {
            let claim = self.now()?;
            let has_volume = claim["status"]["phase"] == "Bound";
            Ok(has_volume && claim["metadata"]["uid"] != self.uid)
        })
    }

    fn is_kept(&self) -> Result<()> {
        let now = self.now()?["metadata"].take();
        let is_deleted = !now["deletionTimestamp"].is_null();
        ensure!(now["uid"] == self.uid && !is_deleted, "the claim is {now}");
        Ok(())
    }
}

/// A cluster that waits five seconds for what is lost.
fn hasty(space: &Space) -> Result<Cluster<'_>> {
    let spec = json!({
        "listeners": [{"name": "outside", "port": 9094, "type": "nodePort"}],
        "rolling": {"rebuildAfterSeconds": REBUILD_AFTER.as_secs(), "timeoutSeconds": 120},
    });
    Cluster::start(space, "demo", &spec)
}

/// Everybody has everything again, votes included.
fn is_whole(cluster: &Cluster<'_>, topic: &str) -> Result<()> {
    cluster.settled("True")?;
    cluster.in_sync()?;
    let voters = cluster.voters()?;
    ensure!(voters.len() == 3, "{voters:?} vote");
    let lines = read_all(&cluster.bootstrap("outside")?, topic)?;
    ensure!(lines == ["hello", "world"], "{lines:?}");
    Ok(())
}

fn lost_volume(space: &Space) -> Result<()> {
    let cluster = hasty(space)?;
    hello_world(&cluster.bootstrap("outside")?, "kept")?;
    let pod = cluster.pod(2);
    let claim = Claim::of(space, &pod)?;
    let began = Instant::now();
    claim.lose_volume(&pod)?;
    claim.is_replaced()?;
    is_whole(&cluster, "kept")?;
    note(&format!(
        "a lost volume was built again after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// A node falls silent for good; what it had is built again on the others. Then it is back all the
/// same, with the broker that was given up, which still runs.
fn lost_node(space: &Space) -> Result<()> {
    space.testbed()?;
    let cluster = hasty(space)?;
    hello_world(&cluster.bootstrap("outside")?, "kept")?;
    let pod = space.pod(&cluster.pod(2))?;
    let claim = Claim::of(space, &pod.name)?;
    let began = Instant::now();
    let cut = CutOff::node(space, &pod.node)?;
    claim.is_replaced()?;
    within(CHANGE_LIMIT, "the pod is ready elsewhere", || {
        let now = space.pod(&pod.name)?;
        Ok(now.is_ready && now.node != pod.node)
    })?;
    note(&format!(
        "what was on a lost node was built again {:.1} s after it fell silent",
        began.elapsed().as_secs_f64()
    ));
    cut.heal()?;
    within(CHANGE_LIMIT, "the node is back", || {
        space.kubectl.is_node_ready(&pod.node)
    })?;
    is_whole(&cluster, "kept")
}

/// As above, but of one partition nobody else has anything.
fn only_copy(space: &Space) -> Result<()> {
    space.testbed()?;
    let cluster = hasty(space)?;
    let create = ["topic", "create", "single", "-p", "3", "-r", "1"];
    cluster.ottla(0, &create)?;
    let partitions = cluster.partitions("single")?;
    let on_it = partitions.iter().position(|p| p.replicas == [2]);
    let on_it = on_it.with_context(|| format!("broker 2 has nothing: {partitions:?}"))?;
    let here = ["-t", "single", "-p", &on_it.to_string()];
    let bootstrap = cluster.bootstrap("outside")?;
    kcat(&bootstrap, &[&["-P"], &here[..]].concat(), "only\nhere\n")?;
    let pod = space.pod(&cluster.pod(2))?;
    let claim = Claim::of(space, &pod.name)?;
    let cut = CutOff::node(space, &pod.node)?;
    let words = format!("nobody else has all of single-{on_it}");
    note(&cluster.says_that("Degraded", "True", "PodLost", &words)?);
    claim.is_kept()?;
    cut.heal()?;
    cluster.settled("True")?;
    claim.is_kept()?;
    let whole = ["-C", "-o", "beginning", "-e", "-q"];
    let bootstrap = cluster.bootstrap("outside")?;
    let lines = kcat(&bootstrap, &[&whole[..], &here[..]].concat(), "")?;
    ensure!(lines == "only\nhere\n", "{lines:?}");
    Ok(())
}

/// A node that is there, and takes no pods while somebody looks after it, is not lost.
fn cordoned(space: &Space) -> Result<()> {
    let cluster = hasty(space)?;
    let pod = space.pod(&cluster.pod(2))?;
    let claim = Claim::of(space, &pod.name)?;
    space.kubectl.run(&["cordon", &pod.node])?;
    let waits = || {
        space.run(&["delete", "pod", &pod.name, "--grace-period=1"])?;
        // Three times as long as a loss is waited for.
        let since = Instant::now();
        within(CHANGE_LIMIT, "the pod has had no place for 15 s", || {
            claim.is_kept()?;
            let message = cluster.condition("Ready")?.2;
            let has_no_place = message.contains("Unschedulable");
            Ok(has_no_place && since.elapsed() > 3 * REBUILD_AFTER)
        })?;
        claim.is_kept()
    };
    let waited = waits();
    let undone = space.kubectl.run(&["uncordon", &pod.node]);
    waited?;
    undone?;
    cluster.settled("True")?;
    claim.is_kept()
}

/// The volume of the server that leads goes; the other two go on, and give the new one all it needs.
fn lost_keeper(space: &Space) -> Result<()> {
    install(space)?;
    let mut resource = ensemble(json!({}));
    resource["spec"]["rolling"] = json!({"rebuildAfterSeconds": REBUILD_AFTER.as_secs()});
    space.apply(&resource)?;
    let ready = || is_ready(space, "keeperensemble", "zk");
    within(CHANGE_LIMIT, "the ensemble is ready", ready)?;
    let status = || Ok::<_, anyhow::Error>(space.get("keeperensemble", "zk")?["status"].take());
    let leader = status()?["leader"].as_str().map(str::to_owned);
    let leader = space.pod(&leader.context("nobody leads")?)?;
    let service = space.get("service", "zk")?;
    let address = service["spec"]["clusterIP"].as_str();
    let address = format!("{}:2181", address.context("no address")?);
    let load = Load::start("session_load.py", &["--connect", &address])?;
    let claim = Claim::of(space, &leader.name)?;
    let began = Instant::now();
    claim.lose_volume(&leader.name)?;
    claim.is_replaced()?;
    within(CHANGE_LIMIT, "the ensemble is ready again", || {
        let pod = space.pod(&leader.name)?;
        Ok(pod.is_ready && pod.uid != leader.uid && ready()?)
    })?;
    note(&format!(
        "{}, which led, has a new volume and all servers are ready after {:.1} s",
        leader.name,
        began.elapsed().as_secs_f64()
    ));
    let seen = load.end()?;
    note(&format!("the client saw {seen}"));
    ensure!(seen["missing"] == 0, "acknowledged writes are gone: {seen}");
    ensure!(seen["sessions"] == 1, "its session ended: {seen}");
    // The new one has all that was written, and its vote.
    within(CHANGE_LIMIT, "the new server has everything", || {
        let own = ["/ottla", "keeper", "ls", "/load", "-S", "localhost:2181"];
        let names = space.exec(&leader.name, &own)?;
        let count = u64::try_from(names.split_whitespace().count())?;
        Ok(Some(count) >= seen["acknowledged"].as_u64())
    })?;
    let servers = (0..3).map(|n| format!("zk-keeper-{n}.zk-servers"));
    let servers = servers.collect::<Vec<_>>().join(",");
    let modes = space.exec(
        &leader.name,
        &["/ottla", "keeper", "status", "-S", &servers],
    )?;
    ensure!(modes.matches("Mode: follower").count() == 2, "{modes}");
    ensure!(modes.matches("Mode: leader").count() == 1, "{modes}");
    Ok(())
}
