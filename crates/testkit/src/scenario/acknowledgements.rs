//! What became of each record that a producer sent.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;

/// What the broker said to one record.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is durable as far as `acks` asks for.
    Acknowledged {
        /// Where it went.
        partition: i32,
        /// At which offset; -1 with `acks=0`.
        offset: i64,
    },
    /// It was given up.
    Refused(KafkaError),
}

/// A producer's context: the outcomes by the numbers that the records were sent with.
#[derive(Debug, Default)]
pub struct Acknowledgements {
    outcomes: Mutex<BTreeMap<usize, Outcome>>,
}

impl Acknowledgements {
    /// All outcomes so far.
    pub fn outcomes(&self) -> BTreeMap<usize, Outcome> {
        self.outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many records have an outcome.
    pub fn count(&self) -> usize {
        self.outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl ClientContext for Acknowledgements {}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let outcome = match result {
            Ok(message) => Outcome::Acknowledged {
                partition: message.partition(),
                offset: message.offset(),
            },
            Err((error, _)) => Outcome::Refused(error.clone()),
        };
        self.outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number, outcome);
    }
}
