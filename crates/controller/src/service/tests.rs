use ottla_metadata::{DeleteTopics, TopicSelector};
use ottla_runtime::Service as _;
use ottla_runtime::disk::SimDisk;

use super::*;
use crate::fixture::{PowerCut, create, identity, options, partition_dir, register, runtime};

/// A controller that runs until the returned shutdown is announced.
struct Running {
    handle: Handle,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<Result<(), String>>,
}

impl Running {
    fn start(runtime: &Runtime, options: Options) -> Result<Self, Error> {
        let (service, handle) = Controller::open(runtime, options)?;
        let shutdown = Shutdown::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        Ok(Running {
            handle,
            shutdown,
            task,
        })
    }

    async fn stop(self) -> Arc<Image> {
        self.shutdown.announce();
        self.task.await.unwrap().unwrap();
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
    let running = Running::start(&runtime(disk.clone()), options()).unwrap();
    let mut watching = running.handle.clone();
    assert!(is_done(&running.handle.submit(register()).await));
    assert!(watching.changed().await);
    assert!(is_done(&running.handle.submit(create("a")).await));
    assert_eq!(
        running.handle.image().topic("a").unwrap().partition_count(),
        3
    );
    // The power fails without any farewell.
    let image = running.handle.image();
    disk.crash();
    let (_, handle) = Controller::open(&runtime(disk), options()).unwrap();
    assert_eq!(handle.image(), image);
    assert_eq!(image.cluster_id(), Some(&options().identity.cluster_id));
}

#[tokio::test]
async fn refusals_change_nothing_and_a_stopped_controller_says_so() {
    let running = Running::start(&runtime(SimDisk::new(1)), options()).unwrap();
    let before = running.handle.image();
    let reply = running.handle.submit(create("a")).await;
    assert!(!is_done(&reply), "no broker is there yet");
    assert!(Arc::ptr_eq(&before, &running.handle.image()));
    let mut handle = running.handle.clone();
    running.stop().await;
    assert_eq!(
        handle.submit(register()).await.unwrap_err().code,
        ErrorCode::NotController
    );
    assert!(!handle.changed().await);
}

#[tokio::test]
async fn commands_that_wait_together_share_one_append_and_see_each_other() {
    let disk = SimDisk::new(1);
    let (service, handle) = Controller::open(&runtime(disk.clone()), options()).unwrap();
    let caller = handle.caller();
    let mut pending = vec![caller.send(register()).await.unwrap()];
    for name in ["a", "b", "a", "c"] {
        pending.push(caller.send(create(name)).await.unwrap());
    }
    let task = tokio::spawn(service.run(Shutdown::new()));
    let mut replies = Vec::new();
    for reply in pending {
        replies.push(is_done(&reply.wait().await.unwrap()));
    }
    assert_eq!(replies, [true, true, true, false, true]);
    task.abort();
    disk.crash();
    let disk: Arc<dyn ottla_runtime::Disk> = Arc::new(disk);
    let mut batches = Vec::new();
    Store::open(&disk, &partition_dir(), None, |batch| {
        batches.push(batch.header().record_count);
        Ok(())
    })
    .unwrap();
    // The cluster's name and its features, then a broker and three topics with three partitions each.
    assert_eq!(batches, [6, 13]);
}

#[tokio::test]
async fn snapshots_bound_the_log_and_lead_to_the_same_image() {
    let disk = SimDisk::new(1);
    let running = Running::start(&runtime(disk.clone()), eager_snapshots()).unwrap();
    running.handle.submit(register()).await.unwrap();
    for i in 0..40 {
        assert!(is_done(
            &running.handle.submit(create(&format!("t{i}"))).await
        ));
        if i % 3 == 0 {
            let topics = vec![TopicSelector::by_name(format!("t{i}"))];
            let delete = Command::DeleteTopics(DeleteTopics {
                topics,
                ..DeleteTopics::default()
            });
            running.handle.submit(delete).await.unwrap();
        }
    }
    let image = running.stop().await;
    let files = disk.files();
    let count = |suffix| {
        files
            .iter()
            .filter(|f| f.to_string_lossy().ends_with(suffix))
            .count()
    };
    assert_eq!(
        (count(".checkpoint"), count(".log"), files.len()),
        (1, 1, 2),
        "{files:?}"
    );
    disk.crash();
    let (service, handle) = Controller::open(&runtime(disk), eager_snapshots()).unwrap();
    assert_eq!(handle.image(), image);
    assert!(
        service.since_snapshot.records < 10 + 4,
        "{:?}",
        service.since_snapshot
    );
    assert_eq!(service.epoch, 1, "each start has an epoch of its own");
}

#[tokio::test]
async fn a_crash_at_any_step_loses_nothing_that_was_acknowledged() {
    for seed in 0..4 {
        crash_at_any_step(seed).await;
    }
}

async fn crash_at_any_step(seed: u64) {
    let mut steps: i64 = 0;
    loop {
        // What an unflushed disk keeps depends on the seed.
        let disk = SimDisk::new(seed << 32 | steps.unsigned_abs());
        let power = PowerCut::after(steps, &disk);
        let mut acknowledged = Vec::new();
        // The names in the order of the commands; at most one is in doubt.
        let names: Vec<_> = (0..12).map(|i| format!("t{i}")).collect();
        if let Ok(running) = Running::start(&runtime(power.clone()), eager_snapshots()) {
            if is_done(&running.handle.submit(register()).await) {
                for name in &names {
                    if !is_done(&running.handle.submit(create(name)).await) {
                        break;
                    }
                    acknowledged.push(name.clone());
                }
            }
            running.shutdown.announce();
            let _end = running.task.await.unwrap();
        }
        disk.crash();
        let (service, handle) = Controller::open(&runtime(disk.clone()), eager_snapshots())
            .unwrap_or_else(|error| panic!("power cut after {steps} steps: {error}"));
        let image = handle.image();
        let found: Vec<_> = (0..)
            .map(|i| format!("t{i}"))
            .take_while(|name| image.topic(name).is_some())
            .collect();
        assert_eq!(
            found.len(),
            image.topic_count(),
            "power cut after {steps} steps"
        );
        assert!(
            found.len() == acknowledged.len() || found.len() == acknowledged.len() + 1,
            "power cut after {steps} steps: {acknowledged:?} acknowledged, {found:?} found"
        );
        for topic in image.topics() {
            assert_eq!(topic.partition_count(), 3, "a command happens as a whole");
        }
        // The restarted node goes on, and what it adds survives as well.
        let shutdown = Shutdown::new();
        let task = tokio::spawn(service.run(shutdown.clone()));
        assert!(is_done(&handle.submit(register()).await));
        assert!(is_done(&handle.submit(create("after")).await));
        let image = handle.image();
        shutdown.announce();
        task.await.unwrap().unwrap();
        disk.crash();
        let (_, handle) = Controller::open(&runtime(disk), eager_snapshots()).unwrap();
        assert_eq!(handle.image(), image, "power cut after {steps} steps");
        if !power.is_off() {
            break;
        }
        steps += 1;
    }
    assert!(steps > 60, "the power was cut at {steps} different steps");
}

#[tokio::test]
async fn a_full_disk_refuses_changes_and_recovers_by_itself() {
    let disk = SimDisk::new(1);
    let running = Running::start(&runtime(disk.clone()), eager_snapshots()).unwrap();
    running.handle.submit(register()).await.unwrap();
    disk.set_capacity_bytes(0);
    let refusal = running.handle.submit(create("a")).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::KafkaStorageError);
    assert_eq!(running.handle.image().topic_count(), 0);
    // Room for records, but not for a snapshot.
    disk.set_capacity_bytes(2000);
    for i in 0..4 {
        assert!(
            is_done(&running.handle.submit(create(&format!("t{i}"))).await),
            "{i}"
        );
    }
    disk.set_capacity_bytes(u64::MAX);
    for i in 4..9 {
        assert!(
            is_done(&running.handle.submit(create(&format!("t{i}"))).await),
            "{i}"
        );
    }
    let image = running.stop().await;
    assert_eq!(image.topic_count(), 9);
    assert!(
        !disk
            .files()
            .iter()
            .any(|f| f.to_string_lossy().ends_with(".tmp"))
    );
    disk.crash();
    let (_, handle) = Controller::open(&runtime(disk), options()).unwrap();
    assert_eq!(handle.image(), image);
}

#[tokio::test]
async fn the_metadata_of_another_cluster_is_refused_with_both_names() {
    let disk = SimDisk::new(1);
    Controller::open(&runtime(disk.clone()), options()).unwrap();
    let other = Options {
        identity: identity("other"),
        ..options()
    };
    let error = Controller::open(&runtime(disk), other)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("test") && error.contains("other"), "{error}");
}

#[tokio::test]
async fn options_follow_the_configuration_of_the_node() {
    let loaded = ottla_config::NodeConfig::load(ottla_config::Sources::default()).unwrap();
    let options = Options::of_node(&Arc::new(loaded.config), identity("test"));
    assert_eq!(options.defaults, Defaults::default());
    assert!(
        options.log_dir.ends_with("ottla-data"),
        "{:?}",
        options.log_dir
    );
}
