//! What the commands ask a cluster, with the client's errors in the words of the command line.

use std::time::Duration;

use ottla_client::{Client, ClientOptions, ConfigResource, NewTopic, OffsetAt};
use ottla_model::ErrorCode;
use ottla_runtime::Runtime;
use ottla_wire::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use serde::Serialize;

use crate::globals::Globals;
use crate::{Error, moment, suggest};

/// A cluster that was reached.
pub(crate) struct Cluster {
    pub(crate) client: Client,
    runtime: Runtime,
    timeout: Duration,
}

/// A topic, as the cluster's metadata tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicInfo {
    pub(crate) name: String,
    /// Kafka has ids since 2.8.
    pub(crate) id: Option<String>,
    pub(crate) internal: bool,
    /// In the order of their numbers.
    pub(crate) partitions: Vec<PartitionInfo>,
}

/// A partition of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PartitionInfo {
    pub(crate) index: i32,
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) offline: Vec<i32>,
    /// Replicas that are not in sync and have all committed records (KIP-966); only where
    /// [`Cluster::add_eligible_leaders`] was told them.
    pub(crate) elr: Option<Vec<i32>>,
    /// The last replicas that could have led, when none is left.
    pub(crate) last_known_elr: Option<Vec<i32>>,
}

/// The offsets that a partition has: from `earliest` to before `latest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetRange {
    pub(crate) earliest: i64,
    pub(crate) latest: i64,
}

/// A setting of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ConfigInfo {
    pub(crate) name: String,
    /// Null when it is unset or secret.
    pub(crate) value: Option<String>,
    pub(crate) source: Source,
    pub(crate) sensitive: bool,
}

/// Where a setting's value comes from, in Kafka's names (KIP-226).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Source {
    DynamicTopicConfig,
    DynamicBrokerConfig,
    DynamicDefaultBrokerConfig,
    StaticBrokerConfig,
    DefaultConfig,
    DynamicBrokerLoggerConfig,
    DynamicClientMetricsConfig,
    DynamicGroupConfig,
    Unknown,
}

/// A topic to create; what is `None` is left to the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreateTopic {
    pub(crate) name: String,
    pub(crate) partitions: Option<i32>,
    pub(crate) replication_factor: Option<i16>,
    pub(crate) configs: Vec<(String, String)>,
    pub(crate) validate_only: bool,
}

/// What the cluster says about a created topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreatedTopic {
    pub(crate) id: Option<String>,
    pub(crate) partitions: Option<i32>,
    pub(crate) replication_factor: Option<i16>,
}

impl TopicInfo {
    /// That of the partition with the most replicas: while partitions move they can differ.
    pub(crate) fn replication_factor(&self) -> usize {
        let counts = self.partitions.iter().map(|p| p.replicas.len());
        counts.max().unwrap_or(0)
    }
}

impl Source {
    pub(crate) fn from_id(id: i8) -> Self {
        match id {
            1 => Source::DynamicTopicConfig,
            2 => Source::DynamicBrokerConfig,
            3 => Source::DynamicDefaultBrokerConfig,
            4 => Source::StaticBrokerConfig,
            5 => Source::DefaultConfig,
            6 => Source::DynamicBrokerLoggerConfig,
            7 => Source::DynamicClientMetricsConfig,
            8 => Source::DynamicGroupConfig,
            _ => Source::Unknown,
        }
    }

    pub(crate) fn is_default(self) -> bool {
        self == Source::DefaultConfig
    }

    /// For the table.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Source::DynamicTopicConfig => "topic",
            Source::DynamicBrokerConfig => "broker, dynamic",
            Source::DynamicDefaultBrokerConfig => "broker-default",
            Source::StaticBrokerConfig => "broker",
            Source::DefaultConfig => "default",
            Source::DynamicBrokerLoggerConfig => "logger",
            Source::DynamicClientMetricsConfig => "client-metrics",
            Source::DynamicGroupConfig => "group",
            Source::Unknown => "unknown",
        }
    }
}

/// How long a topic that the cluster creates on demand may take to appear.
const AUTO_CREATION: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Cluster {
    /// Reaches the cluster. `create_topics`: whether asking for a topic may create it.
    pub(crate) async fn connect(
        runtime: &Runtime,
        globals: &Globals,
        create_topics: bool,
    ) -> Result<Self, Error> {
        let servers: Vec<String> = globals
            .bootstrap_servers
            .split(',')
            .map(str::to_owned)
            .collect();
        let options = ClientOptions {
            client_id: "ottla".to_owned(),
            connect_timeout: CONNECT_TIMEOUT.min(globals.timeout),
            request_timeout: globals.timeout,
            deadline: globals.timeout,
            allow_auto_topic_creation: create_topics,
            ..ClientOptions::default()
        };
        // Nobody waits half a minute to hear that the node is not running: the first connection
        // is tried once. Only a cluster that was there is waited for.
        let once = ClientOptions {
            deadline: Duration::ZERO,
            ..options.clone()
        };
        let failed = |error: ottla_client::Error| {
            failure("connecting to the cluster", &error, globals.timeout)
        };
        Client::connect(runtime.clone(), servers.clone(), once)
            .await
            .map_err(failed)?;
        let client = Client::connect(runtime.clone(), servers, options)
            .await
            .map_err(failed)?;
        Ok(Cluster {
            client,
            runtime: runtime.clone(),
            timeout: globals.timeout,
        })
    }

    /// The client's result in our words; `action` is what was tried.
    pub(crate) fn checked<T>(
        &self,
        action: impl AsRef<str>,
        result: Result<T, ottla_client::Error>,
    ) -> Result<T, Error> {
        result.map_err(|error| self.failure(action.as_ref(), &error))
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The longest wait for an answer.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The wall clock.
    pub(crate) fn now_ms(&self) -> i64 {
        self.runtime.clock.now_ms()
    }

    /// The client's error in our words; `action` is what was tried.
    pub(crate) fn failure(&self, action: &str, error: &ottla_client::Error) -> Error {
        failure(action, error, self.timeout)
    }

    /// All topics.
    pub(crate) async fn topics(&self) -> Result<Vec<TopicInfo>, Error> {
        let metadata = self.client.metadata(None).await;
        let metadata = metadata.map_err(|error| self.failure("listing topics", &error))?;
        Ok(metadata.topics.into_iter().filter_map(topic_info).collect())
    }

    /// One topic. When there is none of that name, the error tells similar ones.
    pub(crate) async fn topic(&self, name: &str) -> Result<TopicInfo, Error> {
        let mut found = self.topic_as_named(name).await;
        if let Err(Error::NoTopic { similar, .. }) = &mut found {
            // Suggestions are a favour: without them the error is the same.
            let topics = self.topics().await.unwrap_or_default();
            *similar = suggest::closest(name, topics.iter().map(|topic| topic.name.as_str()));
        }
        found
    }

    async fn topic_as_named(&self, name: &str) -> Result<TopicInfo, Error> {
        let action = || format!("looking up topic {name}");
        let metadata = self.client.metadata(Some(&[name])).await;
        let metadata = metadata.map_err(|error| self.failure(&action(), &error))?;
        let missing = || Error::NoTopic {
            topic: name.to_owned(),
            similar: Vec::new(),
        };
        let topic = metadata.topics.into_iter().next().ok_or_else(missing)?;
        match ErrorCode::from_code(topic.error_code) {
            Some(ErrorCode::None) => topic_info(topic).ok_or_else(missing),
            Some(ErrorCode::UnknownTopicOrPartition) => Err(missing()),
            Some(code) => Err(Error::refused(action(), code, None)),
            None => Err(unknown_code(action(), topic.error_code, None)),
        }
    }

    /// Fills in who is eligible to lead, where the cluster can tell (Kafka 3.8, KIP-966).
    pub(crate) async fn add_eligible_leaders(&self, topics: &mut [TopicInfo]) -> Result<(), Error> {
        let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        let described = match self.client.describe_topic_partitions(&names).await {
            Err(ottla_client::Error::Unsupported { .. }) => return Ok(()),
            described => self.checked("asking for eligible leaders", described)?,
        };
        for told in described {
            let topic = topics
                .iter_mut()
                .find(|topic| told.name.as_deref() == Some(topic.name.as_str()));
            let Some(topic) = topic else { continue };
            for partition in told.partitions {
                let mut known = topic.partitions.iter_mut();
                if let Some(known) = known.find(|p| p.index == partition.partition_index) {
                    known.elr = partition.eligible_leader_replicas;
                    known.last_known_elr = partition.last_known_elr;
                }
            }
        }
        Ok(())
    }

    /// One topic to write to: where the cluster creates topics on demand, it is waited for.
    pub(crate) async fn topic_to_write(&self, name: &str) -> Result<TopicInfo, Error> {
        let clock = &self.runtime.clock;
        let until = clock.instant() + AUTO_CREATION.min(self.timeout);
        loop {
            let error = match self.topic_as_named(name).await {
                Ok(topic) => return Ok(topic),
                Err(error) => error,
            };
            let may_come = match &error {
                Error::NoTopic { .. } => true,
                Error::Refused { code, .. } => *code == ErrorCode::LeaderNotAvailable,
                _ => false,
            };
            if !may_come {
                return Err(error);
            }
            if clock.instant() >= until {
                return self.topic(name).await;
            }
            clock.sleep(POLL).await;
        }
    }

    /// The offsets of a topic's partitions, in their order; `None` for those without a leader.
    pub(crate) async fn offset_ranges(
        &self,
        topic: &TopicInfo,
    ) -> Result<Vec<Option<OffsetRange>>, Error> {
        let led: Vec<i32> = topic
            .partitions
            .iter()
            .filter(|partition| partition.leader.is_some())
            .map(|partition| partition.index)
            .collect();
        let earliest = self
            .offsets_at(&topic.name, &led, OffsetAt::Earliest)
            .await?;
        let latest = self.offsets_at(&topic.name, &led, OffsetAt::Latest).await?;
        let at = |found: &[(i32, Option<i64>)], index: i32| {
            let offset = found.iter().find(|(partition, _)| *partition == index);
            offset.and_then(|(_, offset)| *offset)
        };
        let ranges = topic.partitions.iter().map(|partition| {
            Some(OffsetRange {
                earliest: at(&earliest, partition.index)?,
                latest: at(&latest, partition.index)?,
            })
        });
        Ok(ranges.collect())
    }

    /// One offset of each partition; `None` where no record fits.
    pub(crate) async fn offsets_at(
        &self,
        topic: &str,
        partitions: &[i32],
        at: OffsetAt,
    ) -> Result<Vec<(i32, Option<i64>)>, Error> {
        let wanted: Vec<_> = partitions.iter().map(|p| (topic, *p, at)).collect();
        let action = || format!("looking up the offsets of topic {topic}");
        let found = self.client.list_offsets(&wanted).await;
        let found = found.map_err(|error| self.failure(&action(), &error))?;
        Ok(found.into_iter().map(|f| (f.partition, f.offset)).collect())
    }

    /// All settings of a topic.
    pub(crate) async fn topic_configs(&self, topic: &str) -> Result<Vec<ConfigInfo>, Error> {
        let resource = ConfigResource::Topic(topic);
        let configs = self.client.describe_configs(resource, None).await;
        let action = || format!("describing the settings of topic {topic}");
        let configs = configs.map_err(|error| self.failure(&action(), &error))?;
        let info = configs.into_iter().map(|config| ConfigInfo {
            name: config.name.to_string(),
            value: config.value.map(|value| value.to_string()),
            source: Source::from_id(config.config_source),
            sensitive: config.is_sensitive,
        });
        Ok(info.collect())
    }

    /// Creates a topic, or only asks whether it could be.
    pub(crate) async fn create_topic(&self, topic: &CreateTopic) -> Result<CreatedTopic, Error> {
        let action = || format!("creating topic {}", topic.name);
        let new = NewTopic {
            name: topic.name.clone(),
            partitions: topic.partitions,
            replication_factor: topic.replication_factor,
            configs: topic.configs.clone(),
            ..NewTopic::default()
        };
        let outcomes = self.client.create_topics(&[new], topic.validate_only).await;
        let outcomes = outcomes.map_err(|error| self.failure(&action(), &error))?;
        let (_, outcome) = outcomes
            .into_iter()
            .next()
            .ok_or_else(|| no_outcome(action()))?;
        let created = outcome.map_err(|error| self.failure(&action(), &error))?;
        Ok(CreatedTopic {
            id: (!created.topic_id.is_zero()).then(|| created.topic_id.to_string()),
            partitions: Some(created.num_partitions).filter(|n| *n > 0),
            replication_factor: Some(created.replication_factor).filter(|n| *n > 0),
        })
    }

    /// Deletes a topic.
    pub(crate) async fn delete_topic(&self, name: &str) -> Result<(), Error> {
        let action = || format!("deleting topic {name}");
        let outcomes = self.client.delete_topics(&[name]).await;
        let outcomes = outcomes.map_err(|error| self.failure(&action(), &error))?;
        let (_, outcome) = outcomes
            .into_iter()
            .next()
            .ok_or_else(|| no_outcome(action()))?;
        outcome.map_err(|error| self.failure(&action(), &error))
    }
}

pub(crate) fn topic_info(topic: MetadataResponseTopic) -> Option<TopicInfo> {
    let mut partitions: Vec<_> = topic.partitions.into_iter().map(partition_info).collect();
    partitions.sort_by_key(|partition| partition.index);
    Some(TopicInfo {
        name: topic.name?.to_string(),
        id: (!topic.topic_id.is_zero()).then(|| topic.topic_id.to_string()),
        internal: topic.is_internal,
        partitions,
    })
}

fn partition_info(partition: MetadataResponsePartition) -> PartitionInfo {
    PartitionInfo {
        index: partition.partition_index,
        leader: Some(partition.leader_id).filter(|id| *id >= 0),
        leader_epoch: Some(partition.leader_epoch).filter(|epoch| *epoch >= 0),
        replicas: partition.replica_nodes,
        isr: partition.isr_nodes,
        offline: partition.offline_replicas,
        elr: None,
        last_known_elr: None,
    }
}

fn no_outcome(action: String) -> Error {
    Error::Failed {
        action,
        reason: "the cluster answered without saying what became of it".to_owned(),
    }
}

fn unknown_code(action: String, code: i16, message: Option<&str>) -> Error {
    Error::Failed {
        action,
        reason: match message {
            Some(message) if !message.is_empty() => format!("{message} (error {code})"),
            _ => format!("the cluster refused with error {code}, which is newer than this tool"),
        },
    }
}

/// The client's error in our words.
pub(crate) fn failure(action: &str, error: &ottla_client::Error, timeout: Duration) -> Error {
    use ottla_client::Error as Client;
    let action = action.to_owned();
    match error {
        Client::Delivery(inner) => failure(&action, inner, timeout),
        Client::NoBroker { tried } => Error::Unreachable {
            tried: without_os_number(tried),
        },
        Client::Connect { address, source } => Error::Unreachable {
            tried: without_os_number(&format!("{address} ({source})")),
        },
        Client::Deadline { last, .. } => match &**last {
            Client::NoBroker { .. }
            | Client::Connect { .. }
            | Client::Refused { .. }
            | Client::Delivery(_) => failure(&action, last, timeout),
            other => Error::TimedOut {
                action,
                limit: moment::duration_text(timeout),
                last: other.to_string(),
            },
        },
        Client::Timeout { .. } => Error::TimedOut {
            action,
            limit: moment::duration_text(timeout),
            last: error.to_string(),
        },
        Client::Refused { code, message, .. } => match ErrorCode::from_code(*code) {
            Some(code) => Error::refused(action, code, message.clone()),
            None => unknown_code(action, *code, message.as_deref()),
        },
        Client::NoSuchPartition {
            topic,
            partition,
            last,
        } => Error::NoPartition {
            topic: topic.clone(),
            partition: *partition,
            partitions: usize::try_from(last.saturating_add(1)).unwrap_or(0),
        },
        Client::Unsupported { .. } => Error::TooOld {
            action,
            reason: error.to_string(),
        },
        other => Error::Failed {
            action,
            reason: other.to_string(),
        },
    }
}

/// `Connection refused (os error 111)` tells people nothing more than without the number.
fn without_os_number(text: &str) -> String {
    let mut rest = text;
    let mut shown = String::new();
    while let Some(at) = rest.find(" (os error ") {
        let (before, behind) = rest.split_at(at);
        shown.push_str(before);
        rest = match behind
            .get(1..)
            .and_then(|b| b.find(')').map(|end| (b, end)))
        {
            Some((behind, end)) => behind.get(end + 1..).unwrap_or_default(),
            None => "",
        };
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests;
