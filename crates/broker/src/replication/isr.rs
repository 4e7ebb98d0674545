//! Asks the controller for other replicas in sync, for many partitions at a time.

use std::sync::Arc;
use std::time::Duration;

use ottla_metadata::{
    AlterPartition, AlterPartitionItem, AlterPartitionResult, Command, Image, IsrMember, Reply,
};
use ottla_model::{BrokerId, ErrorCode};
use ottla_replica::{Proposal, ProposalOutcome};
use ottla_runtime::{Service, Shutdown};
use tokio::sync::mpsc;

use crate::Broker;
use crate::partitions::Partition;

/// Partitions of one request.
const AT_ONCE: usize = 1000;
/// How long to wait before the same is asked again.
const RETRY: Duration = Duration::from_millis(50);

type Waiting = (Arc<Partition>, Proposal);

/// Where proposals go. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Isr(mpsc::UnboundedSender<Waiting>);

/// The one task that asks.
pub(crate) struct IsrTask {
    broker: Arc<Broker>,
    inbox: mpsc::UnboundedReceiver<Waiting>,
}

impl Isr {
    /// Both halves; at most one proposal of each partition is ever under way.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Waiting>) {
        let (sender, inbox) = mpsc::unbounded_channel();
        (Isr(sender), inbox)
    }

    /// Asks for other replicas in sync, if it is time for it.
    pub(crate) fn look_at(&self, broker: &Broker, partition: &Arc<Partition>) {
        let image = broker.image();
        let lag_max_ms = broker.config().broker.replica_lag_time_max_ms;
        let join = |id, epoch| may_join(&image, id, epoch);
        if let Some(proposal) = partition.propose(lag_max_ms, join) {
            // Only a node that stops has no task for it.
            drop(self.0.send((Arc::clone(partition), proposal)));
        }
    }
}

/// Whether a broker may be in sync: it is live, stays, and fetches in its present registration.
fn may_join(image: &Image, id: BrokerId, epoch: i64) -> bool {
    let registered = image.broker(id);
    image.is_active(id) && registered.is_some_and(|b| epoch == -1 || b.epoch == epoch)
}

impl IsrTask {
    pub(crate) fn new(broker: &Arc<Broker>, inbox: mpsc::UnboundedReceiver<Waiting>) -> Self {
        IsrTask {
            broker: Arc::clone(broker),
            inbox,
        }
    }

    /// Half the time that a follower may lag, so that none lags for much longer.
    fn look_interval(&self) -> Duration {
        let lag_ms = self.broker.config().broker.replica_lag_time_max_ms;
        Duration::from_millis(u64::try_from(lag_ms / 2).unwrap_or(0).clamp(1, 1000))
    }

    /// Looks at every partition that this broker leads: followers that are silent are not noticed
    /// otherwise.
    fn look_at_all(&self) {
        for partition in self.broker.partitions.all() {
            self.broker.isr.look_at(&self.broker, &partition);
        }
    }

    async fn ask(&self, waiting: Vec<Waiting>) {
        let item = |(partition, proposal): &Waiting| AlterPartitionItem {
            topic_id: partition.topic_id,
            partition: partition.index,
            leader_epoch: proposal.leader_epoch,
            partition_epoch: proposal.partition_epoch,
            new_isr: proposal
                .isr
                .iter()
                .map(|member| IsrMember {
                    broker_id: member.broker_id,
                    broker_epoch: member.broker_epoch,
                })
                .collect(),
            recovering: false,
        };
        let command = Command::AlterPartition(AlterPartition {
            broker_id: self.broker.node_id,
            broker_epoch: self.broker.epoch(),
            partitions: waiting.iter().map(item).collect(),
        });
        let results = match self.broker.ask_controller(command).await {
            Ok(Reply::AlterPartition(results)) => results,
            Ok(_) => Vec::new(),
            Err(refusal) => {
                tracing::debug!(%refusal, "the controller did not take a change of replicas in sync");
                Vec::new()
            }
        };
        let mut again = false;
        for (n, (partition, proposal)) in waiting.iter().enumerate() {
            let outcome = outcome(results.get(n));
            again |= outcome != ProposalOutcome::Decided;
            partition.proposal_answered(proposal, outcome);
            self.tell(partition, proposal, results.get(n));
        }
        if again {
            self.broker.runtime.clock.sleep(RETRY).await;
        }
        for (partition, _) in &waiting {
            self.broker.isr.look_at(&self.broker, partition);
        }
    }

    fn tell(
        &self,
        partition: &Partition,
        proposal: &Proposal,
        result: Option<&AlterPartitionResult>,
    ) {
        let name = format_args!("{}-{}", partition.topic, partition.index);
        match result.map(|r| &r.outcome) {
            Some(Ok(state)) => {
                self.broker.probe.count_isr_change();
                tracing::info!(partition = %name, isr = ?ids(state.isr.iter().copied()), "replicas in sync");
            }
            Some(Err(code)) => {
                let isr = ids(proposal.isr.iter().map(|m| m.broker_id));
                tracing::debug!(partition = %name, ?isr, %code, "other replicas in sync were refused");
            }
            None => {}
        }
    }
}

fn ids(brokers: impl Iterator<Item = BrokerId>) -> Vec<i32> {
    brokers.map(|id| id.0).collect()
}

fn outcome(result: Option<&AlterPartitionResult>) -> ProposalOutcome {
    match result.map(|r| &r.outcome) {
        None | Some(Err(ErrorCode::UnknownServerError | ErrorCode::NotController)) => {
            ProposalOutcome::Unknown
        }
        Some(Err(ErrorCode::OperationNotAttempted | ErrorCode::IneligibleReplica)) => {
            ProposalOutcome::NotTaken
        }
        Some(_) => ProposalOutcome::Decided,
    }
}

impl Service for IsrTask {
    async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        let clock = self.broker.runtime.clock.clone();
        let mut look_at = clock.instant() + self.look_interval();
        loop {
            let first = tokio::select! {
                biased;
                () = shutdown.announced() => return Ok(()),
                first = self.inbox.recv() => first,
                () = clock.sleep_until(look_at) => {
                    look_at = clock.instant() + self.look_interval();
                    self.look_at_all();
                    continue;
                }
            };
            let Some(first) = first else { return Ok(()) };
            let mut waiting = vec![first];
            while waiting.len() < AT_ONCE
                && let Ok(next) = self.inbox.try_recv()
            {
                waiting.push(next);
            }
            self.ask(waiting).await;
        }
    }
}
