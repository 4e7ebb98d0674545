//! The end of a run: all is quiet, consumers catch up, and what the partitions hold is read.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::outside::Outside;
use super::{GROUP, MOVERS, Workload, WorkloadOptions, config, history, places, topics};
use crate::history::{Entry, Event, History, Journal, Place, Role, Stored};

/// For each thing that must come right once all nodes are well.
const LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What is left of a run.
#[derive(Debug)]
pub struct Ending {
    /// For the checks.
    pub history: History,
    /// What did not come right within its time, though all nodes were well.
    pub overdue: Vec<String>,
}

impl Workload {
    /// Ends everything in order. All nodes must be well.
    pub fn finish(mut self) -> Result<Ending> {
        let mut overdue = Vec::new();
        self.quiet.store(true, Ordering::SeqCst);
        if let Some(outside) = &mut self.outside {
            outside.be_quiet()?;
        }
        for producer in std::mem::take(&mut self.producers) {
            if let Err(error) = producer.join() {
                overdue.push(format!("{error:#}"));
            }
        }
        let options = self.options.clone();
        let mut note = |outcome: Result<()>| {
            if let Err(error) = outcome {
                overdue.push(format!("{error:#}"));
            }
        };
        if self.outside.is_some() {
            note(settle_transactions(&options));
        }
        note(wait_for_replicas(&options));
        note(wait_for_group(&options));
        note(self.wait_for_readers());
        self.ended.store(true, Ordering::SeqCst);
        for consumer in std::mem::take(&mut self.consumers) {
            note(consumer.join());
        }
        if let Some(outside) = &mut self.outside {
            note(outside.end());
        }
        let mut history = history(&options);
        history.clients = self.read_journals()?;
        for place in places(&options) {
            let stored = Stored {
                everything: read(&options, &place, "read_uncommitted")?,
                committed: read(&options, &place, "read_committed")?,
            };
            history.stored.insert(place, stored);
        }
        for (group, topic) in [(GROUP, topics::PLAIN), (MOVERS, topics::SOURCE)] {
            for (place, offset) in group_offsets(&options, group, topic)? {
                history
                    .group_offsets
                    .insert((group.to_owned(), place), offset);
            }
        }
        Ok(Ending { history, overdue })
    }

    /// Readers have come to the end of what there is, as their journals say.
    fn wait_for_readers(&self) -> Result<()> {
        let last = last_records(&self.options)?;
        let deadline = Instant::now() + LIMIT;
        for (name, role) in self.all_journals() {
            if !matches!(role, Role::Reader { .. }) {
                continue;
            }
            let path = super::journal_path(&self.options.folder, &name);
            while let Some((place, offset)) = first_unread(&Journal::read(&path)?, &last) {
                ensure!(
                    Instant::now() < deadline,
                    "{name} has not come to {place}@{offset} after {LIMIT:?}"
                );
                std::thread::sleep(LOOK_AGAIN);
            }
        }
        Ok(())
    }
}

/// One of the partitions of a reader whose last record it has not read.
fn first_unread(entries: &[Entry], last: &BTreeMap<Place, i64>) -> Option<(Place, i64)> {
    let mut behind = BTreeMap::new();
    for entry in entries {
        match &entry.event {
            Event::Position { at, .. } => {
                behind.extend(last.get_key_value(at));
            }
            Event::Read { at, offset, .. } if behind.get(at).is_some_and(|last| offset >= last) => {
                behind.remove(at);
            }
            _ => {}
        }
    }
    behind
        .pop_first()
        .map(|(place, offset)| (place.clone(), *offset))
}

/// A new producer of each name aborts what its last process left open.
fn settle_transactions(options: &WorkloadOptions) -> Result<()> {
    for id in Outside::transactional_ids() {
        let config = config(options, &[("transactional.id", &id)]);
        let producer: BaseProducer<DefaultProducerContext> = config.create()?;
        producer
            .init_transactions(LIMIT)
            .with_context(|| format!("the transaction of {id} is not settled"))?;
    }
    let deadline = Instant::now() + LIMIT;
    loop {
        let ends = |isolation| end_offsets(options, isolation, |_| true);
        let (committed, everything) = (ends("read_committed")?, ends("read_uncommitted")?);
        if committed == everything {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "transactions are still open after {LIMIT:?}: last stable offsets are {committed:?}, \
             high watermarks {everything:?}"
        );
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// All replicas are in sync again.
fn wait_for_replicas(options: &WorkloadOptions) -> Result<()> {
    let consumer: BaseConsumer = config(options, &[("group.id", "unused")]).create()?;
    let deadline = Instant::now() + LIMIT;
    loop {
        let metadata = consumer.fetch_metadata(None, LIMIT)?;
        let mut out_of_sync = Vec::new();
        for topic in metadata.topics() {
            for partition in topic.partitions() {
                if partition.isr().len() < partition.replicas().len() || partition.leader() < 0 {
                    out_of_sync.push(format!("{}-{}", topic.name(), partition.id()));
                }
            }
        }
        if out_of_sync.is_empty() {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "replicas are not in sync {LIMIT:?} after all nodes are well: {}",
            out_of_sync.join(", ")
        );
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The group has committed everything.
fn wait_for_group(options: &WorkloadOptions) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let ends = end_offsets(options, "read_committed", |place| {
            place.topic == topics::PLAIN
        })?;
        let committed = group_offsets(options, GROUP, topics::PLAIN)?;
        let behind = ends.iter().find(|(place, end)| {
            **end > 0 && committed.get(*place).is_none_or(|offset| offset < *end)
        });
        let Some((place, end)) = behind else {
            return Ok(());
        };
        ensure!(
            Instant::now() < deadline,
            "the group has committed {:?} of {place} after {LIMIT:?}, whose end is {end}",
            committed.get(place)
        );
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn consumer(options: &WorkloadOptions, group: &str, isolation: &str) -> Result<BaseConsumer> {
    let config = config(
        options,
        &[
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("isolation.level", isolation),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
        ],
    );
    Ok(config.create()?)
}

fn end_offsets(
    options: &WorkloadOptions,
    isolation: &str,
    wanted: impl Fn(&Place) -> bool,
) -> Result<BTreeMap<Place, i64>> {
    let consumer = consumer(options, "unused", isolation)?;
    let mut ends = BTreeMap::new();
    for place in places(options).into_iter().filter(wanted) {
        let (_, end) = consumer.fetch_watermarks(&place.topic, place.partition, LIMIT)?;
        ends.insert(place, end);
    }
    Ok(ends)
}

/// The last record of each partition that has any; what may be behind it are marks of transactions.
fn last_records(options: &WorkloadOptions) -> Result<BTreeMap<Place, i64>> {
    let mut last = BTreeMap::new();
    for place in places(options) {
        let records = read(options, &place, "read_committed")?;
        last.extend(records.last_key_value().map(|(offset, _)| (place, *offset)));
    }
    Ok(last)
}

fn group_offsets(
    options: &WorkloadOptions,
    group: &str,
    topic: &str,
) -> Result<BTreeMap<Place, i64>> {
    let consumer = consumer(options, group, "read_committed")?;
    let mut list = TopicPartitionList::new();
    for place in places(options).iter().filter(|place| place.topic == topic) {
        list.add_partition(&place.topic, place.partition);
    }
    if list.count() == 0 {
        return Ok(BTreeMap::new());
    }
    let told = consumer.committed_offsets(list, LIMIT)?;
    let mut offsets = BTreeMap::new();
    for element in told.elements() {
        if let Offset::Offset(offset) = element.offset() {
            offsets.insert(Place::of(element.topic(), element.partition()), offset);
        }
    }
    Ok(offsets)
}

/// Everything in a partition, by offset.
fn read(
    options: &WorkloadOptions,
    place: &Place,
    isolation: &str,
) -> Result<BTreeMap<i64, String>> {
    let consumer = consumer(options, "unused", isolation)?;
    let mut at = TopicPartitionList::new();
    at.add_partition_offset(&place.topic, place.partition, Offset::Offset(0))?;
    consumer.assign(&at)?;
    let mut records = BTreeMap::new();
    let deadline = Instant::now() + LIMIT;
    loop {
        ensure!(
            Instant::now() < deadline,
            "the end of {place} is not reached after {LIMIT:?}"
        );
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let value = String::from_utf8_lossy(message.payload().unwrap_or_default());
                records.insert(message.offset(), value.into_owned());
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(records),
            // Whatever else it is, librdkafka goes on; the deadline ends it.
            Some(Err(_)) | None => {}
        }
    }
}
