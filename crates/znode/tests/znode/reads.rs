//! Reads, and the members' configuration.

use std::sync::Arc;

use bytes::BytesMut;
use ottla_jute::{
    CreateMode, ErrorCode, EventType, Exists, GetAcl, GetAllChildrenNumber, GetChildren, GetData,
    GetEphemerals, MultiRead, MultiResult, OpCode, Request, Response, Writer,
};
use ottla_znode::{CONFIG_PATH, Command, Reply, Requester, State, WatchMode, Watches};

use crate::world::{World, data, id, owner};

fn answer(world: &World, request: &Request) -> Result<Response, ErrorCode> {
    let mut out = BytesMut::new();
    world
        .state
        .answer(request, world.access(), &mut Writer::new(&mut out))?;
    assert!(State::is_read(request.op_code()));
    Ok(Response::decode(request.op_code(), &out.freeze()).unwrap())
}

fn world() -> World {
    let mut world = World::new();
    world.nodes(&["/a", "/a/z", "/a/b", "/a/b/c", "/ab"]);
    for path in ["/a/e1", "/e2"] {
        world.create(path, CreateMode::Ephemeral).unwrap();
    }
    world
}

#[test]
fn every_read_is_answered_as_the_client_decodes_it() {
    let world = world();
    let stat = world.stat("/a").unwrap();
    let path = || "/a".to_owned();
    let watch = true;
    let names = || ["z", "b", "e1"].map(str::to_owned).to_vec();
    let cases = [
        (
            Request::Exists(Exists {
                path: path(),
                watch,
            }),
            Response::Stat(stat),
        ),
        (
            Request::GetData(GetData {
                path: path(),
                watch,
            }),
            Response::GetData {
                data: data("data"),
                stat,
            },
        ),
        (
            Request::GetAcl(GetAcl { path: path() }),
            Response::GetAcl {
                acl: vec![ottla_jute::Acl::open()],
                stat,
            },
        ),
        (
            Request::GetChildren(GetChildren {
                path: path(),
                watch,
            }),
            Response::GetChildren { children: names() },
        ),
        (
            Request::GetChildren2(GetChildren {
                path: path(),
                watch,
            }),
            Response::GetChildren2 {
                children: names(),
                stat,
            },
        ),
        (
            Request::GetAllChildrenNumber(GetAllChildrenNumber { path: path() }),
            Response::GetAllChildrenNumber { total_number: 4 },
        ),
        (
            Request::GetAllChildrenNumber(GetAllChildrenNumber { path: "/".into() }),
            Response::GetAllChildrenNumber { total_number: 10 },
        ),
    ];
    for (request, response) in cases {
        assert_eq!(answer(&world, &request), Ok(response), "{request:?}");
    }
    let none = Request::GetData(GetData {
        path: "/none".into(),
        watch,
    });
    assert_eq!(answer(&world, &none), Err(ErrorCode::NoNode));
    assert_eq!(
        world.state.answer(
            &Request::Ping,
            world.access(),
            &mut Writer::new(&mut BytesMut::new())
        ),
        Err(ErrorCode::Unimplemented)
    );
    assert!(!State::is_read(OpCode::SetData));
}

#[test]
fn ephemerals_are_those_of_the_session_with_the_prefix() {
    let world = world();
    let ask = |prefix: Option<&str>| {
        let request = Request::GetEphemerals(GetEphemerals {
            prefix_path: prefix.map(str::to_owned),
        });
        match answer(&world, &request) {
            Ok(Response::GetEphemerals { ephemerals }) => ephemerals,
            other => panic!("{other:?}"),
        }
    };
    for all in [None, Some(""), Some("/"), Some(" / ")] {
        assert_eq!(ask(all), ["/a/e1", "/e2"]);
    }
    assert_eq!(ask(Some("/a")), ["/a/e1"]);
    assert_eq!(ask(Some("/x")), Vec::<String>::new());
    // Java trims no more than ASCII.
    assert_eq!(ask(Some("/\u{85}")), Vec::<String>::new());
    assert!(world.state.get_ephemerals(None, 2).is_empty());
}

#[test]
fn the_reads_of_a_multi_fail_one_by_one() {
    let world = world();
    let get = |path: &str| {
        MultiRead::GetData(GetData {
            path: path.into(),
            watch: false,
        })
    };
    let children = MultiRead::GetChildren(GetChildren {
        path: "/a/b".into(),
        watch: false,
    });
    let request = Request::MultiRead(vec![get("/none"), get("/ab"), children]);
    let Ok(Response::Multi(results)) = answer(&world, &request) else {
        panic!("no results");
    };
    assert_eq!(results[0], MultiResult::Error(ErrorCode::NoNode.code()));
    assert!(matches!(&results[1], MultiResult::GetData { data: Some(data), .. } if data == "data"));
    assert_eq!(results[2], MultiResult::GetChildren(vec!["c".into()]));
}

fn set_config(members: &str, expected_version: i64, requester: Option<Requester>) -> Command {
    Command::SetConfig {
        requester,
        expected_version,
        members: members.into(),
    }
}

#[test]
fn the_configuration_carries_its_version_and_is_watched() {
    let mut world = World::new();
    let mut watches = Watches::new();
    watches.add(CONFIG_PATH, 4, WatchMode::Data);
    let members = "server.1=a:2888:3888:participant;2181\n";
    let outcome = world.apply(&set_config(members, -1, None));
    let zxid = outcome.zxid;
    let expected = format!("{members}version={zxid:x}");
    let Ok(Reply::Response(Response::GetData { data, stat })) = outcome.reply else {
        panic!("{:?}", outcome.reply);
    };
    assert_eq!(data.as_deref(), Some(expected.as_bytes()));
    assert_eq!((stat.version, stat.mzxid), (-1, zxid));
    assert_eq!(world.text(CONFIG_PATH), expected);
    assert_eq!(world.state.config_version(), zxid);
    let fired = watches.fire(&outcome.changes);
    assert_eq!(fired[0].kind, EventType::NodeDataChanged);
    assert_eq!(&*fired[0].path, CONFIG_PATH);
    // A second change must know the first one.
    let late = world.apply(&set_config("server.2=b", zxid - 1, None));
    assert_eq!(late.reply, Err(ErrorCode::BadVersion));
    assert!(
        world
            .apply(&set_config("server.2=b", zxid, None))
            .reply
            .is_ok()
    );
}

#[test]
fn a_client_needs_the_permission_to_change_the_configuration() {
    let mut world = World::new();
    let requester = |identities: Arc<[ottla_jute::Id]>| {
        Some(Requester {
            session: 1,
            owner: owner(1),
            cxid: 1,
            identities,
        })
    };
    let stranger = requester(Arc::from([id("ip:10.0.0.1")]));
    let refused = world.apply(&set_config("x", -1, stranger));
    assert_eq!(refused.reply, Err(ErrorCode::NoAuth));
    let admin = requester(Arc::from([id("super:")]));
    assert!(world.apply(&set_config("x", -1, admin)).reply.is_ok());
    world.check();
}
