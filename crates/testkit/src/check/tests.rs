//! Each check finds a planted violation, and nothing in a history without one.

use super::*;
use crate::history::{Client, Entry, Journal, Moves, Place, Role, Stored};

/// A client from the lines of its journal; times are the lines' numbers unless they begin with one.
fn client(name: &str, role: Role, lines: &[&str]) -> Client {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let numbered = lines.iter().enumerate().map(|(number, line)| {
        let timed = line.starts_with(|c: char| c.is_ascii_digit());
        if timed {
            format!("{line}\n")
        } else {
            format!("{} {line}\n", number + 1)
        }
    });
    std::fs::write(&path, numbered.collect::<String>()).unwrap();
    let entries: Vec<Entry> = Journal::read(&path).unwrap();
    Client {
        name: name.to_owned(),
        role,
        entries,
    }
}

fn producer(lines: &[&str]) -> Client {
    client("p", Role::Producer, lines)
}

fn reader(committed: bool, lines: &[&str]) -> Client {
    client("r", Role::Reader { committed }, lines)
}

fn member(name: &str, lines: &[&str]) -> Client {
    client(name, Role::Member { group: "g".into() }, lines)
}

fn observer(lines: &[&str]) -> Client {
    client("o", Role::Observer { group: "g".into() }, lines)
}

/// Partition 0 of topic `t` with these records, all of them committed.
fn history(clients: Vec<Client>, records: &[(i64, &str)]) -> History {
    let all = || records.iter().map(|(o, v)| (*o, (*v).to_owned())).collect();
    let stored = Stored {
        everything: all(),
        committed: all(),
    };
    History {
        clients,
        stored: [(Place::of("t", 0), stored)].into(),
        ..History::default()
    }
}

/// The names of the checks that found something.
fn found(history: &History) -> Vec<&'static str> {
    let mut names: Vec<_> = judge(history).iter().map(|finding| finding.check).collect();
    names.dedup();
    names
}

const GOOD: [&str; 4] = [
    "send 0 t 0 a",
    "acked 0 t 0 a 0",
    "send 0 t 0 b",
    "acked 0 t 0 b 1",
];

#[test]
fn a_good_history_has_no_findings() {
    let clients = vec![
        producer(&GOOD),
        reader(false, &["position t 0 0", "read t 0 0 a", "read t 0 1 b"]),
        member(
            "m",
            &[
                "position t 0 0",
                "read t 0 0 a",
                "read t 0 1 b",
                "commit-offset t 0 2",
                "offset-committed t 0 2",
            ],
        ),
        observer(&["ask-offset t 0", "9 offset-told t 0 2"]),
    ];
    let mut good = history(clients, &[(0, "a"), (1, "b")]);
    good.group_offsets
        .insert(("g".into(), Place::of("t", 0)), 2);
    assert_eq!(found(&good), [] as [&str; 0]);
}

#[test]
fn a_lost_acknowledged_record_is_found() {
    assert_eq!(
        found(&history(vec![producer(&GOOD)], &[(0, "a")])),
        ["lost acknowledged record"]
    );
}

#[test]
fn a_record_without_an_acknowledgement_may_be_there_or_not() {
    let p = || {
        vec![producer(&[
            "send 0 t 0 a",
            "send 0 t 0 b",
            "refused 0 t 0 b why",
        ])]
    };
    assert!(found(&history(p(), &[])).is_empty());
    assert!(found(&history(p(), &[(0, "a"), (1, "b")])).is_empty());
}

#[test]
fn a_lost_record_of_a_committed_transaction_is_found() {
    let p = producer(&[
        "begin 1",
        "send 1 t 0 a",
        "send 1 t 0 b",
        "commit 1",
        "committed 1",
    ]);
    assert_eq!(
        found(&history(vec![p], &[(0, "a")])),
        ["lost acknowledged record"]
    );
}

#[test]
fn a_duplicate_is_found() {
    let records = [(0, "a"), (1, "b"), (2, "a")];
    assert_eq!(
        found(&history(vec![producer(&GOOD)], &records)),
        ["duplicate"]
    );
}

#[test]
fn what_a_client_wrote_again_in_a_new_epoch_is_no_duplicate() {
    let mut twice = history(vec![producer(&GOOD)], &[(0, "a"), (1, "b"), (2, "a")]);
    let again = (Place::of("t", 0), "a".to_owned());
    twice.written_again.insert(again);
    assert!(found(&twice).is_empty());
}

#[test]
fn reordered_records_are_found() {
    let p = producer(&["send 0 t 0 a", "send 0 t 0 b"]);
    assert_eq!(
        found(&history(vec![p], &[(0, "b"), (1, "a")])),
        ["reordered"]
    );
}

#[test]
fn what_is_sent_again_after_an_abort_may_lie_elsewhere() {
    let p = producer(&[
        "begin 1",
        "send 1 t 0 b",
        "abort 1",
        "aborted 1",
        "begin 2",
        "send 2 t 0 a",
        "send 2 t 0 b",
        "commit 2",
        "committed 2",
    ]);
    assert!(found(&history(vec![p], &[(0, "a"), (1, "b")])).is_empty());
}

#[test]
fn an_unseen_record_is_found() {
    let m = member("m", &["read t 0 0 a"]);
    let mut unseen = history(vec![m], &[(0, "a"), (1, "b"), (2, "c")]);
    unseen
        .group_offsets
        .insert(("g".into(), Place::of("t", 0)), 2);
    assert_eq!(judge(&unseen).len(), 1);
    assert_eq!(found(&unseen), ["unseen record"]);
}

#[test]
fn what_one_member_did_not_see_another_may_have_seen() {
    let clients = vec![
        member("m", &["position t 0 0", "read t 0 0 a", "revoked t 0"]),
        member("n", &["position t 0 1", "read t 0 1 b"]),
    ];
    let mut good = history(clients, &[(0, "a"), (1, "b")]);
    good.group_offsets
        .insert(("g".into(), Place::of("t", 0)), 2);
    assert!(found(&good).is_empty());
}

#[test]
fn an_aborted_read_is_found() {
    let p = producer(&["begin 1", "send 1 t 0 a", "abort 1", "aborted 1"]);
    let mut aborted = history(vec![p, reader(true, &["read t 0 0 a"])], &[(0, "a")]);
    aborted
        .stored
        .get_mut(&Place::of("t", 0))
        .unwrap()
        .committed
        .clear();
    assert_eq!(found(&aborted), ["aborted read"]);
}

#[test]
fn who_reads_everything_may_see_aborted_records() {
    let p = producer(&["begin 1", "send 1 t 0 a", "abort 1", "aborted 1"]);
    let mut aborted = history(vec![p, reader(false, &["read t 0 0 a"])], &[(0, "a")]);
    aborted
        .stored
        .get_mut(&Place::of("t", 0))
        .unwrap()
        .committed
        .clear();
    assert!(found(&aborted).is_empty());
}

#[test]
fn a_transaction_that_nobody_committed_and_that_is_there_is_found() {
    let p = producer(&["begin 1", "send 1 t 0 a"]);
    assert_eq!(found(&history(vec![p], &[(0, "a")])), ["aborted read"]);
}

#[test]
fn a_torn_transaction_is_found() {
    let p = || {
        producer(&[
            "begin 1",
            "send 1 t 0 a",
            "send 1 t 0 b",
            "commit 1",
            "error 1 why",
        ])
    };
    assert_eq!(
        found(&history(vec![p()], &[(0, "a")])),
        ["torn transaction"]
    );
    assert!(found(&history(vec![p()], &[])).is_empty());
    assert!(found(&history(vec![p()], &[(0, "a"), (1, "b")])).is_empty());
}

#[test]
fn an_offset_with_two_records_is_found() {
    let acknowledged = producer(&["send 0 t 0 a", "acked 0 t 0 a 1"]);
    let wrong = history(vec![acknowledged], &[(0, "a"), (1, "b")]);
    assert_eq!(found(&wrong), ["inconsistent offset"]);
    let read = history(vec![reader(false, &["read t 0 0 a"])], &[(0, "b")]);
    assert_eq!(found(&read), ["inconsistent offset"]);
}

#[test]
fn a_poll_that_skips_is_found() {
    let skipping = reader(false, &["position t 0 0", "read t 0 0 a", "read t 0 2 c"]);
    let records = [(0, "a"), (1, "b"), (2, "c")];
    assert_eq!(found(&history(vec![skipping], &records)), ["poll skip"]);
    let late = reader(false, &["position t 0 0", "read t 0 1 b"]);
    assert_eq!(found(&history(vec![late], &records)), ["poll skip"]);
}

#[test]
fn offsets_without_records_are_no_skips() {
    let r = reader(true, &["position t 0 0", "read t 0 0 a", "read t 0 2 c"]);
    assert!(found(&history(vec![r], &[(0, "a"), (2, "c")])).is_empty());
}

#[test]
fn a_poll_that_goes_back_is_found_but_not_after_a_new_position() {
    let records = [(0, "a"), (1, "b")];
    let back = reader(false, &["read t 0 0 a", "read t 0 1 b", "read t 0 0 a"]);
    assert_eq!(
        found(&history(vec![back], &records)),
        ["poll that went back"]
    );
    let sought = reader(
        false,
        &[
            "read t 0 0 a",
            "read t 0 1 b",
            "position t 0 0",
            "read t 0 0 a",
        ],
    );
    assert!(found(&history(vec![sought], &records)).is_empty());
}

#[test]
fn a_commit_that_goes_back_is_found() {
    let m = || {
        member(
            "m",
            &[
                "1 commit-offset t 0 1",
                "2 offset-committed t 0 1",
                "3 commit-offset t 0 5",
                "4 offset-committed t 0 5",
            ],
        )
    };
    let told = |asked, answered: &str| {
        let o = observer(&[asked, answered]);
        found(&history(vec![m(), o], &[]))
    };
    assert_eq!(
        told("5 ask-offset t 0", "6 offset-told t 0 1"),
        ["commit that went back"]
    );
    assert_eq!(
        told("5 ask-offset t 0", "6 offset-told t 0 -1"),
        ["commit that went back"]
    );
    assert_eq!(
        told("5 ask-offset t 0", "6 offset-told t 0 3"),
        ["commit that went back"]
    );
    assert!(told("5 ask-offset t 0", "6 offset-told t 0 5").is_empty());
}

#[test]
fn a_coordinator_that_does_not_know_of_its_successor_may_tell_what_was_before() {
    let m = member(
        "m",
        &[
            "1 commit-offset t 0 1",
            "2 offset-committed t 0 1",
            "3 commit-offset t 0 5",
            "4 offset-committed t 0 5",
            "6 commit-offset t 0 9",
            "7 offset-committed t 0 9",
        ],
    );
    let asking = |told: &str| observer(&["8 ask-offset t 0", &format!("9 offset-told t 0 {told}")]);
    let told = |told: &str, unaware: (u64, u64)| {
        let history = history(vec![m.clone(), asking(told)], &[]);
        found(&History {
            unaware: vec![unaware],
            ..history
        })
    };
    assert!(told("5", (5, 9)).is_empty());
    assert_eq!(told("1", (5, 9)), ["commit that went back"]);
    assert_eq!(told("5", (5, 8)), ["commit that went back"]);
}

#[test]
fn a_commit_on_its_way_explains_both_answers() {
    let m = || {
        member(
            "m",
            &[
                "1 commit-offset t 0 1",
                "2 offset-committed t 0 1",
                "5 commit-offset t 0 5",
            ],
        )
    };
    for answer in ["7 offset-told t 0 1", "7 offset-told t 0 5"] {
        let o = observer(&["6 ask-offset t 0", answer]);
        assert!(found(&history(vec![m(), o], &[])).is_empty(), "{answer}");
    }
}

fn moved(records: &[(i64, &str)], committed: i64) -> History {
    let mut all = history(Vec::new(), &[(0, "a"), (1, "b"), (2, "c")]);
    let to: Stored = history(Vec::new(), records).stored.pop_first().unwrap().1;
    all.stored.insert(Place::of("out", 0), to);
    all.moves = Some(Moves {
        from: "t".into(),
        to: "out".into(),
        group: "g".into(),
    });
    all.group_offsets
        .insert(("g".into(), Place::of("t", 0)), committed);
    all
}

#[test]
fn moved_records_that_do_not_fit_their_offset_are_found() {
    assert!(found(&moved(&[(0, "a"), (3, "b")], 2)).is_empty());
    assert_eq!(found(&moved(&[(0, "a")], 2)), ["moved records"]);
    assert_eq!(
        found(&moved(&[(0, "a"), (1, "b"), (2, "c")], 2)),
        ["moved records"]
    );
    assert_eq!(found(&moved(&[(0, "b"), (1, "a")], 2)), ["moved records"]);
}
