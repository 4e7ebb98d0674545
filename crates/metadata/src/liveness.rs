//! Which brokers are silent. Only the node that decides keeps this, in its memory.
//!
//! Time is an argument: milliseconds of a clock that never goes back, from any beginning.

use std::collections::BTreeMap;

use ottla_model::{BrokerId, Offset};

use crate::image::Image;

/// A broker is silent when it refuses connections twice that far apart, with no word from it in
/// between: its process is gone, and there is no need to wait for the end of its session. One
/// refusal alone may come from the moment between a registration and the first listener.
pub const REFUSALS_APART_MS: u64 = 100;

/// When each registered broker was heard last.
///
/// ```
/// use ottla_metadata::{Image, Liveness};
/// use ottla_model::BrokerId;
///
/// let mut liveness = Liveness::new(9_000);
/// liveness.touch(BrokerId(1), 7, 0, 1_000);
/// assert_eq!(liveness.next_deadline_ms(), Some(10_000));
/// assert_eq!(liveness.stale(10_000), [(BrokerId(1), 7)]);
/// ```
#[derive(Debug, Clone)]
pub struct Liveness {
    session_timeout_ms: u64,
    brokers: BTreeMap<BrokerId, Contact>,
}

#[derive(Debug, Clone, Copy)]
struct Contact {
    epoch: i64,
    metadata_offset: Offset,
    last_ms: u64,
    refused_ms: Option<u64>,
    gone: bool,
}

impl Liveness {
    /// Knows no broker yet. `session_timeout_ms` is `broker.session.timeout.ms`.
    #[must_use]
    pub fn new(session_timeout_ms: u64) -> Self {
        Liveness {
            session_timeout_ms,
            brokers: BTreeMap::new(),
        }
    }

    /// A broker said something in its registration `epoch`, and has metadata up to
    /// `metadata_offset`; -1 when that is not known. An older registration changes nothing.
    pub fn touch(&mut self, broker: BrokerId, epoch: i64, metadata_offset: Offset, now_ms: u64) {
        let known = self.brokers.get(&broker);
        if known.is_some_and(|known| known.epoch > epoch) {
            return;
        }
        let earlier = known.filter(|known| known.epoch == epoch);
        let metadata_offset = earlier.map_or(metadata_offset, |earlier| {
            earlier.metadata_offset.max(metadata_offset)
        });
        let contact = Contact {
            epoch,
            metadata_offset,
            last_ms: now_ms,
            refused_ms: None,
            gone: false,
        };
        self.brokers.insert(broker, contact);
    }

    /// A connection to the broker was refused. After two of these, at least [`REFUSALS_APART_MS`]
    /// apart and with no contact between them, the broker is silent. Answers whether it is.
    pub fn refused(&mut self, broker: BrokerId, now_ms: u64) -> bool {
        let Some(contact) = self.brokers.get_mut(&broker) else {
            return false;
        };
        let first_ms = *contact.refused_ms.get_or_insert(now_ms);
        contact.gone |= now_ms.saturating_sub(first_ms) >= REFUSALS_APART_MS;
        contact.gone
    }

    /// The brokers that are silent, with the registrations that they were heard in. They stay in
    /// this list until they are heard or forgotten.
    #[must_use]
    pub fn stale(&self, now_ms: u64) -> Vec<(BrokerId, i64)> {
        let stale = |contact: &Contact| contact.gone || now_ms >= self.deadline_ms(contact);
        self.brokers
            .iter()
            .filter(|(_, contact)| stale(contact))
            .map(|(id, contact)| (*id, contact.epoch))
            .collect()
    }

    /// When the next broker becomes silent if nobody says anything; it may be in the past.
    #[must_use]
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.brokers
            .values()
            .map(|contact| {
                if contact.gone {
                    contact.last_ms
                } else {
                    self.deadline_ms(contact)
                }
            })
            .min()
    }

    fn deadline_ms(&self, contact: &Contact) -> u64 {
        contact.last_ms.saturating_add(self.session_timeout_ms)
    }

    /// Follows the image: forgets who is fenced or no longer registered, for a fenced broker has
    /// no session that could end, and begins a session for each live one that is not known yet.
    pub fn follow(&mut self, image: &Image, now_ms: u64) {
        self.brokers.retain(|id, contact| {
            image
                .broker(*id)
                .is_some_and(|broker| !broker.fenced && broker.epoch == contact.epoch)
        });
        for broker in image.brokers().filter(|broker| !broker.fenced) {
            if !self.brokers.contains_key(&broker.id) {
                self.touch(broker.id, broker.epoch, -1, now_ms);
            }
        }
    }

    /// Begins anew: this node has just begun to decide. Each live broker gets a whole session to
    /// be heard.
    pub fn reset(&mut self, now_ms: u64, image: &Image) {
        self.brokers.clear();
        self.follow(image, now_ms);
    }

    /// The offset up to which all active brokers are known to have the metadata;
    /// [`Offset::MAX`] when there is no active broker to wait for. This is
    /// [`Context::active_offset`](crate::Context).
    #[must_use]
    pub fn active_offset(&self, image: &Image) -> Offset {
        image
            .brokers()
            .filter(|broker| !broker.fenced && !broker.in_controlled_shutdown)
            .map(|broker| {
                self.brokers
                    .get(&broker.id)
                    .filter(|contact| contact.epoch == broker.epoch)
                    .map_or(-1, |contact| contact.metadata_offset)
            })
            .min()
            .unwrap_or(Offset::MAX)
    }
}

#[cfg(test)]
mod tests;
