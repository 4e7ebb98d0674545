//! A consumer that chooses its partitions, on librdkafka.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{WorkloadOptions, config, places, topics};
use crate::history::{Event, Journal, Place};

const POLL: Duration = Duration::from_millis(100);

pub(super) fn run(
    options: &WorkloadOptions,
    committed: bool,
    journal: &Journal,
    ended: &AtomicBool,
) -> Result<()> {
    let isolation = if committed {
        "read_committed"
    } else {
        "read_uncommitted"
    };
    let config = config(
        options,
        &[
            ("group.id", "unused"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("isolation.level", isolation),
            ("check.crcs", "true"),
        ],
    );
    let consumer: BaseConsumer = config.create()?;
    let mut all = TopicPartitionList::new();
    let topics = if committed {
        &[topics::SENT, topics::MOVED][..]
    } else {
        &[topics::PLAIN]
    };
    for place in places(options)
        .iter()
        .filter(|place| topics.contains(&place.topic.as_str()))
    {
        all.add_partition_offset(&place.topic, place.partition, Offset::Offset(0))?;
        journal.say(&Event::Position {
            at: place.clone(),
            offset: 0,
        })?;
    }
    consumer.assign(&all)?;
    while !ended.load(Ordering::SeqCst) {
        match consumer.poll(POLL) {
            Some(Ok(message)) => journal.say(&read_event(&message))?,
            Some(Err(error)) => journal.say(&Event::Error {
                number: 0,
                why: error.to_string(),
            })?,
            None => {}
        }
    }
    Ok(())
}

pub(super) fn read_event(message: &BorrowedMessage<'_>) -> Event {
    Event::Read {
        at: Place::of(message.topic(), message.partition()),
        offset: message.offset(),
        value: String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned(),
    }
}
