//! A quorum of nodes in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ottla_client::{ClientOptions, Link};
use ottla_config::{NodeConfig, Sources};
use ottla_controller::{Error, Handle, Options};
use ottla_metadata::{Command, CreateTopics, Image, NewTopic, Refusal, RegisterBroker, Reply};
use ottla_model::{BrokerId, ClusterId, Uuid};
use ottla_runtime::disk::SimDisk;
use ottla_runtime::{Runtime, Shutdown};
use ottla_wire::{Request, Response};

/// Longer than anything takes; a test that waits for this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How the nodes find each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    Voters,
    Servers,
}

/// A node that runs.
pub(crate) struct Node {
    pub(crate) runtime: Runtime,
    pub(crate) handle: Handle,
}

/// The nodes, those that run and those that do not.
pub(crate) struct TestQuorum {
    finding: Finding,
    /// The controllers that found the cluster.
    pub(crate) founders: Vec<i32>,
    pub(crate) ports: BTreeMap<i32, u16>,
    pub(crate) disks: BTreeMap<i32, SimDisk>,
    pub(crate) nodes: BTreeMap<i32, Node>,
    extra: Vec<(String, String)>,
}

/// Ports that nobody listens on now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl TestQuorum {
    /// The nodes `1..=count` found a cluster; more may come later.
    pub(crate) fn new(count: i32, finding: Finding) -> Self {
        let ids = 1..=count + 2;
        TestQuorum {
            finding,
            founders: (1..=count).collect(),
            ports: ids.map(|id| (id, free_port())).collect(),
            disks: BTreeMap::new(),
            nodes: BTreeMap::new(),
            // The broker of these tests sends no heartbeats.
            extra: vec![("broker.session.timeout.ms".to_owned(), "600000".to_owned())],
        }
    }

    /// All founders, started together.
    pub(crate) async fn started(count: i32, finding: Finding) -> Self {
        let mut quorum = Self::new(count, finding);
        quorum.start_all().await;
        quorum
    }

    pub(crate) async fn start_all(&mut self) {
        let ids = self.founders.clone();
        let starting: Vec<_> = ids.iter().map(|id| (*id, self.prepare(*id))).collect();
        let mut tasks = Vec::new();
        for (id, (runtime, options)) in starting {
            tasks.push((id, tokio::spawn(begin(runtime, options))));
        }
        for (id, task) in tasks {
            let node = task.await.unwrap().unwrap();
            self.nodes.insert(id, node);
        }
    }

    /// Starts one more node, or one again.
    pub(crate) async fn start(&mut self, id: i32) -> Result<(), Error> {
        let (runtime, options) = self.prepare(id);
        let node = begin(runtime, options).await?;
        self.nodes.insert(id, node);
        Ok(())
    }

    /// What a node needs to start.
    pub(crate) fn prepare(&mut self, id: i32) -> (Runtime, Options) {
        let seed = u64::try_from(id).unwrap();
        let disk = self.disks.entry(id).or_insert_with(|| SimDisk::new(seed));
        let runtime = Runtime {
            disk: Arc::new(disk.clone()),
            ..Runtime::real()
        };
        (runtime, self.options(id))
    }

    fn options(&self, id: i32) -> Options {
        let port = self.ports[&id];
        let founders = &self.founders;
        let places = founders.iter().map(|id| (id, self.ports[id]));
        let (key, value) = match self.finding {
            Finding::Voters => (
                "controller.quorum.voters",
                places
                    .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
                    .collect::<Vec<_>>()
                    .join(","),
            ),
            Finding::Servers => (
                "controller.quorum.bootstrap.servers",
                places
                    .map(|(_, port)| format!("127.0.0.1:{port}"))
                    .collect::<Vec<_>>()
                    .join(","),
            ),
        };
        let is_founder = founders.contains(&id);
        let mut settings = vec![
            ("node.id".to_owned(), id.to_string()),
            ("process.roles".to_owned(), "controller".to_owned()),
            (
                "listeners".to_owned(),
                format!("CONTROLLER://127.0.0.1:{port}"),
            ),
            (
                "controller.listener.names".to_owned(),
                "CONTROLLER".to_owned(),
            ),
            (
                "listener.security.protocol.map".to_owned(),
                "CONTROLLER:PLAINTEXT".to_owned(),
            ),
            ("log.dirs".to_owned(), "/data".to_owned()),
            (
                "ottla.quorum.bootstrap.expect".to_owned(),
                founders.len().to_string(),
            ),
            (key.to_owned(), value),
        ];
        if self.finding == Finding::Voters && !is_founder {
            // One who is not named finds the others by their places.
            let first = self.ports[&founders[0]];
            settings.push((
                "controller.quorum.bootstrap.servers".to_owned(),
                format!("127.0.0.1:{first}"),
            ));
        }
        settings.extend(self.extra.iter().cloned());
        let sources = Sources {
            flags: settings,
            hostname: "localhost".to_owned(),
            ..Sources::default()
        };
        let loaded = NodeConfig::load(sources).unwrap();
        Options::of_node(&Arc::new(loaded.config))
    }

    /// Ends a node without a word to the others, and takes what it had not flushed.
    pub(crate) async fn kill(&mut self, id: i32) {
        let node = self.nodes.remove(&id).unwrap();
        node.runtime.tasks.stop().await;
        self.disks[&id].crash();
    }

    pub(crate) async fn stop_all(mut self) {
        for (_, node) in std::mem::take(&mut self.nodes) {
            node.runtime.tasks.stop().await;
        }
    }

    pub(crate) fn handle(&self, id: i32) -> &Handle {
        &self.nodes[&id].handle
    }

    /// Waits until all running nodes agree who leads, and somebody does.
    pub(crate) async fn leader(&self) -> i32 {
        let mut seen = String::new();
        for _ in 0..PATIENCE.as_millis() / 10 {
            let leaders: Vec<i32> = self
                .nodes
                .values()
                .map(|node| node.handle.quorum().get().leader_id.0)
                .collect();
            seen = format!("{leaders:?}");
            if leaders[0] >= 0
                && leaders.iter().all(|id| *id == leaders[0])
                && self.nodes.contains_key(&leaders[0])
            {
                return leaders[0];
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no leader: {seen}");
    }

    /// Submits a change through a node until it is taken.
    pub(crate) async fn create(&self, through: i32, name: &str) {
        let mut last = None;
        for _ in 0..20 {
            match self.handle(through).submit(create(name)).await {
                Ok(Reply::CreateTopics(results)) => match &results[0].outcome {
                    Ok(_) => return,
                    Err(refusal) if refusal.message.contains("already exists") => return,
                    Err(refusal) => panic!("{refusal}"),
                },
                Ok(other) => panic!("{other:?}"),
                Err(refusal) => last = Some(refusal),
            }
        }
        panic!("{name} was not created: {last:?}");
    }

    /// Waits until all running nodes have the same image, with a topic.
    pub(crate) async fn settled(&self, topic: &str) -> Arc<Image> {
        for _ in 0..PATIENCE.as_millis() / 10 {
            let images: Vec<_> = self.nodes.values().map(|n| n.handle.image()).collect();
            if images[0].topic(topic).is_some() && images.iter().all(|i| *i == images[0]) {
                return Arc::clone(&images[0]);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the nodes do not agree about {topic}");
    }

    /// Asks the door of a node.
    pub(crate) async fn ask(&self, id: i32, request: Request) -> Response {
        let runtime = Runtime::real();
        let options = ClientOptions::default();
        let link = Link::open(&runtime, &options, "127.0.0.1", self.ports[&id]);
        let link = link.await.unwrap();
        let version = link.version(request.api()).unwrap();
        link.call(version, &request).await.unwrap()
    }

    pub(crate) fn cluster_id(&self) -> ClusterId {
        let node = self.nodes.values().next().unwrap();
        node.handle.identity().cluster_id.clone()
    }
}

async fn begin(runtime: Runtime, options: Options) -> Result<Node, Error> {
    let starting = ottla_controller::start(&runtime, options, runtime.shutdown());
    let started = tokio::time::timeout(PATIENCE, starting).await;
    match started.unwrap_or(Err(Error::Stopped)) {
        Ok(handle) => Ok(Node { runtime, handle }),
        Err(error) => {
            runtime.tasks.stop().await;
            Err(error)
        }
    }
}

/// Starts a node that is not expected to get anywhere, until it is told to stop.
pub(crate) fn begin_in_vain(
    runtime: Runtime,
    options: Options,
) -> (Shutdown, tokio::task::JoinHandle<Result<Node, Error>>) {
    let stop = runtime.shutdown().clone();
    (stop, tokio::spawn(begin(runtime, options)))
}

/// A broker that is registered and takes part, so that topics can be created.
pub(crate) fn register(cluster_id: &ClusterId) -> Command {
    Command::RegisterBroker(RegisterBroker {
        broker_id: BrokerId(100),
        cluster_id: cluster_id.clone(),
        incarnation_id: Uuid([1; 16]),
        directory_id: Uuid([2; 16]),
        rack: None,
        endpoints: Vec::new(),
        features: ottla_metadata::supported_features(),
        fenced: false,
        data_may_be_lost: false,
    })
}

pub(crate) fn create(name: &str) -> Command {
    Command::CreateTopics(CreateTopics {
        topics: vec![NewTopic::with_defaults(name)],
        ..CreateTopics::default()
    })
}

/// A change that is refused because nobody can take it.
pub(crate) fn refused(reply: Result<Reply, Refusal>) -> Refusal {
    reply.expect_err("nobody should take this")
}
