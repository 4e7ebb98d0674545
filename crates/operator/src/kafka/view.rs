//! What a cluster looks like at a moment.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{Client, Election, OngoingReassignment, Quorum, Reassignment, VoterEndpoint};
use ottla_model::ErrorCode;
use ottla_placement::{BrokerPlace, Layout, Move, Placed, Plan};

use crate::error::{Asked, Error};

/// So many changes are asked for at once.
const AT_ONCE: usize = 200;
/// So many topics are asked for their configuration in one request.
const TOPICS_AT_ONCE: usize = 500;
const MIN_ISR: &str = "min.insync.replicas";
/// No node has this id.
const NOBODY: i32 = -1;

/// A partition and who has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) leader: Option<i32>,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
}

impl Partition {
    /// Whether with one replica less it would have fewer in sync than it needs, although it has more
    /// when all is well. One that has all it can have bears what its replicas bear.
    fn is_at_its_minimum(&self, min: usize) -> bool {
        self.is_behind() && self.isr.len() <= min
    }

    /// Whether a replica is missing. Of a single one nothing is left to be protected then.
    fn is_behind(&self) -> bool {
        self.replicas.len() > 1 && self.isr.len() < self.replicas.len()
    }
}

/// What a cluster looks like.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) client: Client,
    pub(crate) cluster_id: String,
    /// The registered brokers, and whether each is fenced.
    pub(crate) brokers: BTreeMap<i32, Broker>,
    pub(crate) partitions: BTreeMap<(String, i32), Partition>,
    pub(crate) ongoing: Vec<OngoingReassignment>,
    pub(crate) quorum: Option<Quorum>,
}

/// A registered broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) rack: Option<String>,
    pub(crate) fenced: bool,
}

impl View {
    pub(crate) async fn of(client: Client) -> Result<Self, Error> {
        let described = client.describe_cluster().await;
        let described = described.when(|| "asking for the brokers".to_owned())?;
        let brokers = described.brokers.into_iter().map(|broker| {
            let known = Broker {
                rack: broker.rack.map(String::from),
                fenced: broker.is_fenced,
            };
            (broker.broker_id, known)
        });
        let brokers = brokers.collect();
        let quorum = client.describe_quorum().await;
        let quorum = quorum.when(|| "asking for the quorum".to_owned())?;
        let ongoing = client.list_reassignments().await;
        let ongoing = ongoing.when(|| "asking for reassignments".to_owned())?;
        // After the reassignments: one that ends in between is seen as still under way, which does
        // less harm than one that is not seen.
        let metadata = client.metadata(None).await;
        let metadata = metadata.when(|| "asking for the topics".to_owned())?;
        let mut partitions = BTreeMap::new();
        for topic in metadata.topics {
            let Some(name) = topic.name else { continue };
            for partition in topic.partitions {
                let known = Partition {
                    leader: Some(partition.leader_id).filter(|id| *id >= 0),
                    replicas: partition.replica_nodes,
                    isr: partition.isr_nodes,
                };
                partitions.insert((name.to_string(), partition.partition_index), known);
            }
        }
        Ok(View {
            client,
            cluster_id: described.cluster_id.to_string(),
            brokers,
            partitions,
            ongoing,
            quorum,
        })
    }

    /// Whether a broker is registered and takes part.
    pub(crate) fn runs(&self, broker: i32) -> bool {
        self.brokers.get(&broker).is_some_and(|known| !known.fenced)
    }

    /// How many replicas a broker holds, or is about to.
    pub(crate) fn held_by(&self, broker: i32) -> usize {
        let held = self.partitions.values();
        let held = held.filter(|partition| partition.replicas.contains(&broker));
        let coming = self
            .ongoing
            .iter()
            .filter(|one| one.adding.contains(&broker));
        held.count() + coming.count()
    }

    /// Partitions that a broker leads although another replica could.
    pub(crate) fn led_by(&self, broker: i32) -> Vec<(String, i32)> {
        let led = self.partitions.iter().filter(|(_, partition)| {
            partition.leader == Some(broker) && partition.replicas.len() > 1
        });
        led.map(|(name, _)| name.clone()).collect()
    }

    /// A partition of which nobody but this broker has everything.
    pub(crate) fn only_copy_on(&self, broker: i32) -> Option<String> {
        let only = |partition: &Partition| {
            partition.replicas.contains(&broker)
                && !partition
                    .isr
                    .iter()
                    .any(|id| *id != broker && self.runs(*id))
        };
        let found = self
            .partitions
            .iter()
            .find(|(_, partition)| only(partition))?;
        let ((topic, index), _) = found;
        Some(format!("{topic}-{index}"))
    }

    /// The voters' ids.
    pub(crate) fn voters(&self) -> BTreeSet<i32> {
        let quorum = self.quorum.as_ref();
        let voters = quorum.map(|quorum| &quorum.state.current_voters);
        voters
            .into_iter()
            .flatten()
            .map(|voter| voter.replica_id)
            .collect()
    }

    /// Who leads the quorum.
    pub(crate) fn controller(&self) -> Option<i32> {
        let quorum = self.quorum.as_ref()?;
        Some(quorum.state.leader_id).filter(|id| *id >= 0)
    }

    /// Voters that are as far as the others.
    pub(crate) fn voters_caught_up(&self) -> usize {
        self.voters_caught_up_without(NOBODY)
    }

    /// Voters, other than this one, that are as far as the others.
    pub(crate) fn voters_caught_up_without(&self, voter: i32) -> usize {
        let Some(quorum) = &self.quorum else { return 0 };
        let now = quorum.state.current_voters.iter();
        let newest = now
            .clone()
            .map(|v| v.last_caught_up_timestamp)
            .max()
            .unwrap_or(-1);
        let end = quorum.state.high_watermark;
        now.filter(|v| {
            let is_leader = v.replica_id == quorum.state.leader_id;
            let close = v.log_end_offset >= end
                || newest.saturating_sub(v.last_caught_up_timestamp) < 3_000;
            v.replica_id != voter && (is_leader || close)
        })
        .count()
    }

    /// The layout for plans. What moves counts as where it is going to be; `leaving` receive nothing.
    pub(crate) fn layout(&self, leaving: &BTreeSet<i32>) -> Layout {
        let mut layout = Layout::default();
        for (id, broker) in &self.brokers {
            let place = BrokerPlace {
                rack: broker.rack.clone(),
                receives: !broker.fenced && !leaving.contains(id),
                is_drained: false,
            };
            layout.brokers.insert(*id, place);
        }
        let targets = self.ongoing.iter();
        let targets: BTreeMap<(&str, i32), Vec<i32>> = targets
            .map(|one| ((one.topic.as_str(), one.partition), one.target()))
            .collect();
        for ((topic, index), partition) in &self.partitions {
            let target = targets.get(&(topic.as_str(), *index));
            layout.partitions.push(Placed {
                topic: topic.clone(),
                partition: *index,
                replicas: target.unwrap_or(&partition.replicas).clone(),
                isr: partition.isr.clone(),
                bytes: 0,
            });
        }
        layout
    }

    /// Why a broker must not stop now, if so: a partition would fall below its minimum of replicas
    /// in sync, or below a leader.
    pub(crate) async fn reason_not_to_stop(&self, broker: i32) -> Result<Option<String>, Error> {
        let held = self.partitions.iter();
        let held = held.filter(|(_, partition)| {
            partition.replicas.len() > 1 && partition.isr.contains(&broker)
        });
        let held: Vec<(&(String, i32), &Partition)> = held.collect();
        let topics: BTreeSet<&str> = held.iter().map(|((topic, _), _)| topic.as_str()).collect();
        let minima = self
            .min_isr(&topics.into_iter().collect::<Vec<_>>())
            .await?;
        for ((topic, index), partition) in held {
            let min = minima.get(topic).copied().unwrap_or(1);
            let (now, replicas) = (partition.isr.len(), partition.replicas.len());
            // Below its minimum already: there is nothing to protect, but the last one stays.
            if (now >= min && now - 1 < min) || now == 1 {
                return Ok(Some(if replicas <= min {
                    format!(
                        "{topic}-{index} has {replicas} replicas and {MIN_ISR}={min}, so none may \
                         stop: lower {MIN_ISR} or add a replica"
                    )
                } else {
                    format!("{topic}-{index} has {now} of {replicas} replicas in sync")
                }));
            }
        }
        Ok(None)
    }

    /// Whether every partition still has its minimum of replicas in sync after one more loss.
    pub(crate) async fn replicas_bear_a_loss(&self) -> Result<bool, Error> {
        let behind = || self.partitions.iter().filter(|(_, p)| p.is_behind());
        let topics: BTreeSet<&str> = behind().map(|((topic, _), _)| topic.as_str()).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        let minima = self.min_isr(&topics).await?;
        let mut behind = behind();
        Ok(!behind.any(|((topic, _), partition)| {
            partition.is_at_its_minimum(minima.get(topic).copied().unwrap_or(1))
        }))
    }

    async fn min_isr(&self, topics: &[&str]) -> Result<BTreeMap<String, usize>, Error> {
        let mut minima = BTreeMap::new();
        for some in topics.chunks(TOPICS_AT_ONCE) {
            let described = self.client.describe_topic_configs(some, &[MIN_ISR]).await;
            let described = described.when(|| format!("asking for {MIN_ISR}"))?;
            for (topic, configs) in described {
                let value = configs.into_iter().find(|config| &*config.name == MIN_ISR);
                let value = value.and_then(|config| config.value);
                let value = value.and_then(|value| value.parse().ok());
                minima.insert(topic, value.unwrap_or(1));
            }
        }
        Ok(minima)
    }

    /// Asks for what a plan wants, as far as it is not under way; what was refused comes back.
    pub(crate) async fn move_replicas(&self, moves: &[Move]) -> Result<Vec<String>, Error> {
        let mut refused = Vec::new();
        for some in moves.chunks(AT_ONCE) {
            let wanted: Vec<Reassignment> = some
                .iter()
                .map(|one| Reassignment {
                    topic: one.topic.clone(),
                    partition: one.partition,
                    replicas: Some(one.to.clone()),
                })
                .collect();
            let outcomes = self.client.alter_reassignments(&wanted).await;
            let outcomes = outcomes.when(|| "moving partitions".to_owned())?;
            let errors = outcomes
                .into_iter()
                .filter_map(|(_, _, outcome)| outcome.err());
            refused.extend(errors.map(|error| error.to_string()));
        }
        Ok(refused)
    }

    /// Lets the first replica lead, where it does not and is in sync.
    pub(crate) async fn elect(&self, partitions: &[(String, i32)]) -> Result<(), Error> {
        for some in partitions.chunks(AT_ONCE) {
            let outcomes = self
                .client
                .elect_leaders(Election::Preferred, Some(some))
                .await;
            let outcomes = outcomes.when(|| "electing leaders".to_owned())?;
            for (topic, partition, outcome) in outcomes {
                match outcome {
                    Err(error) if error.code() != Some(ErrorCode::ElectionNotNeeded) => {
                        tracing::warn!("{topic}-{partition}: {error}");
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Reorders replicas, and lets the new first ones lead.
    pub(crate) async fn lead_as(&self, plan: &Plan) -> Result<Vec<String>, Error> {
        let refused = self.move_replicas(&plan.moves).await?;
        let changed = plan.moves.iter().filter(|one| one.changes_leader());
        let changed: Vec<_> = changed
            .map(|one| (one.topic.clone(), one.partition))
            .collect();
        self.elect(&changed).await?;
        Ok(refused)
    }

    /// Makes an observer a voter.
    pub(crate) async fn add_voter(&self, id: i32, host: &str, port: u16) -> Result<bool, Error> {
        let quorum = self.quorum.as_ref();
        let observer = quorum.and_then(|quorum| {
            let mut observers = quorum.state.observers.iter();
            observers.find(|replica| replica.replica_id == id)
        });
        let Some(observer) = observer else {
            return Ok(false);
        };
        let endpoint = VoterEndpoint {
            listener: "CONTROLLER".to_owned(),
            host: host.to_owned(),
            port,
        };
        let directory = observer.replica_directory_id;
        let cluster = Some(self.cluster_id.as_str());
        let added = self
            .client
            .add_raft_voter(cluster, id, directory, &[endpoint])
            .await;
        added.when(|| format!("making node {id} a voter"))?;
        Ok(true)
    }

    /// Takes a voter out of the quorum.
    pub(crate) async fn remove_voter(&self, id: i32) -> Result<(), Error> {
        let quorum = self.quorum.as_ref();
        let voter = quorum.and_then(|quorum| {
            let mut voters = quorum.state.current_voters.iter();
            voters.find(|replica| replica.replica_id == id)
        });
        let Some(voter) = voter else { return Ok(()) };
        let directory = voter.replica_directory_id;
        let cluster = Some(self.cluster_id.as_str());
        let removed = self.client.remove_raft_voter(cluster, id, directory).await;
        removed.when(|| format!("taking node {id} out of the quorum"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_at_its_minimum_only_while_a_replica_is_missing() {
        let is = |replicas: i32, isr: i32, min| {
            let partition = Partition {
                leader: Some(0),
                replicas: (0..replicas).collect(),
                isr: (0..isr).collect(),
            };
            partition.is_at_its_minimum(min)
        };
        assert!(!is(3, 3, 2));
        assert!(is(3, 2, 2));
        assert!(is(3, 1, 2));
        // It still has one to spare.
        assert!(!is(3, 2, 1));
        // It never has one to spare: its node has to be drained all the same.
        assert!(!is(3, 3, 3) && !is(1, 1, 1));
        assert!(is(2, 1, 2));
        assert!(!is(1, 0, 1));
    }
}
