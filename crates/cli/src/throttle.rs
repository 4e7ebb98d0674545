//! Limits for the copying of replicas, as Kafka's own tools set them: a rate for each broker, and for
//! each topic the replicas that the rate is for.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{ConfigChange, ConfigResource};

use crate::cluster::{Cluster, Source};
use crate::{Error, Streams};
use ottla_placement::{
    Move, RATES, THROTTLED_FOLLOWERS as FOLLOWERS, THROTTLED_LEADERS as LEADERS, throttled,
};

/// All replicas of a topic: set by a person, for good.
const ALL: &str = "*";
/// So many topics are asked for in one request.
const TOPICS_AT_ONCE: usize = 500;

/// The throttles that are set in a cluster.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Throttles {
    /// Bytes per second, by broker.
    pub(crate) brokers: BTreeMap<i32, u64>,
    /// Topics with a list of replicas.
    pub(crate) topics: BTreeSet<String>,
    /// Topics whose every replica is throttled.
    pub(crate) for_good: BTreeSet<String>,
}

impl Throttles {
    pub(crate) fn is_empty(&self) -> bool {
        self.brokers.is_empty() && self.topics.is_empty()
    }
}

/// Sets the rate on all brokers between which something moves. It holds for what moves only.
pub(crate) async fn set(cluster: &Cluster, moves: &[Move], rate: u64) -> Result<(), Error> {
    // The lists first: a rate without a list limits nothing, so that nothing is limited by half.
    for (topic, replicas) in throttled(moves) {
        let changes = replicas.properties();
        let changes = changes.map(|(name, value)| change(name, Some(value)));
        alter(cluster, ConfigResource::Topic(topic), &changes).await?;
    }
    let copies = moves.iter().filter(|one| !one.is_reorder());
    let brokers: BTreeSet<i32> = copies
        .flat_map(|one| one.from.iter().chain(&one.to).copied())
        .collect();
    let changes = RATES.map(|name| change(name, Some(rate.to_string())));
    for broker in brokers {
        alter(cluster, ConfigResource::Broker(broker), &changes).await?;
    }
    Ok(())
}

/// The throttles that there are, of these brokers and topics.
pub(crate) async fn find(
    cluster: &Cluster,
    brokers: impl Iterator<Item = i32>,
    topics: &[&str],
) -> Result<Throttles, Error> {
    let mut found = Throttles::default();
    for broker in brokers {
        let resource = ConfigResource::Broker(broker);
        let configs = cluster.client.describe_configs(resource, Some(&RATES));
        let action = format!("asking broker {broker} for its throttles");
        let configs = cluster.checked(action, configs.await)?;
        let rates = configs.iter().filter(|config| {
            let source = Source::from_id(config.config_source);
            source == Source::DynamicBrokerConfig
        });
        let rates = rates.filter_map(|config| config.value.as_deref()?.parse().ok());
        if let Some(rate) = rates.min() {
            found.brokers.insert(broker, rate);
        }
    }
    for topics in topics.chunks(TOPICS_AT_ONCE) {
        let names = [LEADERS, FOLLOWERS];
        let described = cluster.client.describe_topic_configs(topics, &names).await;
        for (topic, configs) in cluster.checked("asking topics for their throttles", described)? {
            let set = configs.iter().filter(|config| {
                Source::from_id(config.config_source) == Source::DynamicTopicConfig
            });
            for config in set {
                match config.value.as_deref() {
                    None | Some("") => {}
                    Some(ALL) => drop(found.for_good.insert(topic.clone())),
                    Some(_) => drop(found.topics.insert(topic.clone())),
                }
            }
        }
    }
    Ok(found)
}

/// Removes throttles. Rates stay while a topic is throttled for good: they are part of that.
pub(crate) async fn clear(
    cluster: &Cluster,
    throttles: &Throttles,
    streams: &mut Streams,
) -> Result<(), Error> {
    if throttles.for_good.is_empty() {
        let changes = RATES.map(|name| change(name, None));
        for broker in throttles.brokers.keys() {
            alter(cluster, ConfigResource::Broker(*broker), &changes).await?;
        }
    } else {
        let topics: Vec<&str> = throttles.for_good.iter().map(String::as_str).collect();
        streams.say(&format!(
            "note: the rates of brokers stay, because all replicas of {} are throttled ('*')",
            topics.join(", ")
        ));
    }
    for topic in &throttles.topics {
        let changes = [change(LEADERS, None), change(FOLLOWERS, None)];
        alter(cluster, ConfigResource::Topic(topic), &changes).await?;
    }
    Ok(())
}

fn change(name: &str, value: Option<String>) -> ConfigChange {
    ConfigChange {
        name: name.to_owned(),
        value,
    }
}

async fn alter(
    cluster: &Cluster,
    resource: ConfigResource<'_>,
    changes: &[ConfigChange],
) -> Result<(), Error> {
    let altered = cluster.client.alter_configs(resource, changes, false).await;
    cluster.checked(format!("throttling the copying of {resource:?}"), altered)
}
