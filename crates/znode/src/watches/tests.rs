use std::sync::Arc;

use super::*;
use crate::acl;

const DAVE: u64 = 4;
const ERIN: u64 = 5;

fn change(kind: ChangeKind, path: &str) -> Change {
    Change {
        kind,
        path: path.into(),
        acl: [Acl::open()].into(),
        parent_acl: (kind != ChangeKind::DataChanged).then(|| [Acl::readable()].into()),
    }
}

/// What a change fires, as text: kind, path, watchers.
fn fire(watches: &mut Watches, kind: ChangeKind, path: &str) -> Vec<String> {
    let fired = watches.fire(&[change(kind, path)]);
    watches.check().expect("the tables agree");
    fired
        .iter()
        .map(|fired| format!("{} {} {:?}", fired.kind, fired.path, fired.watchers))
        .collect()
}

fn none() -> Vec<String> {
    Vec::new()
}

use ChangeKind::{Created, DataChanged, Deleted};

#[test]
fn watches_of_data_fire_once() {
    let mut watches = Watches::new();
    for (kind, event) in [
        (Created, "NodeCreated"),
        (DataChanged, "NodeDataChanged"),
        (Deleted, "NodeDeleted"),
    ] {
        watches.add("/a", DAVE, WatchMode::Data);
        watches.add("/a", DAVE, WatchMode::Data);
        watches.add("/a", ERIN, WatchMode::Data);
        assert_eq!(fire(&mut watches, kind, "/a/b"), none());
        assert_eq!(
            fire(&mut watches, kind, "/a"),
            [format!("{event} /a [4, 5]")]
        );
        assert_eq!(fire(&mut watches, kind, "/a"), none());
    }
    assert_eq!(watches.count(), 0);
}

#[test]
fn watches_of_children_fire_once_for_the_children_or_the_nodes_end() {
    let mut watches = Watches::new();
    let again = |watches: &mut Watches| watches.add("/a", DAVE, WatchMode::Children);
    again(&mut watches);
    assert_eq!(fire(&mut watches, DataChanged, "/a"), none());
    assert_eq!(fire(&mut watches, Created, "/a"), none());
    assert_eq!(fire(&mut watches, DataChanged, "/a/b"), none());
    assert_eq!(fire(&mut watches, Created, "/a/b/c"), none());
    for kind in [Created, Deleted] {
        assert_eq!(
            fire(&mut watches, kind, "/a/b"),
            ["NodeChildrenChanged /a [4]"]
        );
        assert_eq!(fire(&mut watches, kind, "/a/b"), none());
        again(&mut watches);
    }
    assert_eq!(fire(&mut watches, Deleted, "/a"), ["NodeDeleted /a [4]"]);
    assert_eq!(fire(&mut watches, Deleted, "/a"), none());
    watches.add("/", DAVE, WatchMode::Children);
    assert_eq!(
        fire(&mut watches, Created, "/a"),
        ["NodeChildrenChanged / [4]"]
    );
}

#[test]
fn whoever_watches_a_node_and_its_children_is_told_of_its_end_once() {
    let mut watches = Watches::new();
    watches.add("/a", DAVE, WatchMode::Data);
    watches.add("/a", DAVE, WatchMode::Children);
    watches.add("/a", 3, WatchMode::Children);
    watches.add("/a", ERIN, WatchMode::Persistent);
    watches.add("/", DAVE, WatchMode::Children);
    assert_eq!(
        fire(&mut watches, Deleted, "/a"),
        ["NodeDeleted /a [4, 5, 3]", "NodeChildrenChanged / [4]"]
    );
    // Only the persistent one is left.
    assert_eq!(fire(&mut watches, Deleted, "/a"), ["NodeDeleted /a [5]"]);
}

#[test]
fn persistent_watches_stay() {
    let mut watches = Watches::new();
    watches.add("/a", DAVE, WatchMode::Persistent);
    for _ in 0..2 {
        assert_eq!(fire(&mut watches, Created, "/a"), ["NodeCreated /a [4]"]);
        assert_eq!(
            fire(&mut watches, Created, "/a/b"),
            ["NodeChildrenChanged /a [4]"]
        );
        assert_eq!(fire(&mut watches, DataChanged, "/a/b"), none());
        assert_eq!(
            fire(&mut watches, DataChanged, "/a"),
            ["NodeDataChanged /a [4]"]
        );
    }
}

#[test]
fn recursive_watches_see_the_subtree_and_no_lists_of_children() {
    let mut watches = Watches::new();
    watches.add("/a", DAVE, WatchMode::PersistentRecursive);
    watches.add("/", ERIN, WatchMode::PersistentRecursive);
    for _ in 0..2 {
        assert_eq!(
            fire(&mut watches, Created, "/a/b/c"),
            ["NodeCreated /a/b/c [4, 5]"]
        );
        assert_eq!(fire(&mut watches, Deleted, "/a"), ["NodeDeleted /a [4, 5]"]);
        assert_eq!(
            fire(&mut watches, DataChanged, "/ab"),
            ["NodeDataChanged /ab [5]"]
        );
    }
    // Several watches, one event.
    watches.add("/a/b", DAVE, WatchMode::Data);
    watches.add("/a/b", DAVE, WatchMode::Persistent);
    assert_eq!(
        fire(&mut watches, Created, "/a/b"),
        ["NodeCreated /a/b [4, 5]"]
    );
    assert_eq!(
        fire(&mut watches, Created, "/a/b/x"),
        ["NodeCreated /a/b/x [4, 5]", "NodeChildrenChanged /a/b [4]"]
    );
}

#[test]
fn events_carry_the_acl_of_the_node_that_they_name() {
    let mut watches = Watches::new();
    watches.add("/a/b", DAVE, WatchMode::Data);
    watches.add("/a", DAVE, WatchMode::Children);
    let fired = watches.fire(&[change(Created, "/a/b")]);
    let acls: Vec<_> = fired.iter().map(|fired| &fired.acl[0]).collect();
    assert_eq!(acls, [&Acl::open(), &Acl::readable()]);
    let rules = crate::rules::Rules::default();
    assert!(acl::allows(
        &fired[1].acl,
        ottla_jute::perms::READ,
        &[],
        rules
    ));
}

#[test]
fn watches_are_found_and_removed_by_their_kind() {
    let mut watches = Watches::new();
    let modes = [
        (WatchMode::Data, WatcherType::Data),
        (WatchMode::Children, WatcherType::Children),
        (WatchMode::Persistent, WatcherType::Persistent),
        (
            WatchMode::PersistentRecursive,
            WatcherType::PersistentRecursive,
        ),
    ];
    for (mode, kind) in modes {
        watches.add("/a", DAVE, mode);
        assert!(watches.contains("/a", DAVE, kind));
        assert!(watches.contains("/a", DAVE, WatcherType::Any));
        for (_, other) in modes.iter().filter(|(other, _)| *other != mode) {
            assert!(!watches.contains("/a", DAVE, *other), "{mode:?} {other}");
            assert!(!watches.remove("/a", DAVE, *other));
        }
        assert!(!watches.contains("/a", ERIN, kind));
        assert!(!watches.contains("/b", DAVE, kind));
        assert!(watches.remove("/a", DAVE, kind));
        assert!(!watches.remove("/a", DAVE, kind));
    }
    for (mode, _) in modes {
        watches.add("/a", DAVE, mode);
    }
    watches.add("/a", ERIN, WatchMode::Data);
    assert!(watches.remove("/a", DAVE, WatcherType::Any));
    assert!(!watches.contains("/a", DAVE, WatcherType::Any));
    assert!(watches.contains("/a", ERIN, WatcherType::Any));
    watches.check().expect("the tables agree");
}

#[test]
fn a_watcher_that_goes_takes_its_watches_along() {
    let mut watches = Watches::new();
    for path in ["/a", "/b", "/c"] {
        watches.add(path, DAVE, WatchMode::Data);
        watches.add(path, ERIN, WatchMode::PersistentRecursive);
    }
    watches.remove_watcher(DAVE);
    watches.remove_watcher(77);
    watches.check().expect("the tables agree");
    assert_eq!(
        fire(&mut watches, DataChanged, "/a"),
        ["NodeDataChanged /a [5]"]
    );
    watches.remove_watcher(ERIN);
    assert_eq!(fire(&mut watches, DataChanged, "/a"), none());
    assert_eq!(watches.summary(), WatchSummary::default());
}

#[test]
fn the_sums_are_zookeepers() {
    let mut watches = Watches::new();
    watches.add("/a", DAVE, WatchMode::Data);
    watches.add("/a", DAVE, WatchMode::Children);
    watches.add("/a", ERIN, WatchMode::Persistent);
    watches.add("/b", ERIN, WatchMode::PersistentRecursive);
    watches.add("/c", ERIN, WatchMode::Children);
    // Of nodes: two at /a, one at /b. Of children: two at /a, one at /c.
    assert_eq!(watches.count(), 6);
    let summary = watches.summary();
    assert_eq!((summary.watchers, summary.paths, summary.total), (2, 2, 3));
    let by_path: BTreeMap<_, _> = watches.by_path().collect();
    assert_eq!(
        by_path,
        BTreeMap::from([("/a", vec![4, 5]), ("/b", vec![5])])
    );
    let by_watcher = watches.by_watcher();
    assert_eq!(by_watcher[&DAVE], ["/a"]);
    assert_eq!(by_watcher[&ERIN], ["/a", "/b"]);
}

#[test]
fn a_client_that_comes_back_is_told_what_it_has_missed() {
    use crate::{Command, Operation, Owner, Requester, Rules};
    use ottla_jute::{Create, Request, SetData};

    let mut state = State::new();
    let owner = Owner {
        server: 1,
        attach: 1,
    };
    state.apply(
        0,
        0,
        &Command::OpenSession {
            session: 1,
            password: [0; 16],
            timeout_ms: 1,
            owner,
        },
        Rules::default(),
    );
    let mut write = |request: Request| {
        let command = Command::Write {
            requester: Requester {
                session: 1,
                owner,
                cxid: 1,
                identities: Arc::from([]),
            },
            operation: Operation::try_from(request).expect("a change"),
        };
        let outcome = state.apply(0, 0, &command, Rules::default());
        assert!(outcome.reply.is_ok());
        outcome.zxid
    };
    let create = |path: &str| {
        Request::Create(Create {
            path: path.into(),
            data: None,
            acl: vec![Acl::open()],
            flags: 0,
        })
    };
    for path in ["/same", "/set", "/parent"] {
        write(create(path));
    }
    let seen = write(create("/parent2"));
    write(Request::SetData(SetData {
        path: "/set".into(),
        data: None,
        version: -1,
    }));
    write(create("/parent/child"));
    write(create("/new"));
    let mut watches = Watches::new();
    let paths = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    let set = SetWatches2 {
        relative_zxid: seen,
        data_watches: paths(&["/same", "/set", "/gone"]),
        exist_watches: paths(&["/new", "/absent"]),
        child_watches: paths(&["/same", "/parent", "/gone"]),
        persistent_watches: paths(&["/set", "/gone"]),
        persistent_recursive_watches: paths(&["/"]),
    };
    let events = watches.set_watches(&state, DAVE, &set);
    let events: Vec<_> = events
        .iter()
        .map(|(kind, path)| format!("{kind} {path}"))
        .collect();
    assert_eq!(
        events,
        [
            "NodeDataChanged /set",
            "NodeDeleted /gone",
            "NodeCreated /new",
            "NodeChildrenChanged /parent",
            "NodeDeleted /gone",
        ]
    );
    let has = |path: &str, kind| watches.contains(path, DAVE, kind);
    assert!(has("/same", WatcherType::Data) && has("/same", WatcherType::Children));
    assert!(has("/absent", WatcherType::Data));
    assert!(!has("/set", WatcherType::Data) && !has("/new", WatcherType::Data));
    assert!(!has("/parent", WatcherType::Children));
    assert!(has("/set", WatcherType::Persistent) && has("/gone", WatcherType::Persistent));
    assert!(has("/", WatcherType::PersistentRecursive));
    watches.check().expect("the tables agree");
}

#[test]
fn tables_agree_after_any_changes() {
    let mut watches = Watches::new();
    let mut random = 99_u64;
    let mut next = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) % bound
    };
    let modes = [
        WatchMode::Data,
        WatchMode::Children,
        WatchMode::Persistent,
        WatchMode::PersistentRecursive,
    ];
    let mut fired = 0;
    for _ in 0..20_000 {
        let path = match next(4) {
            0 => format!("/{}", next(5)),
            1 => format!("/{}/{}", next(5), next(5)),
            2 => "/".to_owned(),
            _ => format!("/{}/{}/{}", next(2), next(2), next(5)),
        };
        let watcher = next(100);
        match next(10) {
            0..6 => watches.add(&path, watcher, modes[next(4) as usize]),
            6 => {
                watches.remove(&path, watcher, WatcherType::ALL[next(5) as usize]);
            }
            7 => watches.remove_watcher(watcher),
            n => {
                let kind = [Created, Deleted, DataChanged][next(3) as usize];
                if n == 8 {
                    fired += watches.fire(&[change(kind, &path)]).len();
                }
            }
        }
    }
    watches.check().expect("the tables agree");
    assert!(fired > 100 && watches.count() > 100);
    for watcher in 0..100 {
        watches.remove_watcher(watcher);
    }
    watches.check().expect("the tables agree");
    assert_eq!(watches.count(), 0);
}
