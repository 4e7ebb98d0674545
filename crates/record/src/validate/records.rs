//! What is checked of each record.

use ottla_model::{ErrorCode, NO_TIMESTAMP, TimestampMs};

use super::{Invalid, MAX_RECORD_ERRORS, RecordError, Rules};
use crate::record::{Frame, timestamp_of, walk};
use crate::{BatchHeader, Error, TimestampType};

/// Walks the records of a client's batch. Returns the largest of their timestamps.
pub(super) fn check_records(
    header: &BatchHeader,
    records: &[u8],
    rules: &Rules,
) -> Result<TimestampMs, Invalid> {
    let mut errors = RecordErrors::default();
    let mut max_timestamp = NO_TIMESTAMP;
    walk(header, records, |index, frame| {
        if frame.offset_delta != index {
            return Err(Error::Record {
                index,
                reason: "its offset is not the one behind that of the record before",
            });
        }
        let timestamp = timestamp_of(header, frame);
        max_timestamp = max_timestamp.max(timestamp);
        if let Some((code, message)) = check_record(header, frame, timestamp, rules) {
            errors.add(index, code, message);
        }
        Ok(())
    })?;
    errors.into_result()?;
    Ok(max_timestamp)
}

#[inline]
fn check_record(
    header: &BatchHeader,
    frame: &Frame,
    timestamp: TimestampMs,
    rules: &Rules,
) -> Option<(ErrorCode, Message)> {
    if rules.compacted && frame.key.is_none() {
        return Some((ErrorCode::InvalidRecord, Message::NoKey));
    }
    if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Some((ErrorCode::InvalidTimestamp, Message::LogAppendTime));
    }
    if rules.timestamp_type == TimestampType::LogAppendTime || timestamp == NO_TIMESTAMP {
        return None;
    }
    let age_ms = rules.now_ms.saturating_sub(timestamp);
    if age_ms > rules.before_max_ms || age_ms.saturating_neg() > rules.after_max_ms {
        let from = rules.now_ms.saturating_sub(rules.before_max_ms);
        let to = rules.now_ms.saturating_add(rules.after_max_ms);
        return Some((
            ErrorCode::InvalidTimestamp,
            Message::OutOfRange {
                timestamp,
                from,
                to,
            },
        ));
    }
    None
}

/// Texts are only made for errors that are listed.
enum Message {
    NoKey,
    LogAppendTime,
    OutOfRange {
        timestamp: TimestampMs,
        from: TimestampMs,
        to: TimestampMs,
    },
}

impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Message::NoKey => f.write_str("Compacted topic cannot accept message without key"),
            Message::LogAppendTime => f.write_str(
                "Invalid timestamp type: a producer should not set the timestamp type to \
                 LogAppendTime",
            ),
            Message::OutOfRange {
                timestamp,
                from,
                to,
            } => write!(
                f,
                "Timestamp {timestamp} is out of range. The timestamp should be within [{from}, \
                 {to}]"
            ),
        }
    }
}

#[derive(Default)]
struct RecordErrors {
    listed: Vec<RecordError>,
    count: usize,
    any_timestamp: bool,
}

impl RecordErrors {
    #[cold]
    fn add(&mut self, batch_index: i32, code: ErrorCode, message: Message) {
        self.count += 1;
        self.any_timestamp |= code == ErrorCode::InvalidTimestamp;
        if self.listed.len() < MAX_RECORD_ERRORS {
            self.listed.push(RecordError {
                batch_index,
                message: message.to_string(),
            });
        }
    }

    /// As in Kafka, one wrong timestamp decides the code for the partition.
    fn into_result(self) -> Result<(), Invalid> {
        if self.count == 0 {
            return Ok(());
        }
        let (code, why) = if self.any_timestamp {
            (
                ErrorCode::InvalidTimestamp,
                "an invalid timestamp".to_owned(),
            )
        } else {
            (
                ErrorCode::InvalidRecord,
                format!("{} record errors", self.count),
            )
        };
        Err(Invalid {
            code,
            message: format!("One or more records have been rejected due to {why}"),
            record_errors: self.listed,
        })
    }
}
