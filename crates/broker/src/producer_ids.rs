//! Producer ids: the controller hands out blocks, so that an id is never given twice, not even by
//! another broker or after a crash.

use std::sync::Arc;

use ottla_metadata::{AllocateProducerIds, Command, Reply};
use ottla_model::{ErrorCode, ProducerId};
use parking_lot::Mutex;

use crate::Broker;

/// What is left of this broker's block.
#[derive(Default)]
pub(crate) struct ProducerIds {
    rest: Mutex<std::ops::Range<ProducerId>>,
}

impl ProducerIds {
    /// An id that nobody has been given.
    pub(crate) async fn next(&self, broker: &Arc<Broker>) -> Result<ProducerId, ErrorCode> {
        loop {
            if let Some(id) = self.rest.lock().next() {
                return Ok(id);
            }
            let command = Command::AllocateProducerIds(AllocateProducerIds {
                broker_id: broker.node_id,
                broker_epoch: broker.epoch(),
            });
            match broker.submit(command).await {
                Ok(Reply::AllocateProducerIds(block)) => {
                    // Two callers may both have found the block used up; the ids of the one that
                    // comes second replace the first one's rest. Ids are plentiful.
                    *self.rest.lock() = block.first..block.first + ProducerId::from(block.len);
                }
                Ok(_) => return Err(ErrorCode::UnknownServerError),
                Err(refusal) => return Err(refusal.code),
            }
        }
    }
}
