//! Which hosts there are, and how each node is configured.

use anyhow::Context;
use ottla_config::{NodeConfig, Sources};
use ottla_runtime::Random;

use crate::Shape;

/// The hosts that clients run on.
pub(crate) const CLIENTS: [&str; 2] = ["writers", "readers"];

/// A node before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) id: usize,
    /// The name of its host.
    pub(crate) host: String,
    pub(crate) is_controller: bool,
    pub(crate) is_broker: bool,
}

/// The nodes of a shape, in the order of their ids.
pub(crate) fn plan(shape: Shape) -> Vec<Plan> {
    let node = |id: usize| {
        let (is_controller, is_broker) = match shape {
            Shape::Alone | Shape::Combined { .. } => (true, true),
            Shape::Separate { controllers, .. } => (id <= controllers, id > controllers),
        };
        Plan {
            id,
            host: format!("n{id}"),
            is_controller,
            is_broker,
        }
    };
    (1..=shape.nodes()).map(node).collect()
}

/// All hosts that faults can come between, the nodes first.
pub(crate) fn hosts(plans: &[Plan]) -> Vec<String> {
    let nodes = plans.iter().map(|plan| plan.host.clone());
    nodes.chain(CLIENTS.map(str::to_owned)).collect()
}

/// Where clients find the brokers.
pub(crate) fn addresses(plans: &[Plan]) -> Vec<String> {
    let brokers = plans.iter().filter(|plan| plan.is_broker);
    brokers.map(|plan| format!("{}:9092", plan.host)).collect()
}

/// The brokers' numbers.
pub(crate) fn broker_ids(plans: &[Plan]) -> Vec<i32> {
    let brokers = plans.iter().filter(|plan| plan.is_broker);
    brokers.map(|plan| plan.id as i32).collect()
}

/// Small and lively: few partitions, checkpoints every second or so, and short timeouts.
pub(crate) fn config(seed: u64, plans: &[Plan], plan: &Plan) -> anyhow::Result<NodeConfig> {
    let random = Random::from_seed(seed ^ 0x636f_6e66_6967);
    let checkpoint_ms = 300 + random.below(3000);
    // With little memory consumers read from the disk, else what was just written.
    let memory_bytes = ["2097152", "67108864"][random.below(2) as usize];
    let mut flags = flags([
        ("node.id", &plan.id.to_string()),
        ("log.dirs", "/data"),
        (
            "log.flush.offset.checkpoint.interval.ms",
            &checkpoint_ms.to_string(),
        ),
        ("log.retention.ms", "-1"),
        ("auto.create.topics.enable", "false"),
        ("offsets.topic.num.partitions", "2"),
        ("ottla.memory.budget.bytes", memory_bytes),
    ]);
    if let [_] = plans {
        flags.extend(self::flags([
            ("process.roles", "broker,controller"),
            ("listeners", "PLAINTEXT://:9092"),
            (
                "advertised.listeners",
                &format!("PLAINTEXT://{}:9092", plan.host),
            ),
            ("offsets.topic.replication.factor", "1"),
        ]));
    } else {
        flags.extend(of_cluster(&random, plans, plan));
    }
    let sources = Sources {
        flags,
        hostname: plan.host.clone(),
        ..Sources::default()
    };
    let loaded = NodeConfig::load(sources).context("the simulated node's configuration")?;
    Ok(loaded.config)
}

fn of_cluster(random: &Random, plans: &[Plan], plan: &Plan) -> Vec<(String, String)> {
    let voters = plans.iter().filter(|plan| plan.is_controller);
    let voters: Vec<_> = voters
        .map(|plan| format!("{}@{}:9093", plan.id, plan.host))
        .collect();
    let (mut roles, mut listeners, mut advertised) = (Vec::new(), Vec::new(), Vec::new());
    if plan.is_broker {
        roles.push("broker");
        listeners.push("PLAINTEXT://:9092");
        advertised.push(format!("PLAINTEXT://{}:9092", plan.host));
    }
    if plan.is_controller {
        roles.push("controller");
        listeners.push("CONTROLLER://:9093");
        advertised.push(format!("CONTROLLER://{}:9093", plan.host));
    }
    let lag_ms = 500 + random.below(2_000);
    let session_ms = 400 + random.below(1_000);
    flags([
        ("process.roles", &roles.join(",")),
        ("listeners", &listeners.join(",")),
        ("advertised.listeners", &advertised.join(",")),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.voters", &voters.join(",")),
        ("controller.quorum.fetch.timeout.ms", "250"),
        ("controller.quorum.election.timeout.ms", "500"),
        ("controller.quorum.request.timeout.ms", "400"),
        ("broker.heartbeat.interval.ms", "100"),
        ("broker.session.timeout.ms", &session_ms.to_string()),
        ("replica.lag.time.max.ms", &lag_ms.to_string()),
        ("replica.fetch.wait.max.ms", "200"),
        ("replica.fetch.backoff.ms", "100"),
        ("replica.socket.timeout.ms", "1000"),
        ("leader.imbalance.check.interval.seconds", "3"),
        ("leader.imbalance.per.broker.percentage", "0"),
        ("offsets.topic.replication.factor", "3"),
        ("default.replication.factor", "3"),
        ("min.insync.replicas", "2"),
    ])
}

fn flags<const N: usize>(flags: [(&str, &str); N]) -> Vec<(String, String)> {
    let owned = flags.map(|(name, value)| (name.to_owned(), value.to_owned()));
    owned.to_vec()
}
