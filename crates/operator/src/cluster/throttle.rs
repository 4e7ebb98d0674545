//! Limits what is copied when replicas move (KIP-73), so that clients do not feel it.
//!
//! The rate is a property of all brokers and stays as long as the resource has it (`config`): it limits
//! nothing by itself. Which replicas it is for is a property of each topic. It is set before a move
//! begins, whoever asked for it, and taken back when none is under way any more: a replica that has
//! to catch up after a restart must not be slowed down by it.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{ConfigChange, ConfigResource, OngoingReassignment};
use ottla_model::ErrorCode;
use ottla_placement::{Move, THROTTLED_FOLLOWERS, THROTTLED_LEADERS, Throttled, throttled};
use serde_json::json;

use super::Round;
use crate::error::{Asked, Error};
use crate::kafka::View;
use crate::status;

/// What is set for a topic: its property and the value.
type Known = BTreeMap<String, String>;

/// Limits what is under way and what `begins`, and nothing else.
pub(super) async fn keep(round: &mut Round<'_>, begins: &[Move]) -> Result<(), Error> {
    let Some(view) = round.view.clone() else {
        return Ok(());
    };
    let moves: Vec<Move> = if round.cluster.spec.rebalance.throttle.is_some() {
        let ongoing = view.ongoing.iter().map(as_move);
        ongoing.chain(begins.iter().cloned()).collect()
    } else {
        Vec::new()
    };
    let mut wanted = throttled(&moves);
    let known = ask(&view, &wanted).await?;
    let is_ours = |topic: &str| {
        let set = known.get(topic);
        let is_set = set.is_some_and(|set| set.values().any(|value| !value.is_empty()));
        round.throttled.contains(topic) || !is_set
    };
    // What somebody else has limited stays as it is, and so does what is gone.
    wanted.retain(|topic, _| known.contains_key(*topic) && is_ours(topic));
    let topics: BTreeSet<String> = wanted.keys().map(|topic| (*topic).to_owned()).collect();
    let free: Vec<String> = round.throttled.difference(&topics).cloned().collect();
    for topic in &free {
        let none = [THROTTLED_LEADERS, THROTTLED_FOLLOWERS].map(|name| change(name, None));
        alter(&view, topic, &none).await?;
        round.throttled.remove(topic);
    }
    // Before they are limited: they are freed one day, whatever happens to this operator in between.
    if !topics.is_subset(&round.throttled) {
        round.throttled.extend(topics);
        let fields = json!({ "throttled": round.throttled });
        status::patch(round.context, round.cluster, fields).await?;
    }
    for (topic, changes) in differing(&wanted, &known) {
        alter(&view, topic, &changes).await?;
    }
    Ok(())
}

/// A move that is under way.
fn as_move(ongoing: &OngoingReassignment) -> Move {
    let was_there = |id: &i32| !ongoing.adding.contains(id);
    Move {
        topic: ongoing.topic.clone(),
        partition: ongoing.partition,
        from: ongoing.replicas.iter().copied().filter(was_there).collect(),
        to: ongoing.target(),
        bytes: 0,
    }
}

/// What is set for these topics; those that do not exist any more are left out.
async fn ask(
    view: &View,
    topics: &BTreeMap<&str, Throttled>,
) -> Result<BTreeMap<String, Known>, Error> {
    if topics.is_empty() {
        return Ok(BTreeMap::new());
    }
    let topics: Vec<&str> = topics.keys().copied().collect();
    let names = [THROTTLED_LEADERS, THROTTLED_FOLLOWERS];
    let described = view.client.describe_topic_configs(&topics, &names).await;
    let described = described.when(|| "asking topics for their throttles".to_owned())?;
    let each = described.into_iter().map(|(topic, configs)| {
        let known = configs.into_iter().filter_map(|config| {
            let value = config.value?;
            Some((config.name.to_string(), value.to_string()))
        });
        (topic, known.collect())
    });
    Ok(each.collect())
}

/// What has to be set so that exactly this is limited.
fn differing<'a>(
    wanted: &BTreeMap<&'a str, Throttled>,
    known: &BTreeMap<String, Known>,
) -> Vec<(&'a str, [ConfigChange; 2])> {
    let differs = wanted.iter().filter(|(topic, replicas)| {
        let set = known.get(**topic);
        let is_set =
            |(name, value): &(&str, String)| set.is_some_and(|s| s.get(*name) == Some(value));
        !replicas.properties().iter().all(is_set)
    });
    let each = differs.map(|(topic, replicas)| {
        let changes = replicas.properties();
        (
            *topic,
            changes.map(|(name, value)| change(name, Some(value))),
        )
    });
    each.collect()
}

fn change(name: &str, value: Option<String>) -> ConfigChange {
    ConfigChange {
        name: name.to_owned(),
        value,
    }
}

/// Changes a topic; one that is gone needs no limit.
async fn alter(view: &View, topic: &str, changes: &[ConfigChange]) -> Result<(), Error> {
    let resource = ConfigResource::Topic(topic);
    match view.client.alter_configs(resource, changes, false).await {
        Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => Ok(()),
        altered => altered.when(|| format!("limiting what is copied of {topic}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_under_way_is_limited_at_all_that_were_there_and_at_those_that_come() {
        let ongoing = OngoingReassignment {
            topic: "orders".to_owned(),
            partition: 4,
            replicas: vec![3, 0, 1, 2],
            adding: vec![3],
            removing: vec![2],
        };
        let one = as_move(&ongoing);
        assert_eq!((&*one.from, &*one.to), (&[0, 1, 2][..], &[3, 0, 1][..]));
        let moves = [one];
        let wanted = throttled(&moves);
        let changes = differing(&wanted, &BTreeMap::new());
        let told = |changes: &[(&str, [ConfigChange; 2])]| -> Vec<String> {
            let each = changes.iter().flat_map(|(topic, changes)| {
                let value = |change: &ConfigChange| change.value.clone().unwrap_or_default();
                changes
                    .iter()
                    .map(move |one| format!("{topic} {} {}", one.name, value(one)))
            });
            each.collect()
        };
        assert_eq!(
            told(&changes),
            [
                "orders leader.replication.throttled.replicas 4:0,4:1,4:2",
                "orders follower.replication.throttled.replicas 4:3"
            ]
        );
        let set = changes.iter().flat_map(|(_, changes)| changes.iter());
        let set = set.map(|one| (one.name.clone(), one.value.clone().unwrap_or_default()));
        let known = BTreeMap::from([("orders".to_owned(), set.collect())]);
        assert_eq!(differing(&wanted, &known), []);
    }
}
