//! Znodes, many at once, their watches, and who may do what.

use std::time::Duration;

use zookeeper_client::{
    Acl, Acls, AddWatchMode, AuthId, AuthUser, Client, CreateMode, Error, EventType,
    MultiReadResult, MultiWriteError, MultiWriteResult, Permission,
};

use crate::{EPHEMERAL, PERSISTENT, client, client_and_path, error_of, gone, servers, soon};

#[tokio::test]
async fn a_znode_is_created_read_changed_and_deleted() {
    let Some(servers) = servers("znodes") else {
        return;
    };
    let (client, path) = client_and_path(&servers, "nodes").await;
    let child = format!("{path}/child");
    let (made, _) = client.create(&child, b"one", &PERSISTENT).await.unwrap();
    let (data, stat) = client.get_data(&child).await.unwrap();
    assert_eq!((data.as_slice(), stat), (b"one".as_slice(), made));
    let set = client.set_data(&child, b"second", Some(0)).await.unwrap();
    assert_eq!((set.version, set.data_length), (1, 6));
    assert!(set.mzxid > made.mzxid);
    let stale = client.set_data(&child, b"", Some(0)).await;
    assert_eq!(error_of(stale), Error::BadVersion);
    let again = client.create(&child, b"", &PERSISTENT).await;
    assert!(matches!(again, Err(Error::NodeExists)));
    assert_eq!(error_of(client.delete(&path, None).await), Error::NotEmpty);
    let (children, stat) = client.get_children(&path).await.unwrap();
    assert_eq!((children, stat.num_children), (vec!["child".to_owned()], 1));
    client.delete(&child, Some(1)).await.unwrap();
    assert_eq!(client.check_stat(&child).await.unwrap(), None);
    assert_eq!(error_of(client.get_data(&child).await), Error::NoNode);
}

#[tokio::test]
async fn every_mode_of_create_makes_what_it_names() {
    let Some(servers) = servers("modes") else {
        return;
    };
    let (client, path) = client_and_path(&servers, "modes").await;
    let sequential = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
    for number in 0..3 {
        let asked = format!("{path}/n-");
        let (_, sequence) = client.create(&asked, b"", &sequential).await.unwrap();
        assert_eq!(sequence.to_string(), format!("{number:010}"));
    }
    let ephemeral = format!("{path}/ephemeral");
    let (stat, _) = client.create(&ephemeral, b"", &EPHEMERAL).await.unwrap();
    assert_eq!(stat.ephemeral_owner, client.session_id().0);
    assert_eq!(client.list_ephemerals(&path).await.unwrap(), [ephemeral]);
    assert_eq!(client.count_descendants_number(&path).await.unwrap(), 4);
    let container = format!("{path}/container");
    let options = CreateMode::Container.with_acls(Acls::anyone_all());
    client.create(&container, b"", &options).await.unwrap();
    let short = PERSISTENT.with_ttl(Duration::from_millis(300));
    let child = format!("{container}/short");
    client.create(&child, b"", &short).await.unwrap();
    gone(&client, &child).await;
    gone(&client, &container).await;
}

#[tokio::test]
async fn calls_in_flight_are_answered_in_order() {
    let Some(servers) = servers("order") else {
        return;
    };
    let (client, path) = client_and_path(&servers, "order").await;
    // A call is sent when it is made; waiting for it comes later.
    let calls: Vec<_> = (0..500)
        .map(|number: i32| {
            let set = client.set_data(&path, number.to_string().as_bytes(), None);
            (number, set, client.get_data(&path))
        })
        .collect();
    for (number, set, get) in calls {
        assert_eq!(set.await.unwrap().version, number + 1);
        assert_eq!(get.await.unwrap().0, number.to_string().as_bytes());
    }
}

#[tokio::test]
async fn watches_fire_once_or_for_good() {
    let Some(servers) = servers("watches") else {
        return;
    };
    let (watching, path) = client_and_path(&servers, "watches").await;
    let writing = client(&servers).await;
    writing.sync(&path).await.unwrap();
    let (_, _, data) = watching.get_and_watch_data(&path).await.unwrap();
    let (_, _, children) = watching.get_and_watch_children(&path).await.unwrap();
    let child = format!("{path}/child");
    let (none, missing) = watching.check_and_watch_stat(&child).await.unwrap();
    assert_eq!(none, None);
    let mut tree = watching
        .watch(&path, AddWatchMode::PersistentRecursive)
        .await
        .unwrap();
    writing.set_data(&path, b"x", None).await.unwrap();
    writing.create(&child, b"", &PERSISTENT).await.unwrap();
    writing.delete(&child, None).await.unwrap();
    for (watcher, kind, at) in [
        (data, EventType::NodeDataChanged, &path),
        (children, EventType::NodeChildrenChanged, &path),
        (missing, EventType::NodeCreated, &child),
    ] {
        let event = soon("an event", watcher.changed()).await;
        assert_eq!((event.event_type, &event.path), (kind, at));
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = soon("an event of the tree", tree.changed()).await;
        seen.push((event.event_type, event.path));
    }
    let expected = [
        (EventType::NodeDataChanged, path),
        (EventType::NodeCreated, child.clone()),
        (EventType::NodeDeleted, child),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn many_changes_are_one_and_many_reads_too() {
    let Some(servers) = servers("multi") else {
        return;
    };
    let (client, path) = client_and_path(&servers, "multi").await;
    let child = format!("{path}/child");
    let mut writer = client.new_multi_writer();
    writer.add_check_version(&path, 0).unwrap();
    writer.add_create(&child, b"x", &PERSISTENT).unwrap();
    writer.add_set_data(&path, b"y", Some(0)).unwrap();
    let results = writer.commit().await.unwrap();
    let [
        MultiWriteResult::Check,
        MultiWriteResult::Create { path: made, stat },
        MultiWriteResult::SetData { stat: set },
    ] = results.as_slice()
    else {
        panic!("{results:?}")
    };
    assert_eq!((made, stat.czxid), (&child, set.mzxid));

    writer = client.new_multi_writer();
    writer.add_delete(&child, None).unwrap();
    writer.add_check_version(&path, 7).unwrap();
    assert_eq!(
        writer.commit().await.unwrap_err(),
        MultiWriteError::OperationFailed {
            index: 1,
            source: Error::BadVersion
        }
    );

    let mut reader = client.new_multi_reader();
    reader.add_get_data(&child).unwrap();
    reader.add_get_children(&path).unwrap();
    reader.add_get_data(&format!("{path}/none")).unwrap();
    let read = reader.commit().await.unwrap();
    assert_eq!(read.len(), 3, "{read:?}");
    assert!(matches!(&read[0], MultiReadResult::Data { data, .. } if data == b"x"));
    assert!(matches!(&read[1], MultiReadResult::Children { children } if children == &["child"]));
    assert!(matches!(&read[2], MultiReadResult::Error { err } if *err == Error::NoNode));
}

#[tokio::test]
async fn acls_let_in_whom_they_name() {
    let Some(servers) = servers("acls") else {
        return;
    };
    let (owner, path) = client_and_path(&servers, "acls").await;
    let stranger = client(&servers).await;
    owner.auth("digest", b"alice:wonderland").await.unwrap();
    let users = owner.list_auth_users().await.unwrap();
    assert!(
        users.contains(&AuthUser::new("digest", "alice")),
        "{users:?}"
    );
    let secret = format!("{path}/secret");
    let mine = CreateMode::Persistent.with_acls(Acls::creator_all());
    owner.create(&secret, b"secret", &mine).await.unwrap();
    stranger.sync(&secret).await.unwrap();
    assert_eq!(error_of(stranger.get_data(&secret).await), Error::NoAuth);
    let (kept, stat) = owner.get_acl(&secret).await.unwrap();
    assert_eq!((kept[0].scheme(), stat.aversion), ("digest", 0));
    let readable = [
        kept[0].clone(),
        Acl::new(Permission::READ, AuthId::anyone()),
    ];
    owner.set_acl(&secret, &readable, Some(0)).await.unwrap();
    stranger.sync(&secret).await.unwrap();
    assert_eq!(stranger.get_data(&secret).await.unwrap().0, b"secret");
    assert_eq!(
        error_of(stranger.set_data(&secret, b"", None).await),
        Error::NoAuth
    );
}

#[tokio::test]
async fn a_chroot_is_not_seen_from_inside() {
    let Some(servers) = servers("chroot") else {
        return;
    };
    let (outside, path) = client_and_path(&servers, "chroot").await;
    let inside = Client::connect(&format!("{servers}{path}")).await.unwrap();
    inside.create("/a", b"x", &PERSISTENT).await.unwrap();
    let (_, _, watcher) = inside.get_and_watch_data("/a").await.unwrap();
    let at = format!("{path}/a");
    outside.sync(&at).await.unwrap();
    outside.set_data(&at, b"y", None).await.unwrap();
    let event = soon("an event", watcher.changed()).await;
    assert_eq!(event.path, "/a");
    assert_eq!(inside.list_children("/").await.unwrap(), ["a"]);
}
