//! `ottla bench produce`.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use ottla_client::{Delivery, Producer, ProducerRecord};
use ottla_runtime::Instant;
use tokio::sync::mpsc;

use super::summary::Measured;
use super::{Bench, Values, WriteArgs};
use crate::progress::{self, Counted};
use crate::{Error, Streams};

/// A record under way.
struct Sent {
    began: Instant,
    delivery: Delivery,
}

/// Sends until it is over, and waits for what is under way.
pub(super) async fn measure(
    bench: &Bench<'_>,
    args: &WriteArgs,
    topic: &str,
    streams: &Streams,
) -> Result<Measured, Error> {
    let clock = &bench.runtime.clock;
    let bar = progress::bar(Counted::Records, args.length.records, streams);
    let mut measured = Measured::default();
    let (sent, mut arriving) = mpsc::unbounded_channel();
    let began = clock.instant();
    let collecting = async {
        let mut under_way = FuturesUnordered::new();
        let mut more = true;
        loop {
            tokio::select! {
                biased;
                Some((began, at, done)) = under_way.next() => match done {
                    Ok(_) => {
                        let figures = &mut measured.figures;
                        figures.records += 1;
                        figures.bytes += u64::from(args.size);
                        let took: Duration = at - began;
                        figures.acknowledged.add(took);
                        bar.inc(1);
                    }
                    Err(error) => {
                        measured.figures.failed += 1;
                        let failure = || bench.failure(topic, &error);
                        measured.failure.get_or_insert_with(failure);
                        // Whatever is wrong is wrong with many: no reason to send on.
                        arriving.close();
                    }
                },
                next = arriving.recv(), if more => match next {
                    Some(Sent { began, delivery }) => under_way.push(async move {
                        let done = delivery.await;
                        (began, clock.instant(), done)
                    }),
                    None => more = false,
                },
                else => return,
            }
        }
    };
    let feeding = feed(bench, args, topic, began, sent);
    let (fed, ()) = tokio::join!(feeding, collecting);
    measured.figures.elapsed = clock.instant() - began;
    bar.finish_and_clear();
    match fed {
        Ok(interrupted) => measured.interrupted = interrupted,
        Err(error) => drop(measured.failure.get_or_insert(error)),
    }
    Ok(measured)
}

/// Whether it was interrupted.
async fn feed(
    bench: &Bench<'_>,
    args: &WriteArgs,
    topic: &str,
    began: Instant,
    sent: mpsc::UnboundedSender<Sent>,
) -> Result<bool, Error> {
    let clock = &bench.runtime.clock;
    let producer = Producer::new(bench.cluster.client.clone(), args.options());
    let mut values = Values::new(bench.runtime, args.size);
    let mut records = 0;
    while !args.length.is_over(records, began, clock.instant()) {
        let sending = async {
            if let Some(due) = args.rate.and_then(|rate| due(records, rate)) {
                clock.sleep_until(began + due).await;
            }
            let record = ProducerRecord {
                topic: topic.to_owned(),
                value: Some(values.next()),
                ..ProducerRecord::default()
            };
            let began = clock.instant();
            let delivery = producer.send(record).await?;
            Ok(Sent { began, delivery })
        };
        let one = tokio::select! {
            biased;
            () = bench.interrupt.announced() => return Ok(true),
            one = sending => one.map_err(|error| bench.failure(topic, &error))?,
        };
        records += 1;
        if sent.send(one).is_err() {
            break;
        }
    }
    Ok(false)
}

/// When a record's turn is, after the beginning.
pub(super) fn due(record: u64, rate: u64) -> Option<Duration> {
    let nanoseconds = u128::from(record) * 1_000_000_000 / u128::from(rate.max(1));
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}
