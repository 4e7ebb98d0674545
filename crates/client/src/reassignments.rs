//! Where replicas lie and who leads: reassignments (KIP-455), elections (KIP-460), and brokers that
//! leave for good (KIP-746).

use ottla_wire::ApiKey;
use ottla_wire::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use ottla_wire::messages::elect_leaders_request::TopicPartitions;
use ottla_wire::messages::{
    AlterPartitionReassignmentsRequest, ElectLeadersRequest, ListPartitionReassignmentsRequest,
    UnregisterBrokerRequest,
};

use crate::admin::only;
use crate::{Broker, Client, Error};

/// What is to become of one partition's replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reassignment {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The brokers that are to hold it, the preferred leader first; `None` cancels what is under
    /// way.
    pub replicas: Option<Vec<i32>>,
}

/// A reassignment that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OngoingReassignment {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// All its replicas now: those that stay, come and go.
    pub replicas: Vec<i32>,
    /// Those that come.
    pub adding: Vec<i32>,
    /// Those that go once the others are in sync.
    pub removing: Vec<i32>,
}

impl OngoingReassignment {
    /// The replicas that there will be, in their order.
    #[must_use]
    pub fn target(&self) -> Vec<i32> {
        let stays = |id: &i32| !self.removing.contains(id);
        self.replicas.iter().copied().filter(stays).collect()
    }
}

/// Which replica is made the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Election {
    /// The first of the replicas, if it is in sync.
    Preferred,
    /// Any that lives, if none that is in sync does: records can be lost.
    Unclean,
}

/// What became of one partition.
pub type PartitionOutcome = (String, i32, Result<(), Error>);

impl Client {
    /// Starts and cancels reassignments; one outcome per partition. They go on in the cluster
    /// after the call. The same replicas twice do no harm, so a lost answer is asked for again.
    pub async fn alter_reassignments(
        &self,
        reassignments: &[Reassignment],
    ) -> Result<Vec<PartitionOutcome>, Error> {
        let api = ApiKey::AlterPartitionReassignments;
        let mut request = AlterPartitionReassignmentsRequest {
            timeout_ms: self.request_timeout_ms(),
            ..AlterPartitionReassignmentsRequest::default()
        };
        for wanted in reassignments {
            let partition = ReassignablePartition {
                partition_index: wanted.partition,
                replicas: wanted.replicas.clone(),
                ..ReassignablePartition::default()
            };
            let topics = &mut request.topics;
            match topics.iter_mut().find(|topic| *topic.name == wanted.topic) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(ReassignableTopic {
                    name: wanted.topic.as_str().into(),
                    partitions: vec![partition],
                    ..ReassignableTopic::default()
                }),
            }
        }
        self.retrying(|| async {
            let build = |_| request.clone().into();
            let pick = only!(AlterPartitionReassignments);
            let answer = self.ask(Broker::Controller, api, build, pick).await?;
            let message = answer.error_message.as_deref();
            Error::check(api, "partitions", answer.error_code, message)?;
            let mut outcomes = Vec::new();
            for topic in answer.responses {
                for partition in topic.partitions {
                    let index = partition.partition_index;
                    let subject = format!("{}-{index}", topic.name);
                    let message = partition.error_message.as_deref();
                    let checked = Error::check(api, subject, partition.error_code, message);
                    outcomes.push((topic.name.to_string(), index, checked));
                }
            }
            Ok(outcomes)
        })
        .await
    }

    /// The reassignments that are under way in the whole cluster.
    pub async fn list_reassignments(&self) -> Result<Vec<OngoingReassignment>, Error> {
        let api = ApiKey::ListPartitionReassignments;
        let request = ListPartitionReassignmentsRequest {
            timeout_ms: self.request_timeout_ms(),
            topics: None,
            ..ListPartitionReassignmentsRequest::default()
        };
        self.retrying(|| async {
            let build = |_| request.clone().into();
            let pick = only!(ListPartitionReassignments);
            let answer = self.ask(Broker::Controller, api, build, pick).await?;
            let message = answer.error_message.as_deref();
            Error::check(api, "partitions", answer.error_code, message)?;
            let mut ongoing = Vec::new();
            for topic in answer.topics {
                for partition in topic.partitions {
                    ongoing.push(OngoingReassignment {
                        topic: topic.name.to_string(),
                        partition: partition.partition_index,
                        replicas: partition.replicas,
                        adding: partition.adding_replicas,
                        removing: partition.removing_replicas,
                    });
                }
            }
            ongoing.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
            Ok(ongoing)
        })
        .await
    }

    /// Elects leaders of these partitions, or of all (`None`). Of all, those that need no election
    /// have no outcome; else theirs is `ELECTION_NOT_NEEDED`.
    pub async fn elect_leaders(
        &self,
        election: Election,
        partitions: Option<&[(String, i32)]>,
    ) -> Result<Vec<PartitionOutcome>, Error> {
        let api = ApiKey::ElectLeaders;
        let (election_type, first) = match election {
            Election::Preferred => (0, 0),
            Election::Unclean => (1, 1),
        };
        let request = ElectLeadersRequest {
            election_type,
            topic_partitions: partitions.map(by_topic),
            timeout_ms: self.request_timeout_ms(),
            ..ElectLeadersRequest::default()
        };
        self.retrying(|| async {
            let build = |_| request.clone().into();
            let pick = only!(ElectLeaders);
            let asked = self.ask_from(Broker::Controller, api, first, build, pick);
            let answer = asked.await?;
            Error::check(api, "partitions", answer.error_code, None)?;
            let mut outcomes = Vec::new();
            for topic in answer.replica_election_results {
                for partition in topic.partition_result {
                    let index = partition.partition_id;
                    let subject = format!("{}-{index}", topic.topic);
                    let message = partition.error_message.as_deref();
                    let checked = Error::check(api, subject, partition.error_code, message);
                    outcomes.push((topic.topic.to_string(), index, checked));
                }
            }
            Ok(outcomes)
        })
        .await
    }

    /// Makes the cluster forget a broker whose process has gone for good.
    pub async fn unregister_broker(&self, broker: i32) -> Result<(), Error> {
        let api = ApiKey::UnregisterBroker;
        let request = UnregisterBrokerRequest {
            broker_id: broker,
            ..UnregisterBrokerRequest::default()
        };
        let answer = self.change(api, |_| request.clone().into(), only!(UnregisterBroker));
        let answer = answer.await?;
        let message = answer.error_message.as_deref();
        Error::check(api, format!("broker {broker}"), answer.error_code, message)
    }
}

fn by_topic(partitions: &[(String, i32)]) -> Vec<TopicPartitions> {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (name, partition) in partitions {
        match topics.iter_mut().find(|topic| *topic.topic == *name) {
            Some(topic) => topic.partitions.push(*partition),
            None => topics.push(TopicPartitions {
                topic: name.as_str().into(),
                partitions: vec![*partition],
                ..TopicPartitions::default()
            }),
        }
    }
    topics
}
