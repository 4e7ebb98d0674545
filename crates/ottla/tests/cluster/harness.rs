//! Brokers that share a controller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_broker::MetadataAccess;
use ottla_client::{Client, ClientOptions, Link, NewTopic};
use ottla_config::{NodeConfig, Sources};
use ottla_log::{LogDir, LogDirOptions, UpTo};
use ottla_metadata::{Command, FenceBroker, Image, PartitionImage};
use ottla_model::{BrokerId, Uuid};
use ottla_runtime::Runtime;
use ottla_wire::messages::MetadataRequest;
use ottla_wire::messages::metadata_request::MetadataRequestTopic;
use ottla_wire::{Request, Response, Text};
use tempfile::TempDir;

/// Longer than anything takes; a test that waits for this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A controller and its brokers.
pub(crate) struct Cluster {
    metadata: MetadataAccess,
    runtime: Runtime,
    settings: Vec<(String, String)>,
    dirs: BTreeMap<i32, TempDir>,
    pub(crate) brokers: BTreeMap<i32, TestBroker>,
    _dir: TempDir,
}

/// One broker.
pub(crate) struct TestBroker {
    pub(crate) handle: ottla_broker::Handle,
    runtime: Runtime,
    log_dir: LogDir,
}

impl Cluster {
    /// Brokers 1 to `count`.
    pub(crate) async fn start(count: i32, settings: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        let runtime = Runtime::real();
        let settings: Vec<_> = settings
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let config = Arc::new(config(dir.path(), 100, &settings));
        let options = ottla_controller::Options::of_node(&config);
        let starting = ottla_controller::start(&runtime, options, runtime.shutdown());
        let handle = starting.await.unwrap();
        let metadata = MetadataAccess {
            commands: handle.caller(),
            image: handle.published(),
            quorum: handle.quorum(),
            questions: handle.questions(),
        };
        let mut cluster = Cluster {
            metadata,
            runtime,
            settings,
            dirs: BTreeMap::new(),
            brokers: BTreeMap::new(),
            _dir: dir,
        };
        cluster
            .until("the cluster has a name", |c| {
                c.image().cluster_id().is_some()
            })
            .await;
        for id in 1..=count {
            cluster.start_broker(id).await;
        }
        cluster
    }

    /// Starts a broker, on its earlier data if it has some.
    pub(crate) async fn start_broker(&mut self, id: i32) {
        let dir = self
            .dirs
            .entry(id)
            .or_insert_with(|| TempDir::new().unwrap());
        let config = Arc::new(config(dir.path(), id, &self.settings));
        let runtime = Runtime::real();
        let (log_dir, _) = LogDir::open(&runtime, LogDirOptions::default(), dir.path()).unwrap();
        let options = ottla_broker::Options {
            runtime: runtime.clone(),
            config,
            node_id: BrokerId(id),
            cluster_id: self.image().cluster_id().unwrap().clone(),
            directory_id: Uuid([id.to_le_bytes()[0]; 16]),
            is_alone: true,
            data_may_be_lost: false,
            log_dir: log_dir.clone(),
            log_levels: None,
            metadata: self.metadata.clone(),
            request_budget_bytes: 64 << 20,
            read_budget_bytes: 64 << 20,
            connections_max: 1000,
            dedupe_buffer_bytes_max: 8 << 20,
        };
        let handle = ottla_broker::start(options).await.unwrap();
        let broker = TestBroker {
            handle,
            runtime,
            log_dir,
        };
        self.brokers.insert(id, broker);
    }

    /// Ends a broker without a word to the controller, which fences it.
    pub(crate) async fn lose_broker(&mut self, id: i32) {
        let broker = self.brokers.remove(&id).unwrap();
        broker.runtime.tasks.stop().await;
        broker.log_dir.close().await.unwrap();
        self.fence(id).await;
    }

    /// Ends a broker without a word to anybody. What comes back is its place.
    pub(crate) async fn stop_silently(&mut self, id: i32) -> LogDir {
        let broker = self.brokers.remove(&id).unwrap();
        broker.runtime.tasks.stop().await;
        broker.log_dir.close().await.unwrap();
        broker.log_dir
    }

    /// Tells the controller that a broker is silent.
    pub(crate) async fn fence(&self, id: i32) {
        let broker_epoch = self.image().broker(BrokerId(id)).unwrap().epoch;
        let command = Command::FenceBroker(FenceBroker {
            broker_id: BrokerId(id),
            broker_epoch,
        });
        self.submit(command).await;
    }

    /// Asks the controller for something that it grants.
    pub(crate) async fn submit(&self, command: Command) -> ottla_metadata::Reply {
        self.metadata.commands.call(command).await.unwrap().unwrap()
    }

    pub(crate) fn image(&self) -> Arc<Image> {
        self.metadata.image.get()
    }

    pub(crate) fn partition(&self, topic: &str, index: i32) -> Arc<PartitionImage> {
        Arc::clone(self.image().partition(topic, index).unwrap())
    }

    /// Who leads a partition.
    pub(crate) fn leader(&self, topic: &str, index: i32) -> i32 {
        self.partition(topic, index).leader.unwrap().0
    }

    /// What a broker says of the leader of a topic's only partition: the error and the id.
    pub(crate) async fn leader_said_by(&self, broker: i32, topic: &str) -> (i16, i32) {
        let at = self.brokers[&broker].handle.addresses()[0].1;
        let options = ClientOptions::default();
        let host = at.ip().to_string();
        let link = Link::open(&self.runtime, &options, &host, at.port());
        let link = link.await.unwrap();
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(Text::from(topic)),
                ..MetadataRequestTopic::default()
            }]),
            ..MetadataRequest::default()
        };
        let answer = link.call(12, &Request::from(request)).await.unwrap();
        let Response::Metadata(answer) = answer else {
            panic!("another answer");
        };
        let partition = &answer.topics[0].partitions[0];
        (partition.error_code, partition.leader_id)
    }

    /// A client that knows all brokers that run.
    pub(crate) async fn client(&self) -> Client {
        let addresses = self
            .brokers
            .values()
            .map(|b| b.handle.addresses()[0].1.to_string());
        let options = ClientOptions {
            deadline: PATIENCE,
            request_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(1),
            retry_backoff: Duration::from_millis(20),
            ..ClientOptions::default()
        };
        let runtime = self.runtime.clone();
        Client::connect(runtime, addresses.collect(), options)
            .await
            .unwrap()
    }

    /// Creates a topic with one partition.
    pub(crate) async fn create(&self, name: &str, replicas: i16, configs: &[(&str, &str)]) {
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(1),
            replication_factor: Some(replicas),
            configs: configs
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..NewTopic::default()
        };
        let client = self.client().await;
        client.create_topics(&[topic], false).await.unwrap();
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = std::time::Instant::now();
        while !is_so(self) {
            if began.elapsed() > PATIENCE {
                let topics: Vec<_> = self.image().topics().cloned().collect();
                panic!("never: {what}; {topics:#?}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until all of a partition's replicas that run have the same bytes and all of them
    /// committed; returns the bytes.
    pub(crate) async fn agreed(&self, topic: &str, index: i32) -> Vec<u8> {
        let state = |cluster: &Self| {
            let mut logs = Vec::new();
            for broker in cluster.brokers.values() {
                for (name, partition, log) in broker.handle.logs() {
                    if name == topic && partition == index {
                        logs.push((log.log_end_offset(), log.high_watermark(), bytes(&log)));
                    }
                }
            }
            logs
        };
        self.until("all replicas agree", |cluster| {
            let logs = state(cluster);
            logs.iter().all(|log| *log == logs[0]) && logs[0].0 == logs[0].1
        })
        .await;
        state(self).remove(0).2
    }

    pub(crate) async fn stop(self) {
        for broker in self.brokers.into_values() {
            broker.runtime.tasks.stop().await;
            broker.log_dir.close().await.unwrap();
        }
        self.runtime.tasks.stop().await;
    }
}

/// All that is in a log.
fn bytes(log: &ottla_log::Log) -> Vec<u8> {
    let (mut all, mut offset) = (Vec::new(), log.log_start_offset());
    while offset < log.log_end_offset() {
        let Ok(read) = log.read_blocking(offset, 1 << 20, true, UpTo::LogEnd) else {
            break;
        };
        read.chunks
            .iter()
            .for_each(|chunk| all.extend_from_slice(chunk));
        if read.next_offset == offset {
            break;
        }
        offset = read.next_offset;
    }
    all
}

fn config(dir: &std::path::Path, id: i32, settings: &[(String, String)]) -> NodeConfig {
    let usual = [
        ("log.dirs", dir.display().to_string()),
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", id.to_string()),
        ("listeners", "PLAINTEXT://127.0.0.1:0".to_owned()),
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
        ("offsets.topic.num.partitions", "3".to_owned()),
        ("replica.lag.time.max.ms", "1500".to_owned()),
    ];
    let usual = usual.map(|(k, v)| (k.to_owned(), v));
    let sources = Sources {
        flags: usual.into_iter().chain(settings.iter().cloned()).collect(),
        hostname: "node".to_owned(),
        ..Sources::default()
    };
    NodeConfig::load(sources).unwrap().config
}
