//! Topics, and the cluster itself.

use ottla_wire::messages::create_partitions_request::CreatePartitionsTopic;
use ottla_wire::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use ottla_wire::messages::create_topics_response::CreatableTopicResult;
use ottla_wire::messages::delete_topics_request::DeleteTopicState;
use ottla_wire::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeClusterResponse,
};
use ottla_wire::{ApiKey, Request, Response};

use crate::client::other_response;
use crate::{Broker, Client, Error};

/// Takes the body of one API out of a response.
macro_rules! only {
    ($api:ident) => {
        |response| match response {
            ottla_wire::Response::$api(body) => Some(body),
            _ => None,
        }
    };
}
pub(crate) use only;

/// A topic to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions it gets; `None` leaves it to the broker.
    pub partitions: Option<i32>,
    /// How many replicas each gets; `None` leaves it to the broker.
    pub replication_factor: Option<i16>,
    /// Which brokers hold each partition; then the two numbers above stay `None`.
    pub assignments: Vec<Vec<i32>>,
    /// Its own configuration.
    pub configs: Vec<(String, String)>,
}

impl Client {
    /// Creates topics, or only checks whether they could be. One outcome per topic, in any order;
    /// the name is in each.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Vec<(String, Result<CreatableTopicResult, Error>)>, Error> {
        let request = CreateTopicsRequest {
            topics: topics.iter().map(creatable).collect(),
            timeout_ms: self.request_timeout_ms(),
            validate_only,
            ..CreateTopicsRequest::default()
        };
        let api = ApiKey::CreateTopics;
        let answer = self.change(api, |_| request.clone().into(), only!(CreateTopics));
        let outcomes = answer.await?.topics.into_iter().map(|t| {
            let (name, message) = (t.name.to_string(), t.error_message.as_deref());
            let checked = Error::check(api, format!("topic {name}"), t.error_code, message);
            (name, checked.map(|()| t))
        });
        Ok(outcomes.collect())
    }

    /// Deletes topics by name. One outcome per topic.
    pub async fn delete_topics(
        &self,
        names: &[&str],
    ) -> Result<Vec<(String, Result<(), Error>)>, Error> {
        let api = ApiKey::DeleteTopics;
        let request = |version| {
            let mut request = DeleteTopicsRequest {
                timeout_ms: self.request_timeout_ms(),
                ..DeleteTopicsRequest::default()
            };
            if version >= 6 {
                let state = |name: &&str| DeleteTopicState {
                    name: Some((*name).into()),
                    ..DeleteTopicState::default()
                };
                request.topics = names.iter().map(state).collect();
            } else {
                request.topic_names = names.iter().map(|name| (*name).into()).collect();
            }
            request.into()
        };
        let answer = self.change(api, request, only!(DeleteTopics)).await?;
        let outcomes = answer.responses.into_iter().map(|t| {
            let name = t.name.map_or_else(|| t.topic_id.to_string(), String::from);
            self.forget(&name);
            let message = t.error_message.as_deref();
            let checked = Error::check(api, format!("topic {name}"), t.error_code, message);
            (name, checked)
        });
        Ok(outcomes.collect())
    }

    /// Raises a topic's number of partitions to `count`, or only checks whether it could be.
    pub async fn create_partitions(
        &self,
        topic: &str,
        count: i32,
        validate_only: bool,
    ) -> Result<(), Error> {
        let api = ApiKey::CreatePartitions;
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic {
                name: topic.into(),
                count,
                assignments: None,
                ..CreatePartitionsTopic::default()
            }],
            timeout_ms: self.request_timeout_ms(),
            validate_only,
            ..CreatePartitionsRequest::default()
        };
        let answer = self.change(api, |_| request.clone().into(), only!(CreatePartitions));
        self.forget(topic);
        answer.await?.results.iter().try_for_each(|result| {
            let message = result.error_message.as_deref();
            Error::check(api, format!("topic {topic}"), result.error_code, message)
        })
    }

    /// The cluster's id, controller and brokers, with those that are fenced where the broker can
    /// tell (Kafka 4.0).
    pub async fn describe_cluster(&self) -> Result<DescribeClusterResponse, Error> {
        let api = ApiKey::DescribeCluster;
        let mut retry = self.retry();
        loop {
            let build = |version| {
                DescribeClusterRequest {
                    include_fenced_brokers: version >= 2,
                    ..DescribeClusterRequest::default()
                }
                .into()
            };
            let answer = self
                .ask(Broker::Any, api, build, only!(DescribeCluster))
                .await;
            let checked = answer.and_then(|answer| {
                let message = answer.error_message.as_deref();
                Error::check(api, "the cluster", answer.error_code, message)?;
                Ok(answer)
            });
            match checked {
                Ok(cluster) => return Ok(cluster),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    /// Asks one broker once, with a request made for the version that both sides know.
    pub(crate) async fn ask<T>(
        &self,
        broker: Broker,
        api: ApiKey,
        build: impl FnOnce(i16) -> Request,
        pick: impl FnOnce(Response) -> Option<T>,
    ) -> Result<T, Error> {
        self.ask_from(broker, api, *api.versions().start(), build, pick)
            .await
    }

    /// As [`Client::ask`], where only versions from `first` on can carry what is asked.
    pub(crate) async fn ask_from<T>(
        &self,
        broker: Broker,
        api: ApiKey,
        first: i16,
        build: impl FnOnce(i16) -> Request,
        pick: impl FnOnce(Response) -> Option<T>,
    ) -> Result<T, Error> {
        let link = self.link(broker).await?;
        let version = link.version_within(api, first..=*api.stable_versions().end())?;
        let response = link.call(version, &build(version)).await?;
        pick(response).ok_or_else(|| other_response(&link, api))
    }

    /// Asks the controller for a change. It is tried again only while it cannot have been done,
    /// lest the second try tells that the topic exists already.
    pub(crate) async fn change<T>(
        &self,
        api: ApiKey,
        build: impl Fn(i16) -> Request,
        pick: impl Fn(Response) -> Option<T>,
    ) -> Result<T, Error> {
        let mut retry = self.retry();
        loop {
            match self.ask(Broker::Controller, api, &build, &pick).await {
                Ok(answer) => return Ok(answer),
                Err(error @ (Error::Disconnected { .. } | Error::Timeout { .. })) => {
                    return Err(error);
                }
                Err(error) => retry.after(error).await?,
            }
        }
    }

    pub(crate) fn request_timeout_ms(&self) -> i32 {
        let timeout = self.inner.options.request_timeout;
        i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(name, value): &(String, String)| CreatableTopicConfig {
        name: name.into(),
        value: Some(value.into()),
        ..CreatableTopicConfig::default()
    };
    let assignment = |(partition, brokers): (i32, &Vec<i32>)| CreatableReplicaAssignment {
        partition_index: partition,
        broker_ids: brokers.clone(),
        ..CreatableReplicaAssignment::default()
    };
    CreatableTopic {
        name: topic.name.as_str().into(),
        num_partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        assignments: (0..).zip(&topic.assignments).map(assignment).collect(),
        configs: topic.configs.iter().map(config).collect(),
        ..CreatableTopic::default()
    }
}
