use std::io::IoSlice;

use ottla_metadata::{Command, DeleteTopics, Image, Refusal, Reply, TopicSelector};
use ottla_model::ErrorCode;
use ottla_runtime::disk::{OpenMode, SimDisk};

use super::*;
use crate::fixture::{create, options, partition_dir, register, runtime};

/// A node that is a cluster of its own.
struct Alone {
    runtime: Runtime,
    handle: Handle,
}

impl Alone {
    async fn start(disk: &SimDisk, options: Options) -> Result<Self, Error> {
        let runtime = runtime(disk.clone());
        let handle = start(&runtime, options, runtime.shutdown()).await?;
        Ok(Alone { runtime, handle })
    }

    async fn stop(self) -> Arc<Image> {
        self.runtime.tasks.stop().await;
        self.handle.image()
    }
}

fn eager_snapshots() -> Options {
    Options {
        snapshot_after_records: 10,
        ..options()
    }
}

fn is_done(reply: &Result<Reply, Refusal>) -> bool {
    match reply {
        Ok(Reply::CreateTopics(results)) => results.iter().all(|r| r.outcome.is_ok()),
        Ok(_) => true,
        Err(_) => false,
    }
}

#[tokio::test]
async fn a_reply_comes_when_the_change_is_visible_and_durable() {
    let disk = SimDisk::new(1);
    let node = Alone::start(&disk, options()).await.unwrap();
    let mut watching = node.handle.clone();
    assert!(is_done(&node.handle.submit(register()).await));
    assert!(watching.changed().await);
    assert!(is_done(&node.handle.submit(create("a")).await));
    assert_eq!(node.handle.image().topic("a").unwrap().partition_count(), 3);
    // The power fails without any farewell.
    let image = node.handle.image();
    disk.crash();
    let again = Alone::start(&disk, options()).await.unwrap();
    settled(&again.handle, image.metadata_offset()).await;
    assert_eq!(again.handle.image(), image);
    assert_eq!(image.cluster_id(), options().identity.cluster_id.as_ref());
}

/// Waits until the image has an offset.
async fn settled(handle: &Handle, offset: i64) {
    let mut watching = handle.clone();
    while handle.image().metadata_offset() < offset {
        assert!(watching.changed().await);
    }
}

#[tokio::test]
async fn refusals_change_nothing_and_a_stopped_controller_says_so() {
    let node = Alone::start(&SimDisk::new(1), options()).await.unwrap();
    settled(&node.handle, 0).await;
    let before = node.handle.image();
    let reply = node.handle.submit(create("a")).await;
    assert!(!is_done(&reply), "no broker is there yet");
    assert_eq!(before, node.handle.image());
    let handle = node.handle.clone();
    node.stop().await;
    let refusal = handle.submit(register()).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NotController);
}

#[tokio::test]
async fn commands_that_are_under_way_together_see_each_other() {
    let node = Alone::start(&SimDisk::new(1), options()).await.unwrap();
    let caller = node.handle.caller();
    let mut pending = vec![caller.send(register()).await.unwrap()];
    for name in ["a", "b", "a", "c"] {
        pending.push(caller.send(create(name)).await.unwrap());
    }
    let mut replies = Vec::new();
    for reply in pending {
        replies.push(is_done(&reply.wait().await.unwrap()));
    }
    assert_eq!(replies, [true, true, true, false, true]);
    assert_eq!(node.stop().await.topic_count(), 3);
}

#[tokio::test]
async fn snapshots_lead_to_the_same_image() {
    let disk = SimDisk::new(1);
    let node = Alone::start(&disk, eager_snapshots()).await.unwrap();
    node.handle.submit(register()).await.unwrap();
    for i in 0..40 {
        assert!(is_done(&node.handle.submit(create(&format!("t{i}"))).await));
        if i % 3 == 0 {
            let topics = vec![TopicSelector::by_name(format!("t{i}"))];
            let delete = Command::DeleteTopics(DeleteTopics {
                topics,
                ..DeleteTopics::default()
            });
            node.handle.submit(delete).await.unwrap();
        }
    }
    let image = node.stop().await;
    disk.crash();
    let again = Alone::start(&disk, eager_snapshots()).await.unwrap();
    settled(&again.handle, image.metadata_offset()).await;
    assert_eq!(again.handle.image(), image);
}

#[tokio::test]
async fn a_full_disk_refuses_changes_and_recovers_by_itself() {
    let disk = SimDisk::new(1);
    let node = Alone::start(&disk, options()).await.unwrap();
    node.handle.submit(register()).await.unwrap();
    disk.set_capacity_bytes(0);
    let refusal = node.handle.submit(create("a")).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::KafkaStorageError);
    assert_eq!(node.handle.image().topic_count(), 0);
    disk.set_capacity_bytes(u64::MAX);
    let clock = node.runtime.clock.clone();
    let deadline = clock.instant() + Duration::from_secs(20);
    while !is_done(&node.handle.submit(create("b")).await) {
        assert!(clock.instant() < deadline, "changes are taken again");
        clock.sleep(Duration::from_millis(50)).await;
    }
    for i in 0..9 {
        assert!(is_done(&node.handle.submit(create(&format!("t{i}"))).await));
    }
    // The change that found the disk full was made as soon as there was room.
    assert_eq!(node.stop().await.topic_count(), 11);
}

/// What a node has written that had no quorum yet.
fn write_old(disk: &SimDisk) -> Image {
    let disk: &dyn ottla_runtime::Disk = disk;
    let mut image = Image::empty();
    let name = Command::NameCluster(ClusterId("test".into()));
    let mut records = Vec::new();
    for command in [name, register(), create("old"), create("older")] {
        let mut random = || [7; 16];
        let mut context = ottla_metadata::Context {
            random: &mut random,
            rules: &crate::fixture::AnyConfig,
            defaults: Defaults::default(),
            active_offset: i64::MAX,
        };
        // Topics need ids of their own.
        let mut count = records.len() as u8;
        let mut distinct = || {
            count += 1;
            [count; 16]
        };
        context.random = &mut distinct;
        let (decided, _) = ottla_metadata::decide(&image, &command, &mut context).unwrap();
        for record in decided {
            image.apply(&record, records.len() as i64).unwrap();
            records.push(record);
        }
    }
    let bytes = crate::batch::encode(&records, 0, 0, 0).unwrap();
    disk.create_dir_all(&partition_dir()).unwrap();
    let path = partition_dir().join("00000000000000000000.log");
    let file = disk.open(&path, OpenMode::Truncate).unwrap();
    file.write_at(&[IoSlice::new(&bytes)], 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(&partition_dir()).unwrap();
    let meta = "version=1\nnode.id=1\ncluster.id=test\ndirectory.id=4L6g3nShT-eMCtK--X86sw\n";
    disk.write_atomically(&PathBuf::from("/data/meta.properties"), meta.as_bytes())
        .unwrap();
    image
}

#[tokio::test]
async fn what_a_node_had_before_there_was_a_quorum_is_taken_over_once() {
    let disk = SimDisk::new(1);
    let old = write_old(&disk);
    let node = Alone::start(&disk, options()).await.unwrap();
    settled(&node.handle, old.metadata_offset()).await;
    assert_eq!(*node.handle.image(), old);
    assert!(is_done(&node.handle.submit(register()).await));
    assert!(is_done(&node.handle.submit(create("new")).await));
    let image = node.stop().await;
    assert_eq!(image.topic_count(), 3);
    disk.crash();
    let again = Alone::start(&disk, options()).await.unwrap();
    settled(&again.handle, image.metadata_offset()).await;
    assert_eq!(again.handle.image(), image);
    // The next office cleans up.
    assert!(is_done(&again.handle.submit(register()).await));
    again.stop().await;
    assert!(!old::is_there(&disk, &partition_dir()));
}

#[tokio::test]
async fn the_volume_of_another_cluster_is_refused_with_both_names() {
    let disk = SimDisk::new(1);
    Alone::start(&disk, options()).await.unwrap().stop().await;
    let mut other = options();
    other.identity.cluster_id = Some(ClusterId("other".into()));
    let refused = Alone::start(&disk, other).await.map(|_| ());
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("test") && error.contains("other"), "{error}");
}

#[tokio::test]
async fn options_follow_the_configuration_of_the_node() {
    let loaded = NodeConfig::load(ottla_config::Sources::default()).unwrap();
    let options = Options::of_node(&Arc::new(loaded.config));
    assert_eq!(options.defaults, Defaults::default());
    assert!(options.is_alone());
    assert!(options.log_dir.ends_with("ottla-data"));
}
