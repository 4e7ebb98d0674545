//! The shell, fed from a pipe.

use ottla_cli::Exit;

use crate::harness::Keeper;

#[tokio::test]
async fn lines_share_a_session_and_zkclis_are_understood() {
    let keeper = Keeper::start("shell").await;
    let lines = "\
create -e /e mine
get /e
ephemerals
ls2 /   # with a stat
setAcl /e world:anyone:cdrwa
getAcl /e -o name
addauth digest bob:pw
whoami -o name
getAllChildrenNumber /
quit
create /never
";
    let ran = keeper.feed("shell", lines).await;
    let out = ran.out();
    assert!(
        out.starts_with("/e created\nmine\n/e\ne\ncZxid = 0x"),
        "{out}"
    );
    assert!(
        out.contains("/e: ACL set (version 1)\nworld:anyone:cdrwa\n"),
        "{out}"
    );
    assert!(out.ends_with("digest:bob\n1\n"), "{out}");
    assert_eq!(keeper.run("ls").await.out(), "");
    keeper.stop().await;
}

#[tokio::test]
async fn events_are_printed_behind_the_line_that_brings_them() {
    let keeper = Keeper::start("events").await;
    let lines = "create /w\nget -w /w\nset /w 1\nsync /\nset /w 2\nsync /\n";
    let out = keeper.feed("shell", lines).await.out();
    assert_eq!(out.matches("event: NodeDataChanged /w").count(), 1, "{out}");
    let lines = "watch /w\nset /w 1\nsync /\nset /w 2\nsync /\nunwatch /w\nset /w 3\nsync /\n";
    let out = keeper.feed("shell", lines).await.out();
    assert_eq!(out.matches("event: NodeDataChanged /w").count(), 2, "{out}");
    keeper.stop().await;
}

#[tokio::test]
async fn the_first_line_that_fails_ends_a_script_unless_it_keeps_going() {
    let keeper = Keeper::start("script").await;
    let lines = "create /a\nget /b\ncreate /c\n";
    let err = keeper.feed("shell", lines).await.err(Exit::NotFound);
    assert!(
        err.contains("line 2: get /b") && err.contains("there is no znode /b"),
        "{err}"
    );
    assert_eq!(keeper.run("ls").await.out(), "a\n");
    let lines = "create /a\nnonsense\nls 'open\ncreate /c\n";
    let err = keeper
        .feed("shell --keep-going", lines)
        .await
        .err(Exit::AlreadyExists);
    assert!(
        err.contains("3 of 4 lines failed") && err.contains("nonsense"),
        "{err}"
    );
    assert!(err.contains("a quote ' is not closed"), "{err}");
    assert_eq!(keeper.run("ls").await.out(), "a\nc\n");
    let help = keeper.feed("shell", "help\nhelp ls\n").await.out();
    assert!(
        help.contains("deleteall") && help.contains("--recursive"),
        "{help}"
    );
    keeper.stop().await;
}
