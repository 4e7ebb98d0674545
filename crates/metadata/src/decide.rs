//! What a command leads to: records and a reply, or a refusal. Nothing here changes anything.

mod alter_partition;
mod brokers;
mod client_quotas;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod draft;
mod elect_leaders;
mod features;
mod reassignments;

use ottla_model::{BrokerId, ErrorCode, Offset, Uuid};

use crate::command::{Command, Refusal, Reply};
use crate::image::{Image, Overrides};
use crate::placement::PlacementError;
use crate::record::{ClusterRecord, ConfigResource, PartitionRecord, Record};

pub use brokers::PRODUCER_ID_BLOCK_LEN;

/// The metadata log's own topic, which clients cannot create.
pub const CLUSTER_METADATA_TOPIC: &str = "__cluster_metadata";

/// The largest number of partitions that one command may create; Kafka's own bound.
pub const MAX_PARTITIONS_PER_COMMAND: i64 = 10_000;

/// What a decision needs besides image and command. The same context gives the same decision.
pub struct Context<'a> {
    /// 16 fresh random bytes with each call: topic ids and the seeds of placements.
    pub random: &'a mut dyn FnMut() -> [u8; 16],
    /// Which configuration overrides are allowed.
    pub rules: &'a dyn ConfigRules,
    /// What the controller's configuration says.
    pub defaults: Defaults,
    /// The offset up to which all active brokers have the metadata, as they say
    /// ([`Liveness::active_offset`](crate::Liveness::active_offset)). A broker that wants to stop
    /// waits for it, so that nobody asks it for what others lead by then. [`Offset::MAX`]: there
    /// is nobody to wait for.
    pub active_offset: Offset,
}

/// The properties of the controller that decisions depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// `num.partitions`
    pub num_partitions: i32,
    /// `default.replication.factor`
    pub replication_factor: i16,
    /// `delete.topic.enable`
    pub delete_topic_enable: bool,
    /// `min.insync.replicas`
    pub min_insync_replicas: i32,
    /// `unclean.leader.election.enable`
    pub unclean_leader_election_enable: bool,
    /// How many percent of what a broker should lead others may lead for good. Kafka 4 has no
    /// property for it any more: with 0, each partition goes back to its preferred leader.
    pub leader_imbalance_per_broker_percentage: i32,
    /// The most partitions that one decision about a broker changes: they must fit into one entry
    /// of the metadata log, with replicas as many as anybody has.
    pub partitions_per_decision: usize,
}

impl Default for Defaults {
    /// Kafka's own defaults.
    fn default() -> Self {
        Defaults {
            num_partitions: 1,
            replication_factor: 1,
            delete_topic_enable: true,
            min_insync_replicas: 1,
            unclean_leader_election_enable: false,
            leader_imbalance_per_broker_percentage: 0,
            partitions_per_decision: 50_000,
        }
    }
}

/// Judges configuration overrides. The declaration of the properties implements this; the metadata
/// does not know it.
pub trait ConfigRules: Send + Sync {
    /// Checks all overrides that a resource would have, in the cluster as the image has it, or says
    /// what is wrong with them.
    fn check(
        &self,
        image: &Image,
        resource: &ConfigResource,
        overrides: &Overrides,
    ) -> Result<(), Refusal>;

    /// What a list is by default, its entries separated by commas; none for a property that is no
    /// list.
    fn list_default(&self, resource: &ConfigResource, key: &str) -> Option<&'static str>;
}

/// Decides about one command.
///
/// On success the caller appends the records atomically, applies them in order once they are
/// durable, and only then hands out the reply. There may be no records at all.
pub fn decide(
    image: &Image,
    command: &Command,
    context: &mut Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    match command {
        Command::NameCluster(cluster_id) => name_cluster(image, cluster_id),
        Command::RegisterBroker(command) => brokers::register(image, command, context),
        Command::BrokerHeartbeat(command) => brokers::heartbeat(image, command, context),
        Command::FenceBroker(command) => brokers::fence(image, command, context),
        Command::UnregisterBroker(id) => brokers::unregister(image, *id, context),
        Command::AlterPartition(command) => alter_partition::decide(image, command, context),
        Command::ElectLeaders(command) => elect_leaders::decide(image, command, context),
        Command::BalanceLeaders => elect_leaders::balance(image, context),
        Command::AlterPartitionReassignments(command) => {
            reassignments::decide(image, command, context)
        }
        Command::UpdateFeatures(command) => features::decide(image, command, context),
        Command::CreateTopics(command) => create_topics::decide(image, command, context),
        Command::DeleteTopics(command) => delete_topics::decide(image, command, context),
        Command::CreatePartitions(command) => create_partitions::decide(image, command, context),
        Command::AllocateProducerIds(command) => brokers::allocate_producer_ids(image, command),
        Command::AlterConfigs(command) => configs::decide(image, command, context),
        Command::AlterClientQuotas(command) => client_quotas::decide(image, command),
    }
}

fn name_cluster(
    image: &Image,
    cluster_id: &ottla_model::ClusterId,
) -> Result<(Vec<Record>, Reply), Refusal> {
    match image.cluster_id() {
        None => {
            let record = ClusterRecord {
                cluster_id: cluster_id.clone(),
            };
            let records = std::iter::once(Record::Cluster(record));
            Ok((
                records.chain(features::of_new_cluster()).collect(),
                Reply::Done,
            ))
        }
        // A cluster from before there were levels of features is as one of this build.
        Some(known) if known == cluster_id && image.features().is_empty() => {
            Ok((features::of_new_cluster().collect(), Reply::Done))
        }
        Some(known) if known == cluster_id => Ok((Vec::new(), Reply::Done)),
        Some(known) => Err(inconsistent_cluster_id(known, cluster_id)),
    }
}

fn inconsistent_cluster_id(
    known: &ottla_model::ClusterId,
    claimed: &ottla_model::ClusterId,
) -> Refusal {
    Refusal::new(
        ErrorCode::InconsistentClusterId,
        format!("This is the cluster {known}, not {claimed}."),
    )
}

/// A version 4 UUID from the context's random bytes.
fn random_uuid(context: &mut Context<'_>) -> Uuid {
    // One draw in 64 gives an id that command lines would take for a flag; a source that gives
    // nothing else is broken, and flipping one bit of the last draw ends the search.
    for _ in 0..64 {
        if let Some(id) = Uuid::from_random((context.random)()) {
            return id;
        }
    }
    let mut bytes = (context.random)();
    bytes[0] &= 0x7f;
    Uuid::from_random(bytes).unwrap_or_default()
}

/// A random number for a placement.
fn random_seed(context: &mut Context<'_>) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = (context.random)();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The record of a new partition on these brokers; those that are active are in sync.
///
/// None when no broker of them is active, so that nobody could lead.
fn new_partition(
    image: &Image,
    topic_id: Uuid,
    partition: i32,
    replicas: Vec<BrokerId>,
) -> Option<PartitionRecord> {
    let isr: Vec<_> = replicas
        .iter()
        .copied()
        .filter(|&id| image.is_active(id))
        .collect();
    let leader = Some(*isr.first()?);
    Some(PartitionRecord {
        topic_id,
        partition,
        replicas,
        isr,
        leader,
        leader_epoch: 0,
        partition_epoch: 0,
        ..PartitionRecord::default()
    })
}

/// Checks the brokers that a client chose for one partition. `replication_factor` is that of the
/// topic's other partitions, if there are any.
fn check_manual_assignment(
    image: &Image,
    broker_ids: &[BrokerId],
    replication_factor: Option<usize>,
) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    if broker_ids.is_empty() {
        return refuse("A manual partition assignment names no brokers.".to_owned());
    }
    let mut sorted = broker_ids.to_vec();
    sorted.sort_unstable();
    for (i, id) in sorted.iter().enumerate() {
        if image.broker(*id).is_none() {
            return refuse(format!(
                "A manual partition assignment names broker {id}, which is not registered."
            ));
        }
        if i > 0 && sorted[i - 1] == *id {
            return refuse(format!(
                "A manual partition assignment names broker {id} more than once."
            ));
        }
    }
    match replication_factor {
        Some(others) if others != broker_ids.len() => refuse(format!(
            "A manual partition assignment has {} replica(s), but the other partitions have \
             {others}.",
            broker_ids.len()
        )),
        _ => Ok(()),
    }
}

fn all_fenced(partition: i32) -> Refusal {
    Refusal::new(
        ErrorCode::InvalidReplicaAssignment,
        format!("All brokers of the manual assignment of partition {partition} are fenced."),
    )
}

fn cannot_place(replication_factor: usize, error: &PlacementError) -> Refusal {
    Refusal::new(
        ErrorCode::InvalidReplicationFactor,
        format!("Unable to replicate the partition {replication_factor} time(s): {error}"),
    )
}

/// Refuses more partitions than one command may create.
fn check_partition_total(total: i64) -> Result<(), Refusal> {
    if total <= MAX_PARTITIONS_PER_COMMAND {
        return Ok(());
    }
    let message = format!(
        "The request would create {total} partitions; {MAX_PARTITIONS_PER_COMMAND} are allowed in \
         one request."
    );
    Err(Refusal::new(ErrorCode::PolicyViolation, message))
}

/// Refuses a request about more partitions than one command may change.
fn check_changes(partitions: usize) -> Result<(), Refusal> {
    if i64::try_from(partitions).is_ok_and(|count| count <= MAX_PARTITIONS_PER_COMMAND) {
        return Ok(());
    }
    let message = format!(
        "The request is about {partitions} partitions; {MAX_PARTITIONS_PER_COMMAND} are allowed in \
         one request."
    );
    Err(Refusal::new(ErrorCode::PolicyViolation, message))
}

/// Decides item by item, in their order. An item whose key stands more than once in the request is
/// not decided about: it is refused and answered once.
fn each_once<'a, T, K: Ord + ?Sized + 'a, R>(
    items: &'a [T],
    key: impl Fn(&'a T) -> &'a K,
    refusal: &str,
    mut decide: impl FnMut(&'a T) -> Result<R, Refusal>,
) -> Vec<(&'a T, Result<R, Refusal>)> {
    let twice = duplicates(items.iter().map(&key));
    let mut answered = std::collections::BTreeSet::new();
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        if !twice.contains(key(item)) {
            results.push((item, decide(item)));
        } else if answered.insert(key(item)) {
            let refusal = Refusal::new(ErrorCode::InvalidRequest, refusal);
            results.push((item, Err(refusal)));
        }
    }
    results
}

/// The items that stand more than once in a request.
fn duplicates<'a, T: Ord + ?Sized + 'a>(
    items: impl Iterator<Item = &'a T>,
) -> std::collections::BTreeSet<&'a T> {
    let mut seen = std::collections::BTreeSet::new();
    items.filter(|item| !seen.insert(*item)).collect()
}

#[cfg(test)]
mod tests;
