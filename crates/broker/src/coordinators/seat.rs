//! One of this broker's terms as the leader of a coordinator's partition: the coordinator lives as
//! long as the term, and a later term begins with another one.

use std::sync::Arc;

use ottla_log::{Append, Log};
use ottla_model::{ErrorCode, LeaderEpoch, Offset};

use crate::partitions::Partition;

/// The partition, and the term.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) partition: Arc<Partition>,
    pub(crate) leader_epoch: LeaderEpoch,
}

/// Why a coordinator cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// The term is over: another broker, or a later term, has the coordinator.
    Ended,
    /// Its log cannot be replayed.
    Failed(String),
}

impl Seat {
    /// The partition's name.
    pub(crate) fn name(&self) -> String {
        format!("{}-{}", self.partition.topic, self.partition.index)
    }

    /// Whether the term goes on.
    pub(crate) fn is_held(&self) -> bool {
        let term = self.partition.term();
        term.leads_here && term.leader_epoch == self.leader_epoch
    }

    /// Waits until the term is over.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let seat = self.clone();
        async move {
            let (partition, leader_epoch) = (&seat.partition, seat.leader_epoch);
            partition.term_ended(leader_epoch).await;
        }
    }

    /// The log, and where the records of earlier terms end in it: everything before that is the
    /// coordinator's history.
    pub(crate) async fn history(&self) -> Result<(Log, Offset), Unavailable> {
        let log = self.partition.leader_log();
        let log = log.map_err(|_| Unavailable::Ended)?.clone();
        // Behind what was still on its way into the log when this broker was a follower.
        let end = log.begin_epoch(self.leader_epoch).await;
        let end = end.map_err(|_| Unavailable::Ended)?;
        Ok((log, end))
    }

    /// Waits until everything before `end` is committed: only then a coordinator may speak of it.
    pub(crate) async fn committed(&self, log: &Log, end: Offset) -> Result<(), Unavailable> {
        let mut offsets = log.watch();
        tokio::select! {
            biased;
            () = self.ended() => Err(Unavailable::Ended),
            reached = offsets.high_watermark_past(end - 1) => match reached {
                true => Ok(()),
                false => Err(Unavailable::Ended),
            },
        }
    }

    /// Appends in this term, in the order of the calls. The answer comes when all replicas in sync
    /// have it, or when the term is over.
    pub(crate) fn append(
        &self,
        append: Append,
    ) -> impl Future<Output = Result<(), ErrorCode>> + Send + 'static + use<> {
        let append = Append {
            leader_epoch: self.leader_epoch,
            ..append
        };
        let appending = self.partition.append_committed(append, None);
        async move { appending.await.map(drop) }
    }
}
