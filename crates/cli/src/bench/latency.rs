//! `ottla bench latency`: one record at a time, with a consumer that waits for it.

use bytes::Bytes;
use ottla_client::{
    Consumer, ConsumerOptions, Error as ClientError, Producer, ProducerOptions, ProducerRecord,
    Start,
};
use ottla_runtime::{Clock, Instant};

use super::produce::due;
use super::summary::Measured;
use super::{Bench, Values, WriteArgs};
use crate::progress::{self, Counted};
use crate::{Error, Streams};

pub(super) async fn measure(
    bench: &Bench<'_>,
    args: &WriteArgs,
    topic: &str,
    streams: &Streams,
) -> Result<Measured, Error> {
    let (client, clock) = (&bench.cluster.client, &bench.runtime.clock);
    let options = ProducerOptions {
        // Nothing else shares its batch: waiting would measure the wait.
        linger: std::time::Duration::ZERO,
        ..args.options()
    };
    let producer = Producer::new(client.clone(), options);
    let mut consumer = Consumer::new(client.clone(), ConsumerOptions::default());
    let assigned = consumer.assign(topic, None, Start::Latest).await;
    bench
        .cluster
        .checked(format!("reading topic {topic}"), assigned)?;
    let mut values = Values::new(bench.runtime, args.size);
    let bar = progress::bar(Counted::Records, args.length.records, streams);
    let mut measured = Measured::default();
    let began = clock.instant();
    let mut number = 0_u64;
    while !args.length.is_over(number, began, clock.instant()) {
        // The number makes the record ours: others may write to the topic, too.
        let key = Bytes::from(format!(
            "{:016x}-{number}",
            bench.runtime.random.below(u64::MAX)
        ));
        let record = ProducerRecord {
            topic: topic.to_owned(),
            key: Some(key.clone()),
            value: Some(values.next()),
            ..ProducerRecord::default()
        };
        let bytes = key.len() as u64 + u64::from(args.size);
        let one = async {
            if let Some(due) = args.rate.and_then(|rate| due(number, rate)) {
                clock.sleep_until(began + due).await;
            }
            let sent = clock.instant();
            let acknowledging = async {
                producer.send(record).await?.await?;
                Ok::<_, ClientError>(clock.instant())
            };
            let reading = read_back(&mut consumer, &key, clock, bench);
            let (acknowledged, read) =
                futures_util::future::try_join(acknowledging, reading).await?;
            Ok::<_, ClientError>((sent, acknowledged, read))
        };
        let done = tokio::select! {
            biased;
            () = bench.interrupt.announced() => {
                measured.interrupted = true;
                break;
            }
            done = one => done,
        };
        number += 1;
        let figures = &mut measured.figures;
        match done {
            Ok((sent, acknowledged, Some(read))) => {
                figures.records += 1;
                figures.bytes += bytes;
                figures.acknowledged.add(acknowledged - sent);
                figures.read_back.add(read - sent);
                bar.inc(1);
            }
            Ok((_, _, None)) => {
                figures.failed += 1;
                measured.failure = Some(Error::Failed {
                    action: format!("measuring topic {topic}"),
                    reason: "a record was acknowledged, but did not come back in time".to_owned(),
                });
                break;
            }
            Err(error) => {
                figures.failed += 1;
                measured.failure = Some(bench.failure(topic, &error));
                break;
            }
        }
    }
    measured.figures.elapsed = clock.instant() - began;
    bar.finish_and_clear();
    Ok(measured)
}

/// When the record with this key came; `None` when it did not.
async fn read_back(
    consumer: &mut Consumer,
    key: &Bytes,
    clock: &Clock,
    bench: &Bench<'_>,
) -> Result<Option<Instant>, ClientError> {
    let until = clock.instant() + bench.cluster.timeout();
    loop {
        let left = until.saturating_duration_since(clock.instant());
        match consumer.next(left).await? {
            None => return Ok(None),
            Some(read) if read.record.key.as_ref() == Some(key) => {
                return Ok(Some(clock.instant()));
            }
            Some(_) => {}
        }
    }
}
