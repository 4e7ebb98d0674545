//! How nodes find each other, and who is refused.

use std::time::Duration;

use ottla_runtime::disk::SimDisk;

use crate::harness::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn named_voters_found_a_cluster_and_changes_made_anywhere_are_seen_everywhere() {
    let quorum = TestQuorum::started(3, Finding::Voters).await;
    quorum.leader().await;
    let cluster_id = quorum.cluster_id();
    for node in quorum.nodes.values() {
        assert_eq!(node.handle.identity().cluster_id, cluster_id);
        assert_eq!(node.handle.quorum().get().voters.len(), 3);
    }
    quorum
        .handle(1)
        .submit(register(&cluster_id))
        .await
        .unwrap();
    for id in 1..=3 {
        quorum.create(id, &format!("through-{id}")).await;
        // Whoever asked sees the change at once.
        let image = quorum.handle(id).image();
        assert!(image.topic(&format!("through-{id}")).is_some());
    }
    let image = quorum.settled("through-3").await;
    assert_eq!(image.topic_count(), 3);
    assert_eq!(image.cluster_id(), Some(&cluster_id));
    quorum.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bootstrap_servers_found_a_cluster_only_when_all_of_them_are_there() {
    let mut quorum = TestQuorum::new(3, Finding::Servers);
    let (runtime, options) = quorum.prepare(1);
    let (first, first_task) = begin_in_vain(runtime, options);
    let (runtime, options) = quorum.prepare(2);
    let (second, second_task) = begin_in_vain(runtime, options);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!first_task.is_finished() && !second_task.is_finished());
    first.announce();
    second.announce();
    assert!(first_task.await.unwrap().is_err());
    assert!(second_task.await.unwrap().is_err());
    quorum.start_all().await;
    let cluster_id = quorum.cluster_id();
    quorum.leader().await;
    quorum
        .handle(2)
        .submit(register(&cluster_id))
        .await
        .unwrap();
    quorum.create(3, "a").await;
    quorum.settled("a").await;
    quorum.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_cluster_is_refused_with_both_cluster_ids() {
    let mut quorum = TestQuorum::started(3, Finding::Voters).await;
    let own = quorum.cluster_id().0;
    // Another cluster's volume comes to node 4.
    let mut other = TestQuorum::started(1, Finding::Voters).await;
    let theirs = other.cluster_id().0;
    other.kill(1).await;
    let stranger = other.disks[&1].clone();
    let id = 4;
    quorum.disks.insert(id, stranger);
    let disk: &dyn ottla_runtime::Disk = &quorum.disks[&id];
    let path = std::path::Path::new("/data/meta.properties");
    let text = String::from_utf8(disk.read(path).unwrap()).unwrap();
    let text = text.replace("node.id=1", "node.id=4");
    disk.write_atomically(path, text.as_bytes()).unwrap();
    disk.remove_dir_all(std::path::Path::new("/data/__cluster_metadata-0"))
        .unwrap();
    let error = quorum.start(id).await.unwrap_err().to_string();
    assert!(error.contains(&own) && error.contains(&theirs), "{error}");
    quorum.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_id_that_a_live_node_has_is_refused_with_both_directory_ids() {
    let mut quorum = TestQuorum::started(3, Finding::Voters).await;
    quorum.leader().await;
    let taken = quorum.handle(3).identity().directory_id.to_string();
    // A second node 3, at a place of its own.
    let (runtime, mut options) = quorum.prepare(4);
    options.identity.node_id = Some(ottla_model::BrokerId(3));
    let disk = SimDisk::new(99);
    let runtime = ottla_runtime::Runtime {
        disk: std::sync::Arc::new(disk.clone()),
        ..runtime
    };
    let (_, starting) = begin_in_vain(runtime, options);
    let error = starting.await.unwrap().map(|_| ()).unwrap_err().to_string();
    let dynamic: &dyn ottla_runtime::Disk = &disk;
    let meta = dynamic
        .read(std::path::Path::new("/data/meta.properties"))
        .unwrap();
    let meta = String::from_utf8(meta).unwrap();
    let own = meta.split("directory.id=").nth(1).unwrap().trim();
    assert!(error.contains(&taken) && error.contains(own), "{error}");
    assert!(error.contains("node.id 3 is taken"), "{error}");
    quorum.stop_all().await;
}
