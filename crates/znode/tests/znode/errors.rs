//! Which error comes first.

use ottla_jute::{Acl, CreateMode, DeleteContainer, ErrorCode, Id, Request, perms};

use crate::world::{World, create_with};

/// A node that nobody but `super` may touch, with a child.
fn world() -> World {
    let mut world = World::new();
    world.nodes(&["/open", "/open/child", "/locked", "/locked/child"]);
    let nobody = vec![Acl::new(perms::ALL, Id::new("ip", "192.0.2.1"))];
    world.set_acl("/locked", nobody, -1).unwrap();
    world
}

fn open() -> Vec<Acl> {
    vec![Acl::open()]
}

#[test]
fn of_a_create() {
    let mut world = world();
    let invalid_acl = || vec![Acl::new(31, Id::new("nothing", "x"))];
    let cases = [
        // (path, mode, ACL, error), each with all errors that come later.
        (
            "no-slash",
            CreateMode::Persistent,
            invalid_acl(),
            ErrorCode::BadArguments,
        ),
        ("", CreateMode::Persistent, open(), ErrorCode::BadArguments),
        (
            "/none/\0",
            CreateMode::Persistent,
            invalid_acl(),
            ErrorCode::BadArguments,
        ),
        (
            "/none//x",
            CreateMode::Persistent,
            invalid_acl(),
            ErrorCode::InvalidAcl,
        ),
        (
            "/none/x",
            CreateMode::Persistent,
            vec![],
            ErrorCode::InvalidAcl,
        ),
        (
            "/none//x",
            CreateMode::Persistent,
            open(),
            ErrorCode::NoNode,
        ),
        (
            "/open/x/",
            CreateMode::Persistent,
            open(),
            ErrorCode::NoNode,
        ),
        (
            "relative/x",
            CreateMode::Persistent,
            open(),
            ErrorCode::NoNode,
        ),
        (
            "/locked/..",
            CreateMode::Persistent,
            open(),
            ErrorCode::NoAuth,
        ),
        (
            "/locked/child",
            CreateMode::Persistent,
            open(),
            ErrorCode::NoAuth,
        ),
        (
            "/open/",
            CreateMode::Persistent,
            open(),
            ErrorCode::BadArguments,
        ),
        (
            "/open/.",
            CreateMode::Persistent,
            open(),
            ErrorCode::BadArguments,
        ),
        (
            "/open/child",
            CreateMode::Persistent,
            open(),
            ErrorCode::NodeExists,
        ),
        ("/", CreateMode::Persistent, open(), ErrorCode::NodeExists),
    ];
    for (path, mode, acl, error) in cases {
        let request = Request::Create(create_with(path, mode, acl));
        assert_eq!(world.request(1, request), Err(error), "{path:?}");
    }
    world.create("/eph", CreateMode::Ephemeral).unwrap();
    for (path, error) in [
        ("/eph/\u{1}", ErrorCode::BadArguments),
        ("/eph/x", ErrorCode::NoChildrenForEphemerals),
    ] {
        let created = world.create(path, CreateMode::Persistent);
        assert_eq!(created, Err(error), "{path:?}");
    }
    world.check();
}

#[test]
fn of_a_delete() {
    let mut world = world();
    let cases = [
        ("/", -1, ErrorCode::BadArguments),
        ("/zookeeper", 99, ErrorCode::BadArguments),
        ("/zookeeper/quota", -1, ErrorCode::BadArguments),
        ("/zookeeper/config", -1, ErrorCode::BadArguments),
        ("", -1, ErrorCode::BadArguments),
        ("x", -1, ErrorCode::BadArguments),
        ("/open/\0", -1, ErrorCode::BadArguments),
        ("/none/x", -1, ErrorCode::NoNode),
        ("/locked/none", -1, ErrorCode::NoAuth),
        ("/locked/child", 7, ErrorCode::NoAuth),
        ("/open/none", -1, ErrorCode::NoNode),
        ("/open/child/", -1, ErrorCode::NoNode),
        ("/open", 7, ErrorCode::BadVersion),
        ("/open", 0, ErrorCode::NotEmpty),
    ];
    for (path, version, error) in cases {
        assert_eq!(world.delete(path, version), Err(error), "{path:?}");
    }
    // The permission is the parent's.
    assert_eq!(world.delete("/open/child", -1), Ok(()));
    world.check();
}

#[test]
fn of_a_set() {
    let mut world = world();
    let cases = [
        ("", ErrorCode::BadArguments),
        ("/open/", ErrorCode::BadArguments),
        ("/none/../x", ErrorCode::BadArguments),
        ("/none", ErrorCode::NoNode),
        ("/locked", ErrorCode::NoAuth),
        ("/zookeeper/config", ErrorCode::NoAuth),
        ("/open", ErrorCode::BadVersion),
    ];
    for (path, error) in cases {
        assert_eq!(world.set(path, "x", 7), Err(error), "{path:?}");
    }
    assert_eq!(world.set("/", "root", 0).unwrap().version, 1);
}

#[test]
fn of_a_new_acl() {
    let mut world = world();
    let invalid = || vec![Acl::new(1, Id::new("digest", "no-colon"))];
    let cases = [
        ("/none/", invalid(), ErrorCode::BadArguments),
        ("/none", invalid(), ErrorCode::InvalidAcl),
        ("/none", vec![], ErrorCode::InvalidAcl),
        ("/none", open(), ErrorCode::NoNode),
        ("/locked", open(), ErrorCode::NoAuth),
        ("/open", open(), ErrorCode::BadVersion),
    ];
    for (path, acl, error) in cases {
        assert_eq!(world.set_acl(path, acl, 7), Err(error), "{path:?}");
    }
    let stat = world.set_acl("/open", open(), 0).unwrap();
    assert_eq!((stat.aversion, stat.version), (1, 0));
}

#[test]
fn of_a_clients_delete_container() {
    let mut world = world();
    world.create("/eph", CreateMode::Ephemeral).unwrap();
    let cases = [
        ("/", ErrorCode::BadArguments),
        ("/none/x", ErrorCode::NoNode),
        ("/locked/child", ErrorCode::NoAuth),
        ("/none", ErrorCode::NoNode),
        ("/open", ErrorCode::NotEmpty),
        ("/eph", ErrorCode::BadVersion),
    ];
    for (path, error) in cases {
        let request = Request::DeleteContainer(DeleteContainer { path: path.into() });
        assert_eq!(world.request(1, request), Err(error), "{path:?}");
    }
}

#[test]
fn of_reads() {
    let mut world = world();
    world.create("/eph", CreateMode::Ephemeral).unwrap();
    let access = world.access();
    let state = &world.state;
    assert_eq!(
        state.exists("/open\0", access),
        Err(ErrorCode::BadArguments)
    );
    assert_eq!(state.exists("/none", access), Err(ErrorCode::NoNode));
    assert_eq!(state.exists("/locked", access), Err(ErrorCode::NoAuth));
    assert_eq!(
        state.get_data("/open/", access).err(),
        Some(ErrorCode::NoNode)
    );
    assert_eq!(
        state.get_data("/locked", access).err(),
        Some(ErrorCode::NoAuth)
    );
    assert_eq!(
        state.get_children("/locked", access).err(),
        Some(ErrorCode::NoAuth)
    );
    assert_eq!(
        state.get_acl("/locked", access).err(),
        Some(ErrorCode::NoAuth)
    );
    assert_eq!(
        state.get_all_children_number("/locked", access),
        Err(ErrorCode::NoAuth)
    );
    // The child has its own ACL.
    assert!(state.exists("/locked/child", access).is_ok());
    // The empty path means the root, and all paths begin with it: the root's, too.
    assert_eq!(state.exists("", access), state.exists("/", access));
    let below_root = state.get_all_children_number("/", access).unwrap();
    assert_eq!(
        state.get_all_children_number("", access),
        Ok(below_root + 1)
    );
}

#[test]
fn of_sessions() {
    let mut world = world();
    let request = || Request::Delete(crate::world::delete("no-slash", -1));
    assert_eq!(world.request(9, request()), Err(ErrorCode::SessionExpired));
    let mut command = world.command(1, request());
    let ottla_znode::Command::Write { requester, .. } = &mut command else {
        panic!("no write");
    };
    requester.owner.attach += 1;
    assert_eq!(world.apply(&command).reply, Err(ErrorCode::SessionMoved));
}
