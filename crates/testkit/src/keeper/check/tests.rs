//! Each check, against a history in which all is well and against forged ones in which one thing is wrong.

use ottla_jute::Stat;

use super::judge;
use crate::keeper::history::{Answer, Entry, Event, History, Version, Znode};

const REGISTER: &str = "/register-0";

/// What happens in a session of a client between two moments, in seconds.
fn at(client: usize, session: usize, times: (u64, u64), event: Event) -> (usize, Entry) {
    let entry = Entry {
        session,
        began_us: times.0 * 1_000_000,
        ended_us: times.1 * 1_000_000,
        event,
    };
    (client, entry)
}

fn version(version: i32) -> Version {
    let mzxid = 100 + i64::from(version);
    Version { version, mzxid }
}

fn wrote(value: &str, expected: Option<i32>, answer: Answer<i32>) -> Event {
    Event::Wrote {
        path: REGISTER.to_owned(),
        value: value.to_owned(),
        expected,
        answer: answer.map(version),
    }
}

fn read(value: &str, number: i32) -> Event {
    read_of(value, number, false, None)
}

fn read_of(value: &str, number: i32, watch: bool, synced_s: Option<u64>) -> Event {
    Event::Read {
        path: REGISTER.to_owned(),
        watch,
        synced_us: synced_s.map(|s| s * 1_000_000),
        answer: Answer::Done((value.to_owned(), version(number))),
    }
}

fn fired(kind: &str) -> Event {
    let (path, kind) = (REGISTER.to_owned(), kind.to_owned());
    Event::Fired { path, kind }
}

fn appended(value: &str, path: &str) -> Event {
    Event::Appended {
        value: value.to_owned(),
        answer: Answer::Done(path.to_owned()),
    }
}

fn made(path: &str) -> Event {
    Event::Made(Answer::Done(path.to_owned()))
}

fn listed(synced_s: u64, paths: &[&str]) -> Event {
    let paths = paths.iter().map(|path| (*path).to_owned());
    Event::Listed {
        synced_us: synced_s * 1_000_000,
        answer: Answer::Done(paths.collect()),
    }
}

fn opened() -> Event {
    Event::Opened { timeout_ms: 5000 }
}

fn over() -> Event {
    Event::Resumed(Answer::Refused("expired".to_owned()))
}

fn node(data: &str, number: i32) -> Znode {
    let Version { version, mzxid } = version(number);
    Znode {
        data: data.to_owned(),
        stat: Stat {
            version,
            mzxid,
            ..Stat::default()
        },
    }
}

/// A history whose servers end with a register like this, and with these nodes.
fn history(entries: Vec<(usize, Entry)>, register: (&str, i32), nodes: &[(&str, &str)]) -> History {
    let mut history = History::default();
    for (client, entry) in entries {
        let enough = history.clients.len().max(client + 1);
        history.clients.resize(enough, Vec::new());
        history.clients[client].push(entry);
    }
    let mut tree = crate::keeper::history::Tree::new();
    tree.insert(REGISTER.to_owned(), node(register.0, register.1));
    for (path, data) in nodes {
        tree.insert((*path).to_owned(), node(data, 0));
    }
    history.trees = vec![tree.clone(), tree];
    history
}

/// The checks that find something, each once.
#[track_caller]
fn finds(history: &History, expected: &[&str]) {
    let findings = judge(history);
    let mut checks: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
    checks.dedup();
    assert_eq!(checks, expected, "{findings:#?}");
}

#[test]
fn what_servers_may_do_is_no_finding() {
    let entries = vec![
        at(0, 1, (0, 1), opened()),
        at(0, 1, (1, 2), wrote("a", None, Answer::Done(1))),
        at(0, 1, (2, 3), read_of("a", 1, true, None)),
        at(0, 1, (4, 6), made("/mortal/n-0000000000")),
        // Nobody knows what became of it, until somebody sees it.
        at(1, 1, (1, 9), wrote("b", None, Answer::Unknown)),
        at(0, 1, (8, 8), fired("NodeDataChanged")),
        at(0, 1, (7, 8), read("b", 2)),
        // Others may be behind: they did not ask for the newest.
        at(2, 1, (8, 9), read("a", 1)),
        at(2, 1, (10, 11), read_of("b", 2, false, Some(9))),
        at(
            2,
            1,
            (11, 12),
            wrote("c", Some(1), Answer::Refused("version".to_owned())),
        ),
        at(2, 1, (12, 13), wrote("d", Some(2), Answer::Done(3))),
        at(2, 1, (12, 14), listed(11, &["/mortal/n-0000000000"])),
        at(0, 1, (20, 21), over()),
        at(2, 1, (23, 24), listed(22, &[])),
        at(2, 1, (24, 25), appended("e", "/kept/n-0000000000")),
        at(1, 1, (25, 26), appended("f", "/kept/n-0000000001")),
    ];
    let kept = [("/kept/n-0000000000", "e"), ("/kept/n-0000000001", "f")];
    finds(&history(entries, ("d", 3), &kept), &[]);
}

#[test]
fn a_version_with_two_values_is_found() {
    let entries = vec![
        at(0, 1, (1, 2), wrote("a", None, Answer::Done(1))),
        at(1, 1, (1, 2), wrote("b", None, Answer::Done(1))),
    ];
    finds(
        &history(entries, ("b", 1), &[]),
        &["one value for each version"],
    );
}

#[test]
fn a_write_that_came_twice_is_found() {
    let entries = vec![
        at(0, 1, (1, 2), wrote("a", None, Answer::Unknown)),
        at(1, 1, (3, 4), read("a", 1)),
        at(1, 1, (5, 6), read("a", 2)),
    ];
    finds(
        &history(entries, ("a", 2), &[]),
        &["one value for each version"],
    );
}

#[test]
fn values_of_nobody_and_of_the_future_and_of_the_refused_are_found() {
    let check = ["one value for each version"];
    let of_nobody = vec![at(0, 1, (1, 2), read("x", 0))];
    finds(&history(of_nobody, ("", 0), &[]), &check);
    let early = vec![
        at(0, 1, (1, 2), read("a", 1)),
        at(1, 1, (3, 4), wrote("a", None, Answer::Unknown)),
    ];
    finds(&history(early, ("a", 1), &[]), &check);
    let refused = vec![
        at(
            0,
            1,
            (0, 1),
            wrote("a", Some(7), Answer::Refused("version".to_owned())),
        ),
        at(1, 1, (3, 4), read("a", 1)),
    ];
    finds(&history(refused, ("a", 1), &[]), &check);
}

#[test]
fn a_write_in_front_of_what_was_known_is_found() {
    let entries = vec![
        at(0, 1, (1, 2), wrote("a", None, Answer::Done(2))),
        at(1, 1, (3, 4), wrote("b", None, Answer::Done(1))),
    ];
    finds(
        &history(entries, ("a", 2), &[]),
        &["writes are linearizable"],
    );
}

#[test]
fn a_read_behind_a_sync_that_misses_something_is_found() {
    let missed = |synced_s| {
        vec![
            at(0, 1, (1, 2), wrote("a", None, Answer::Done(1))),
            at(1, 1, (6, 7), read_of("", 0, false, Some(synced_s))),
        ]
    };
    finds(
        &history(missed(3), ("a", 1), &[]),
        &["writes are linearizable"],
    );
    finds(&history(missed(1), ("a", 1), &[]), &[]);
}

#[test]
fn a_comparison_that_did_not_compare_is_found() {
    let entries = vec![at(0, 1, (1, 2), wrote("a", Some(4), Answer::Done(1)))];
    finds(&history(entries, ("a", 1), &[]), &["compare and set"]);
    let refused = Answer::Refused("version".to_owned());
    let entries = vec![
        at(0, 1, (1, 2), wrote("a", None, Answer::Done(1))),
        at(0, 1, (3, 4), wrote("b", Some(1), refused)),
        at(1, 1, (5, 6), wrote("c", None, Answer::Done(2))),
    ];
    finds(&history(entries, ("c", 2), &[]), &["compare and set"]);
}

#[test]
fn a_register_that_is_gone_is_found() {
    let refused = Answer::Refused("no node".to_owned());
    let entries = vec![at(0, 1, (1, 2), wrote("a", None, refused))];
    finds(&history(entries, ("", 0), &[]), &["registers are there"]);
}

#[test]
fn half_of_what_belongs_together_is_found() {
    let half = |path: &str, mzxid: i64| Event::Wrote {
        path: path.to_owned(),
        value: "a".to_owned(),
        expected: None,
        answer: Answer::Done(Version { version: 1, mzxid }),
    };
    let entries = |mzxid| {
        let entries = vec![
            at(0, 1, (1, 2), half("/pair-0", 7)),
            at(0, 1, (1, 2), half("/pair-1", mzxid)),
        ];
        let mut history = history(entries, ("", 0), &[]);
        for tree in &mut history.trees {
            for path in ["/pair-0", "/pair-1"] {
                tree.insert(path.to_owned(), node("a", 1));
            }
        }
        history
    };
    finds(&entries(7), &[]);
    finds(&entries(8), &["both or none"]);
}

#[test]
fn what_is_lost_at_the_end_is_found() {
    let check = ["nothing acknowledged is lost"];
    let entries = || vec![at(0, 1, (1, 2), wrote("a", None, Answer::Done(1)))];
    finds(&history(entries(), ("", 0), &[]), &check);
    let kept = || vec![at(0, 1, (1, 2), appended("e", "/kept/n-0000000000"))];
    finds(&history(kept(), ("", 0), &[]), &check);
    let kept_twice = [("/kept/n-0000000000", "e"), ("/kept/n-0000000001", "e")];
    finds(&history(kept(), ("", 0), &kept_twice), &check);
    let strange = [("/kept/n-0000000000", "e"), ("/kept/n-0000000001", "x")];
    finds(&history(kept(), ("", 0), &strange), &check);
    finds(&History::default(), &check);
}

#[test]
fn a_session_that_sees_a_register_go_back_is_found() {
    let seen = |session| {
        vec![
            at(0, 1, (1, 2), wrote("a", None, Answer::Done(1))),
            at(0, session, (3, 4), read("", 0)),
        ]
    };
    finds(&history(seen(1), ("a", 1), &[]), &["reads never go back"]);
    finds(&history(seen(2), ("a", 1), &[]), &[]);
}

#[test]
fn news_in_front_of_their_event_are_found() {
    let entries = |event: Option<Event>| {
        let mut entries = vec![
            at(0, 1, (0, 1), read_of("", 0, true, None)),
            at(1, 1, (2, 3), wrote("a", None, Answer::Done(1))),
        ];
        entries.extend(event.map(|event| at(0, 1, (4, 4), event)));
        entries.push(at(0, 1, (4, 5), read("a", 1)));
        history(entries, ("a", 1), &[])
    };
    let check = ["a watch fires before its news"];
    finds(&entries(Some(fired("NodeDataChanged"))), &[]);
    finds(&entries(Some(fired("NodeDeleted"))), &check);
    finds(&entries(None), &check);
}

#[test]
fn events_about_nothing_are_found() {
    let check = ["a watch fires before its news"];
    let unwatched = vec![at(0, 1, (4, 4), fired("NodeDataChanged"))];
    finds(&history(unwatched, ("", 0), &[]), &check);
    let early = vec![
        at(0, 1, (0, 1), read_of("", 0, true, None)),
        at(0, 1, (2, 2), fired("NodeDataChanged")),
        at(1, 1, (3, 4), wrote("a", None, Answer::Done(1))),
    ];
    finds(&history(early, ("a", 1), &[]), &check);
}

#[test]
fn an_ephemeral_that_vanishes_is_found() {
    let check = ["ephemerals live with their session"];
    let path = "/mortal/n-0000000000";
    let entries = |alive_s| {
        vec![
            at(0, 1, (0, 1), opened()),
            at(0, 1, (1, 2), made(path)),
            at(1, 1, (4, 5), listed(3, &[])),
            at(0, 1, (alive_s, 9), wrote("a", None, Answer::Done(1))),
        ]
    };
    finds(&history(entries(8), ("a", 1), &[]), &check);
    // It may have ended while the list was on its way.
    finds(&history(entries(4), ("a", 1), &[]), &[]);
    let answer = Answer::Done(false);
    let path = path.to_owned();
    let looked = Event::Looked { path, answer };
    let own = vec![
        at(0, 1, (1, 2), made("/mortal/n-0000000000")),
        at(0, 1, (3, 4), looked),
    ];
    finds(&history(own, ("", 0), &[]), &check);
}

#[test]
fn an_ephemeral_that_outlives_its_session_is_found() {
    let check = ["ephemerals end with their session"];
    let path = "/mortal/n-0000000000";
    let ends = [
        over(),
        Event::Closed(Answer::Done(())),
        Event::Removed {
            path: path.to_owned(),
            answer: Answer::Done(()),
        },
    ];
    for end in ends {
        let entries = |synced_s| {
            vec![
                at(0, 1, (0, 1), opened()),
                at(0, 1, (1, 2), made(path)),
                at(0, 1, (10, 11), end.clone()),
                at(1, 1, (13, 14), listed(synced_s, &[path])),
            ]
        };
        finds(&history(entries(12), ("", 0), &[]), &check);
        finds(&history(entries(10), ("", 0), &[]), &[]);
    }
    let mut left = history(Vec::new(), ("", 0), &[(path, "")]);
    for tree in &mut left.trees {
        for node in tree.values_mut().filter(|node| node.stat.version == 0) {
            node.stat.ephemeral_owner = 7;
        }
    }
    finds(&left, &check);
}

#[test]
fn sequential_names_that_repeat_or_go_back_are_found() {
    let kept = [("/kept/n-0000000005", "a"), ("/kept/n-0000000004", "b")];
    let entries = |second: &str| {
        vec![
            at(0, 1, (1, 2), made("/mortal/n-0000000005")),
            at(1, 1, (3, 4), made(second)),
        ]
    };
    let check = ["sequential nodes"];
    finds(
        &history(entries("/mortal/n-0000000004"), ("", 0), &[]),
        &check,
    );
    finds(
        &history(entries("/mortal/n-0000000005"), ("", 0), &[]),
        &check,
    );
    finds(&history(entries("/mortal/n-x"), ("", 0), &[]), &check);
    let at_once = vec![
        at(0, 1, (1, 4), appended("a", kept[0].0)),
        at(1, 1, (3, 5), appended("b", kept[1].0)),
    ];
    finds(&history(at_once, ("", 0), &kept), &[]);
}

#[test]
fn a_session_that_ends_early_is_found() {
    let entries = |over_s| {
        vec![
            at(0, 1, (0, 1), opened()),
            at(0, 1, (10, 11), Event::Resumed(Answer::Done(()))),
            at(0, 1, (over_s, over_s), over()),
        ]
    };
    finds(
        &history(entries(14), ("", 0), &[]),
        &["sessions do not end early"],
    );
    finds(&history(entries(16), ("", 0), &[]), &[]);
}

#[test]
fn servers_that_differ_are_found() {
    let mut different = history(Vec::new(), ("", 0), &[]);
    different.trees[1].insert("/x".to_owned(), node("", 0));
    finds(&different, &["servers are alike"]);
}
