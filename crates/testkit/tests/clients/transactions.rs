//! Transactions of librdkafka, whose producer speaks the protocol before KIP-890.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_testkit::scenario::{Acknowledgements, Record, Scenario, send};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};

use super::{WAIT_LIMIT, start};

/// What one call may take; the client itself tries again until then.
const CALL_LIMIT: Duration = Duration::from_secs(60);
const KILLS: usize = 3;
const BETWEEN_KILLS: Duration = Duration::from_millis(1_500);
const PARTITIONS: i32 = 2;
const RECORDS: usize = 6;

fn producer(clients: &Scenario, transactional_id: &str) -> BaseProducer<Acknowledgements> {
    let properties = [
        ("transactional.id", transactional_id),
        ("transaction.timeout.ms", "60000"),
        ("linger.ms", "1"),
        ("retry.backoff.ms", "50"),
        ("reconnect.backoff.max.ms", "500"),
    ];
    let producer = clients.producer(&properties).unwrap();
    producer.init_transactions(CALL_LIMIT).unwrap();
    producer
}

fn send_all(producer: &BaseProducer<Acknowledgements>, topic: &str, values: &[(i32, &str)]) {
    for (number, (partition, value)) in values.iter().enumerate() {
        let record = Record {
            partition: *partition,
            ..Record::of(*value)
        };
        send(producer, topic, number, &record).unwrap();
    }
}

/// Everything in a partition, as far as a reader with this isolation level sees it.
fn read(clients: &Scenario, topic: &str, partition: i32, isolation_level: &str) -> Vec<String> {
    let config = clients.config(&[
        ("group.id", "unused"),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
        ("isolation.level", isolation_level),
    ]);
    let consumer: BaseConsumer = config.create().unwrap();
    let mut at = TopicPartitionList::new();
    at.add_partition_offset(topic, partition, Offset::Beginning)
        .unwrap();
    consumer.assign(&at).unwrap();
    let deadline = Instant::now() + WAIT_LIMIT;
    let mut values = Vec::new();
    loop {
        assert!(Instant::now() < deadline, "no end within {WAIT_LIMIT:?}");
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                let value = message.payload().unwrap().to_vec();
                values.push(String::from_utf8(value).unwrap());
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return values,
            // The client comes back by itself.
            Some(Err(_)) | None => {}
        }
    }
}

#[test]
fn committed_records_are_read_and_aborted_ones_are_not() {
    let (_node, clients) = start();
    let topic = clients.create_topic("transactions", PARTITIONS).unwrap();
    let producer = producer(&clients, "app");
    for (commit, values) in [
        (true, [(0, "a"), (1, "b")]),
        (false, [(0, "c"), (1, "d")]),
        (true, [(0, "e"), (0, "f")]),
    ] {
        producer.begin_transaction().unwrap();
        send_all(&producer, &topic, &values);
        if commit {
            producer.commit_transaction(CALL_LIMIT).unwrap();
        } else {
            producer.flush(CALL_LIMIT).unwrap();
            producer.abort_transaction(CALL_LIMIT).unwrap();
        }
    }
    super::eventually("the last transaction is committed everywhere", || {
        read(&clients, &topic, 0, "read_committed") == ["a", "e", "f"]
    });
    assert_eq!(read(&clients, &topic, 1, "read_committed"), ["b"]);
    let all = read(&clients, &topic, 0, "read_uncommitted");
    assert_eq!(all, ["a", "c", "e", "f"]);
}

#[test]
fn a_second_producer_fences_the_first() {
    let (_node, clients) = start();
    let topic = clients.create_topic("fencing", 1).unwrap();
    let zombie = producer(&clients, "owned");
    zombie.begin_transaction().unwrap();
    send_all(&zombie, &topic, &[(0, "lost")]);
    zombie.flush(CALL_LIMIT).unwrap();
    let owner = producer(&clients, "owned");
    owner.begin_transaction().unwrap();
    send_all(&owner, &topic, &[(0, "kept")]);
    owner.commit_transaction(CALL_LIMIT).unwrap();
    let refused = zombie.commit_transaction(CALL_LIMIT).unwrap_err();
    assert_eq!(refused.rdkafka_error_code(), Some(RDKafkaErrorCode::Fenced));
    super::eventually("the owner's record is committed", || {
        read(&clients, &topic, 0, "read_committed") == ["kept"]
    });
}

/// Runs transactions until told to stop: the number of each, and whether it was committed. Each
/// has records in all partitions.
fn transactions_until(clients: &Scenario, topic: &str, stop: &AtomicBool) -> BTreeMap<usize, bool> {
    let mut outcomes = BTreeMap::new();
    let mut producer = self::producer(clients, "killed");
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let names: Vec<String> = (0..RECORDS).map(|n| format!("{number}.{n}")).collect();
        let values = (0i32..).zip(&names);
        let values: Vec<_> = values.map(|(n, v)| (n % PARTITIONS, v.as_str())).collect();
        producer.begin_transaction().unwrap();
        send_all(&producer, topic, &values);
        producer.flush(CALL_LIMIT).unwrap();
        let wanted = number % 4 != 3;
        let ended = if wanted {
            producer.commit_transaction(CALL_LIMIT)
        } else {
            producer.abort_transaction(CALL_LIMIT)
        };
        match ended {
            Ok(()) => {
                outcomes.insert(number, wanted);
            }
            Err(KafkaError::Transaction(error)) if error.txn_requires_abort() => {
                producer.abort_transaction(CALL_LIMIT).unwrap();
                outcomes.insert(number, false);
            }
            // Its fate is open, but it has one.
            Err(_) => producer = self::producer(clients, "killed"),
        }
    }
    outcomes
}

#[test]
fn transactions_stay_whole_when_the_node_is_killed_in_the_middle_of_them() {
    let (mut node, clients) = start();
    let topic = clients.create_topic("killed", PARTITIONS).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let running = {
        let (clients, topic, stop) = (clients.clone(), topic.clone(), Arc::clone(&stop));
        thread::spawn(move || transactions_until(&clients, &topic, &stop))
    };
    for _ in 0..KILLS {
        thread::sleep(BETWEEN_KILLS);
        node.kill_and_start().unwrap();
    }
    thread::sleep(BETWEEN_KILLS);
    stop.store(true, Ordering::SeqCst);
    let outcomes = running.join().unwrap();
    let committed = outcomes.values().filter(|&&c| c).count();
    assert!(committed > KILLS, "only {committed} transactions committed");
    let last = *outcomes.iter().rfind(|(_, c)| **c).unwrap().0;
    let mut seen: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    super::eventually("the last transaction is committed everywhere", || {
        seen.clear();
        for partition in 0..PARTITIONS {
            for value in read(&clients, &topic, partition, "read_committed") {
                let number = value.split_once('.').unwrap().0.parse().unwrap();
                seen.entry(number).or_default().push(value);
            }
        }
        seen.get(&last)
            .is_some_and(|values| values.len() == RECORDS)
    });
    for (number, values) in &mut seen {
        values.sort_unstable();
        let whole: Vec<String> = (0..RECORDS).map(|n| format!("{number}.{n}")).collect();
        assert_eq!(*values, whole, "transaction {number} is torn or doubled");
    }
    for (number, committed) in &outcomes {
        assert_eq!(
            seen.contains_key(number),
            *committed,
            "transaction {number}"
        );
    }
}
