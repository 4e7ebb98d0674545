//! `ottla bench consume`.

use std::time::Duration;

use bytes::Bytes;
use ottla_client::{Consumer, ConsumerOptions, Reset, Start};

use super::summary::Measured;
use super::{Bench, ReadArgs};
use crate::progress::{self, Counted};
use crate::{Error, Streams};

/// A topic that gives nothing for so long has been read to its end.
const IDLE: Duration = Duration::from_secs(2);

/// Reads from the beginning until it is over, or nothing more comes.
pub(super) async fn measure(
    bench: &Bench<'_>,
    args: &ReadArgs,
    streams: &Streams,
) -> Result<Measured, Error> {
    let (cluster, clock) = (bench.cluster, &bench.runtime.clock);
    let topic = cluster.topic(&args.topic).await?;
    let ranges = cluster.offset_ranges(&topic).await?;
    let there = ranges.iter().flatten();
    let there: u64 = there.map(|r| r.latest.abs_diff(r.earliest)).sum();
    let mut length = args.length.clone();
    // Without a limit the end is where the topic ends now.
    length.records = Some(length.records.unwrap_or(there).min(there));
    length.duration = length.duration.or(Some(Duration::MAX));

    let options = ConsumerOptions {
        reset: Reset::Earliest,
        ..ConsumerOptions::default()
    };
    let mut consumer = Consumer::new(cluster.client.clone(), options);
    let assigned = consumer.assign(&args.topic, None, Start::Earliest).await;
    cluster.checked(format!("reading topic {}", args.topic), assigned)?;
    let bar = progress::bar(Counted::Records, length.records, streams);
    let mut measured = Measured::default();
    let began = clock.instant();
    while !length.is_over(measured.figures.records, began, clock.instant()) {
        let next = tokio::select! {
            biased;
            () = bench.interrupt.announced() => {
                measured.interrupted = true;
                break;
            }
            next = consumer.next(IDLE) => next,
        };
        let record = match next {
            Ok(Some(consumed)) => consumed.record,
            Ok(None) => break,
            Err(error) => {
                measured.failure = Some(bench.failure(&args.topic, &error));
                break;
            }
        };
        let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len) as u64;
        measured.figures.records += 1;
        measured.figures.bytes += len(&record.key) + len(&record.value);
        // The wait for a record that never came is not the cluster's.
        measured.figures.elapsed = clock.instant() - began;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(measured)
}
