//! Registration of brokers, and what only a registered broker may ask for.

use ottla_model::{BrokerId, ErrorCode};

use super::inconsistent_cluster_id;
use crate::command::{AllocateProducerIds, ProducerIdBlock, Refusal, RegisterBroker};
use crate::command::{RegisteredBroker, Reply};
use crate::image::Image;
use crate::record::{ProducerIdsRecord, Record, RegisterBrokerRecord};

/// The number of producer ids in a block, as in Kafka.
pub const PRODUCER_ID_BLOCK_LEN: i32 = 1000;

/// Registers a broker in place of its earlier registration, if it had one.
pub(super) fn register(
    image: &Image,
    command: &RegisterBroker,
) -> Result<(Vec<Record>, Reply), Refusal> {
    if let Some(known) = image.cluster_id()
        && *known != command.cluster_id
    {
        return Err(inconsistent_cluster_id(known, &command.cluster_id));
    }
    if command.broker_id.0 < 0 {
        let message = format!("{} is no broker id: it is negative.", command.broker_id);
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    let listeners = command
        .endpoints
        .iter()
        .map(|endpoint| endpoint.listener.as_str());
    if let Some(listener) = super::duplicates(listeners).first() {
        let message = format!(
            "Broker {} names listener {listener} twice.",
            command.broker_id
        );
        return Err(Refusal::new(ErrorCode::InvalidRegistration, message));
    }
    // Kafka takes the record's offset. It only has to grow; the maximum keeps that true when the
    // record does not land on the very next offset.
    let earlier = image
        .broker(command.broker_id)
        .map_or(-1, |broker| broker.epoch);
    let broker_epoch = (image.metadata_offset() + 1).max(earlier + 1);
    let record = RegisterBrokerRecord {
        broker_id: command.broker_id,
        broker_epoch,
        incarnation_id: command.incarnation_id,
        rack: command.rack.clone(),
        endpoints: command.endpoints.clone(),
        fenced: command.fenced,
        directory_id: command.directory_id,
        in_controlled_shutdown: false,
        features: command.features.clone(),
    };
    let reply = Reply::RegisterBroker(RegisteredBroker { broker_epoch });
    Ok((vec![Record::RegisterBroker(record)], reply))
}

/// Gives a broker the next block of producer ids (KIP-730).
pub(super) fn allocate_producer_ids(
    image: &Image,
    command: &AllocateProducerIds,
) -> Result<(Vec<Record>, Reply), Refusal> {
    check_epoch(image, command.broker_id, command.broker_epoch)?;
    let first = image.next_producer_id();
    let Some(next) = first.checked_add(PRODUCER_ID_BLOCK_LEN.into()) else {
        let message = "All 2^63 producer ids have been handed out.";
        return Err(Refusal::new(ErrorCode::UnknownServerError, message));
    };
    let record = ProducerIdsRecord {
        broker_id: command.broker_id,
        broker_epoch: command.broker_epoch,
        next_producer_id: next,
    };
    let block = ProducerIdBlock {
        first,
        len: PRODUCER_ID_BLOCK_LEN,
    };
    Ok((
        vec![Record::ProducerIds(record)],
        Reply::AllocateProducerIds(block),
    ))
}

/// Refuses a broker that is not registered, or whose registration is an old one.
pub(super) fn check_epoch(image: &Image, id: BrokerId, epoch: i64) -> Result<(), Refusal> {
    let refuse = |message| Err(Refusal::new(ErrorCode::StaleBrokerEpoch, message));
    match image.broker(id) {
        None => refuse(format!("Broker {id} is not registered.")),
        Some(broker) if broker.epoch != epoch => refuse(format!(
            "Broker {id} is registered with epoch {}, the request names {epoch}.",
            broker.epoch
        )),
        Some(_) => Ok(()),
    }
}
