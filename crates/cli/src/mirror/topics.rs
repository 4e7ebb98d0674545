//! Which topics are copied, and their settings in the target.

use std::collections::BTreeMap;

use ottla_model::ErrorCode;
use serde::Serialize;

use super::MirrorArgs;
use super::pattern::{fits, fits_any};
use super::state::{STATE_TOPIC, is_own};
use crate::Error;
use crate::cluster::{Cluster, CreateTopic, Source, TopicInfo};

/// A setting of the source's topic that the target's does not get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LeftOut {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) reason: String,
}

/// A topic to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) info: TopicInfo,
    /// It is not in the target yet.
    pub(super) is_new: bool,
    /// The settings that it gets when it is made.
    pub(super) configs: Vec<(String, String)>,
    pub(super) left_out: Vec<LeftOut>,
}

/// The topics of the source that fit, in the order of their names.
pub(super) async fn choose(args: &MirrorArgs, source: &Cluster) -> Result<Vec<TopicInfo>, Error> {
    let mut topics = source.topics().await?;
    topics.retain(|topic| !topic.internal && !is_own(&topic.name));
    if let Some(pattern) = args
        .topic
        .iter()
        .find(|pattern| !topics.iter().any(|topic| fits(pattern, &topic.name)))
    {
        return Err(Error::NotThere {
            what: "topic of the source that fits",
            name: pattern.clone(),
            similar: crate::suggest::closest(pattern, topics.iter().map(|t| t.name.as_str())),
            to_do: "`ottla topic list` shows those that exist; a cluster's own are never copied"
                .to_owned(),
        });
    }
    topics.retain(|topic| {
        (args.topic.is_empty() || fits_any(&args.topic, &topic.name))
            && !fits_any(&args.exclude, &topic.name)
    });
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(topics)
}

/// What the target knows of settings: their names, with the values that hold when a topic has none
/// of its own.
pub(super) type Known = BTreeMap<String, Option<String>>;

/// Asked of the state topic, or of another topic when that is not there (`--dry-run`); its own
/// values tell no defaults, so that those are unknown.
pub(super) async fn known(target: &Cluster) -> Result<Option<Known>, Error> {
    let topics = target.topics().await?;
    let asked = topics.iter().find(|topic| topic.name == STATE_TOPIC);
    let Some(topic) = asked.or(topics.first()) else {
        return Ok(None);
    };
    let configs = target.topic_configs(&topic.name).await?.into_iter();
    let known = configs.map(|config| {
        let own = config.source == Source::DynamicTopicConfig;
        (config.name, config.value.filter(|_| !own))
    });
    Ok(Some(known.collect()))
}

/// Settings that make no sense in another cluster, or would change records as they are copied.
fn unfit(name: &str, value: &str, replicas: i16) -> Option<String> {
    let later = |what: &str| Some(format!("{what}; set it when the move is done"));
    match name {
        "message.timestamp.type" => later("it would replace the timestamps of copied records"),
        "message.timestamp.before.max.ms"
        | "message.timestamp.after.max.ms"
        | "message.timestamp.difference.max.ms" => {
            later("it would refuse records that are older by now")
        }
        "leader.replication.throttled.replicas" | "follower.replication.throttled.replicas" => {
            Some("it names brokers of the source".to_owned())
        }
        "min.insync.replicas" if value.parse().is_ok_and(|least: i16| least > replicas) => Some(
            format!("the topic has {replicas} replicas in the target; nothing could be written"),
        ),
        _ => None,
    }
}

/// Looks a topic up on both sides.
///
/// # Errors
/// The target has it with another number of partitions.
pub(super) async fn compare(
    info: TopicInfo,
    source: &Cluster,
    target: &Cluster,
    known: Option<&Known>,
) -> Result<Chosen, Error> {
    let name = info.name.clone();
    match target.topic(&name).await {
        Ok(there) if there.partitions.len() != info.partitions.len() => {
            return Err(Error::Failed {
                action: format!("copying topic {name}"),
                reason: format!(
                    "it has {} partitions in the source and {} in the target; records would \
                     change their partitions. Delete it in the target, or leave it out with \
                     --exclude",
                    info.partitions.len(),
                    there.partitions.len()
                ),
            });
        }
        Ok(_) => {
            return Ok(Chosen {
                info,
                is_new: false,
                configs: Vec::new(),
                left_out: Vec::new(),
            });
        }
        Err(Error::NoTopic { .. }) => {}
        Err(error) => return Err(error),
    }
    let replicas = replicas(&info, target);
    let mut chosen = Chosen {
        info,
        is_new: true,
        configs: Vec::new(),
        left_out: Vec::new(),
    };
    for config in source.topic_configs(&name).await? {
        let Some(value) = config.value.filter(|_| !config.source.is_default()) else {
            continue;
        };
        let there = known.map(|known| known.get(&config.name));
        let reason = match there {
            Some(None) => Some("the target does not know it".to_owned()),
            Some(Some(Some(default))) if *default == value => continue,
            _ => unfit(&config.name, &value, replicas),
        };
        let name = config.name;
        match reason {
            None => chosen.configs.push((name, value)),
            Some(reason) => chosen.left_out.push(LeftOut {
                name,
                value,
                reason,
            }),
        }
    }
    Ok(chosen)
}

/// As many replicas as in the source, where the target has so many brokers.
fn replicas(info: &TopicInfo, target: &Cluster) -> i16 {
    let brokers = target.client.broker_ids().len().max(1);
    i16::try_from(info.replication_factor().clamp(1, brokers)).unwrap_or(1)
}

/// Makes a topic in the target. Settings that the target refuses are left out.
pub(super) async fn create(chosen: &mut Chosen, target: &Cluster) -> Result<(), Error> {
    let info = &chosen.info;
    let mut topic = CreateTopic {
        name: info.name.clone(),
        partitions: Some(i32::try_from(info.partitions.len()).unwrap_or(i32::MAX)),
        replication_factor: Some(replicas(info, target)),
        configs: chosen.configs.clone(),
        validate_only: true,
    };
    if let Some(error) = refused_setting(target.create_topic(&topic).await)? {
        for setting in std::mem::take(&mut chosen.configs) {
            topic.configs = vec![setting.clone()];
            let reason = match refused_setting(target.create_topic(&topic).await)? {
                None => {
                    chosen.configs.push(setting);
                    continue;
                }
                Some(reason) => reason,
            };
            let (name, value) = setting;
            chosen.left_out.push(LeftOut {
                name,
                value,
                reason,
            });
        }
        if chosen.left_out.is_empty() {
            // Each is fine by itself: the person has to decide.
            return Err(Error::Failed {
                action: format!("creating topic {}", topic.name),
                reason: error,
            });
        }
    }
    topic.configs = chosen.configs.clone();
    topic.validate_only = false;
    target.create_topic(&topic).await?;
    // Its partitions may need a moment to get their leaders.
    let leaders = target.client.partitions(&topic.name).await;
    target
        .checked(format!("waiting for topic {}", topic.name), leaders)
        .map(drop)
}

/// Why a setting was refused, if one was.
fn refused_setting<T>(created: Result<T, Error>) -> Result<Option<String>, Error> {
    match created {
        Ok(_) => Ok(None),
        Err(Error::Refused {
            code: code @ (ErrorCode::InvalidConfig | ErrorCode::InvalidRequest),
            message,
            ..
        }) => Ok(Some(message.unwrap_or_else(|| code.name().to_owned()))),
        Err(error) => Err(error),
    }
}

/// How many bytes a batch that is made anew may have in the target's topic.
pub(super) async fn batch_bytes(topic: &str, target: &Cluster) -> Result<usize, Error> {
    const MOST: usize = 256 * 1024;
    let configs = target.topic_configs(topic).await?.into_iter();
    let limit = configs
        .filter(|config| config.name == "max.message.bytes")
        .find_map(|config| config.value?.parse::<usize>().ok());
    // Compression makes random bytes a little larger.
    Ok(limit.map_or(MOST, |limit| (limit / 2).min(MOST)))
}
