//! What a cluster looks like for whoever wants to move something in it.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::stream;
use ottla_client::OngoingReassignment;

use crate::cluster::{Cluster, PartitionInfo};
use crate::{Error, Streams, suggest};
use ottla_placement::{BrokerPlace, Layout, Placed};

/// So many brokers are asked for their folders at the same time.
const ASKED_AT_ONCE: usize = 8;

/// Brokers, partitions, and what moves already.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) cluster_id: String,
    pub(crate) controller: Option<i32>,
    pub(crate) brokers: BTreeMap<i32, BrokerInfo>,
    /// By topic and partition.
    pub(crate) partitions: BTreeMap<(String, i32), PartitionInfo>,
    pub(crate) ongoing: Vec<OngoingReassignment>,
    /// The largest replica of each partition; empty when no broker told.
    pub(crate) bytes: BTreeMap<(String, i32), u64>,
    /// What each broker's replicas take on its disk; nothing where it did not tell.
    pub(crate) used_bytes: BTreeMap<i32, u64>,
}

/// A registered broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerInfo {
    pub(crate) host: String,
    pub(crate) port: i32,
    pub(crate) rack: Option<String>,
    pub(crate) fenced: bool,
}

impl Survey {
    /// Looks at the whole cluster. With `sizes`, each broker is asked for its folders; one that
    /// does not tell is named on standard error.
    pub(crate) async fn of(
        cluster: &Cluster,
        sizes: bool,
        streams: &mut Streams,
    ) -> Result<Survey, Error> {
        let mut survey = Survey::default();
        let described = cluster.client.describe_cluster().await;
        let described = cluster.checked("asking for the brokers", described)?;
        survey.cluster_id = described.cluster_id.to_string();
        survey.controller = Some(described.controller_id).filter(|id| *id >= 0);
        for broker in described.brokers {
            let info = BrokerInfo {
                host: broker.host.to_string(),
                port: broker.port,
                rack: broker.rack.map(String::from),
                fenced: broker.is_fenced,
            };
            survey.brokers.insert(broker.broker_id, info);
        }
        let ongoing = cluster.client.list_reassignments().await;
        survey.ongoing = cluster.checked("asking for reassignments", ongoing)?;
        // After the reassignments: one that ends in between is seen as still under way, which does
        // less harm than one that is not seen.
        for topic in cluster.topics().await? {
            for partition in topic.partitions {
                let name = (topic.name.clone(), partition.index);
                survey.partitions.insert(name, partition);
            }
        }
        if sizes {
            survey.ask_for_sizes(cluster, streams).await;
        }
        Ok(survey)
    }

    async fn ask_for_sizes(&mut self, cluster: &Cluster, streams: &mut Streams) {
        let running: Vec<i32> = self.running().collect();
        let asked = running.into_iter().map(|id| async move {
            let told = cluster.client.describe_log_dirs(id).await;
            (id, told)
        });
        let told: Vec<_> = stream::iter(asked)
            .buffer_unordered(ASKED_AT_ONCE)
            .collect()
            .await;
        for (id, told) in told {
            let action = format!("asking broker {id} for its log folders");
            match cluster.checked(action, told) {
                Ok(dirs) => {
                    let topics = dirs.into_iter().flat_map(|dir| dir.topics);
                    let mut used = 0_u64;
                    for topic in topics {
                        for partition in topic.partitions {
                            let bytes = u64::try_from(partition.partition_size).unwrap_or(0);
                            used = used.saturating_add(bytes);
                            let name = (topic.name.to_string(), partition.partition_index);
                            let known = self.bytes.entry(name).or_default();
                            *known = bytes.max(*known);
                        }
                    }
                    self.used_bytes.insert(id, used);
                }
                Err(error) => streams.say(&format!("sizes are not known: {error}")),
            }
        }
    }

    /// The brokers that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = i32> + '_ {
        let running = self.brokers.iter().filter(|(_, broker)| !broker.fenced);
        running.map(|(id, _)| *id)
    }

    /// The broker of this id, or an error that tells which there are.
    pub(crate) fn broker(&self, id: i32) -> Result<&BrokerInfo, Error> {
        self.brokers.get(&id).ok_or_else(|| Error::NotThere {
            what: "broker",
            name: id.to_string(),
            similar: suggest::closest(
                &id.to_string(),
                self.brokers
                    .keys()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .iter()
                    .map(String::as_str),
            ),
            to_do: "`ottla broker list` shows those that there are".to_owned(),
        })
    }

    /// The layout for plans: what moves counts as where it is going to be, so that planning again
    /// during a move goes on instead of turning round. `leaving` is to receive nothing.
    pub(crate) fn layout(&self, leaving: Option<i32>) -> Layout {
        let mut layout = Layout::default();
        for (id, broker) in &self.brokers {
            let place = BrokerPlace {
                rack: broker.rack.clone(),
                receives: !broker.fenced && Some(*id) != leaving,
                is_drained: false,
            };
            layout.brokers.insert(*id, place);
        }
        let targets: BTreeMap<(&str, i32), Vec<i32>> = self
            .ongoing
            .iter()
            .map(|ongoing| {
                (
                    (ongoing.topic.as_str(), ongoing.partition),
                    ongoing.target(),
                )
            })
            .collect();
        for ((topic, index), partition) in &self.partitions {
            let target = targets.get(&(topic.as_str(), *index));
            layout.partitions.push(Placed {
                topic: topic.clone(),
                partition: *index,
                replicas: target.unwrap_or(&partition.replicas).clone(),
                isr: partition.isr.clone(),
                bytes: self
                    .bytes
                    .get(&(topic.clone(), *index))
                    .copied()
                    .unwrap_or(0),
            });
        }
        layout
    }

    /// The partitions that a broker leads now.
    pub(crate) fn led_by(&self, broker: i32) -> Vec<(String, i32)> {
        let led = self.partitions.iter();
        let led = led.filter(|(_, partition)| partition.leader == Some(broker));
        led.map(|(name, _)| name.clone()).collect()
    }

    /// The partitions that a broker holds, or is about to.
    pub(crate) fn held_by(&self, broker: i32) -> usize {
        let held = self.partitions.values();
        held.filter(|partition| partition.replicas.contains(&broker))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_counts_as_where_it_is_going_to_be() {
        let mut survey = Survey::default();
        for id in 1..=3 {
            let broker = BrokerInfo {
                host: format!("b{id}"),
                port: 9092,
                rack: None,
                fenced: id == 2,
            };
            survey.brokers.insert(id, broker);
        }
        let partition = |replicas: &[i32]| PartitionInfo {
            leader: Some(1),
            replicas: replicas.to_vec(),
            isr: vec![1],
            ..PartitionInfo::default()
        };
        let name = |index| ("t".to_owned(), index);
        survey.partitions.insert(name(0), partition(&[3, 1]));
        survey.partitions.insert(name(1), partition(&[1]));
        survey.bytes.insert(name(1), 7);
        survey.ongoing = vec![OngoingReassignment {
            topic: "t".to_owned(),
            partition: 0,
            replicas: vec![3, 1],
            adding: vec![3],
            removing: vec![1],
        }];
        let layout = survey.layout(Some(1));
        assert_eq!(layout.partitions[0].replicas, [3]);
        assert_eq!(layout.partitions[1].replicas, [1]);
        assert_eq!(layout.partitions[1].bytes, 7);
        // One leaves, one is fenced.
        assert_eq!(layout.receivers().collect::<Vec<_>>(), [3]);
        assert_eq!(survey.held_by(1), 2);
        assert_eq!(survey.led_by(1).len(), 2);
        assert!(survey.broker(9).is_err());
    }
}
