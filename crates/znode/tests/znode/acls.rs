//! Who may do what.

use std::sync::Arc;

use ottla_jute::{Acl, CreateMode, ErrorCode, Id, MultiOp, MultiResult, Request, perms};
use ottla_znode::Access;

use crate::world::{World, create_with, delete, id};

fn entry(perms: i32, text: &str) -> Acl {
    Acl::new(perms, id(text))
}

fn as_digest(world: &mut World, user: &str) {
    world.identities = Arc::from([id("ip:10.0.0.1"), Id::new("digest", user)]);
}

#[test]
fn each_permission_allows_what_it_is_for() {
    let mut world = World::new();
    for (perm, allowed) in [
        (perms::READ, "read"),
        (perms::WRITE, "write"),
        (perms::CREATE, "create"),
        (perms::DELETE, "delete"),
        (perms::ADMIN, "admin"),
    ] {
        let path = format!("/{allowed}");
        let kept = format!("{path}/kept");
        world.nodes(&[&path, &kept]);
        world
            .set_acl(&path, vec![entry(perm, "world:anyone")], -1)
            .unwrap();
        let no = |result: bool, what: &str| {
            assert_eq!(result, what == allowed, "{what} with {allowed}");
        };
        no(world.stat(&path).is_ok(), "read");
        no(world.state.get_data(&path, world.access()).is_ok(), "read");
        let children = world.state.get_children(&path, world.access());
        no(children.is_ok(), "read");
        let acl = world.state.get_acl(&path, world.access());
        assert_eq!(acl.is_ok(), matches!(allowed, "read" | "admin"));
        no(world.set(&path, "x", -1).is_ok(), "write");
        let child = format!("{path}/new");
        no(
            world.create(&child, CreateMode::Persistent).is_ok(),
            "create",
        );
        no(world.delete(&kept, -1).is_ok(), "delete");
        let acl = vec![entry(perm, "world:anyone")];
        no(world.set_acl(&path, acl, -1).is_ok(), "admin");
        let check = MultiOp::Check(ottla_jute::Check {
            path: path.clone(),
            version: -1,
        });
        let checked = world.multi(vec![check]);
        no(checked == [MultiResult::Check], "read");
    }
    world.check();
}

#[test]
fn an_acl_for_the_creator_names_whom_the_connection_has_proved_to_be() {
    let mut world = World::new();
    let request = || {
        Request::Create(create_with(
            "/mine",
            CreateMode::Persistent,
            vec![Acl::creator()],
        ))
    };
    assert_eq!(world.request(1, request()), Err(ErrorCode::InvalidAcl));
    as_digest(&mut world, "me:hash");
    world.request(1, request()).unwrap();
    let (acl, _) = world.state.get_acl("/mine", world.access()).unwrap();
    assert_eq!(acl, [entry(perms::ALL, "digest:me:hash")]);
    as_digest(&mut world, "other:hash");
    assert_eq!(world.set("/mine", "x", -1), Err(ErrorCode::NoAuth));
    world.identities = Arc::from([id("super:")]);
    world.set("/mine", "x", -1).unwrap();
    world.delete("/mine", -1).unwrap();
    world.check();
}

#[test]
fn digests_are_hidden_from_readers() {
    let mut world = World::new();
    as_digest(&mut world, "me:hash");
    world.nodes(&["/a"]);
    let acl = vec![
        entry(perms::ALL, "digest:me:hash"),
        entry(perms::READ, "world:anyone"),
    ];
    world.set_acl("/a", acl.clone(), -1).unwrap();
    assert_eq!(world.state.get_acl("/a", world.access()).unwrap().0, acl);
    let stranger = Access {
        identities: &[],
        ..world.access()
    };
    let (shown, _) = world.state.get_acl("/a", stranger).unwrap();
    assert_eq!(shown[0], entry(perms::ALL, "digest:me:x"));
    assert_eq!(shown[1], acl[1]);
}

#[test]
fn nodes_created_together_have_their_own_acls() {
    let mut world = World::new();
    let locked = vec![entry(perms::READ, "world:anyone")];
    let results = world.multi(vec![
        MultiOp::Create(create_with("/p", CreateMode::Persistent, locked.clone())),
        MultiOp::Create(create_with("/p/c", CreateMode::Persistent, locked)),
    ]);
    // The parent does not exist yet, and would not let it happen.
    assert_eq!(
        results,
        [
            MultiResult::Error(0),
            MultiResult::Error(ErrorCode::NoAuth.code())
        ]
    );
    assert_eq!(world.stat("/p"), Err(ErrorCode::NoNode));
}

#[test]
fn changes_tell_the_acls_of_their_moment() {
    let mut world = World::new();
    world.nodes(&["/a"]);
    let parent = vec![entry(perms::ALL, "ip:10.0.0.1")];
    world.set_acl("/a", parent.clone(), -1).unwrap();
    let child = vec![entry(perms::READ, "ip:10.0.0.0/8")];
    let request = Request::Create(create_with("/a/b", CreateMode::Persistent, child.clone()));
    let created = world.outcome(1, request);
    let deleted = world.outcome(1, Request::Delete(delete("/a/b", -1)));
    for outcome in [created, deleted] {
        let [change] = outcome.changes.as_slice() else {
            panic!("{:?}", outcome.changes);
        };
        assert_eq!(&*change.path, "/a/b");
        assert_eq!(&*change.acl, child);
        assert_eq!(change.parent_acl.as_deref(), Some(&parent[..]));
    }
}
