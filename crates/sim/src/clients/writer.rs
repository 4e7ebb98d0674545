//! Sends records through an idempotent producer.

use std::convert::Infallible;
use std::time::Duration;

use ottla_client::{Producer, ProducerOptions, ProducerRecord};
use ottla_runtime::TaskKind;

use super::{Desk, TOPIC};
use crate::history::{Event, Place, RecordId, value};

/// Writes until the faults are over, then waits for what is under way.
pub(super) async fn write(desk: Desk, writer: u32) {
    let mut number = 0;
    loop {
        let deadline = Duration::from_millis(1_500 + desk.random.below(5_000));
        let Some(client) = desk.client("writer", deadline).await else {
            return;
        };
        let options = ProducerOptions {
            linger: Duration::from_millis(desk.random.below(8)),
            batch_bytes: 16 << desk.random.below(14),
            ..ProducerOptions::default()
        };
        let producer = Producer::new(client, options);
        // A producer that ends, and another one with ids of its own.
        let records = 20 + desk.random.below(300);
        let mut goes_on = true;
        for _ in 0..records {
            let id = RecordId { writer, number };
            number += 1;
            send(&desk, &producer, id).await;
            goes_on = desk.pause(30).await;
            if !goes_on {
                break;
            }
        }
        producer.flush().await;
        if !goes_on {
            return;
        }
    }
}

async fn send(desk: &Desk, producer: &Producer, id: RecordId) {
    let partition = desk.random.below(desk.partitions.unsigned_abs().into()) as i32;
    let len = match desk.random.below(20) {
        0 => desk.random.below(120_000),
        1..5 => desk.random.below(4_000),
        _ => desk.random.below(200),
    };
    let value = value(id, len as usize);
    let place = Place {
        topic: TOPIC.to_owned(),
        partition,
    };
    desk.note(Event::Sent {
        id,
        place,
        value: value.clone(),
    });
    let record = ProducerRecord {
        topic: TOPIC.to_owned(),
        partition: Some(partition),
        value: Some(value),
        ..ProducerRecord::default()
    };
    let delivery = match producer.send(record).await {
        Ok(delivery) => delivery,
        Err(error) => return gave_up(desk, id, &error),
    };
    let watching = desk.clone();
    let watch = async move {
        match delivery.await {
            Ok(place) => {
                let offset = (place.offset >= 0).then_some(place.offset);
                watching.note(Event::Acknowledged { id, offset });
            }
            Err(error) => gave_up(&watching, id, &error),
        }
        Ok::<_, Infallible>(())
    };
    let tasks = &desk.runtime.tasks;
    tasks.spawn(TaskKind::Connection, "a delivery", watch);
}

fn gave_up(desk: &Desk, id: RecordId, error: &ottla_client::Error) {
    let text = error.to_string();
    desk.note(Event::GaveUp { id, error: text });
    match error {
        ottla_client::Error::Delivery(error) => desk.failed("writer", error),
        error => desk.failed("writer", error),
    }
}
