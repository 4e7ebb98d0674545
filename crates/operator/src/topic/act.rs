//! Asks the cluster for what a topic is to be.

use std::collections::BTreeSet;
use std::time::Duration;

use ottla_client::{Client, ConfigResource, NewTopic, Reassignment};
use ottla_model::ErrorCode;
use ottla_placement::{Assign, BrokerPlace, Layout};

use super::found::Found;
use super::plan::{Plan, plan, told};
use super::{BUSY, LATER, QUIET, Round, status};
use crate::api::{Reason, TopicDrift, condition};
use crate::error::{Asked, Error};

/// So many partitions of a topic are copied at the same time.
const IN_FLIGHT: usize = 20;

/// Looks at the topic, changes what differs, and says when to look again.
pub(super) async fn act(round: &Round<'_>, bootstrap: &[String]) -> Result<Duration, Error> {
    let client = round.context.clusters.client(bootstrap).await?;
    let name = round.name.as_str();
    let properties = properties(round);
    let asked: Vec<&str> = properties.iter().map(String::as_str).collect();
    let replicas = round.topic.spec.replicas;
    let Some(found) = Found::of(&client, name, &asked, replicas).await? else {
        return create(round, &client, &asked).await;
    };
    let plan = plan(&round.topic.spec, &round.before.set_properties, &found);
    if plan.differs.is_empty() && plan.cannot.is_empty() {
        return done(round, &found, Vec::new()).await;
    }
    tell(round, &plan).await;
    if let Some(partitions) = plan.grow {
        let grown = client.create_partitions(name, partitions, false).await;
        grown.when(|| format!("giving topic {name} {partitions} partitions"))?;
    }
    if !plan.configs.is_empty() {
        let resource = ConfigResource::Topic(name);
        let altered = client.alter_configs(resource, &plan.configs, false).await;
        altered.when(|| format!("changing properties of topic {name}"))?;
    }
    let mut stuck = None;
    if let Some(replicas) = plan.replicas {
        stuck = move_replicas(&client, &found, replicas).await?;
    }
    let mut drift = plan.cannot.clone();
    if was_ready(round) {
        drift.extend(plan.differs);
    }
    // What was changed is read again, so that the status says what is, and not what was wished.
    let found = match Found::of(&client, name, &[], replicas).await? {
        Some(now) => now,
        None => found,
    };
    if let Some(stuck) = stuck {
        round.warn(Reason::Error, stuck.clone()).await;
        let status = status::of(round, &found, drift);
        status::write(round, status, false, Reason::Error, stuck).await?;
        return Ok(LATER);
    }
    if !plan.cannot.is_empty() {
        let message = format!(
            "{}: a topic cannot have fewer partitions than it has, so raise spec.partitions",
            told(&plan.cannot)
        );
        let status = status::of(round, &found, drift);
        status::write(round, status, false, Reason::Drift, message).await?;
        return Ok(quiet(round));
    }
    done(round, &found, drift).await
}

/// The properties that the resource names, or has set before.
fn properties(round: &Round<'_>) -> BTreeSet<String> {
    let named = round.topic.spec.config.keys();
    named.chain(&round.before.set_properties).cloned().collect()
}

/// Writes down which properties are about to be set, so that they are taken back one day, whatever
/// happens to this operator in between.
pub(super) async fn remember_properties(round: &mut Round<'_>) -> Result<(), Error> {
    let all = properties(round);
    if all.iter().eq(round.before.set_properties.iter()) {
        return Ok(());
    }
    round.before.set_properties = all.into_iter().collect();
    crate::status::write(round.context, round.topic, &round.before).await
}

/// Whether the resource had been carried out as it is now, so that what differs was made different
/// behind its back.
fn was_ready(round: &Round<'_>) -> bool {
    let generation = round.topic.metadata.generation;
    let before = &round.before;
    let ready = before
        .conditions
        .iter()
        .find(|known| known.type_ == condition::READY);
    before.observed_generation == generation && ready.is_some_and(|ready| ready.status == "True")
}

async fn tell(round: &Round<'_>, plan: &Plan) {
    if !plan.cannot.is_empty() {
        round.warn(Reason::Drift, told(&plan.cannot)).await;
    }
    if plan.differs.is_empty() {
        return;
    }
    let what = told(&plan.differs);
    if was_ready(round) {
        let note = format!("somebody has changed topic {}: {what}", round.name);
        round.warn(Reason::Drift, note).await;
    } else {
        let note = format!("changing topic {}: {what}", round.name);
        round.say(Reason::Changed, note).await;
    }
}

async fn create(round: &Round<'_>, client: &Client, asked: &[&str]) -> Result<Duration, Error> {
    let (spec, name) = (&round.topic.spec, round.name.as_str());
    let topic = NewTopic {
        name: name.to_owned(),
        partitions: Some(spec.partitions),
        replication_factor: spec.replicas.and_then(|count| i16::try_from(count).ok()),
        assignments: Vec::new(),
        configs: spec.config.clone().into_iter().collect(),
    };
    let created = client.create_topics(&[topic], false).await;
    let created = created.when(|| format!("creating topic {name}"))?;
    for (_, outcome) in created {
        match outcome {
            // Somebody was faster; what differs is seen at the next look.
            Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => {
                return Ok(BUSY);
            }
            outcome => {
                outcome.when(|| format!("creating topic {name}"))?;
            }
        }
    }
    let mut drift = Vec::new();
    if round.before.topic_id.is_some() {
        let note = format!("topic {name} was not there any more, and is made again, empty");
        round.warn(Reason::Drift, note).await;
        drift.push(TopicDrift {
            field: "topic".to_owned(),
            wanted: name.to_owned(),
            found: "nothing".to_owned(),
        });
    } else {
        let note = format!("made topic {name} with {} partitions", spec.partitions);
        round.say(Reason::Created, note).await;
    }
    match Found::of(client, name, asked, spec.replicas).await? {
        Some(found) => done(round, &found, drift).await,
        // The broker that was asked has not heard of it yet.
        None => Ok(Duration::from_millis(500)),
    }
}

/// Deletes the topic, with all its records.
pub(super) async fn delete(round: &Round<'_>, bootstrap: &[String]) -> Result<(), Error> {
    let client = round.context.clusters.client(bootstrap).await?;
    let name = round.name.as_str();
    let action = || format!("deleting topic {name}");
    for (_, outcome) in client.delete_topics(&[name]).await.when(action)? {
        match outcome {
            Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {}
            outcome => {
                outcome.when(action)?;
                let note = format!("deleted topic {name} with its records");
                round.say(Reason::Deleted, note).await;
            }
        }
    }
    Ok(())
}

/// Gives each partition so many replicas. What cannot be done comes back.
async fn move_replicas(
    client: &Client,
    found: &Found,
    replicas: usize,
) -> Result<Option<String>, Error> {
    let described = client.describe_cluster().await;
    let described = described.when(|| "asking for the brokers".to_owned())?;
    let mut layout = Layout::default();
    for broker in described.brokers {
        let place = BrokerPlace {
            rack: broker.rack.map(String::from),
            receives: !broker.is_fenced,
            is_drained: false,
        };
        layout.brokers.insert(broker.broker_id, place);
    }
    // Where partitions lie that have as many as they shall is the cluster's matter.
    let others = found.partitions.iter();
    let others = others.filter(|placed| placed.replicas.len() != replicas);
    layout.partitions = others.cloned().collect();
    let wished = Assign {
        brokers: None,
        replicas: Some(replicas),
    };
    let plan = ottla_placement::assign(&layout, &wished);
    let room = IN_FLIGHT.saturating_sub(found.moving);
    let next = plan.moves.iter().take(room);
    let wanted: Vec<Reassignment> = next
        .map(|one| Reassignment {
            topic: one.topic.clone(),
            partition: one.partition,
            replicas: Some(one.to.clone()),
        })
        .collect();
    if !wanted.is_empty() {
        let asked = || format!("giving partitions {replicas} replicas");
        let outcomes = client.alter_reassignments(&wanted).await.when(asked)?;
        for (_, _, outcome) in outcomes {
            outcome.when(asked)?;
        }
    }
    Ok(plan.stuck.first().cloned())
}

/// Writes down that all is done, or what is still under way.
async fn done(round: &Round<'_>, found: &Found, drift: Vec<TopicDrift>) -> Result<Duration, Error> {
    let mut status = status::of(round, found, drift);
    // Those that are not named any more have gone back to their default by now.
    status.set_properties = round.topic.spec.config.keys().cloned().collect();
    let wanted = round.topic.spec.replicas;
    let left = found.partitions_without(wanted);
    // Replicas that move while the topic is as it says are moved by somebody else.
    if left > 0 || (found.moving > 0 && !was_ready(round)) {
        let message = format!(
            "{left} partitions do not have {} replicas yet, {} are being copied",
            wanted.unwrap_or_default(),
            found.moving
        );
        status::write(round, status, false, Reason::Changed, message).await?;
        return Ok(BUSY);
    }
    let message = format!(
        "{} partitions, {} replicas each",
        found.partitions.len(),
        found.replicas()
    );
    status::write(round, status, true, Reason::AsDeclared, message).await?;
    Ok(quiet(round))
}

/// A time that differs from topic to topic and from look to look.
fn quiet(round: &Round<'_>) -> Duration {
    let span_ms = u64::try_from(QUIET.as_millis()).unwrap_or(u64::MAX);
    let more_ms = round.context.runtime.random.below(span_ms);
    QUIET + Duration::from_millis(more_ms)
}
