//! One member of a consumer group in its own thread.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Result, anyhow};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{POLL, Record, Scenario, passes_by, to_record};

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    records: Mutex<Vec<Record>>,
    assigned: Mutex<BTreeSet<i32>>,
}

/// A consumer that reads all it is given, from the earliest offset where nothing is committed.
#[derive(Debug)]
pub struct Member {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Member {
    /// Joins the group with one topic. `properties` are added to the consumer's configuration.
    pub fn join(
        scenario: &Scenario,
        group: &str,
        topic: &str,
        properties: &[(&str, &str)],
    ) -> Result<Member> {
        let mut config = scenario.config(&[
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
        ]);
        // In the new protocol the broker sets these, and librdkafka refuses them.
        if !properties.contains(&("group.protocol", "consumer")) {
            config.set("session.timeout.ms", "10000");
            config.set("heartbeat.interval.ms", "500");
        }
        for (name, value) in properties {
            config.set(*name, *value);
        }
        let consumer: BaseConsumer = config.create()?;
        consumer.subscribe(&[topic])?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || read(&consumer, &of_thread));
        Ok(Member {
            shared,
            thread: Some(thread),
        })
    }

    /// The partitions that it owns now.
    pub fn assigned(&self) -> BTreeSet<i32> {
        locked(&self.shared.assigned).clone()
    }

    /// What it has read so far.
    pub fn records(&self) -> Vec<Record> {
        locked(&self.shared.records).clone()
    }

    /// Commits what it has read, leaves the group and waits for the end.
    pub fn stop(&mut self) -> Result<()> {
        self.shared.stopping.store(true, Ordering::SeqCst);
        match self.thread.take() {
            Some(thread) => thread
                .join()
                .map_err(|_| anyhow!("a member's thread panicked"))?,
            None => Ok(()),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read(consumer: &BaseConsumer, shared: &Shared) -> Result<()> {
    while !shared.stopping.load(Ordering::SeqCst) {
        match consumer.poll(POLL) {
            Some(Ok(message)) => locked(&shared.records).push(to_record(&message)),
            Some(Err(error)) if passes_by(&error) => {}
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
        let assigned = consumer
            .assignment()?
            .elements()
            .iter()
            .map(|e| e.partition())
            .collect();
        *locked(&shared.assigned) = assigned;
    }
    match consumer.commit_consumer_state(CommitMode::Sync) {
        Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
