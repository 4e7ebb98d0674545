//! A member of a consumer group on librdkafka, and somebody who asks what the group has committed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::reader::read_event;
use super::{GROUP, PARTITIONS, WorkloadOptions, config, group_protocol, topics};
use crate::dice::Dice;
use crate::history::{Event, Journal, Place};

const POLL: Duration = Duration::from_millis(100);
const COMMIT_EVERY: usize = 50;
const ASK_EVERY: Duration = Duration::from_millis(300);
const ASK_LIMIT: Duration = Duration::from_secs(8);

/// Writes down what a member is given and what is taken away.
struct Membership {
    journal: Journal,
    /// What to commit next, by partition.
    next: Mutex<BTreeMap<i32, i64>>,
}

impl ClientContext for Membership {}

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let (list, is_assigned) = match rebalance {
            Rebalance::Assign(list) => (list, true),
            Rebalance::Revoke(list) => (list, false),
            Rebalance::Error(error) => {
                let why = error.to_string();
                let _ = self.journal.say(&Event::Error { number: 0, why });
                return;
            }
        };
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        for element in list.elements() {
            let at = Place::of(element.topic(), element.partition());
            // Should it come back, it begins where others have committed.
            next.remove(&element.partition());
            let event = if is_assigned {
                Event::Position { at, offset: -1 }
            } else {
                Event::Revoked { at }
            };
            // A journal that cannot be written ends the member at its next read.
            let _ = self.journal.say(&event);
        }
    }
}

/// Reads and commits; leaves the group now and then, and joins again.
pub(super) fn run_member(
    options: &WorkloadOptions,
    journal: Journal,
    ended: &AtomicBool,
) -> Result<()> {
    let protocol = group_protocol(options);
    let mut config = config(
        options,
        &[
            ("group.id", GROUP),
            ("group.protocol", protocol),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
        ],
    );
    // In the new protocol the broker sets these, and librdkafka refuses them.
    if protocol == "classic" {
        config.set("session.timeout.ms", "6000");
        config.set("heartbeat.interval.ms", "500");
    }
    let context = Membership {
        journal,
        next: Mutex::default(),
    };
    let consumer: BaseConsumer<Membership> = config.create_with_context(context)?;
    let context = Arc::clone(consumer.context());
    let mut dice = Dice::named(options.seed, "rd-member");
    while !ended.load(Ordering::SeqCst) {
        consumer.subscribe(&[topics::PLAIN])?;
        let until = Instant::now() + dice.between_ms(10_000, 30_000);
        let mut uncommitted = 0;
        while !ended.load(Ordering::SeqCst) && Instant::now() < until {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    context.journal.say(&read_event(&message))?;
                    let mut next = context.next.lock().unwrap_or_else(PoisonError::into_inner);
                    next.insert(message.partition(), message.offset() + 1);
                    uncommitted += 1;
                }
                Some(Err(error)) => context.journal.say(&Event::Error {
                    number: 0,
                    why: error.to_string(),
                })?,
                None if uncommitted > 0 => uncommitted = COMMIT_EVERY,
                None => {}
            }
            if uncommitted >= COMMIT_EVERY {
                uncommitted = 0;
                commit(&consumer, &context)?;
            }
        }
        consumer.unsubscribe();
    }
    Ok(())
}

fn commit(consumer: &BaseConsumer<Membership>, context: &Membership) -> Result<()> {
    let next = std::mem::take(&mut *context.next.lock().unwrap_or_else(PoisonError::into_inner));
    let mut list = TopicPartitionList::new();
    for (&partition, &offset) in &next {
        let at = Place::of(topics::PLAIN, partition);
        list.add_partition_offset(topics::PLAIN, partition, Offset::Offset(offset))?;
        context.journal.say(&Event::CommitOffset { at, offset })?;
    }
    if next.is_empty() {
        return Ok(());
    }
    match consumer.commit(&list, CommitMode::Sync) {
        Ok(()) => {
            for (partition, offset) in next {
                let at = Place::of(topics::PLAIN, partition);
                context
                    .journal
                    .say(&Event::OffsetCommitted { at, offset })?;
            }
        }
        Err(error) => context.journal.say(&Event::Error {
            number: 0,
            why: error.to_string(),
        })?,
    }
    Ok(())
}

/// Asks for the group's offsets, over and over.
pub(super) fn run_observer(
    options: &WorkloadOptions,
    journal: &Journal,
    ended: &AtomicBool,
) -> Result<()> {
    let consumer: BaseConsumer = config(options, &[("group.id", GROUP)]).create()?;
    while !ended.load(Ordering::SeqCst) {
        std::thread::sleep(ASK_EVERY);
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition(topics::PLAIN, partition);
            let at = Place::of(topics::PLAIN, partition);
            journal.say(&Event::AskOffset { at })?;
        }
        match consumer.committed_offsets(list, ASK_LIMIT) {
            Ok(told) => {
                for element in told.elements() {
                    let at = Place::of(element.topic(), element.partition());
                    if let Err(error) = element.error() {
                        let why = format!("offset of {at}: {error}");
                        journal.say(&Event::Error { number: 0, why })?;
                        continue;
                    }
                    let offset = match element.offset() {
                        Offset::Offset(offset) => offset,
                        _ => -1,
                    };
                    journal.say(&Event::OffsetTold { at, offset })?;
                }
            }
            Err(error) => journal.say(&Event::Error {
                number: 0,
                why: error.to_string(),
            })?,
        }
    }
    Ok(())
}
