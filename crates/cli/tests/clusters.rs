//! Commands that look after several nodes, against real ones.
//!
//! The nodes are our own, or those of Apache Kafka where `OTTLA_TEST_CLUSTER` names the folder with
//! its jars: `OTTLA_TEST_CLUSTER=target/clients/kafka/lib cargo test -p ottla-cli --test clusters`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where something is not as it should be"
)]

mod command;

use std::time::Duration;

use ottla_cli::Exit;
use ottla_testkit::cluster::{Cluster, ClusterOptions, Flavour};
use ottla_testkit::{Profile, node_binary};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use command::{Ran, run};

/// One cluster at a time: many nodes at once would only wait for each other.
static TURN: Mutex<()> = Mutex::const_new(());

/// Nodes that do only what the test asks of them.
async fn start(nodes: usize) -> (MutexGuard<'static, ()>, Cluster) {
    let turn = TURN.lock().await;
    let flavour = match std::env::var("OTTLA_TEST_CLUSTER") {
        Err(_) => Flavour::Ottla {
            binary: node_binary(Profile::Dev).unwrap(),
        },
        Ok(lib) => Flavour::lean_kafka(lib.into()),
    };
    let mut options = ClusterOptions::plain(flavour, nodes);
    options.loopback = true;
    let unhelped = (
        "auto.leader.rebalance.enable".to_owned(),
        "false".to_owned(),
    );
    options.settings.push(unhelped);
    (turn, Cluster::start(options).unwrap())
}

fn json(ran: &Ran) -> Value {
    assert_eq!(ran.exit, Exit::Ok, "{}{}", ran.out, ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

/// Runs a command that must work.
async fn works(bootstrap: &str, line: &str) -> String {
    let ran = run(bootstrap, line).await;
    assert_eq!(ran.exit, Exit::Ok, "{line}: {}{}", ran.out, ran.err);
    ran.out
}

/// Asks again and again until it is so; what never becomes so ends with the test's own limit.
async fn until(bootstrap: &str, line: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let ran = run(bootstrap, line).await;
        if let Ok(value) = serde_json::from_str(&ran.out)
            && is_so(&value)
        {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{line}: it does not come true");
}

fn of_broker<'a>(list: &'a Value, id: i64, field: &str) -> &'a Value {
    let brokers = list["brokers"].as_array().unwrap();
    let broker = brokers.iter().find(|broker| broker["id"] == id);
    &broker.unwrap_or_else(|| panic!("no broker {id} in {list}"))[field]
}

fn numbers(value: &Value) -> Vec<i64> {
    let all = value.as_array().unwrap().iter();
    all.map(|number| number.as_i64().unwrap()).collect()
}

/// All partitions of a topic, each with its replicas.
async fn replicas(bootstrap: &str, topic: &str) -> Vec<Vec<i64>> {
    let line = format!("topic describe {topic} -o json");
    let described = json(&run(bootstrap, &line).await);
    let partitions = described["topics"][0]["partitions"].as_array().unwrap();
    partitions.iter().map(|p| numbers(&p["replicas"])).collect()
}

#[tokio::test]
async fn a_new_broker_is_filled_drained_and_emptied_again() {
    let (_turn, mut cluster) = start(4).await;
    let bootstrap = cluster.bootstrap();
    works(&bootstrap, "topic create a -p 8 -r 2").await;
    works(&bootstrap, "topic create b -p 4 -r 3").await;
    // As if broker 4 had come later.
    works(&bootstrap, "topic reassign a --brokers 1,2,3").await;
    works(&bootstrap, "topic reassign b --brokers 1,2,3").await;
    let list = json(&run(&bootstrap, "broker list -o json").await);
    assert_eq!(*of_broker(&list, 4, "replicas"), 0);

    let planned = json(&run(&bootstrap, "cluster rebalance -o json").await);
    assert_eq!(planned["executed"], false);
    assert_eq!(planned["partitions_to_copy"], 7);
    let before = replicas(&bootstrap, "a").await;
    assert!(
        before.iter().flatten().all(|id| *id != 4),
        "a dry run moved something"
    );
    let line = "cluster rebalance --execute --throttle 10MiB --max-moves-in-flight 2 -o json";
    let done = json(&run(&bootstrap, line).await);
    assert_eq!(done["outcome"]["moved"], 7);
    let list = json(&run(&bootstrap, "broker list -o json").await);
    for id in 1..=4 {
        assert_eq!(*of_broker(&list, id, "replicas"), 7);
        assert_eq!(*of_broker(&list, id, "leaders"), 3);
        assert_eq!(*of_broker(&list, id, "out_of_sync"), 0);
    }
    let again = works(&bootstrap, "cluster rebalance --execute").await;
    assert_eq!(again, "cluster: it is balanced: there is nothing to move\n");
    let moving = json(&run(&bootstrap, "topic reassignments -o json").await);
    let limits = &moving["throttles_bytes_per_second"];
    assert_eq!(*limits, serde_json::json!({}), "a limit was left behind");

    let dry = works(&bootstrap, "broker drain 4 --dry-run").await;
    assert!(dry.contains("nothing was changed"), "{dry}");
    works(&bootstrap, "broker drain 4").await;
    let list = json(&run(&bootstrap, "broker list -o json").await);
    assert_eq!(*of_broker(&list, 4, "leaders"), 0);
    assert_eq!(*of_broker(&list, 4, "replicas"), 7);
    works(&bootstrap, "broker undrain 4").await;
    let list = json(&run(&bootstrap, "broker list -o json").await);
    assert_eq!(*of_broker(&list, 4, "leaders"), 3);

    let running = run(&bootstrap, "broker unregister 4 --yes").await;
    assert_eq!(running.exit, Exit::Failed);
    assert!(running.err.contains("it still runs"), "{}", running.err);
    let empty = works(&bootstrap, "broker decommission 4 --yes").await;
    assert!(empty.contains("it is empty; stop its process"), "{empty}");
    cluster.stop(3).unwrap();
    let forgotten = works(&bootstrap, "broker decommission 4 --yes --wait").await;
    assert!(forgotten.contains("has forgotten it"), "{forgotten}");
    let names = works(&bootstrap, "broker list -o name").await;
    assert_eq!(names, "1\n2\n3\n");
    let gone = run(&bootstrap, "broker describe 4").await;
    assert_eq!(gone.exit, Exit::NotFound);
}

#[tokio::test]
async fn one_that_was_drained_before_gets_no_leaders_of_the_next_one() {
    let (_turn, cluster) = start(3).await;
    let bootstrap = cluster.bootstrap();
    works(&bootstrap, "topic create a -p 6 -r 3").await;
    let leaders = async || {
        let list = json(&run(&bootstrap, "broker list -o json").await);
        [1, 2, 3].map(|id| of_broker(&list, id, "leaders").as_i64().unwrap())
    };
    assert_eq!(leaders().await, [2, 2, 2]);
    works(&bootstrap, "broker drain 1").await;
    assert_eq!(leaders().await, [0, 3, 3]);
    works(&bootstrap, "broker drain 2").await;
    assert_eq!(leaders().await, [0, 0, 6]);
    works(&bootstrap, "broker undrain 2").await;
    assert_eq!(leaders().await, [0, 3, 3]);
    works(&bootstrap, "broker undrain 1").await;
    assert_eq!(leaders().await, [2, 2, 2]);
}

#[tokio::test]
async fn a_move_whose_command_was_killed_is_seen_taken_back_and_done_again() {
    let (_turn, cluster) = start(3).await;
    let bootstrap = cluster.bootstrap();
    works(&bootstrap, "topic create t -p 2 -r 1").await;
    works(&bootstrap, "topic reassign t --replicas 0:1 --replicas 1:1").await;
    works(&bootstrap, "bench produce t --records 8000 --size 2000").await;
    let slow = "topic reassign t --replicas 0:2 --replicas 1:3 --throttle 1KiB";
    let killed = tokio::time::timeout(Duration::from_secs(3), run(&bootstrap, slow)).await;
    assert!(killed.is_err(), "16 MB are not copied at 1 KiB/s");

    let under_way = json(&run(&bootstrap, "topic reassignments -o json").await);
    let moving = under_way["reassignments"].as_array().unwrap();
    assert!(!moving.is_empty(), "{under_way}");
    assert_eq!(numbers(&moving[0]["removing"]), [1]);
    let limits = under_way["throttles_bytes_per_second"].as_object().unwrap();
    assert!(limits.values().all(|limit| *limit == 1024), "{limits:?}");
    assert!(!limits.is_empty());
    let described = works(&bootstrap, "topic describe t").await;
    assert!(described.contains("ADDING   REMOVING"), "{described}");
    let early = run(&bootstrap, "topic reassignments --clear-throttle").await;
    assert_eq!(early.exit, Exit::Failed, "{}", early.out);

    let back = works(&bootstrap, "topic reassignments --cancel").await;
    assert!(back.contains("taken back"), "{back}");
    works(&bootstrap, "topic reassignments --clear-throttle").await;
    let nothing = works(&bootstrap, "topic reassignments").await;
    assert_eq!(nothing, "nothing is being moved\n");

    works(
        &bootstrap,
        "topic reassign t --replicas 0:2 --replicas 1:3 --throttle 1GiB",
    )
    .await;
    assert_eq!(replicas(&bootstrap, "t").await, [[2], [3]]);
    works(&bootstrap, "topic reassign t -r 3").await;
    let now = replicas(&bootstrap, "t").await;
    assert!(now.iter().all(|replicas| replicas.len() == 3), "{now:?}");
    let nowhere = run(&bootstrap, "topic reassign t -r 4").await;
    assert_eq!(nowhere.exit, Exit::Failed);
    assert!(
        nowhere.err.contains("4 replicas need 4 brokers"),
        "{}",
        nowhere.err
    );
}

#[tokio::test]
async fn what_a_lost_node_means_is_told_and_repaired() {
    let (_turn, mut cluster) = start(3).await;
    let bootstrap = cluster.bootstrap();
    works(&bootstrap, "topic create well -p 1 -r 3").await;
    works(
        &bootstrap,
        "topic create tight -p 1 -r 3 -c min.insync.replicas=3",
    )
    .await;
    works(
        &bootstrap,
        "topic create gone -p 1 -r 2 -c min.insync.replicas=1",
    )
    .await;
    works(&bootstrap, "topic reassign gone --replicas 0:3,2").await;
    let quorum = json(&run(&bootstrap, "quorum describe -o json").await);
    assert_eq!(
        (&quorum["voters"], &quorum["can_lose"]),
        (&3.into(), &1.into())
    );

    // Broker 2 falls behind, and then the only one that has everything goes.
    cluster.kill(1).unwrap();
    let line = "topic describe gone --under-replicated -o json";
    until(&bootstrap, line, |found| {
        found["partitions"].as_array().is_some_and(|p| p.len() == 1)
    })
    .await;
    let line = "topic describe --under-min-isr -o name";
    let names = works(&bootstrap, line).await;
    assert!(names.lines().any(|name| name == "tight-0"), "{names}");
    assert!(!names.lines().any(|name| name == "well-0"), "{names}");
    let line = "broker list -o json";
    until(&bootstrap, line, |list| {
        *of_broker(list, 2, "fenced") == true
    })
    .await;
    let report = run(&bootstrap, "doctor -o json").await;
    assert_eq!(report.exit, Exit::Unwell);
    for check in ["\"fenced\"", "\"under-min-isr\"", "\"min-isr\""] {
        assert!(report.out.contains(check), "{check}: {}", report.out);
    }
    let refused = run(&bootstrap, "cluster rebalance").await;
    assert_eq!(refused.exit, Exit::Failed);
    assert!(refused.err.contains("broker 2"), "{}", refused.err);

    cluster.spawn(1).unwrap();
    cluster.wait_ready(1).unwrap();
    works(&bootstrap, "topic describe --unavailable").await;
    let line = "broker list -o json";
    let is_well = |list: &Value| {
        [1, 2, 3]
            .iter()
            .all(|id| *of_broker(list, *id, "out_of_sync") == 0)
    };
    until(&bootstrap, line, is_well).await;
    works(&bootstrap, "cluster elect-leaders").await;
    let none = works(&bootstrap, "topic describe --under-replicated").await;
    assert_eq!(none, "there are no such partitions\n");
}

#[tokio::test]
async fn a_voter_is_taken_out_and_put_back() {
    let (_turn, cluster) = start(3).await;
    let bootstrap = cluster.bootstrap();
    let quorum = json(&run(&bootstrap, "quorum describe -o json").await);
    let leader = quorum["leader"].as_i64().unwrap();
    let members = quorum["members"].as_array().unwrap();
    let other = members
        .iter()
        .find(|member| member["id"] != leader)
        .unwrap();
    let (id, endpoint) = (&other["id"], other["endpoints"][0].as_str().unwrap());
    works(&bootstrap, &format!("quorum remove {id} --yes")).await;
    let line = "quorum describe -o json";
    let is_observer = |quorum: &Value| quorum["voters"] == 2 && quorum["observers"] == 1;
    until(&bootstrap, line, is_observer).await;
    let unknown = run(&bootstrap, "quorum remove 9 --yes").await;
    assert_eq!(unknown.exit, Exit::NotFound);
    let add = format!("quorum add {id} --endpoint {endpoint}");
    works(&bootstrap, &add).await;
    let again = works(&bootstrap, &add).await;
    assert!(again.contains("is a voter already"), "{again}");
    let quorum = json(&run(&bootstrap, line).await);
    assert_eq!(quorum["voters"], 3);
}
