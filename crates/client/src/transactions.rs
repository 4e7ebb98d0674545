//! Transactions: which are open, where, and how a hanging one is ended (KIP-664).

use std::collections::BTreeMap;

use futures_util::future::join_all;
use ottla_wire::ApiKey;
use ottla_wire::messages::describe_producers_request::TopicRequest;
use ottla_wire::messages::describe_producers_response::ProducerState;
use ottla_wire::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use ottla_wire::messages::{
    DescribeProducersRequest, DescribeTransactionsRequest, ListTransactionsRequest,
    WriteTxnMarkersRequest, describe_transactions_response,
};

use crate::admin::only;
use crate::coordinator::Coordinated;
use crate::{Broker, Client, Error};

/// Which transactions are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// Only these states; all when empty.
    pub states: Vec<String>,
    /// Only these producers; all when empty.
    pub producer_ids: Vec<i64>,
    /// Only those that have been open for longer, in milliseconds (Kafka 3.8).
    pub longer_than_ms: Option<i64>,
    /// Only ids that match this regular expression in the syntax of RE2 (Kafka 4.1).
    pub id_pattern: Option<String>,
}

/// A transactional id in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionListing {
    /// The id.
    pub transactional_id: String,
    /// Its producer.
    pub producer_id: i64,
    /// `Ongoing`, `CompleteCommit` and so on, in Kafka's words.
    pub state: String,
    /// The node id of its coordinator.
    pub coordinator: i32,
}

/// What lists of transactions came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionListings {
    /// In the order of their ids.
    pub transactions: Vec<TransactionListing>,
    /// States of the filter that the brokers do not know.
    pub unknown_states: Vec<String>,
}

/// A producer that a partition knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i32,
    /// The sequence of its last record, or -1.
    pub last_sequence: i32,
    /// When it last wrote, in milliseconds, or -1.
    pub last_timestamp_ms: i64,
    /// The epoch of the coordinator that last ended a transaction, or -1.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins in the partition.
    pub transaction_start_offset: Option<i64>,
}

/// The producers of one partition.
#[derive(Debug)]
pub struct ProducersOfPartition {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The producers, or why they could not be told.
    pub producers: Result<Vec<ActiveProducer>, Error>,
}

/// How many partitions' producers one request asks for: some have thousands of them.
const PARTITIONS_OF_A_REQUEST: usize = 200;

/// What ends a transaction in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortMarker {
    /// The producer.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The epoch of the coordinator in whose name it is written; that of an older one is fenced.
    pub coordinator_epoch: i32,
}

impl Client {
    /// The transactional ids that all coordinators know.
    pub async fn list_transactions(
        &self,
        filter: &TransactionFilter,
    ) -> Result<TransactionListings, Error> {
        self.metadata(Some(&[])).await?;
        let brokers = self.broker_ids();
        let lists = brokers
            .iter()
            .map(|broker| self.retrying(|| self.list_transactions_of(*broker, filter)));
        let mut all = TransactionListings::default();
        for list in join_all(lists).await {
            let list = list?;
            all.transactions.extend(list.transactions);
            all.unknown_states.extend(list.unknown_states);
        }
        all.transactions
            .sort_by(|a, b| a.transactional_id.cmp(&b.transactional_id));
        all.unknown_states.sort();
        all.unknown_states.dedup();
        Ok(all)
    }

    async fn list_transactions_of(
        &self,
        broker: i32,
        filter: &TransactionFilter,
    ) -> Result<TransactionListings, Error> {
        let api = ApiKey::ListTransactions;
        let first = match filter {
            TransactionFilter {
                id_pattern: Some(_),
                ..
            } => 2,
            TransactionFilter {
                longer_than_ms: Some(_),
                ..
            } => 1,
            _ => 0,
        };
        let request = ListTransactionsRequest {
            state_filters: filter.states.iter().map(Into::into).collect(),
            producer_id_filters: filter.producer_ids.clone(),
            duration_filter: filter.longer_than_ms.unwrap_or(-1),
            transactional_id_pattern: filter.id_pattern.as_ref().map(Into::into),
            ..ListTransactionsRequest::default()
        };
        let (to, pick) = (Broker::Id(broker), only!(ListTransactions));
        let answer = self
            .ask_from(to, api, first, |_| request.into(), pick)
            .await?;
        let subject = format!("the transactions of broker {broker}");
        Error::check(api, subject, answer.error_code, None)?;
        let found = answer.transaction_states.into_iter();
        let found = found.map(|state| TransactionListing {
            transactional_id: state.transactional_id.to_string(),
            producer_id: state.producer_id,
            state: state.transaction_state.to_string(),
            coordinator: broker,
        });
        Ok(TransactionListings {
            transactions: found.collect(),
            unknown_states: answer
                .unknown_state_filters
                .iter()
                .map(ToString::to_string)
                .collect(),
        })
    }

    /// The state of a transactional id, with the node id of its coordinator.
    pub async fn describe_transaction(
        &self,
        transactional_id: &str,
    ) -> Result<(i32, describe_transactions_response::TransactionState), Error> {
        let api = ApiKey::DescribeTransactions;
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![transactional_id.into()],
            ..DescribeTransactionsRequest::default()
        };
        self.retrying(|| async {
            let of = Coordinated::Transactions(transactional_id);
            let coordinator = self.coordinator(of).await?;
            let (to, build) = (Broker::Id(coordinator), |_| request.clone().into());
            let answer = self
                .ask(to, api, build, only!(DescribeTransactions))
                .await?;
            let subject = format!("transactional id {transactional_id}");
            let Some(state) = answer.transaction_states.into_iter().next() else {
                return Err(Error::refused(api, subject, -1, None));
            };
            Error::check(api, subject, state.error_code, None)?;
            Ok((coordinator, state))
        })
        .await
    }

    /// The producers that the leaders of partitions know, with few requests. A partition whose
    /// producers could not be told has an error of its own.
    pub async fn describe_producers(
        &self,
        partitions: &[(&str, i32)],
    ) -> Result<Vec<ProducersOfPartition>, Error> {
        let mut by_leader: BTreeMap<i32, Vec<(&str, i32)>> = BTreeMap::new();
        let mut described = Vec::new();
        for (topic, partition) in partitions {
            match self.leader(topic, *partition).await {
                Ok(Broker::Id(leader)) => by_leader
                    .entry(leader)
                    .or_default()
                    .push((topic, *partition)),
                Ok(_) => {}
                Err(error) => described.push(ProducersOfPartition {
                    topic: (*topic).to_owned(),
                    partition: *partition,
                    producers: Err(error),
                }),
            }
        }
        for (leader, partitions) in by_leader {
            for some in partitions.chunks(PARTITIONS_OF_A_REQUEST) {
                let asked = self.retrying(|| self.describe_producers_at(leader, some));
                described.extend(asked.await?);
            }
        }
        described.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        Ok(described)
    }

    async fn describe_producers_at(
        &self,
        leader: i32,
        partitions: &[(&str, i32)],
    ) -> Result<Vec<ProducersOfPartition>, Error> {
        let api = ApiKey::DescribeProducers;
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in partitions {
            topics.entry(topic).or_default().push(*partition);
        }
        let topic = |(name, partition_indexes): (&str, Vec<i32>)| TopicRequest {
            name: name.into(),
            partition_indexes,
            ..TopicRequest::default()
        };
        let request = DescribeProducersRequest {
            topics: topics.into_iter().map(topic).collect(),
            ..DescribeProducersRequest::default()
        };
        let (to, build) = (Broker::Id(leader), |_| request.into());
        let answer = self.ask(to, api, build, only!(DescribeProducers)).await?;
        let mut described = Vec::new();
        for topic in answer.topics {
            for p in topic.partitions {
                let subject = format!("{}-{}", topic.name, p.partition_index);
                let checked = Error::check(api, subject, p.error_code, p.error_message.as_deref());
                if checked.is_err() {
                    self.forget(&topic.name);
                }
                let producers = p.active_producers.iter().map(active_producer);
                described.push(ProducersOfPartition {
                    topic: topic.name.to_string(),
                    partition: p.partition_index,
                    producers: checked.map(|()| producers.collect()),
                });
            }
        }
        Ok(described)
    }

    /// Writes an abort marker into one partition, past the transaction's coordinator. Only for
    /// transactions that hang: for one that goes on, it makes the partition disagree with others.
    pub async fn abort_in_partition(
        &self,
        topic: &str,
        partition: i32,
        marker: AbortMarker,
    ) -> Result<(), Error> {
        let api = ApiKey::WriteTxnMarkers;
        let request = WriteTxnMarkersRequest {
            markers: vec![WritableTxnMarker {
                producer_id: marker.producer_id,
                producer_epoch: marker.producer_epoch,
                transaction_result: false,
                topics: vec![WritableTxnMarkerTopic {
                    name: topic.into(),
                    partition_indexes: vec![partition],
                    ..WritableTxnMarkerTopic::default()
                }],
                coordinator_epoch: marker.coordinator_epoch,
                ..WritableTxnMarker::default()
            }],
            ..WriteTxnMarkersRequest::default()
        };
        self.retrying(|| async {
            let (to, build) = (self.leader(topic, partition).await?, |_| {
                request.clone().into()
            });
            let answer = self.ask(to, api, build, only!(WriteTxnMarkers)).await?;
            let topics = answer.markers.iter().flat_map(|marker| &marker.topics);
            for p in topics.flat_map(|topic| &topic.partitions) {
                let checked = Error::check(api, format!("{topic}-{partition}"), p.error_code, None);
                if checked.is_err() {
                    self.forget(topic);
                }
                checked?;
            }
            Ok(())
        })
        .await
    }
}

fn active_producer(producer: &ProducerState) -> ActiveProducer {
    ActiveProducer {
        producer_id: producer.producer_id,
        producer_epoch: producer.producer_epoch,
        last_sequence: producer.last_sequence,
        last_timestamp_ms: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        transaction_start_offset: Some(producer.current_txn_start_offset).filter(|o| *o >= 0),
    }
}
