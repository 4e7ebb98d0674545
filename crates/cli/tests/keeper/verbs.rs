//! What the verbs do and print.

use ottla_cli::Exit;

use crate::harness::Keeper;

#[tokio::test]
async fn a_znode_is_created_read_set_listed_and_deleted() {
    let keeper = Keeper::start("life").await;
    assert_eq!(
        keeper.run("create /app hello").await.out(),
        "/app created\n"
    );
    assert_eq!(keeper.run("get /app").await.out(), "hello\n");
    assert_eq!(keeper.run("get /app --format raw").await.out(), "hello");
    assert_eq!(
        keeper.run("set /app two~words -v 0").await.out(),
        "/app set (version 1)\n"
    );
    let stale = keeper.run("set /app x -v 0").await.err(Exit::Failed);
    assert!(
        stale.contains("its version is another one") && stale.contains("BADVERSION"),
        "{stale}"
    );
    let got = keeper.json("get /app").await;
    assert_eq!(
        (&got["data"], &got["encoding"]),
        (&"two words".into(), &"text".into())
    );
    assert_eq!(got["stat"]["version"], 1);
    assert_eq!(got["stat"]["ephemeral_owner"], "0x0");
    keeper.run("create /app/b/c --parents").await.out();
    keeper.run("create /app/a /gw== --base64").await.out();
    assert_eq!(keeper.run("ls /app").await.out(), "a\nb\n");
    assert_eq!(
        keeper.run("ls -R").await.out(),
        "/app\n/app/a\n/app/b\n/app/b/c\n"
    );
    assert_eq!(
        keeper.run("get /app/a --format hex").await.out(),
        "00000000  fe 0c                                            ..\n"
    );
    let binary = keeper.json("get /app/a").await;
    assert_eq!(
        (&binary["data"], &binary["encoding"]),
        (&"/gw=".into(), &"base64".into())
    );
    let refused = keeper.run("delete /app").await.err(Exit::Failed);
    assert!(
        refused.contains("it has children") && refused.contains("deleteall"),
        "{refused}"
    );
    let would = keeper.run("deleteall /app --dry-run").await.out();
    assert_eq!(would, "/app would be deleted with 3 below it\n");
    assert_eq!(
        keeper.run("deleteall /app").await.out(),
        "/app deleted with 3 below it\n"
    );
    assert_eq!(keeper.run("ls").await.out(), "");
    keeper.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_told_with_what_could_be_meant() {
    let keeper = Keeper::start("absent").await;
    keeper.run("create /orders").await.out();
    let absent = keeper.run("get /ordres").await.err(Exit::NotFound);
    assert!(
        absent.contains("there is no znode /ordres; did you mean /orders?"),
        "{absent}"
    );
    let orphan = keeper.run("create /x/y").await.err(Exit::NotFound);
    assert!(
        orphan.contains("there is no znode /x") && orphan.contains("--parents"),
        "{orphan}"
    );
    let again = keeper.run("create /orders").await.err(Exit::AlreadyExists);
    assert!(again.contains("it exists already"), "{again}");
    let unchanged = keeper.run("create /orders --if-not-exists").await.out();
    assert_eq!(unchanged, "/orders exists already; nothing was changed\n");
    let gone = keeper.run("delete /gone --if-exists").await.out();
    assert_eq!(gone, "/gone does not exist; nothing was changed\n");
    let forgotten = keeper.run("set /orders").await.err(Exit::Usage);
    assert!(forgotten.contains("the data are missing"), "{forgotten}");
    keeper.stop().await;
}

#[tokio::test]
async fn all_kinds_of_znodes_can_be_created() {
    let keeper = Keeper::start("kinds").await;
    let first = keeper.run("create -s /n-").await.out();
    let second = keeper.run("create -s / x").await.out();
    assert_eq!(
        (first.as_str(), second.as_str()),
        ("/n-0000000000 created\n", "/0000000001 created\n")
    );
    keeper.run("create -c /container").await.out();
    let ephemeral = keeper.json("create -e /e").await;
    assert_ne!(ephemeral["stat"]["ephemeral_owner"], "0x0");
    // The session has ended with the command, and the znode with it.
    keeper.run("get /e").await.err(Exit::NotFound);
    if keeper.is_own() {
        keeper.run("create -t 1h /ttl").await.out();
        keeper.run("create -s -t 5000 /ttl-").await.out();
    }
    let slash = keeper.run("create /a/").await.err(Exit::Usage);
    assert!(slash.contains("--sequential"), "{slash}");
    keeper.stop().await;
}

#[tokio::test]
async fn several_operations_are_carried_out_together_or_not_at_all() {
    let keeper = Keeper::start("multi").await;
    keeper.run("create /a one").await.out();
    let done = keeper
        .run("multi check~/a~0 create~/b~'x~y' set~/a~two delete~/b")
        .await
        .out();
    let expected = "\
OPERATION   PATH   VERSION
check       /a     -
create      /b     0
set         /a     1
delete      /b     -
";
    assert_eq!(done, expected);
    let failed = keeper
        .run("multi set~/a~three check~/a~7 create~/c")
        .await
        .err(Exit::Failed);
    assert!(
        failed.contains("operation 2") && failed.contains("none of the operations"),
        "{failed}"
    );
    assert!(failed.contains("(/a)"), "{failed}");
    assert_eq!(keeper.run("get /a").await.out(), "two\n");
    let lines = "# a comment\ncreate /c 'from a file'\n\nset -v 1 /a three\n";
    keeper.feed("multi --file -", lines).await.out();
    assert_eq!(keeper.run("get /c").await.out(), "from a file\n");
    let wrong = keeper
        .feed("multi --file -", "create /d\nfrobnicate /a\n")
        .await
        .err(Exit::Failed);
    assert!(
        wrong.contains("-, line 2") && wrong.contains("frobnicate"),
        "{wrong}"
    );
    keeper.stop().await;
}

#[tokio::test]
async fn acls_are_shown_as_they_are_set_and_keep_others_out() {
    let keeper = Keeper::start("acl").await;
    assert_eq!(
        keeper
            .run("whoami --auth digest:alice:secret -o name")
            .await
            .out()
            .lines()
            .last(),
        Some("digest:alice")
    );
    keeper
        .run("create /mine data auth::cdrwa --auth digest:alice:secret")
        .await
        .out();
    let denied = keeper.run("get /mine").await.err(Exit::Denied);
    assert!(
        denied.contains("its ACL does not allow it") && denied.contains("(NOAUTH)"),
        "{denied}"
    );
    assert_eq!(
        keeper.run("get /mine -a digest:alice:secret").await.out(),
        "data\n"
    );
    let acl = keeper.json("acl get /mine -a digest:alice:secret").await;
    assert_eq!(acl["acl"][0]["scheme"], "digest");
    assert_eq!(acl["acl"][0]["permissions"], "cdrwa");
    let set = keeper
        .run("acl set /mine world:anyone:r,auth::cdrwa -a digest:alice:secret")
        .await;
    assert_eq!(set.out(), "/mine: ACL set (version 1)\n");
    assert_eq!(keeper.run("get /mine").await.out(), "data\n");
    keeper.run("create /tree/a/b --parents").await.out();
    let set = keeper
        .run("acl set -R /tree world:anyone:cdrwa")
        .await
        .out();
    assert_eq!(set, "/tree: ACL set, here and below: 3 znodes\n");
    keeper
        .run("delete /mine -a digest:alice:secret")
        .await
        .out();
    keeper.stop().await;
}

#[tokio::test]
async fn quotas_are_set_inside_of_the_chroot_and_show_their_use() {
    let keeper = Keeper::start("quota").await;
    keeper.run("create /q/a --parents").await.out();
    let set = keeper.json("quota set /q -n 5 --bytes 1KiB -N 10").await;
    let quota = &set["quotas"][0];
    assert_eq!((&quota["path"], &quota["count"]), (&"/q".into(), &2.into()));
    assert_eq!(
        (&quota["count_limit"], &quota["bytes_limit"]),
        (&5.into(), &1024.into())
    );
    assert_eq!(quota["count_hard_limit"], 10);
    let full = format!("/zookeeper/quota{}/q/zookeeper_limits", keeper.chroot());
    let raw = keeper
        .run_at(keeper.server(), &format!("get {full}"), "")
        .await;
    let numbers = "count=5,bytes=1024=;countHardLimit=10\n";
    assert_eq!(raw.out(), numbers);
    keeper.run("create /q/b 0123456789").await.out();
    let listed = keeper.json("quota list").await;
    assert_eq!(
        (&listed["quotas"][0]["count"], &listed["quotas"][0]["bytes"]),
        (&3.into(), &10.into())
    );
    let nested = keeper.run("quota set /q/a -n 1").await.err(Exit::Failed);
    assert!(nested.contains("has one already"), "{nested}");
    let some = keeper.json("quota del /q -N").await;
    assert_eq!(
        some["quotas"][0]["count_hard_limit"],
        serde_json::Value::Null
    );
    let gone = keeper.run("quota del /q").await;
    assert_eq!(
        (gone.exit, gone.err.as_str()),
        (Exit::Ok, "/q: the quota is deleted\n")
    );
    keeper.run("quota list /q").await.err(Exit::NotFound);
    let top = format!("ls /zookeeper/quota{}", keeper.chroot());
    keeper
        .run_at(keeper.server(), &top, "")
        .await
        .err(Exit::NotFound);
    keeper.stop().await;
}

#[tokio::test]
async fn a_watch_prints_what_happens() {
    let keeper = Keeper::start("watch").await;
    keeper.run("create /w").await.out();
    let watching = keeper.run("watch /w /new --recursive --data -n 5 -o json");
    let changing = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        keeper.run("set /w one").await.out();
        keeper.run("create /w/c child").await.out();
        keeper.run("create /new").await.out();
        keeper.run("deleteall /w").await.out();
    };
    let (watched, ()) = tokio::join!(watching, changing);
    let lines: Vec<serde_json::Value> = watched
        .out()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seen: Vec<String> = lines
        .iter()
        .map(|l| {
            format!(
                "{} {}",
                l["event"].as_str().unwrap(),
                l["path"].as_str().unwrap()
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            "NodeDataChanged /w",
            "NodeCreated /w/c",
            "NodeCreated /new",
            "NodeDeleted /w/c",
            "NodeDeleted /w"
        ]
    );
    assert_eq!(lines[0]["data"], "one");
    let waiting = keeper.run("get /new -w");
    let changing = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        keeper.run("set /new x").await.out();
    };
    let (waited, ()) = tokio::join!(waiting, changing);
    let out = waited.out();
    assert!(
        out.starts_with('\n') && out.trim_end().ends_with("NodeDataChanged /new"),
        "{out:?}"
    );
    keeper.stop().await;
}

#[tokio::test]
async fn a_server_alone_has_no_members() {
    let keeper = Keeper::start("members").await;
    if keeper.is_own() {
        let listed = keeper.run("members").await;
        assert!(listed.err.contains("the server is alone"), "{}", listed.err);
        let refused = keeper.run("members remove 2 -o json").await;
        let refused = refused.err(Exit::Failed);
        assert!(refused.contains("reconfigEnabled"), "{refused}");
    }
    keeper.stop().await;
}

#[tokio::test]
async fn flags_of_kafka_and_wrong_addresses_are_refused_by_name() {
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let ran = crate::harness::run(words("ottla keeper ls -b h:9092").into_iter(), "").await;
    assert!(ran.err(Exit::Usage).contains("named with --server"));
    let ran = crate::harness::run(words("ottla keeper ls -S zk:").into_iter(), "").await;
    assert!(ran.err(Exit::Usage).contains("write HOST:PORT"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for line in ["ls", "status"] {
        let line = format!("ottla keeper {line} -S 127.0.0.1:{port}");
        let ran = crate::harness::run(words(&line).into_iter(), "").await;
        let err = ran.err(Exit::Unreachable);
        assert!(
            err.contains("Connection refused") && err.contains("--server"),
            "{err}"
        );
    }
}
