//! Quotas, as zkCli's `setquota` makes them.

use ottla_jute::{CreateMode, ErrorCode, MultiOp, Request};

use crate::world::{World, create, data};

const LIMITS: &str = "/zookeeper/quota/q/zookeeper_limits";
const STATS: &str = "/zookeeper/quota/q/zookeeper_stats";

fn put(world: &mut World, path: &str, text: &str) {
    let mut create = create(path, CreateMode::Persistent);
    create.data = data(text);
    world.request(1, Request::Create(create)).unwrap();
}

/// A subtree of three nodes and twelve bytes, with a quota.
fn world(limits: &str) -> World {
    let mut world = World::new();
    world.nodes(&["/q", "/q/a", "/q/a/b", "/other", "/zookeeper/quota/q"]);
    put(&mut world, LIMITS, limits);
    put(&mut world, STATS, "count=0,bytes=0");
    world
}

#[test]
fn what_there_is_is_counted_at_first_and_then_kept_up() {
    let mut world = world("count=100,bytes=100");
    assert_eq!(world.text(STATS), "count=3,bytes=12");
    let stats = world.stat(STATS).unwrap();
    world.nodes(&["/q/c", "/other/x"]);
    assert_eq!(world.text(STATS), "count=4,bytes=16");
    world.set("/q/c", "0123456789", -1).unwrap();
    world.set("/other", "0123456789", -1).unwrap();
    assert_eq!(world.text(STATS), "count=4,bytes=22");
    world.delete("/q/a/b", -1).unwrap();
    assert_eq!(world.text(STATS), "count=3,bytes=18");
    // Nobody has set the data of that node.
    let after = world.stat(STATS).unwrap();
    assert_eq!((after.version, after.mzxid), (stats.version, stats.mzxid));
    assert_eq!(after.data_length, 16);
    world.check();
}

#[test]
fn the_closest_quota_is_the_one_that_counts() {
    let mut world = world("count=100,bytes=100");
    world.nodes(&["/zookeeper/quota/q/a"]);
    put(
        &mut world,
        "/zookeeper/quota/q/a/zookeeper_limits",
        "count=9,bytes=9",
    );
    put(&mut world, "/zookeeper/quota/q/a/zookeeper_stats", "");
    world.nodes(&["/q/a/new"]);
    assert_eq!(
        world.text("/zookeeper/quota/q/a/zookeeper_stats"),
        "count=3,bytes=12"
    );
    assert_eq!(world.text(STATS), "count=3,bytes=12");
    world
        .delete("/zookeeper/quota/q/a/zookeeper_limits", -1)
        .unwrap();
    world.nodes(&["/q/a/newer"]);
    assert_eq!(
        world.text("/zookeeper/quota/q/a/zookeeper_stats"),
        "count=3,bytes=12"
    );
    assert_eq!(world.text(STATS), "count=4,bytes=16");
    world.check();
}

#[test]
fn hard_limits_are_enforced_and_soft_ones_are_not() {
    let mut world = world("count=1,bytes=1");
    world.nodes(&["/q/soft"]);
    let hard = "count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=5";
    world.set(LIMITS, hard, -1).unwrap();
    world.nodes(&["/q/fifth"]);
    assert_eq!(
        world.create("/q/sixth", CreateMode::Persistent),
        Err(ErrorCode::QuotaExceeded)
    );
    // The quota comes before the version.
    assert_eq!(world.set("/q", "12345", 9), Err(ErrorCode::QuotaExceeded));
    assert_eq!(world.set("/q", "1234", 9), Err(ErrorCode::BadVersion));
    assert_eq!(world.text(STATS), "count=5,bytes=20");
    world.set("/q", "", -1).unwrap();
    world.set("/q/a", "12345678", -1).unwrap();
    world.delete("/q/fifth", -1).unwrap();
    world.nodes(&["/q/fifth"]);
    world.rules.enforce_quota = false;
    world.nodes(&["/q/sixth"]);
    world.check();
}

#[test]
fn the_operations_of_a_multi_do_not_count_for_each_other() {
    let mut world = world("count=-1,bytes=-1=;countHardLimit=4");
    let made = |path: &str| MultiOp::Create(create(path, CreateMode::Persistent));
    let results = world.multi(vec![made("/q/1"), made("/q/2")]);
    assert_eq!(results.len(), 2);
    assert_eq!(world.text(STATS), "count=5,bytes=20");
    assert_eq!(
        world.create("/q/3", CreateMode::Persistent),
        Err(ErrorCode::QuotaExceeded)
    );
}

#[test]
fn numbers_that_cannot_be_read_fail_the_request_and_break_nothing() {
    let mut world = world("count=1,bytes=1");
    world.set(LIMITS, "nonsense", -1).unwrap();
    assert_eq!(
        world.create("/q/x", CreateMode::Persistent),
        Err(ErrorCode::MarshallingError)
    );
    world.set(LIMITS, "count=9,bytes=9", -1).unwrap();
    world.set(STATS, "nonsense", -1).unwrap();
    assert_eq!(
        world.create("/q/x", CreateMode::Persistent),
        Err(ErrorCode::MarshallingError)
    );
    world.rules.enforce_quota = false;
    world.nodes(&["/q/x"]);
    assert_eq!(world.text(STATS), "nonsense");
    // Limits at odd places are no limits.
    world.nodes(&["/zookeeper/quota/zookeeper_limits", "/zookeeper_limits"]);
    world.nodes(&["/zookeeper/zookeeper_limits"]);
    world.delete("/zookeeper/zookeeper_limits", -1).unwrap();
    world
        .delete("/zookeeper/quota/zookeeper_limits", -1)
        .unwrap();
    world.check();
}

#[test]
fn ephemeral_nodes_are_counted_off_when_their_session_ends() {
    let mut world = world("count=100,bytes=100");
    world.create("/q/e", CreateMode::Ephemeral).unwrap();
    assert_eq!(world.text(STATS), "count=4,bytes=16");
    world.close(1);
    assert_eq!(world.text(STATS), "count=3,bytes=12");
}
