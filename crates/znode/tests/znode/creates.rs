//! Creating and deleting: names, versions, stats, kinds of nodes.

use ottla_jute::{CreateMode, ErrorCode, Request, Response, Stat};
use ottla_znode::{ChangeKind, Command, Kind, Reply, State, TTL_MS_MAX};

use crate::world::{World, create, create_ttl, data};

#[test]
fn a_new_state_is_that_of_a_new_zookeeper() {
    let state = State::new();
    state.check().unwrap();
    let world = World {
        state,
        ..World::new()
    };
    assert_eq!(world.children("/"), ["zookeeper"]);
    assert_eq!(world.children("/zookeeper"), ["quota", "config"]);
    assert_eq!(world.state.node_count(), 5);
    assert_eq!(world.state.approximate_data_size(), 44);
    let root = Stat {
        cversion: -1,
        num_children: 1,
        ..Stat::default()
    };
    assert_eq!(world.stat("/"), Ok(root));
    let own = Stat {
        cversion: -2,
        num_children: 2,
        ..Stat::default()
    };
    assert_eq!(world.stat("/zookeeper"), Ok(own));
    let config = world.stat("/zookeeper/config").unwrap();
    assert_eq!((config.aversion, config.version), (-1, 0));
}

#[test]
fn stats_follow_creates_sets_and_deletes() {
    let mut world = World::new();
    world.now_ms = 5000;
    world.nodes(&["/a"]);
    let created = world.stat("/a").unwrap();
    let zxid = world.state.last_zxid();
    assert_eq!(zxid, (1 << 32) + 2);
    assert_eq!(
        created,
        Stat {
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: 5000,
            mtime: 5000,
            data_length: 4,
            ..Stat::default()
        }
    );
    world.now_ms = 6000;
    let set = world.set("/a", "longer", 0).unwrap();
    assert_eq!(
        set,
        Stat {
            mzxid: zxid + 1,
            mtime: 6000,
            version: 1,
            data_length: 6,
            ..created
        }
    );
    world.nodes(&["/a/b", "/a/c"]);
    world.delete("/a/b", 0).unwrap();
    let after = world.stat("/a").unwrap();
    assert_eq!((after.cversion, after.num_children), (3, 1));
    assert_eq!((after.pzxid, after.mzxid), (zxid + 4, zxid + 1));
    world.check();
}

#[test]
fn zxids_begin_anew_with_each_epoch_and_failures_take_one() {
    let mut world = World::new();
    assert_eq!(world.state.last_zxid(), (1 << 32) + 1);
    assert_eq!(world.delete("/none", -1), Err(ErrorCode::NoNode));
    assert_eq!(world.state.last_zxid(), (1 << 32) + 2);
    let sync = Request::Sync(ottla_jute::Sync { path: "/x".into() });
    let synced = world.outcome(1, sync);
    let response = Response::Sync { path: "/x".into() };
    assert_eq!(synced.reply, Ok(Reply::Response(response)));
    assert_eq!(synced.zxid, (1 << 32) + 2);
    world.epoch = 3;
    world.nodes(&["/a"]);
    assert_eq!(world.state.last_zxid(), (3 << 32) + 1);
    // An entry of an older term cannot take numbers back.
    world.epoch = 2;
    world.nodes(&["/b"]);
    assert_eq!(world.state.last_zxid(), (3 << 32) + 2);
}

#[test]
fn sequential_names_count_the_creations_below_the_parent() {
    let mut world = World::new();
    world.nodes(&["/s"]);
    let mut next = |path: &str, mode| world.create(path, mode).unwrap();
    assert_eq!(
        next("/s/n-", CreateMode::PersistentSequential),
        "/s/n-0000000000"
    );
    assert_eq!(
        next("/s/m-", CreateMode::EphemeralSequential),
        "/s/m-0000000001"
    );
    assert_eq!(next("/s/plain", CreateMode::Persistent), "/s/plain");
    assert_eq!(
        next("/s/", CreateMode::PersistentSequential),
        "/s/0000000003"
    );
    world.delete("/s/plain", -1).unwrap();
    let path = world.create("/s/n-", CreateMode::PersistentSequential);
    assert_eq!(path.unwrap(), "/s/n-0000000004");
    // Nodes of the root count, too.
    let path = world.create("/", CreateMode::PersistentSequential).unwrap();
    assert_eq!(path, "/0000000001");
}

#[test]
fn ephemeral_nodes_show_their_session_and_containers_show_none() {
    let mut world = World::new();
    world.create("/e", CreateMode::Ephemeral).unwrap();
    assert_eq!(world.stat("/e").unwrap().ephemeral_owner, 1);
    assert_eq!(
        world.create("/e/x", CreateMode::Persistent),
        Err(ErrorCode::NoChildrenForEphemerals)
    );
    let container = Request::CreateContainer(create("/c", CreateMode::Container));
    let ttl = Request::CreateTtl(create_ttl("/t", CreateMode::PersistentWithTtl, 100));
    for (path, request) in [("/c", container), ("/t", ttl)] {
        let Ok(Response::Create2 { path: made, stat }) = world.request(1, request) else {
            panic!("{path} was not created");
        };
        assert_eq!((made.as_str(), stat.ephemeral_owner), (path, 0));
        assert_eq!(world.stat(path), Ok(stat));
    }
    assert_eq!(world.state.ephemerals_count(), 1);
    world.check();
}

/// Applies what the leader would propose; which nodes were deleted.
fn reap(world: &mut World, never_used_ms: i64) -> Vec<String> {
    let mut deleted = Vec::new();
    for command in world.state.reapable(world.now_ms, never_used_ms, 100) {
        let outcome = world.apply(&command);
        assert_eq!(outcome.reply, Ok(Reply::Reaped(true)));
        for change in outcome.changes {
            assert_eq!(change.kind, ChangeKind::Deleted);
            deleted.push(change.path.to_string());
        }
    }
    world.check();
    deleted
}

#[test]
fn containers_go_after_their_last_child() {
    let mut world = World::new();
    for path in ["/c", "/unused"] {
        let request = Request::CreateContainer(create(path, CreateMode::Container));
        world.request(1, request).unwrap();
    }
    assert!(reap(&mut world, 0).is_empty());
    world.nodes(&["/c/child"]);
    assert!(reap(&mut world, 0).is_empty());
    world.delete("/c/child", -1).unwrap();
    assert_eq!(reap(&mut world, 0), ["/c"]);
    world.now_ms += 500;
    assert!(reap(&mut world, 500).is_empty());
    world.now_ms += 1;
    assert_eq!(reap(&mut world, 500), ["/unused"]);
}

#[test]
fn a_time_to_live_begins_with_each_change_of_the_data() {
    let mut world = World::new();
    let request = Request::CreateTtl(create_ttl("/t", CreateMode::PersistentWithTtl, 100));
    world.request(1, request).unwrap();
    world.now_ms += 100;
    assert!(reap(&mut world, 0).is_empty());
    world.set("/t", "x", -1).unwrap();
    world.now_ms += 100;
    assert!(reap(&mut world, 0).is_empty());
    world.nodes(&["/t/child"]);
    world.now_ms += 1;
    assert!(reap(&mut world, 0).is_empty());
    world.delete("/t/child", -1).unwrap();
    assert_eq!(reap(&mut world, 0), ["/t"]);
}

#[test]
fn reaping_is_void_once_it_is_not_due_any_more() {
    let mut world = World::new();
    let request = Request::CreateTtl(create_ttl("/t", CreateMode::PersistentWithTtl, 100));
    world.request(1, request).unwrap();
    let request = Request::CreateContainer(create("/c", CreateMode::Container));
    world.request(1, request).unwrap();
    world.nodes(&["/c/child", "/plain"]);
    world.delete("/c/child", -1).unwrap();
    world.now_ms += 101;
    let due = world.state.reapable(world.now_ms, 0, 100);
    assert_eq!(due.len(), 2);
    assert_eq!(world.state.reapable(world.now_ms, 0, 1).len(), 1);
    world.nodes(&["/c/again"]);
    world.set("/t", "x", -1).unwrap();
    let plain = |path: &str| Command::ReapTtl { path: path.into() };
    for command in [&due[0], &due[1], &plain("/plain"), &plain("/none")] {
        let outcome = world.apply(command);
        assert_eq!(outcome.reply, Ok(Reply::Reaped(false)), "{command:?}");
        assert!(outcome.changes.is_empty());
    }
    world.check();
}

#[test]
fn flags_and_operation_must_fit_together() {
    use CreateMode::{
        Container, Ephemeral, Persistent, PersistentSequential, PersistentSequentialWithTtl,
        PersistentWithTtl,
    };
    let mut world = World::new();
    let mut ask = |request: Request| world.request(1, request).map(|_| ());
    // The flags of a container make none.
    assert_eq!(ask(Request::Create(create("/plain", Container))), Ok(()));
    assert_eq!(
        ask(Request::CreateContainer(create("/c", Persistent))),
        Ok(())
    );
    assert_eq!(
        ask(Request::Create(create("/t", PersistentWithTtl))),
        Err(ErrorCode::BadArguments)
    );
    for (mode, ttl_ms, expected) in [
        (PersistentWithTtl, 1, Ok(())),
        (PersistentSequentialWithTtl, TTL_MS_MAX, Ok(())),
        (PersistentWithTtl, 0, Err(ErrorCode::BadArguments)),
        (PersistentWithTtl, -1, Err(ErrorCode::BadArguments)),
        (
            PersistentWithTtl,
            TTL_MS_MAX + 1,
            Err(ErrorCode::BadArguments),
        ),
        (Persistent, 1, Err(ErrorCode::BadArguments)),
        (PersistentSequential, -1, Err(ErrorCode::BadArguments)),
        (Ephemeral, -1, Err(ErrorCode::BadArguments)),
    ] {
        let request = Request::CreateTtl(create_ttl("/ttl", mode, ttl_ms));
        assert_eq!(ask(request), expected, "{mode} {ttl_ms}");
    }
    let mut flags = create("/x", Persistent);
    flags.flags = 7;
    assert_eq!(ask(Request::Create(flags)), Err(ErrorCode::BadArguments));
    world.now_ms += 1000;
    let due = world.state.reapable(world.now_ms, 1, 100);
    let paths: Vec<_> = due
        .iter()
        .map(|command| match command {
            Command::ReapContainer { path, .. } | Command::ReapTtl { path } => path.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(paths, ["/c", "/ttl"]);
    world.rules.extended_types = false;
    let request = Request::CreateTtl(create_ttl("/off", PersistentWithTtl, 100));
    assert_eq!(world.request(1, request), Err(ErrorCode::Unimplemented));
}

#[test]
fn null_data_stay_null() {
    let mut world = World::new();
    let mut request = create("/null", CreateMode::Persistent);
    request.data = None;
    world.request(1, Request::Create(request)).unwrap();
    let (none, stat) = world.state.get_data("/null", world.access()).unwrap();
    assert_eq!((none, stat.data_length), (None, 0));
    let mut set = crate::world::set_data("/null", "", -1);
    set.data = data("");
    world.request(1, Request::SetData(set)).unwrap();
    let (some, _) = world.state.get_data("/null", world.access()).unwrap();
    assert_eq!(some, Some(&b""[..]));
}

#[test]
fn kinds_can_be_told_from_what_is_stored() {
    assert_eq!(Kind::of_owner(i64::MIN), Kind::Container);
    assert_eq!(Kind::Container.visible_owner(), 0);
}
