//! Who fetches: a consumer, or a replica of the partitions.

use std::sync::Arc;

use ottla_model::{BrokerId, ErrorCode, Offset};
use ottla_wire::Text;
use ottla_wire::messages::FetchRequest;

use crate::context::Ctx;
use crate::fetch_sessions::Wanted;
use crate::partitions::Partition;

/// From this version on consumers may read from followers (KIP-392).
const FROM_FOLLOWERS: i16 = 11;
/// What the property for reading from the closest replica names.
const RACK_AWARE: &str = "RackAwareReplicaSelector";

/// The other side of a fetch.
pub(super) enum Reader {
    Consumer {
        /// Whether it may read from followers.
        may_ask_followers: bool,
        /// Where it is, if a replica there shall be found for it.
        rack: Option<Text>,
    },
    Replica {
        id: BrokerId,
        epoch: i64,
    },
}

impl Reader {
    pub(super) fn of(ctx: &Ctx, request: &FetchRequest) -> Self {
        if let Some((id, epoch)) = Reader::replica_of(request) {
            return Reader::Replica { id, epoch };
        }
        let config = ctx.broker.config();
        let selector = config.broker.replica_selector_class.as_deref();
        let selects = selector.is_some_and(|class| class.ends_with(RACK_AWARE));
        Reader::Consumer {
            may_ask_followers: ctx.version >= FROM_FOLLOWERS,
            rack: Some(request.rack_id.clone()).filter(|rack| selects && !rack.is_empty()),
        }
    }

    /// The replica and its registration, if it is one; the older form names no registration.
    pub(super) fn replica_of(request: &FetchRequest) -> Option<(BrokerId, i64)> {
        let state = &request.replica_state;
        if state.replica_id >= 0 {
            return Some((BrokerId(state.replica_id), state.replica_epoch));
        }
        (request.replica_id >= 0).then_some((BrokerId(request.replica_id), -1))
    }

    pub(super) fn is_consumer(&self) -> bool {
        matches!(self, Reader::Consumer { .. })
    }

    /// Whether it may read where the partition is not led.
    pub(super) fn may_ask_followers(&self) -> bool {
        matches!(
            self,
            Reader::Consumer {
                may_ask_followers: true,
                ..
            }
        )
    }

    /// A follower's fetch says what it has.
    pub(super) fn announce(
        &self,
        ctx: &Ctx,
        wanted: &[Wanted],
        partitions: &[Result<Arc<Partition>, ErrorCode>],
    ) {
        let Reader::Replica { id, epoch } = self else {
            return;
        };
        for (wanted, partition) in wanted.iter().zip(partitions) {
            let Ok(partition) = partition else { continue };
            // One whose log has parted from this one has nothing of what it says.
            if wanted.last_fetched_epoch >= 0
                && let Some(log) = partition.log()
                && super::diverging_epoch(wanted, log).is_some()
            {
                continue;
            }
            let offset = wanted.fetch_offset;
            let fetched = partition.fetched(*id, *epoch, offset, wanted.log_start_offset);
            if fetched == Ok(true) {
                ctx.broker.isr.look_at(&ctx.broker, partition);
            }
        }
    }

    /// A replica in sync that is closer to the consumer than this leader.
    pub(super) fn preferred_replica(
        &self,
        ctx: &Ctx,
        partition: &Partition,
        fetch_offset: Offset,
    ) -> Option<BrokerId> {
        let Reader::Consumer {
            rack: Some(rack), ..
        } = self
        else {
            return None;
        };
        let image = ctx.broker.image();
        let is_near = |id: BrokerId| {
            let broker = image.broker(id).filter(|b| !b.fenced);
            broker.is_some_and(|b| b.rack.as_deref() == Some(&**rack))
        };
        if is_near(ctx.broker.node_id) {
            return None;
        }
        let listener = ctx.peer.listener();
        partition.with_leader(|state| {
            let near = state.followers().filter(|(id, follower)| {
                let broker = image.broker(*id);
                state.isr().contains(id)
                    && is_near(*id)
                    && broker.is_some_and(|b| b.endpoints.contains_key(listener))
                    && follower.log_start <= fetch_offset
                    && fetch_offset <= follower.log_end
            });
            near.max_by_key(|(_, follower)| follower.log_end)
                .map(|(id, _)| id)
        })?
    }
}
