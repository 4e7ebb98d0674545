//! An idempotent producer on librdkafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::{PARTITIONS, WorkloadOptions, config, topics};
use crate::dice::Dice;
use crate::history::{Event, Journal, Place};

/// Longer than any fault lasts.
const DELIVERY_LIMIT: Duration = Duration::from_secs(120);

/// Writes outcomes into the journal as they come.
struct Outcomes {
    journal: Arc<Journal>,
}

impl ClientContext for Outcomes {
    /// What librdkafka tells of its sequence numbers explains what a checker finds.
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        let why = format!("{facility}: {message}");
        let _ = self.journal.say(&Event::Error { number: 0, why });
    }
}

impl ProducerContext for Outcomes {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (message, error) = match result {
            Ok(message) => (message, None),
            Err((error, message)) => (message, Some(error)),
        };
        let at = Place::of(message.topic(), message.partition());
        let value = String::from_utf8_lossy(message.payload().unwrap_or_default()).into_owned();
        let event = match error {
            None => Event::Acked {
                number: 0,
                at,
                value,
                offset: message.offset(),
            },
            Some(error) => Event::Refused {
                number: 0,
                at,
                value,
                why: error.to_string(),
            },
        };
        // A journal that cannot be written shows up as records without an outcome.
        let _ = self.journal.say(&event);
    }
}

pub(super) fn run(
    options: &WorkloadOptions,
    name: &str,
    journal: &Arc<Journal>,
    quiet: &AtomicBool,
) -> Result<()> {
    let limit = DELIVERY_LIMIT.as_millis().to_string();
    let mut config = config(
        options,
        &[
            ("acks", &options.acks),
            (
                "enable.idempotence",
                if options.acks == "all" {
                    "true"
                } else {
                    "false"
                },
            ),
            ("linger.ms", "5"),
            ("message.timeout.ms", &limit),
            ("retry.backoff.ms", "50"),
        ],
    );
    config
        .set("debug", "eos")
        .set_log_level(RDKafkaLogLevel::Debug);
    let context = Outcomes {
        journal: Arc::clone(journal),
    };
    let producer: BaseProducer<Outcomes> = config.create_with_context(context)?;
    let mut dice = Dice::named(options.seed, name);
    for number in 0_u64.. {
        if quiet.load(Ordering::SeqCst) {
            break;
        }
        let partition = i32::try_from(dice.below(PARTITIONS as usize))?;
        let value = format!("{name}/{number}");
        let at = Place::of(topics::PLAIN, partition);
        journal.say(&Event::Send {
            number: 0,
            at,
            value: value.clone(),
        })?;
        let mut record = BaseRecord::<(), _>::to(topics::PLAIN)
            .partition(partition)
            .payload(&value);
        loop {
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    producer.poll(Duration::from_millis(100));
                    record = back;
                }
                Err((error, _)) => bail!("{name} cannot send: {error}"),
            }
        }
        producer.poll(options.pause);
        if let Some((code, why)) = producer.client().fatal_error() {
            bail!("{name} has given up: {code}: {why}");
        }
    }
    Ok(producer.flush(DELIVERY_LIMIT + Duration::from_secs(5))?)
}
