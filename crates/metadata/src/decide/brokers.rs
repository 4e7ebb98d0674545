//! Registration of brokers, their heartbeats and their end, and what only a registered broker may
//! ask for.

use ottla_model::{BrokerId, ErrorCode, Sabotage, Uuid};

use super::draft::{Draft, Room};
use super::{Context, inconsistent_cluster_id};
use crate::command::{AllocateProducerIds, ProducerIdBlock, Refusal, RegisterBroker};
use crate::command::{BrokerHeartbeat, BrokerHeartbeatReply, FenceBroker, RegisteredBroker, Reply};
use crate::election::Lossy;
use crate::image::{BrokerImage, Image};
use crate::record::{BrokerChangeRecord, ProducerIdsRecord, Record, RegisterBrokerRecord};
use crate::record::{Endpoint, UnregisterBrokerRecord};

/// The number of producer ids in a block, as in Kafka.
pub const PRODUCER_ID_BLOCK_LEN: i32 = 1000;

/// Registers a broker in place of its earlier registration, if it had one.
pub(super) fn register(
    image: &Image,
    command: &RegisterBroker,
    context: &Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    check_registration(image, command)?;
    let id = command.broker_id;
    let earlier = image.broker(id);
    if let Some(earlier) = earlier
        && is_repeated(earlier, command)
    {
        let broker_epoch = earlier.epoch;
        let reply = Reply::RegisterBroker(RegisteredBroker { broker_epoch });
        return Ok((Vec::new(), reply));
    }
    // Kafka takes the record's offset. It only has to grow; the maximum keeps that true when the
    // record does not land on the very next offset.
    let earlier_epoch = earlier.map_or(-1, |broker| broker.epoch);
    let next_epoch = (image.metadata_offset() + 1).max(earlier_epoch + 1);
    let broker_epoch = match earlier_epoch {
        earlier if earlier >= 0 && Sabotage::ReusesBrokerEpoch.is_on() => earlier,
        _ => next_epoch,
    };
    let mut draft = Draft::new(image, context.defaults);
    if !end_earlier_run(&mut draft, command)? {
        // It was killed and is back before anybody noticed, with more than one entry can change.
        let message = format!(
            "Broker {id} leads too much to take its place at once. This ends by itself once the \
             session of its earlier process is over."
        );
        return Err(Refusal::new(
            ErrorCode::DuplicateBrokerRegistration,
            message,
        ));
    }
    draft.push(Record::RegisterBroker(RegisterBrokerRecord {
        broker_id: id,
        broker_epoch,
        incarnation_id: command.incarnation_id,
        rack: command.rack.clone(),
        endpoints: command.endpoints.clone(),
        fenced: command.fenced,
        directory_id: command.directory_id,
        in_controlled_shutdown: false,
        features: command.features.clone(),
        changed_at: None,
    }))?;
    if !command.fenced {
        draft.elect_for_leaderless(id)?;
    }
    let reply = Reply::RegisterBroker(RegisteredBroker { broker_epoch });
    Ok((draft.into_records(), reply))
}

fn check_registration(image: &Image, command: &RegisterBroker) -> Result<(), Refusal> {
    let id = command.broker_id;
    let invalid = |message| Err(Refusal::new(ErrorCode::InvalidRegistration, message));
    if let Some(known) = image.cluster_id()
        && *known != command.cluster_id
    {
        return Err(inconsistent_cluster_id(known, &command.cluster_id));
    }
    if id.0 < 0 {
        let message = format!("{id} is no broker id: it is negative.");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    let listeners = command.endpoints.iter().map(|e| e.listener.as_str());
    if let Some(listener) = super::duplicates(listeners).first() {
        return invalid(format!("Broker {id} names listener {listener} twice."));
    }
    check_identity(image, command)?;
    check_endpoints(image, id, command.endpoints.iter())?;
    super::features::check_registration(image, id, &command.features)
}

/// Refuses a second process that claims the node id of a live one. On the same volume it is no
/// second one: the volume's lock was free, so the earlier process is dead.
fn check_identity(image: &Image, command: &RegisterBroker) -> Result<(), Refusal> {
    let id = command.broker_id;
    let Some(known) = image.broker(id).filter(|broker| !broker.fenced) else {
        return Ok(());
    };
    let same_process = known.incarnation_id == command.incarnation_id;
    if same_process || known.directory_id == Uuid::ZERO || is_same_volume(known, command) {
        return Ok(());
    }
    let message = format!(
        "Another broker is registered with the id {id}, and it is alive: its data directory is \
         {}, that of this one is {}. Give one of them another node.id; if the volume of broker \
         {id} was replaced, this ends by itself once the session of the earlier process is over.",
        known.directory_id, command.directory_id
    );
    Err(Refusal::new(
        ErrorCode::DuplicateBrokerRegistration,
        message,
    ))
}

fn is_same_volume(known: &BrokerImage, command: &RegisterBroker) -> bool {
    known.directory_id == command.directory_id
}

/// Refuses endpoints that another live broker has: clients would take one for the other. Brokers
/// that start together are all fenced when they register; so this is asked again when one is to
/// take part, and the first one has the endpoint.
fn check_endpoints<'a>(
    image: &Image,
    id: BrokerId,
    endpoints: impl Iterator<Item = &'a Endpoint> + Clone,
) -> Result<(), Refusal> {
    let others = image.brokers();
    for other in others.filter(|b| b.id != id && !b.fenced) {
        let is_taken = |endpoint: &&Endpoint| {
            other.endpoints.values().any(|taken| {
                taken.port == endpoint.port && taken.host.eq_ignore_ascii_case(&endpoint.host)
            })
        };
        let taken: Vec<_> = endpoints
            .clone()
            .filter(is_taken)
            .map(|endpoint| format!("{}:{}", endpoint.host, endpoint.port))
            .collect();
        if !taken.is_empty() {
            let message = format!(
                "Configured end points {} in advertised listeners are already registered by \
                 broker {}",
                taken.join(","),
                other.id
            );
            return Err(Refusal::new(ErrorCode::InvalidRegistration, message));
        }
    }
    Ok(())
}

/// Whether the same process says the same again, for it has not heard the answer.
fn is_repeated(known: &BrokerImage, command: &RegisterBroker) -> bool {
    known.incarnation_id == command.incarnation_id
        && is_same_volume(known, command)
        && known.rack == command.rack
        && known.features == command.features
        && known.endpoints.len() == command.endpoints.len()
        && command
            .endpoints
            .iter()
            .all(|endpoint| known.endpoints.get(&endpoint.listener) == Some(endpoint))
}

/// What an earlier run of the broker led or had in sync is over: the new run has to catch up
/// first, and begins a new leader epoch. What it may have lost makes it ineligible. Answers
/// whether there was room for all of it.
fn end_earlier_run(draft: &mut Draft, command: &RegisterBroker) -> Result<bool, Refusal> {
    let id = command.broker_id;
    let earlier = draft.image().broker(id);
    let other_volume = earlier.is_some_and(|earlier| {
        earlier.directory_id != Uuid::ZERO && !is_same_volume(earlier, command)
    });
    let lossy = (other_volume || command.data_may_be_lost).then_some(Lossy {
        broker: id,
        all_gone: other_volume,
    });
    // Nobody follows the only replica, so that nobody could notice that its run is another one.
    let goes_on = !command.fenced && !other_volume;
    draft.change_all(
        Room::Bounded,
        |partition| {
            let eligible = partition.elr.contains(&id) && lossy.is_some();
            (partition.isr.contains(&id) || eligible) && !(goes_on && partition.replicas == [id])
        },
        |change| match lossy {
            Some(lossy) => change.lossy(lossy),
            None => change.unacceptable(id).without(id),
        },
    )
}

/// Hears a broker, and answers whether it is fenced and may stop (KIP-631).
pub(super) fn heartbeat(
    image: &Image,
    command: &BrokerHeartbeat,
    context: &Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    let id = command.broker_id;
    let broker = check_epoch(image, id, command.broker_epoch)?;
    let is_caught_up = command.metadata_offset >= broker.epoch;
    let mut draft = Draft::new(image, context.defaults);
    let mut should_shut_down = false;
    if broker.fenced {
        should_shut_down = command.want_shut_down;
        if !command.want_fence && !command.want_shut_down && is_caught_up {
            check_endpoints(image, id, broker.endpoints.values())?;
            draft.push(changed(broker, false, false))?;
            draft.elect_for_leaderless(id)?;
        }
    } else if command.want_fence {
        should_shut_down = fence_in(&mut draft, broker)? && command.want_shut_down;
    } else if broker.in_controlled_shutdown {
        if leads(image, id) {
            // From here on the others have to know.
            if leave_isrs(&mut draft, id)? {
                draft.push(changed(broker, false, true))?;
            }
        } else if context.active_offset >= broker.changed_at {
            // The others know by now who leads what it has led.
            should_shut_down = fence_in(&mut draft, broker)?;
        }
    } else if !command.want_shut_down {
        draft.elect_for_leaderless(id)?;
    } else if leads(image, id) {
        draft.push(changed(broker, false, true))?;
        leave_isrs(&mut draft, id)?;
    } else {
        should_shut_down = fence_in(&mut draft, broker)?;
    }
    let reply = BrokerHeartbeatReply {
        is_caught_up,
        is_fenced: !draft.image().is_live(id),
        should_shut_down,
    };
    Ok((draft.into_records(), Reply::BrokerHeartbeat(reply)))
}

fn leads(image: &Image, id: BrokerId) -> bool {
    image
        .topics()
        .flat_map(|topic| &topic.partitions)
        .any(|partition| partition.leader == Some(id))
}

fn changed(broker: &BrokerImage, fenced: bool, in_controlled_shutdown: bool) -> Record {
    Record::BrokerChange(BrokerChangeRecord {
        broker_id: broker.id,
        broker_epoch: broker.epoch,
        fenced,
        in_controlled_shutdown,
    })
}

/// Fences a broker once it is in no ISR any more. Answers whether it is: with very many
/// partitions it takes more than one decision.
fn fence_in(draft: &mut Draft, broker: &BrokerImage) -> Result<bool, Refusal> {
    let done = leave_isrs(draft, broker.id)?;
    if done {
        draft.push(changed(broker, true, false))?;
    }
    Ok(done)
}

/// Takes a broker that is about to be fenced, or to stop, out of the ISRs; others lead what it has
/// led. Answers whether there was room for all of it.
fn leave_isrs(draft: &mut Draft, id: BrokerId) -> Result<bool, Refusal> {
    draft.change_all(
        Room::Bounded,
        |partition| partition.isr.contains(&id) || partition.leader == Some(id),
        |change| change.unacceptable(id).without(id),
    )
}

/// Fences a silent broker. One that has registered anew in the meantime is left alone. With very
/// many partitions the broker is not fenced yet after that, and the command is to be said again.
pub(super) fn fence(
    image: &Image,
    command: &FenceBroker,
    context: &Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    let broker = check_epoch(image, command.broker_id, command.broker_epoch)?;
    if broker.fenced {
        return Ok((Vec::new(), Reply::Done));
    }
    let mut draft = Draft::new(image, context.defaults);
    fence_in(&mut draft, broker)?;
    Ok((draft.into_records(), Reply::Done))
}

/// Forgets a broker (KIP-746).
pub(super) fn unregister(
    image: &Image,
    id: BrokerId,
    context: &Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    let Some(broker) = image.broker(id) else {
        let message = format!("Broker ID {id} is not currently registered");
        return Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, message));
    };
    if !broker.fenced {
        let message = format!(
            "Broker {id} is running: stop it first, and move its partitions away if it shall not \
             come back."
        );
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    let mut draft = Draft::new(image, context.defaults);
    draft.push(Record::UnregisterBroker(UnregisterBrokerRecord {
        broker_id: id,
        broker_epoch: broker.epoch,
    }))?;
    // Where nobody else has everything it stays eligible, for the day on which it comes back.
    let gone = Lossy {
        broker: id,
        all_gone: false,
    };
    draft.change_all(
        Room::Unbounded,
        |partition| partition.isr.contains(&id) || partition.elr.contains(&id),
        |change| change.lossy(gone),
    )?;
    Ok((draft.into_records(), Reply::Done))
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

/// The broker's registration, unless it is not registered or the epoch is that of another one.
pub(super) fn check_epoch(
    image: &Image,
    id: BrokerId,
    epoch: i64,
) -> Result<&BrokerImage, Refusal> {
    let refuse = |message| Err(Refusal::new(ErrorCode::StaleBrokerEpoch, message));
    match image.broker(id) {
        None => refuse(format!("Broker {id} is not registered.")),
        Some(broker) if broker.epoch != epoch => refuse(format!(
            "Broker {id} is registered with epoch {}, the request names {epoch}.",
            broker.epoch
        )),
        Some(broker) => Ok(broker),
    }
}

#[cfg(test)]
mod tests;
