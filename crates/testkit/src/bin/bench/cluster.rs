//! Three nodes with three replicas of everything: what a failure and a hand-over cost, and what
//! replication costs.

mod failover;
mod hand_over;
mod latency;
mod topics;
mod volume;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use ottla_testkit::cluster::Cluster;
use ottla_testkit::scenario::Scenario;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};

pub(crate) use failover::measure as measure_failover;
pub(crate) use hand_over::measure as measure_hand_over;
pub(crate) use latency::measure as measure_latency;
pub(crate) use topics::measure as measure_topics;
pub(crate) use volume::measure as measure_volume;

pub(crate) const NODES: usize = 3;
const REPLICAS: i32 = 3;
const LIMIT: Duration = Duration::from_secs(180);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// What librdkafka does by itself when a leader is gone, without its usual pauses: the cluster is
/// measured here, and not the client's patience.
const IMPATIENT: [(&str, &str); 9] = [
    ("acks", "all"),
    ("linger.ms", "0"),
    ("retry.backoff.ms", "5"),
    ("retry.backoff.max.ms", "20"),
    ("reconnect.backoff.ms", "5"),
    ("reconnect.backoff.max.ms", "20"),
    ("topic.metadata.refresh.fast.interval.ms", "10"),
    ("topic.metadata.refresh.interval.ms", "1000"),
    ("message.timeout.ms", "120000"),
];

/// Clients of a cluster that make topics with three replicas.
struct Clients {
    scenario: Scenario,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
}

impl Clients {
    fn of(cluster: &Cluster) -> Result<Clients> {
        let scenario = Scenario::new(cluster.bootstrap());
        Ok(Clients {
            admin: scenario.config(&[]).create()?,
            scenario,
            runtime: tokio::runtime::Builder::new_current_thread().build()?,
        })
    }

    /// Creates topics in one request; two of the replicas must be in sync.
    fn create(&self, names: &[String], partitions: i32) -> Result<()> {
        let topics: Vec<NewTopic<'_>> = names
            .iter()
            .map(|name| {
                NewTopic::new(name, partitions, TopicReplication::Fixed(REPLICAS))
                    .set("min.insync.replicas", "2")
            })
            .collect();
        let how = AdminOptions::new()
            .operation_timeout(Some(LIMIT))
            .request_timeout(Some(LIMIT));
        for result in self
            .runtime
            .block_on(self.admin.create_topics(&topics, &how))?
        {
            result.map_err(|(topic, code)| anyhow!("topic {topic} was not created: {code}"))?;
        }
        Ok(())
    }

    fn create_one(&self, name: &str, partitions: i32) -> Result<()> {
        self.create(&[name.to_owned()], partitions)?;
        self.wait_in_sync(Some(name), partitions)
    }

    /// Waits until so many partitions have all replicas in sync, and leaders.
    fn wait_in_sync(&self, topic: Option<&str>, partitions: i32) -> Result<()> {
        let consumer: BaseConsumer = self.scenario.config(&[]).create()?;
        let deadline = Instant::now() + LIMIT;
        loop {
            let metadata = consumer.fetch_metadata(topic, LIMIT)?;
            let of_tests = metadata
                .topics()
                .iter()
                .filter(|t| !t.name().starts_with('_'));
            let good = of_tests
                .flat_map(|topic| topic.partitions())
                .filter(|p| p.leader() >= 0 && p.isr().len() == p.replicas().len())
                .count();
            if i32::try_from(good)? >= partitions {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{good} of {partitions} partitions are in sync after {LIMIT:?}"
            );
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// The partitions of a topic that a node leads.
    fn led_by(&self, topic: &str, node: usize) -> Result<Vec<i32>> {
        let consumer: BaseConsumer = self.scenario.config(&[]).create()?;
        let metadata = consumer.fetch_metadata(Some(topic), LIMIT)?;
        let id = i32::try_from(node + 1)?;
        let partitions = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions());
        Ok(partitions
            .filter(|p| p.leader() == id)
            .map(|p| p.id())
            .collect())
    }

    /// The place in the cluster of the node that leads a partition.
    fn leader(&self, topic: &str, partition: i32) -> Result<usize> {
        let id = self.scenario.leader(topic, partition)?;
        let id = id.with_context(|| format!("{topic}-{partition} has no leader"))?;
        usize::try_from(id)?
            .checked_sub(1)
            .context("a node with id 0")
    }
}

/// CPU time of all nodes.
fn cpu_seconds(cluster: &Cluster) -> Result<f64> {
    let processes = cluster.nodes().iter().filter_map(|node| node.process());
    processes.map(|process| process.cpu_seconds()).sum()
}
