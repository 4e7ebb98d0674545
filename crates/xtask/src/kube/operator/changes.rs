//! Changes that a person makes, under load.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::load::{self, nothing_is_lost};
use super::{CHANGE_LIMIT, Cluster, SYSTEM};
use crate::image;
use crate::kube::Case;
use crate::kube::clients::brokers;
use crate::kube::space::{Space, note, within};

pub(super) const CASES: &[Case] = &[
    Case {
        name: "operator_rolls_a_change_under_load_and_nothing_is_lost",
        run: roll,
    },
    Case {
        name: "operator_changes_what_brokers_take_while_they_run_without_a_restart",
        run: value,
    },
    Case {
        name: "operator_rolls_a_good_image_under_load_and_nothing_is_lost",
        run: roll_image,
    },
    Case {
        name: "operator_grows_to_five_brokers_and_back_to_three_under_load",
        run: scale,
    },
    Case {
        name: "operator_stops_a_bad_roll_and_undoes_it",
        run: bad_roll,
    },
    Case {
        name: "operator_grows_volumes_while_pods_run",
        run: volumes,
    },
    Case {
        name: "operator_goes_on_when_it_is_killed_in_the_middle",
        run: killed,
    },
];

const OUTSIDE: &str = "outside";

fn start<'a>(space: &'a Space, more: &Value) -> Result<Cluster<'a>> {
    let mut spec = json!({"listeners": [{"name": OUTSIDE, "port": 9094, "type": "nodePort"}]});
    if let (Some(fields), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        fields.extend(more.clone());
    }
    Cluster::start(space, "demo", &spec)
}

fn roll(space: &Space) -> Result<()> {
    let cluster = start(space, &json!({}))?;
    let before = cluster.uids()?;
    let load = load::start(&cluster, OUTSIDE, &[])?;
    let began = Instant::now();
    cluster.patch(&json!({"config": {"log.retention.hours": "24"}}))?;
    cluster.settled("True")?;
    note(&format!(
        "three brokers rolled in {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    cluster.is_all_new(&before)?;
    nothing_is_lost(load)
}

fn value(space: &Space) -> Result<()> {
    let config = |value: &str| json!({"config": {"log.retention.ms": value}});
    let cluster = start(space, &config("3600000"))?;
    let before = cluster.uids()?;
    let load = load::start(&cluster, OUTSIDE, &[])?;
    let began = Instant::now();
    cluster.patch(&config("7200000"))?;
    for ordinal in 0..3 {
        let broker = format!("broker/{ordinal}");
        within(CHANGE_LIMIT, &format!("{broker} has the new value"), || {
            let told = cluster.ottla(ordinal, &["config", "get", &broker])?;
            Ok(told.to_string().contains("7200000"))
        })?;
    }
    note(&format!(
        "three brokers have another value after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    cluster.settled("True")?;
    ensure!(cluster.uids()? == before, "pods were restarted");
    nothing_is_lost(load)
}

/// The same program under another tag: all that an upgrade does to a cluster, but for what is new.
fn roll_image(space: &Space) -> Result<()> {
    let another = format!("{}-next", space.image());
    image::load(&another, space.program()?, space.testbed()?)?;
    let cluster = start(space, &json!({}))?;
    let before = cluster.uids()?;
    let load = load::start(&cluster, OUTSIDE, &[])?;
    let began = Instant::now();
    cluster.patch(&json!({"image": another}))?;
    cluster.settled("True")?;
    note(&format!(
        "three brokers have another image after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    cluster.is_all_new(&before)?;
    for ordinal in 0..3 {
        let pod = space.get("pod", &cluster.pod(ordinal))?;
        let image = &pod["spec"]["containers"][0]["image"];
        ensure!(*image == another, "pod {ordinal} has {image}");
    }
    nothing_is_lost(load)
}

fn scale(space: &Space) -> Result<()> {
    let cluster = start(space, &json!({}))?;
    let load = load::start(&cluster, OUTSIDE, &[])?;
    let began = Instant::now();
    space.run(&["scale", "kafkacluster", "demo", "--replicas=5"])?;
    cluster.settled("True")?;
    note(&format!(
        "five brokers have their share after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    let bootstrap = cluster.bootstrap(OUTSIDE)?;
    ensure!(brokers(&bootstrap)?.len() == 5);
    let layout = space.exec(
        "demo-broker-0",
        &[
            "/ottla",
            "broker",
            "list",
            "-b",
            "localhost:9091",
            "-o",
            "json",
        ],
    )?;
    let layout: Value = serde_json::from_str(&layout)?;
    note(&format!(
        "broker list: {}",
        layout.to_string().chars().take(400).collect::<String>()
    ));
    let began = Instant::now();
    space.run(&["scale", "kafkacluster", "demo", "--replicas=3"])?;
    cluster.settled("True")?;
    within(CHANGE_LIMIT, "three brokers are left", || {
        Ok(brokers(&bootstrap)?.len() == 3)
    })?;
    note(&format!(
        "and three are left after {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    nothing_is_lost(load)
}

fn bad_roll(space: &Space) -> Result<()> {
    let rolling = json!({"rolling": {"timeoutSeconds": 10}});
    let cluster = start(space, &rolling)?;
    let before = cluster.uids()?;
    let load = load::start(&cluster, OUTSIDE, &[])?;
    cluster.patch(&json!({"image": "localhost/there-is-no-such-image:1"}))?;
    let message = cluster.says("Degraded", "True", "RollStuck")?;
    ensure!(
        message.contains("ErrImageNeverPull") && message.contains("2 other pods"),
        "{message}"
    );
    let during = cluster.uids()?;
    let kept = before.iter().filter(|uid| during.contains(uid)).count();
    ensure!(kept == 2, "{kept} pods are as they were");
    cluster.patch(&json!({"image": null}))?;
    cluster.settled("True")?;
    let after = cluster.uids()?;
    let kept = before.iter().filter(|uid| after.contains(uid)).count();
    ensure!(kept == 2, "{kept} pods are as they were");
    nothing_is_lost(load)
}

fn volumes(space: &Space) -> Result<()> {
    let cluster = start(space, &json!({}))?;
    let before = cluster.uids()?;
    cluster.patch(&json!({"storage": {"size": "2Gi"}}))?;
    within(CHANGE_LIMIT, "the volumes have grown", || {
        let claim = space.get("persistentvolumeclaim", "data-demo-broker-2")?;
        Ok(claim["status"]["capacity"]["storage"] == "2Gi")
    })?;
    cluster.settled("True")?;
    let set = space.get("statefulset", "demo-broker")?;
    let template =
        &set["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"];
    ensure!(template == "2Gi", "new pods would get {template}");
    ensure!(cluster.uids()? == before, "pods were restarted");
    Ok(())
}

fn killed(space: &Space) -> Result<()> {
    let cluster = start(space, &json!({}))?;
    let load = load::start(&cluster, OUTSIDE, &[])?;
    cluster.patch(&json!({"config": {"log.retention.hours": "48"}}))?;
    // At whatever step it is, three times.
    for _ in 0..3 {
        std::thread::sleep(std::time::Duration::from_secs(2));
        let label = "app.kubernetes.io/name=ottla-operator";
        space.kubectl.run(&[
            "-n",
            SYSTEM,
            "delete",
            "pods",
            "-l",
            label,
            "--grace-period=0",
            "--force",
        ])?;
    }
    cluster.settled("True")?;
    nothing_is_lost(load)
}
