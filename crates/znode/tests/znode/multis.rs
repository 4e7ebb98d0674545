//! All or nothing.

use ottla_jute::{Check, CreateMode, ErrorCode, MultiOp, MultiResult};

use crate::world::{World, create, create_ttl, delete, set_data};

fn made(path: &str) -> MultiOp {
    MultiOp::Create(create(path, CreateMode::Persistent))
}

fn gone(path: &str) -> MultiOp {
    MultiOp::Delete(delete(path, -1))
}

fn set(path: &str, version: i32) -> MultiOp {
    MultiOp::SetData(set_data(path, "multi", version))
}

fn check(path: &str, version: i32) -> MultiOp {
    let path = path.into();
    MultiOp::Check(Check { path, version })
}

/// The codes of a failed multi.
fn codes(world: &mut World, ops: Vec<MultiOp>) -> Vec<i32> {
    let digest = world.state.digest();
    let zxid = world.state.last_zxid();
    let results = world.multi(ops);
    // Nothing but the number of the change is another one.
    assert_eq!(world.state.last_zxid(), zxid + 1);
    let number = 0x9e37_79b9_7f4a_7c15_u64;
    assert_eq!(world.state.digest(), digest.wrapping_add(number));
    world.check();
    let code = |result: MultiResult| match result {
        MultiResult::Error(code) => code,
        other => panic!("{other:?}"),
    };
    results.into_iter().map(code).collect()
}

#[test]
fn later_operations_see_what_earlier_ones_do() {
    let mut world = World::new();
    world.nodes(&["/a"]);
    let results = world.multi(vec![
        made("/a/b"),
        check("/a/b", 0),
        set("/a/b", 0),
        check("/a/b", 1),
        made("/a/b/c"),
        gone("/a/b/c"),
        gone("/a/b"),
        MultiOp::Create2(create("/a/s-", CreateMode::PersistentSequential)),
        MultiOp::Create(create("/a/s-", CreateMode::EphemeralSequential)),
        MultiOp::CreateContainer(create("/a/c", CreateMode::Container)),
        MultiOp::CreateTtl(create_ttl("/a/t", CreateMode::PersistentWithTtl, 10)),
    ]);
    let zxid = world.state.last_zxid();
    assert!(matches!(&results[0], MultiResult::Create { path } if path == "/a/b"));
    assert_eq!(results[1], MultiResult::Check);
    assert!(matches!(&results[2], MultiResult::SetData(stat) if stat.version == 1));
    assert_eq!(results[5..7], [MultiResult::Delete, MultiResult::Delete]);
    // One was created before, and counts although it is gone.
    let MultiResult::Create2 { path, stat } = &results[7] else {
        panic!("{:?}", results[7]);
    };
    assert_eq!(path, "/a/s-0000000001");
    assert_eq!((stat.czxid, stat.num_children), (zxid, 0));
    assert!(matches!(&results[8], MultiResult::Create { path } if path == "/a/s-0000000002"));
    assert!(matches!(&results[9], MultiResult::Create2 { path, .. } if path == "/a/c"));
    assert!(matches!(&results[10], MultiResult::Create2 { path, .. } if path == "/a/t"));
    let parent = world.stat("/a").unwrap();
    assert_eq!(
        (parent.num_children, parent.cversion, parent.pzxid),
        (4, 6, zxid)
    );
    world.check();
}

#[test]
fn a_failure_leaves_everything_as_it_was() {
    let mut world = World::new();
    world.nodes(&["/a", "/a/b"]);
    let all = vec![
        made("/x"),
        gone("/a/b"),
        set("/a", -1),
        MultiOp::Create(create("/e", CreateMode::EphemeralSequential)),
        check("/a", 0),
        made("/y"),
        made("/z"),
    ];
    // The data of /a would have been set: its version is 1 by then.
    let expected = [0, 0, 0, 0, ErrorCode::BadVersion.code(), -2, -2];
    assert_eq!(codes(&mut world, all), expected);
    assert_eq!(world.children("/"), ["zookeeper", "a"]);
    assert_eq!(world.children("/a"), ["b"]);
    assert_eq!(world.text("/a"), "data");
    assert_eq!(world.state.ephemerals_count(), 0);
}

#[test]
fn what_is_foreseen_can_fail() {
    let mut world = World::new();
    world.nodes(&["/a", "/a/b"]);
    let cases = [
        (vec![made("/x"), made("/x")], ErrorCode::NodeExists),
        (vec![gone("/a/b"), gone("/a/b")], ErrorCode::NoNode),
        (vec![made("/a/c"), gone("/a")], ErrorCode::NotEmpty),
        (vec![gone("/a/b"), made("/a/b/c")], ErrorCode::NoNode),
        (
            vec![
                MultiOp::Create(create("/e", CreateMode::Ephemeral)),
                made("/e/x"),
            ],
            ErrorCode::NoChildrenForEphemerals,
        ),
        (vec![set("/a", 0), set("/a", 0)], ErrorCode::BadVersion),
    ];
    for (ops, error) in cases {
        let what = format!("{ops:?}");
        assert_eq!(codes(&mut world, ops), [0, error.code()], "{what}");
    }
    let emptied = world.multi(vec![gone("/a/b"), gone("/a")]);
    assert_eq!(emptied, [MultiResult::Delete, MultiResult::Delete]);
    assert_eq!(world.multi(vec![]), []);
    world.check();
}

#[test]
fn the_changes_of_a_multi_come_in_its_order_with_one_zxid() {
    let mut world = World::new();
    world.nodes(&["/a"]);
    let ops = vec![made("/b"), set("/a", -1), gone("/b"), check("/a", 1)];
    let outcome = world.outcome(1, ottla_jute::Request::Multi(ops));
    let changes: Vec<_> = outcome
        .changes
        .iter()
        .map(|change| format!("{:?} {}", change.kind, change.path))
        .collect();
    assert_eq!(changes, ["Created /b", "DataChanged /a", "Deleted /b"]);
    assert_eq!(world.stat("/").unwrap().pzxid, outcome.zxid);
    assert_eq!(world.stat("/a").unwrap().mzxid, outcome.zxid);
}
