//! Transactions in one partition: what is decided, what was aborted, and that both survive.

use ottla_log::{AbortedTransaction, AppendError, UpTo, Verification};
use ottla_runtime::disk::SimDisk;

use crate::world::*;

fn texts(records: Vec<(i64, String)>) -> Vec<String> {
    records.into_iter().map(|(_, text)| text).collect()
}

#[test]
fn committed_records_are_seen_when_decided_and_aborted_ones_never() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        let mut watch = log.watch();
        let append = |batch| log.append(verified(&log, batch, 1));
        append(transactional(1, 0, 0, &["a1", "a2"])).await.unwrap();
        append(transactional(2, 0, 0, &["b1"])).await.unwrap();
        log.append(client(batch(&["plain"]))).await.unwrap();
        assert_eq!(log.last_stable_offset(), 0);
        assert_eq!(log.high_watermark(), 4);
        assert!(read_committed(&log, 0).unwrap().is_empty());
        watch.offsets();
        log.append(marker(1, 0, false, 1)).await.unwrap();
        assert!(watch.changed().await && watch.offsets().last_stable_offset == 2);
        assert_eq!(log.oldest_open_transaction().unwrap().first_offset, 2);
        let appended = log.append(marker(2, 0, true, 1)).await.unwrap();
        assert_eq!(appended.base_offset, 5);
        assert!(watch.last_stable_past(5).await);
        assert_eq!(texts(read_committed(&log, 0).unwrap()), ["b1", "plain"]);
        let read = log.read_blocking(0, 9999, true, UpTo::LastStable).unwrap();
        let expected = AbortedTransaction {
            producer_id: 1,
            first_offset: 0,
        };
        assert_eq!(read.aborted, [expected]);
        let read = log.read_blocking(0, 9999, true, UpTo::HighWatermark);
        assert!(read.unwrap().aborted.is_empty());
        let behind = log.read_blocking(5, 9999, true, UpTo::LastStable);
        assert!(behind.unwrap().aborted.is_empty());
        assert_eq!(log.oldest_open_transaction(), None);
    });
}

#[test]
fn an_open_transaction_asks_nobody_and_a_late_answer_is_refused() {
    let disk = SimDisk::new(1);
    run(&disk, |runtime| async move {
        let (_dir, log) = open(&runtime, small()).await;
        let refused = log.append(client(transactional(1, 0, 0, &["a"]))).await;
        assert!(matches!(refused, Err(AppendError::InvalidTxnState { .. })));
        let Verification::Needed(guard) = log.verification(1, 0, 0, false).unwrap() else {
            panic!("nothing is open");
        };
        // The coordinator says yes, but meanwhile it has aborted the transaction.
        log.append(marker(1, 0, false, 1)).await.unwrap();
        let late = client(transactional(1, 0, 0, &["a"])).with_guard(guard);
        assert!(matches!(
            log.append(late).await,
            Err(AppendError::InvalidTxnState { .. })
        ));
        let append = |batch| log.append(verified(&log, batch, 1));
        append(transactional(1, 0, 0, &["b"])).await.unwrap();
        assert_eq!(log.verification(1, 0, 1, false), Ok(Verification::Ongoing));
        let open = log.active_producers().await.unwrap();
        assert_eq!(open[0].1.transaction_start, Some(1));
        assert_eq!(open[0].1.coordinator_epoch, 0);
        let plain = log.append(client(idempotent(1, 0, 1, &["c"]))).await;
        assert!(matches!(plain, Err(AppendError::InvalidTxnState { .. })));
        assert!(matches!(
            log.append(marker(1, 0, true, 2)).await,
            Err(AppendError::InvalidProducerEpoch { .. })
        ));
        log.append(marker(1, 1, true, 2)).await.unwrap();
        assert!(matches!(
            log.verification(1, 0, 1, true),
            Err(AppendError::InvalidProducerEpoch {
                current_epoch: 1,
                ..
            })
        ));
    });
}
