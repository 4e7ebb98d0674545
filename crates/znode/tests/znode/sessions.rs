//! Sessions: who speaks for them, and what goes with them.

use ottla_jute::{CreateMode, ErrorCode, Request};
use ottla_znode::{ChangeKind, Closing, Command, Owner, Reply};

use crate::world::{PASSWORD, World, create, owner};

fn attach(session: i64, password: [u8; 16], owner: Owner) -> Command {
    Command::AttachSession {
        session,
        password,
        timeout_ms: 7000,
        owner,
    }
}

const ELSEWHERE: Owner = Owner {
    server: 2,
    attach: 99,
};

#[test]
fn ephemeral_nodes_go_with_their_session_and_no_others() {
    let mut world = World::new();
    world.open(2);
    world.nodes(&["/p"]);
    for (session, path) in [(1, "/p/one"), (2, "/p/two"), (1, "/also")] {
        let request = Request::Create(create(path, CreateMode::Ephemeral));
        world.request(session, request).unwrap();
    }
    assert_eq!(world.state.get_ephemerals(None, 1), ["/also", "/p/one"]);
    let owners: Vec<_> = world.state.ephemeral_owners().collect();
    assert_eq!(owners, [(1, 2), (2, 1)]);
    let closed = world.close(1);
    assert_eq!(closed.reply, Ok(Reply::Closed));
    let deleted: Vec<_> = closed
        .changes
        .iter()
        .map(|change| (change.kind, &*change.path))
        .collect();
    assert_eq!(
        deleted,
        [
            (ChangeKind::Deleted, "/also"),
            (ChangeKind::Deleted, "/p/one")
        ]
    );
    assert_eq!(world.children("/p"), ["two"]);
    assert_eq!(world.stat("/p").unwrap().pzxid, closed.zxid);
    assert_eq!(world.state.session_count(), 1);
    assert_eq!(world.close(1).reply, Err(ErrorCode::SessionExpired));
    world.check();
}

#[test]
fn a_session_speaks_through_its_last_connection_only() {
    let mut world = World::new();
    let zxid = world.state.last_zxid();
    let moved = world.apply(&attach(1, PASSWORD, ELSEWHERE));
    assert_eq!(moved.reply, Ok(Reply::Session { timeout_ms: 7000 }));
    assert_eq!(moved.zxid, zxid, "it takes no number");
    let session = *world.state.session(1).unwrap();
    assert_eq!((session.owner, session.timeout_ms), (ELSEWHERE, 7000));
    let late = Request::Create(create("/late", CreateMode::Persistent));
    assert_eq!(world.request(1, late), Err(ErrorCode::SessionMoved));
    assert_eq!(world.stat("/late"), Err(ErrorCode::NoNode));
    // An expiry that did not know of the move is void.
    let expiry = |owner| Command::CloseSession {
        session: 1,
        owner,
        closing: Closing::Expired,
    };
    let void = world.apply(&expiry(Some(owner(1))));
    assert_eq!(void.reply, Err(ErrorCode::SessionMoved));
    assert_eq!(world.state.session_count(), 1);
    let expired = world.apply(&expiry(Some(ELSEWHERE)));
    assert_eq!(expired.reply, Ok(Reply::Closed));
    // A client that closes its session is believed on whichever connection.
    world.open(2);
    world.apply(&attach(2, PASSWORD, ELSEWHERE));
    assert_eq!(world.close(2).reply, Ok(Reply::Closed));
    world.open(3);
    let any = Command::CloseSession {
        session: 3,
        owner: None,
        closing: Closing::Expired,
    };
    assert_eq!(world.apply(&any).reply, Ok(Reply::Closed));
    world.check();
}

#[test]
fn a_session_is_opened_once_and_attached_with_its_password() {
    let mut world = World::new();
    let open = |session, password| Command::OpenSession {
        session,
        password,
        timeout_ms: 10_000,
        owner: owner(session),
    };
    let mut other = PASSWORD;
    other[15] ^= 1;
    assert_eq!(
        world.apply(&attach(1, other, ELSEWHERE)).reply,
        Err(ErrorCode::AuthFailed)
    );
    assert_eq!(
        world.apply(&attach(5, PASSWORD, ELSEWHERE)).reply,
        Err(ErrorCode::SessionExpired)
    );
    // Proposed twice, it is the same session.
    assert!(world.apply(&open(1, PASSWORD)).reply.is_ok());
    assert_eq!(
        world.apply(&open(1, other)).reply,
        Err(ErrorCode::RuntimeInconsistency)
    );
    for impossible in [0, i64::MIN, -1] {
        assert_eq!(
            world.apply(&open(impossible, PASSWORD)).reply,
            Err(ErrorCode::BadArguments)
        );
    }
    let sessions: Vec<_> = world.state.sessions().map(|(id, _)| id).collect();
    assert_eq!(sessions, [1]);
    world.check();
}
