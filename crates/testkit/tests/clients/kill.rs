//! What was acknowledged is there after `kill -9`, once and in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ottla_testkit::scenario::{Outcome, Record, Scenario, send};
use rdkafka::producer::Producer;

use super::start;

const KILLS: usize = 3;
/// How long the producer goes on before each kill.
const BETWEEN_KILLS: Duration = Duration::from_millis(700);
const PAUSE_BETWEEN_RECORDS: Duration = Duration::from_micros(200);
const FLUSH_LIMIT: Duration = Duration::from_secs(90);

/// Produces `record-0`, `record-1`… until told to stop; gives how many were sent, and their fates.
fn produce_until(
    clients: &Scenario,
    topic: &str,
    stop: &AtomicBool,
) -> (usize, BTreeMap<usize, Outcome>) {
    let properties = [
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("linger.ms", "2"),
        ("message.timeout.ms", "90000"),
        ("retry.backoff.ms", "50"),
        ("reconnect.backoff.max.ms", "500"),
    ];
    let producer = clients.producer(&properties).unwrap();
    let mut sent = 0;
    while !stop.load(Ordering::SeqCst) {
        send(
            &producer,
            topic,
            sent,
            &Record::of(format!("record-{sent}")),
        )
        .unwrap();
        sent += 1;
        thread::sleep(PAUSE_BETWEEN_RECORDS);
    }
    producer.flush(FLUSH_LIMIT).unwrap();
    (sent, producer.context().outcomes())
}

#[test]
fn acknowledged_records_survive_kills_exactly_once_and_in_order() {
    let (mut node, clients) = start();
    let topic = clients.create_topic("kills", 1).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let producing = {
        let (clients, topic, stop) = (clients.clone(), topic.clone(), Arc::clone(&stop));
        thread::spawn(move || produce_until(&clients, &topic, &stop))
    };
    for _ in 0..KILLS {
        thread::sleep(BETWEEN_KILLS);
        node.kill_and_start().unwrap();
    }
    thread::sleep(BETWEEN_KILLS);
    stop.store(true, Ordering::SeqCst);
    let (sent, outcomes) = producing.join().unwrap();
    assert!(
        sent > 1000,
        "only {sent} records were sent: the kills hit nothing"
    );

    let (first, end) = clients.bounds(&topic, 0).unwrap();
    assert_eq!(first, 0);
    let read = clients
        .consume(&topic, 0, 0, usize::try_from(end).unwrap())
        .unwrap();
    let numbers: Vec<usize> = read
        .iter()
        .map(|(_, record)| {
            record
                .text()
                .strip_prefix("record-")
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    for pair in numbers.windows(2) {
        assert!(
            pair[0] < pair[1],
            "record-{} comes before record-{}",
            pair[0],
            pair[1]
        );
    }
    let mut acknowledged = 0;
    for (number, outcome) in &outcomes {
        if let Outcome::Acknowledged { offset, .. } = outcome {
            acknowledged += 1;
            let at = usize::try_from(*offset)
                .ok()
                .and_then(|offset| numbers.get(offset));
            // A record acknowledged as a duplicate has no offset to look at: it must still be there.
            let found = at == Some(number) || numbers.binary_search(number).is_ok();
            assert!(found, "record-{number} was acknowledged and is lost");
        }
    }
    assert!(
        acknowledged > 1000,
        "only {acknowledged} of {sent} records were acknowledged"
    );
}
