//! Follows all partitions, and now and then begins anew.

use std::time::Duration;

use ottla_client::{Consumer, ConsumerOptions, OffsetAt, Start};

use super::{Desk, TOPIC};
use crate::history::{Event, Place, Reader};

/// Reads until the faults are over.
pub(super) async fn follow(desk: Desk) {
    let deadline = Duration::from_millis(2_000 + desk.random.below(3_000));
    let Some(client) = desk.client("tail", deadline).await else {
        return;
    };
    // Where each partition was read to.
    let mut next = vec![0; desk.partitions.unsigned_abs() as usize];
    while !desk.over.is_announced() {
        let options = ConsumerOptions {
            max_wait: Duration::from_millis(5 + desk.random.below(100)),
            partition_max_bytes: 1 << (8 + desk.random.below(13)),
            ..ConsumerOptions::default()
        };
        let mut consumer = Consumer::new(client.clone(), options);
        let from_start = desk.random.below(4) == 0;
        for (partition, next) in (0..).zip(&mut next) {
            if from_start {
                *next = 0;
            }
            let start = Start::Offset(*next);
            desk.note(Event::Positioned {
                place: Place {
                    topic: TOPIC.to_owned(),
                    partition,
                },
                offset: *next,
            });
            if let Err(error) = consumer.assign(TOPIC, Some(&[partition]), start).await {
                desk.failed("tail", &error);
            }
        }
        for _ in 0..20 + desk.random.below(500) {
            if desk.over.is_announced() {
                break;
            }
            match consumer.next(Duration::from_millis(200)).await {
                Ok(Some(read)) => {
                    if let Some(next) = next.get_mut(read.partition as usize) {
                        *next = read.record.offset + 1;
                    }
                    note_read(&desk, Reader::Tail, read);
                }
                Ok(None) => {}
                Err(error) => {
                    desk.failed("tail", &error);
                    break;
                }
            }
        }
        look_at_ends(&desk, &client).await;
    }
}

/// Writes a record down.
pub(super) fn note_read(desk: &Desk, reader: Reader, read: ottla_client::ConsumedRecord) {
    desk.note(Event::Read {
        reader,
        place: Place {
            topic: read.topic,
            partition: read.partition,
        },
        offset: read.record.offset,
        value: read.record.value.unwrap_or_default(),
    });
}

/// Asks for starts and ends.
pub(super) async fn look_at_ends(desk: &Desk, client: &ottla_client::Client) {
    for at in [OffsetAt::Earliest, OffsetAt::Latest] {
        let wanted: Vec<_> = (0..desk.partitions).map(|p| (TOPIC, p, at)).collect();
        let found = match client.list_offsets(&wanted).await {
            Ok(found) => found,
            Err(error) => return desk.failed("looking at ends", &error),
        };
        for found in found {
            let place = Place {
                topic: found.topic,
                partition: found.partition,
            };
            let offset = found.offset.unwrap_or(-1);
            desk.note(match at {
                OffsetAt::Earliest => Event::StartSeen { place, offset },
                _ => Event::EndSeen { place, offset },
            });
        }
    }
}
