//! Arbitrary requests and responses.

use bytes::Bytes;
use ottla_jute::{
    Acl, AddWatch, AddWatchMode, AuthPacket, Check, CheckWatches, ClientInfo, Create, CreateTtl,
    Delete, DeleteContainer, Exists, GetAcl, GetAllChildrenNumber, GetChildren, GetData,
    GetEphemerals, Id, MultiOp, MultiRead, MultiResult, OpCode, Reconfig, Request, Response, Sasl,
    SetAcl, SetData, SetWatches, SetWatches2, Stat, Sync, WatcherType,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) fn path() -> impl Strategy<Value = String> {
    prop_oneof!["(/[a-zé]{1,5}){1,4}", ".{0,12}"]
}

fn data() -> impl Strategy<Value = Option<Bytes>> {
    option::of(vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

fn id() -> impl Strategy<Value = Id> {
    ("[a-z]{0,6}", ".{0,8}").prop_map(|(scheme, id)| Id { scheme, id })
}

fn acl() -> impl Strategy<Value = Vec<Acl>> {
    vec(
        (any::<i32>(), id()).prop_map(|(perms, id)| Acl { perms, id }),
        0..4,
    )
}

fn paths() -> impl Strategy<Value = Vec<String>> {
    vec(path(), 0..5)
}

fn create(flags: impl Strategy<Value = i32>) -> impl Strategy<Value = Create> {
    (path(), data(), acl(), flags).prop_map(|(path, data, acl, flags)| Create {
        path,
        data,
        acl,
        flags,
    })
}

fn create_ttl(flags: impl Strategy<Value = i32>) -> impl Strategy<Value = CreateTtl> {
    let fields = (path(), data(), acl(), flags, any::<i64>());
    fields.prop_map(|(path, data, acl, flags, ttl_ms)| CreateTtl {
        path,
        data,
        acl,
        flags,
        ttl_ms,
    })
}

fn delete() -> impl Strategy<Value = Delete> {
    (path(), any::<i32>()).prop_map(|(path, version)| Delete { path, version })
}

fn set_data() -> impl Strategy<Value = SetData> {
    (path(), data(), any::<i32>()).prop_map(|(path, data, version)| SetData {
        path,
        data,
        version,
    })
}

fn get_children() -> impl Strategy<Value = GetChildren> {
    (path(), any::<bool>()).prop_map(|(path, watch)| GetChildren { path, watch })
}

fn get_data() -> impl Strategy<Value = GetData> {
    (path(), any::<bool>()).prop_map(|(path, watch)| GetData { path, watch })
}

fn multi_op() -> impl Strategy<Value = MultiOp> {
    prop_oneof![
        create(0..4).prop_map(MultiOp::Create),
        create(0..4).prop_map(MultiOp::Create2),
        create(0..5).prop_map(MultiOp::CreateContainer),
        create_ttl(5..7).prop_map(MultiOp::CreateTtl),
        delete().prop_map(MultiOp::Delete),
        set_data().prop_map(MultiOp::SetData),
        (path(), any::<i32>()).prop_map(|(path, version)| MultiOp::Check(Check { path, version })),
    ]
}

fn multi_read() -> impl Strategy<Value = MultiRead> {
    prop_oneof![
        get_children().prop_map(MultiRead::GetChildren),
        get_data().prop_map(MultiRead::GetData),
    ]
}

fn watcher_type() -> impl Strategy<Value = WatcherType> {
    proptest::sample::select(WatcherType::ALL)
}

fn check_watches() -> impl Strategy<Value = CheckWatches> {
    (path(), watcher_type()).prop_map(|(path, kind)| CheckWatches { path, kind })
}

fn watch_requests() -> impl Strategy<Value = Request> {
    let set = (any::<i64>(), paths(), paths(), paths());
    let set2 = (any::<i64>(), paths(), paths(), paths(), paths(), paths());
    prop_oneof![
        check_watches().prop_map(Request::CheckWatches),
        check_watches().prop_map(Request::RemoveWatches),
        (path(), proptest::sample::select(AddWatchMode::ALL))
            .prop_map(|(path, mode)| Request::AddWatch(AddWatch { path, mode })),
        set.prop_map(
            |(relative_zxid, data_watches, exist_watches, child_watches)| {
                Request::SetWatches(SetWatches {
                    relative_zxid,
                    data_watches,
                    exist_watches,
                    child_watches,
                })
            }
        ),
        set2.prop_map(
            |(relative_zxid, data, exist, child, persistent, recursive)| {
                Request::SetWatches2(SetWatches2 {
                    relative_zxid,
                    data_watches: data,
                    exist_watches: exist,
                    child_watches: child,
                    persistent_watches: persistent,
                    persistent_recursive_watches: recursive,
                })
            }
        ),
    ]
}

fn writes() -> impl Strategy<Value = Request> {
    let set_acl = (path(), acl(), any::<i32>());
    let text = || option::of(".{0,20}");
    let reconfig = (text(), text(), text(), any::<i64>());
    prop_oneof![
        create(any::<i32>()).prop_map(Request::Create),
        create(any::<i32>()).prop_map(Request::Create2),
        create(any::<i32>()).prop_map(Request::CreateContainer),
        create_ttl(any::<i32>()).prop_map(Request::CreateTtl),
        delete().prop_map(Request::Delete),
        path().prop_map(|path| Request::DeleteContainer(DeleteContainer { path })),
        set_data().prop_map(Request::SetData),
        set_acl.prop_map(|(path, acl, version)| Request::SetAcl(SetAcl { path, acl, version })),
        vec(multi_op(), 0..6).prop_map(Request::Multi),
        path().prop_map(|path| Request::Sync(Sync { path })),
        reconfig.prop_map(|(joining, leaving, new_members, current_config_id)| {
            Request::Reconfig(Reconfig {
                joining_servers: joining,
                leaving_servers: leaving,
                new_members,
                current_config_id,
            })
        }),
    ]
}

fn others() -> impl Strategy<Value = Request> {
    let auth = (any::<i32>(), option::of("[a-z]{0,6}"), data());
    prop_oneof![
        (path(), any::<bool>()).prop_map(|(path, watch)| Request::Exists(Exists { path, watch })),
        get_data().prop_map(Request::GetData),
        path().prop_map(|path| Request::GetAcl(GetAcl { path })),
        get_children().prop_map(Request::GetChildren),
        get_children().prop_map(Request::GetChildren2),
        vec(multi_read(), 0..5).prop_map(Request::MultiRead),
        auth.prop_map(|(kind, scheme, auth)| Request::Auth(AuthPacket { kind, scheme, auth })),
        data().prop_map(|token| Request::Sasl(Sasl { token })),
        option::of(path())
            .prop_map(|prefix_path| Request::GetEphemerals(GetEphemerals { prefix_path })),
        path().prop_map(|path| Request::GetAllChildrenNumber(GetAllChildrenNumber { path })),
        Just(Request::Ping),
        Just(Request::WhoAmI),
        Just(Request::CloseSession),
    ]
}

pub(crate) fn request() -> impl Strategy<Value = Request> {
    prop_oneof![writes(), others(), watch_requests()]
}

pub(crate) fn stat() -> impl Strategy<Value = Stat> {
    (any::<[i64; 6]>(), any::<[i32; 5]>()).prop_map(|(longs, ints)| Stat {
        czxid: longs[0],
        mzxid: longs[1],
        ctime: longs[2],
        mtime: longs[3],
        version: ints[0],
        cversion: ints[1],
        aversion: ints[2],
        ephemeral_owner: longs[4],
        data_length: ints[3],
        num_children: ints[4],
        pzxid: longs[5],
    })
}

fn multi_result() -> impl Strategy<Value = MultiResult> {
    prop_oneof![
        path().prop_map(|path| MultiResult::Create { path }),
        (path(), stat()).prop_map(|(path, stat)| MultiResult::Create2 { path, stat }),
        Just(MultiResult::Delete),
        Just(MultiResult::Check),
        stat().prop_map(MultiResult::SetData),
        paths().prop_map(MultiResult::GetChildren),
        (data(), stat()).prop_map(|(data, stat)| MultiResult::GetData { data, stat }),
        any::<i32>().prop_map(MultiResult::Error),
    ]
}

/// A response, and an operation that has such ones.
pub(crate) fn response() -> impl Strategy<Value = (OpCode, Response)> {
    let info =
        (".{0,5}", ".{0,5}").prop_map(|(auth_scheme, user)| ClientInfo { auth_scheme, user });
    let with = |op: OpCode| move |response: Response| (op, response);
    prop_oneof![
        Just((OpCode::Delete, Response::Empty)),
        path().prop_map(|path| (OpCode::Create, Response::Create { path })),
        (path(), stat())
            .prop_map(|(path, stat)| (OpCode::Create2, Response::Create2 { path, stat })),
        stat()
            .prop_map(Response::Stat)
            .prop_map(with(OpCode::Exists)),
        (data(), stat())
            .prop_map(|(data, stat)| (OpCode::GetData, Response::GetData { data, stat })),
        (acl(), stat()).prop_map(|(acl, stat)| (OpCode::GetAcl, Response::GetAcl { acl, stat })),
        paths().prop_map(|children| (OpCode::GetChildren, Response::GetChildren { children })),
        (paths(), stat()).prop_map(|(children, stat)| {
            (
                OpCode::GetChildren2,
                Response::GetChildren2 { children, stat },
            )
        }),
        path().prop_map(|path| (OpCode::Sync, Response::Sync { path })),
        vec(multi_result(), 0..5)
            .prop_map(Response::Multi)
            .prop_map(with(OpCode::Multi)),
        data().prop_map(|token| (OpCode::Sasl, Response::Sasl { token })),
        paths().prop_map(|ephemerals| {
            (
                OpCode::GetEphemerals,
                Response::GetEphemerals { ephemerals },
            )
        }),
        any::<i32>().prop_map(|total_number| {
            (
                OpCode::GetAllChildrenNumber,
                Response::GetAllChildrenNumber { total_number },
            )
        }),
        any::<i32>().prop_map(|err| (OpCode::AddWatch, Response::Error { err })),
        vec(info, 0..3).prop_map(|client_info| (OpCode::WhoAmI, Response::WhoAmI { client_info })),
    ]
}
