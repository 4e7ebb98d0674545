//! Creates topics, and deletes some of them.

use std::time::Duration;

use ottla_client::{Client, Error, NewTopic};
use ottla_model::ErrorCode;

use super::{Desk, TOPIC};
use crate::history::Event;

/// Creates the topic of the records, with segments that roll often.
pub(super) async fn create_records_topic(desk: &Desk) {
    let random = &desk.random;
    let one_of = |choices: [&str; 3]| choices[random.below(3) as usize].to_owned();
    let configs = [
        ("segment.bytes", "1048576".to_owned()),
        ("segment.ms", one_of(["400", "3000", "604800000"])),
        ("segment.index.bytes", one_of(["64", "2048", "10485760"])),
        ("index.interval.bytes", one_of(["0", "300", "4096"])),
        ("min.insync.replicas", one_of(["1", "2", "2"])),
    ];
    let topic = NewTopic {
        name: TOPIC.to_owned(),
        partitions: Some(desk.partitions),
        replication_factor: Some(desk.replicas()),
        configs: configs
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec(),
        ..NewTopic::default()
    };
    while let Some(client) = desk.client("creator", Duration::from_secs(5)).await {
        if create(desk, &client, topic.clone()).await || desk.over.is_announced() {
            return;
        }
    }
}

/// Creates and deletes until the faults are over. Each name is used once.
pub(super) async fn create_and_delete(desk: Desk) {
    let Some(client) = desk.client("creator", Duration::from_secs(3)).await else {
        return;
    };
    for number in 0.. {
        if !desk.pause(1_500).await {
            return;
        }
        let topic = NewTopic {
            name: format!("topic-{number}"),
            partitions: Some(1 + desk.random.below(3) as i32),
            replication_factor: Some(1 + desk.random.below(desk.replicas() as u64) as i16),
            ..NewTopic::default()
        };
        let name = topic.name.clone();
        if create(&desk, &client, topic).await && desk.random.below(3) == 0 {
            delete(&desk, &client, name).await;
        }
    }
}

async fn create(desk: &Desk, client: &Client, topic: NewTopic) -> bool {
    let name = topic.name.clone();
    desk.note(Event::TopicAsked { name: name.clone() });
    let created = client.create_topics(&[topic], false).await;
    let outcome = created.and_then(|outcomes| {
        let outcome = outcomes.into_iter().next();
        outcome.map_or(Err(Error::Stopping), |(_, outcome)| outcome)
    });
    match outcome {
        Ok(_) => {
            desk.note(Event::TopicAcknowledged { name });
            true
        }
        // An earlier try was done although its answer was lost.
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => {
            desk.note(Event::TopicAcknowledged { name });
            true
        }
        // Not all brokers are there yet.
        Err(error) if error.code() == Some(ErrorCode::InvalidReplicationFactor) => {
            desk.note(Event::Missed {
                who: "creator",
                error: error.to_string(),
            });
            desk.pause(200).await;
            false
        }
        Err(error) => {
            desk.failed("creator", &error);
            false
        }
    }
}

async fn delete(desk: &Desk, client: &Client, name: String) {
    desk.note(Event::DeleteAsked { name: name.clone() });
    let outcome = client.delete_topics(&[&name]).await.and_then(|outcomes| {
        let outcome = outcomes.into_iter().next();
        outcome.map_or(Err(Error::Stopping), |(_, outcome)| outcome)
    });
    match outcome {
        Ok(()) => desk.note(Event::DeleteAcknowledged { name }),
        Err(error) => desk.failed("creator", &error),
    }
}
