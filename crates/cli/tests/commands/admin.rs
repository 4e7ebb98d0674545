//! Topics that change, settings, quotas, the cluster, and files.

use ottla_cli::Exit;
use ottla_testkit::TestNode;

use crate::session::Session;

#[tokio::test]
async fn a_topic_is_altered_only_when_all_of_it_can_be() {
    let session = Session::start("alter");
    let topic = session.topic.clone();
    session.run("topic create TOPIC -p 2", b"").await.out();
    let wanted = "topic alter TOPIC -p 3 --set retention.ms=86400000";

    let dry = format!("{wanted} --dry-run -o json");
    let dry = session.run(&dry, b"").await.json();
    assert_eq!(dry["dry_run"], true);
    assert_eq!(dry["partitions"]["before"], 2);
    assert_eq!(dry["partitions"]["after"], 3);
    assert_eq!(dry["configs"][0]["after"], "86400000");
    // A typo in one part keeps the other from being done.
    let typo = "topic alter TOPIC -p 3 --set retention.mss=5";
    let typo = session.run(typo, b"").await;
    assert_eq!(typo.exit, Exit::NotFound, "{}", typo.err);
    assert!(
        typo.err.contains("did you mean retention.ms"),
        "{}",
        typo.err
    );
    let wrong = "topic alter TOPIC -p 3 --set retention.ms=soon";
    let wrong = session.run(wrong, b"").await;
    assert_eq!(wrong.exit, Exit::Failed, "{}", wrong.err);
    let described = session
        .run("topic describe TOPIC -o json", b"")
        .await
        .json();
    let partitions = described["topics"][0]["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 2);

    let done = session.run(wanted, b"").await;
    let warned = "keys go to other partitions";
    assert!(done.err.contains(warned), "{}", done.err);
    let text = done.out();
    let expected = format!("topic/{topic} altered\n  partitions: 2 -> 3\n");
    assert!(text.starts_with(&expected), "{text}");

    let again = session.run("topic alter TOPIC -p 3", b"").await.out();
    let expected = format!("topic/{topic} is so already; nothing was changed\n");
    assert_eq!(again, expected);
    let fewer = session.run("topic alter TOPIC -p 1", b"").await;
    assert_eq!(fewer.exit, Exit::Usage);
    let mistyped = session.run("topic alter TOPICx -p 9", b"").await;
    assert_eq!(mistyped.exit, Exit::NotFound);
    let question = format!("did you mean {topic}");
    assert!(mistyped.err.contains(&question), "{}", mistyped.err);
}

/// The value of a topic's setting, once it is this one: brokers of a cluster learn of a change a
/// moment after it was made.
async fn becomes(session: &Session, name: &str, expected: &str) {
    let line = format!("config get topic/TOPIC {name} -o json");
    loop {
        let got = session.run(&line, b"").await.json();
        if got["configs"][0]["value"] == expected {
            return;
        }
    }
}

#[tokio::test]
async fn settings_are_set_shown_and_put_back() {
    let session = Session::start("settings");
    session.run("topic create TOPIC -p 1", b"").await.out();
    let get = "config get topic/TOPIC segment.bytes -o json";
    let before = session.run(get, b"").await.json();
    assert_eq!(before["configs"][0]["source"], "DEFAULT_CONFIG");
    let before = before["configs"][0]["value"].as_str().unwrap().to_owned();
    let set = "config set topic/TOPIC segment.bytes=1048576";
    session.run(&format!("{set} --dry-run"), b"").await.out();
    becomes(&session, "segment.bytes", &before).await;
    session.run(set, b"").await.out();
    becomes(&session, "segment.bytes", "1048576").await;
    let shown = session.run("config get topic/TOPIC", b"").await.out();
    assert!(shown.contains("segment.bytes"), "{shown}");
    let unset = "config unset topic/TOPIC segment.bytes";
    session.run(unset, b"").await.out();
    becomes(&session, "segment.bytes", &before).await;

    let typo = session
        .run("config get topic/TOPIC segment.byte", b"")
        .await;
    assert_eq!(typo.exit, Exit::NotFound);
    let question = "did you mean segment.bytes";
    assert!(typo.err.contains(question), "{}", typo.err);
    let nodes = session.run("cluster describe -o name", b"").await.out();
    let broker = format!("config get broker/{} --all -o name", nodes.trim());
    let all = session.run(&broker, b"").await.out();
    assert!(all.lines().any(|name| name == "num.partitions"), "{all}");
    let nobody = session.run("config get broker/77", b"").await;
    assert_eq!(nobody.exit, Exit::NotFound, "{}", nobody.err);
    let list = "`ottla cluster describe` lists those that there are";
    assert!(nobody.err.contains(list), "{}", nobody.err);
}

#[tokio::test]
async fn quotas_are_set_listed_and_removed() {
    let session = Session::start("quotas");
    let set = "config set user/TOPIC,client/app producer_byte_rate=1024 consumer_byte_rate=2048";
    session.run(&format!("{set} --dry-run"), b"").await.out();
    let get = "config get user/TOPIC,client/app -o json";
    let got = session.run(get, b"").await.json();
    assert_eq!(got["configs"].as_array().unwrap().len(), 0);
    session.run(set, b"").await.out();
    while session.run(get, b"").await.json()["configs"][0].is_null() {}
    let listed = session.run("config list", b"").await.out();
    let row = format!("user/{},client/app", session.topic);
    assert!(listed.contains(&row), "{listed}");
    let unset = "config unset user/TOPIC,client/app producer_byte_rate consumer_byte_rate";
    let unset = session.run(unset, b"").await.out();
    let expected = "producer_byte_rate: 1024 -> (unset)";
    assert!(unset.contains(expected), "{unset}");
    let typo = "config set user/TOPIC producer_byte_rates=1";
    let typo = session.run(typo, b"").await;
    assert_eq!(typo.exit, Exit::NotFound);
    let question = "did you mean producer_byte_rate?";
    assert!(typo.err.contains(question), "{}", typo.err);
}

#[tokio::test]
async fn a_cluster_tells_its_nodes_quorum_and_disks() {
    let session = Session::start("cluster");
    session.run("topic create TOPIC -p 1", b"").await.out();
    session.run("produce TOPIC", b"hello\n").await.out();
    let described = session.run("cluster describe -o json", b"").await;
    assert_eq!(described.err, "");
    let cluster = described.json();
    assert_eq!(cluster["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(cluster["controller"], cluster["nodes"][0]["id"]);
    assert_eq!(cluster["quorum"]["replicas"][0]["role"], "leader");
    assert!(cluster["log_dirs"][0]["bytes"].as_i64().unwrap() > 0);
    assert!(cluster["log_dirs"][0]["error"].is_null());
    let text = session.run("cluster describe", b"").await.out();
    assert!(text.starts_with("Cluster id:"), "{text}");
}

#[tokio::test]
async fn the_files_of_a_running_node_can_be_looked_into() {
    let session = Session::start("dump");
    let TestNode::Own(broker) = &session.node else {
        // The files of a given broker are not here.
        return;
    };
    session.run("topic create TOPIC -p 1", b"").await.out();
    session.run("produce TOPIC -k k1", b"hello\n").await.out();
    let data = broker.data_dir();
    let folder = data.join(format!("{}-0", session.topic));
    let line = format!("log dump --records -o json {}", folder.display());
    let dumped = session.run(&line, b"").await.out();
    let mut lines = dumped
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let record = lines.find(|line| line["kind"] == "record").unwrap();
    assert_eq!(record["key"], "k1");
    assert_eq!(record["value"], "hello");
    let line = format!("log dump --check {}", data.display());
    let whole = session.run(&line, b"").await;
    assert_eq!(whole.out, "");
    assert_eq!(whole.exit, Exit::Ok, "{}", whole.err);
}
