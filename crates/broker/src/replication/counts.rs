//! How replication is, for those who watch a node.

use crate::Broker;

/// Numbers over the partitions that a broker leads or follows at one moment. Kafka's names of the
/// same are in brackets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplicationCounts {
    /// Partitions that the broker leads (`LeaderCount`).
    pub leaders: usize,
    /// Of these, those with replicas that are not in sync (`UnderReplicatedPartitions`).
    pub under_replicated: usize,
    /// Of these, those with just as many in sync as `min.insync.replicas` asks for
    /// (`AtMinIsrPartitionCount`).
    pub at_min_isr: usize,
    /// Of these, those with fewer: they take no records with `acks=all`
    /// (`UnderMinIsrPartitionCount`).
    pub under_min_isr: usize,
    /// Of these, those whose replicas are being moved (`ReassigningPartitions`).
    pub reassigning: usize,
    /// Partitions of the whole cluster that nobody leads (`OfflinePartitionsCount`).
    pub offline: usize,
    /// The most records that a follower of a partition that is led here lacks (`MaxLag`).
    pub lag_records_max: i64,
    /// The leaders that this broker fetches from, each connection counted.
    pub fetchers: usize,
}

impl ReplicationCounts {
    pub(crate) fn of(broker: &Broker) -> Self {
        let image = broker.image();
        let mut counts = ReplicationCounts {
            fetchers: broker.fetchers.len(),
            ..ReplicationCounts::default()
        };
        let partitions = image.topics().flat_map(|topic| &topic.partitions);
        counts.offline = partitions.filter(|p| p.leader.is_none()).count();
        for partition in broker.partitions.all() {
            let Ok(log) = partition.leader_log() else {
                continue;
            };
            let end = log.log_end_offset();
            let image = partition.image();
            let min_isr = usize::try_from(partition.config().min_insync_replicas).unwrap_or(1);
            let needed = min_isr.min(image.replicas.len());
            counts.leaders += 1;
            counts.under_replicated += usize::from(image.isr.len() < image.replicas.len());
            counts.at_min_isr += usize::from(image.isr.len() == needed && needed > 1);
            counts.under_min_isr += usize::from(image.isr.len() < needed);
            counts.reassigning += usize::from(image.is_reassigning());
            let lag = partition.with_leader(|state| {
                let lags = state.followers().map(|(_, f)| end - f.log_end.max(0));
                lags.max().unwrap_or(0)
            });
            counts.lag_records_max = counts.lag_records_max.max(lag.unwrap_or(0));
        }
        counts
    }
}
