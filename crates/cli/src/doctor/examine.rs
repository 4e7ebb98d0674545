//! Gathers the facts: resolves names, dials, and asks whoever answers.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use ottla_client::{Broker, Client, ClientOptions, Error as ClientError};
use ottla_model::ErrorCode;
use ottla_runtime::Runtime;
use ottla_wire::messages::describe_configs_request::DescribeConfigsResource;
use ottla_wire::messages::metadata_response::MetadataResponseTopic;
use ottla_wire::messages::{DescribeConfigsRequest, MetadataResponse};
use ottla_wire::{ApiKey, Response};

use super::facts::{
    Answer, BrokerAddress, Dial, Door, Facts, Failure, Fenced, Identity, Quorum, Topic, Voter,
    place,
};
use super::{DoctorArgs, knock, round_trip};
use crate::globals::Globals;
use crate::quorum::{Member, members};

/// So many addresses of one name are tried.
const ADDRESSES: usize = 8;
/// Of so many topics `min.insync.replicas` is looked up in one request.
const TOPICS_AT_ONCE: usize = 500;

struct Examiner<'a> {
    runtime: &'a Runtime,
    limit: Duration,
}

/// Looks at everything that can be seen from here.
pub(super) async fn examine(args: &DoctorArgs, globals: &Globals, runtime: &Runtime) -> Facts {
    let examiner = Examiner {
        runtime,
        limit: args.dial_timeout.min(globals.timeout),
    };
    let servers = globals.bootstrap_servers.split(',').filter_map(split);
    let doors = servers.map(|(host, port)| examiner.door(host, port, None));
    let mut facts = Facts {
        bootstrap: join_all(doors).await,
        ..Facts::default()
    };
    let Some(answer) = facts.answer() else {
        return facts;
    };
    let doors = answer.brokers.clone().into_iter().map(|broker| async {
        let door = examiner.door(broker.host.clone(), broker.port, Some(broker.id));
        (door.await, broker)
    });
    let doors = join_all(doors).await.into_iter();
    facts.brokers = doors.map(|(door, broker)| (broker, door)).collect();
    facts.topics = examiner.topics(&facts.bootstrap).await;
    examiner.members(&mut facts).await;
    if let Some(topic) = &args.write {
        let written = round_trip::round_trip(topic, globals, runtime).await;
        facts.round_trip = Some((topic.clone(), written));
    }
    facts
}

/// The host without brackets, and the port, of a checked bootstrap server.
fn split(server: &str) -> Option<(String, u16)> {
    let (host, port) = server.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), port.parse().ok()?))
}

impl Examiner<'_> {
    /// Resolves and dials; `expected` is the broker that should answer there.
    async fn door(&self, host: String, port: u16, expected: Option<i32>) -> Door {
        let resolved = self.runtime.network.resolve(&host, self.limit).await;
        let resolved = match resolved {
            Ok(addresses) if addresses.is_empty() => Err("the name has no address".to_owned()),
            Ok(addresses) => Ok(addresses),
            Err(error) if error.kind() == ErrorKind::TimedOut => Err(format!(
                "the resolver did not answer within {:?}",
                self.limit
            )),
            Err(error) => Err(error.to_string()),
        };
        let addresses = resolved.as_deref().unwrap_or_default().iter();
        let dials = addresses.take(ADDRESSES).map(|ip| async {
            Dial {
                ip: *ip,
                outcome: self.dial(*ip, port, expected).await,
            }
        });
        let dials = join_all(dials).await;
        Door {
            host,
            port,
            resolved,
            dials,
        }
    }

    async fn dial(&self, ip: IpAddr, port: u16, expected: Option<i32>) -> Result<Answer, Failure> {
        let host = ip.to_string();
        let connected = self.runtime.network.connect(&host, port, self.limit).await;
        drop(connected.map_err(|error| failure_of(&error))?);
        let client = match self.client(&host, port).await {
            Ok(client) => client,
            Err(ClientError::Disconnected {
                api: ApiKey::Metadata,
                ..
            }) => {
                return Err(Failure::Credentials);
            }
            Err(error) => {
                let speaks = knock::knock(self.runtime, &host, port, self.limit).await;
                let reason = || Failure::NotKafka(error.to_string());
                return Err(speaks.map_or_else(reason, Failure::Speaks));
            }
        };
        let said = self.ask(&client, expected).await;
        said.map_err(|error| Failure::Other(error.to_string()))
    }

    /// A client that knows nobody but this one broker.
    async fn client(&self, host: &str, port: u16) -> Result<Client, ClientError> {
        let options = ClientOptions {
            client_id: "ottla-doctor".to_owned(),
            connect_timeout: self.limit,
            request_timeout: self.limit,
            deadline: Duration::ZERO,
            ..ClientOptions::default()
        };
        let connecting = Client::connect(self.runtime.clone(), vec![place(host, port)], options);
        connecting.await.map_err(|error| match error {
            ClientError::Deadline { last, .. } => *last,
            other => other,
        })
    }

    async fn ask(&self, client: &Client, expected: Option<i32>) -> Result<Answer, ClientError> {
        let versions = client.api_versions(Broker::Any).await?;
        // The first request may have waited for caches; this one is the network's.
        let began = self.runtime.clock.instant();
        client.api_versions(Broker::Any).await?;
        let latency = self.runtime.clock.instant() - began;
        let metadata = client.metadata(Some(&[])).await?;
        let features = &versions.finalized_features;
        let mut features = features.iter();
        let metadata_version = features.find(|feature| &*feature.name == "metadata.version");
        Ok(Answer {
            cluster_id: metadata.cluster_id.as_deref().map(str::to_owned),
            controller: Some(metadata.controller_id).filter(|id| *id >= 0),
            brokers: brokers_of(&metadata),
            identity: match expected {
                None => Identity::NotAsked,
                Some(expected) => identity(client, expected).await,
            },
            latency,
            apis: versions.api_keys.len(),
            metadata_version: metadata_version.map(|feature| feature.max_version_level),
        })
    }

    /// The metadata quorum, and the brokers that are fenced.
    async fn members(&self, facts: &mut Facts) {
        let Some((host, port)) = first_answering(&facts.bootstrap) else {
            return;
        };
        let Ok(client) = self.client(&host, port).await else {
            return;
        };
        facts.quorum = match client.describe_quorum().await {
            Ok(quorum) => quorum.map(|quorum| Ok(quorum_of(&quorum))),
            Err(ClientError::Unsupported { .. }) => None,
            Err(error) if error.code() == Some(ErrorCode::ClusterAuthorizationFailed) => None,
            Err(error) => Some(Err(error.to_string())),
        };
        // Who cannot tell has no fenced brokers in the answer either.
        if let Ok(described) = client.describe_cluster().await {
            let fenced = described.brokers.iter().filter(|broker| broker.is_fenced);
            let fenced = fenced.map(|broker| Fenced {
                id: broker.broker_id,
                address: format!("{}:{}", broker.host, broker.port),
            });
            facts.fenced = fenced.collect();
            facts.fenced.sort_by_key(|broker| broker.id);
        }
    }

    /// The topics as the first bootstrap address tells that answers.
    async fn topics(&self, doors: &[Door]) -> Option<Result<Vec<Topic>, String>> {
        let (host, port) = first_answering(doors)?;
        let asking = async {
            let client = self.client(&host, port).await?;
            let metadata = client.metadata(None).await?;
            let min_isr = min_isr(&client, &metadata.topics).await?;
            let topics = metadata.topics.iter().map(|described| {
                let mut topic = topic_of(described);
                topic.min_isr = min_isr.get(&topic.name).copied();
                topic.under_min_isr = under_min_isr(described, topic.min_isr);
                topic
            });
            Ok(topics.collect())
        };
        Some(asking.await.map_err(|error: ClientError| error.to_string()))
    }
}

/// The first address that answered, and its port.
fn first_answering(doors: &[Door]) -> Option<(String, u16)> {
    let mut dials = doors.iter().flat_map(|door| {
        let dials = door.dials.iter().filter(|dial| dial.outcome.is_ok());
        dials.map(|dial| (dial.ip.to_string(), door.port))
    });
    dials.next()
}

fn quorum_of(quorum: &ottla_client::Quorum) -> Quorum {
    let voters = members(quorum).into_iter();
    let voters = voters.filter(Member::is_voter).map(|member| Voter {
        id: member.id,
        lag_ms: member.lag_ms,
    });
    Quorum {
        leader: Some(quorum.state.leader_id).filter(|id| *id >= 0),
        voters: voters.collect(),
    }
}

fn failure_of(error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionRefused => Failure::Refused,
        ErrorKind::TimedOut => Failure::TimedOut,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Failure::Reset,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Failure::Unroutable,
        _ => Failure::Other(error.to_string()),
    }
}

fn brokers_of(metadata: &MetadataResponse) -> Vec<BrokerAddress> {
    let mut brokers: Vec<_> = metadata
        .brokers
        .iter()
        .map(|broker| BrokerAddress {
            id: broker.node_id,
            host: broker.host.to_string(),
            // A port beyond what TCP has is judged as one that nobody can dial.
            port: u16::try_from(broker.port).unwrap_or(0),
        })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    brokers
}

/// No response says who sends it, but a broker describes the settings of nobody else: it refuses,
/// and names itself.
async fn identity(client: &Client, id: i32) -> Identity {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: 4,
            resource_name: id.to_string().into(),
            configuration_keys: Some(vec!["node.id".into(), "broker.id".into()]),
            ..DescribeConfigsResource::default()
        }],
        ..DescribeConfigsRequest::default()
    };
    let result = match client.call(Broker::Any, request.into()).await {
        Ok(Response::DescribeConfigs(answer)) => answer.results.into_iter().next(),
        Ok(_) => None,
        Err(error) => return Identity::Unknown(error.to_string()),
    };
    let Some(result) = result else {
        return Identity::Unknown("it answered without saying".to_owned());
    };
    let message = result.error_message.as_deref().unwrap_or_default();
    match ErrorCode::from_code(result.error_code) {
        Some(ErrorCode::None) => Identity::Confirmed,
        Some(ErrorCode::InvalidRequest) => Identity::Other(message.to_owned()),
        Some(code) => Identity::Unknown(code.name().to_owned()),
        None => Identity::Unknown(format!("error {}", result.error_code)),
    }
}

fn topic_of(topic: &MetadataResponseTopic) -> Topic {
    let which = |wrong: &dyn Fn(i32, usize, usize) -> bool| {
        let partitions = topic.partitions.iter();
        let wrong =
            partitions.filter(|p| wrong(p.leader_id, p.isr_nodes.len(), p.replica_nodes.len()));
        wrong.map(|p| p.partition_index).collect()
    };
    let replicas = topic.partitions.iter().map(|p| p.replica_nodes.len());
    Topic {
        name: topic.name.as_deref().unwrap_or_default().to_owned(),
        partitions: topic.partitions.len(),
        leaderless: which(&|leader, _, _| leader < 0),
        under_replicated: which(&|_, isr, replicas| isr < replicas),
        under_min_isr: Vec::new(),
        replication_factor: replicas.max().unwrap_or(0),
        min_isr: None,
        error: (topic.error_code != 0).then(|| match ErrorCode::from_code(topic.error_code) {
            Some(code) => code.name().to_owned(),
            None => format!("error {}", topic.error_code),
        }),
    }
}

/// `min.insync.replicas` of the topics that have more than one replica: for others it says nothing.
async fn min_isr(
    client: &Client,
    topics: &[MetadataResponseTopic],
) -> Result<BTreeMap<String, usize>, ClientError> {
    let replicated = topics.iter().filter(|topic| {
        let mut partitions = topic.partitions.iter();
        partitions.any(|partition| partition.replica_nodes.len() > 1)
    });
    let names: Vec<&str> = replicated
        .filter_map(|topic| topic.name.as_deref())
        .collect();
    let mut found = BTreeMap::new();
    for names in names.chunks(TOPICS_AT_ONCE) {
        let described = client
            .describe_topic_configs(names, &["min.insync.replicas"])
            .await?;
        for (topic, configs) in described {
            let value = configs.first().and_then(|config| config.value.as_deref());
            if let Some(min) = value.and_then(|value| value.parse().ok()) {
                found.insert(topic, min);
            }
        }
    }
    Ok(found)
}

/// The partitions to which `acks=all` cannot write.
fn under_min_isr(topic: &MetadataResponseTopic, min: Option<usize>) -> Vec<i32> {
    let Some(min) = min else {
        return Vec::new();
    };
    let short = topic.partitions.iter().filter(|p| p.isr_nodes.len() < min);
    short.map(|p| p.partition_index).collect()
}
