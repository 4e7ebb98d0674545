//! The errors of the layers below, in Kafka's codes: the one place where they meet.

use ottla_log::AppendError;
use ottla_model::ErrorCode;
use ottla_record::validate::Invalid;

/// A refusal that has no more to say than its code.
pub(crate) fn refusal(code: ErrorCode) -> Invalid {
    let message = match code {
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::UnknownTopicId => "This server does not host this topic ID.",
        ErrorCode::NotLeaderOrFollower => {
            "This broker does not lead the partition, or its log is still being recovered; ask for \
             the leader and try again."
        }
        ErrorCode::RequestTimedOut => {
            "The records are on the leader, but not yet on all replicas in sync."
        }
        ErrorCode::InvalidRequiredAcks => "acks must be 0, 1 or -1 (all).",
        ErrorCode::InvalidTopicException => "Clients cannot write internal topics.",
        ErrorCode::InvalidTxnState => "The partition was not added to the transaction.",
        ErrorCode::TransactionAbortable => {
            "The partition is not in the transaction; abort it and try again."
        }
        ErrorCode::TransactionalIdAuthorizationFailed => {
            "Records of a transaction need a transactional id in their request."
        }
        ErrorCode::InvalidProducerIdMapping => {
            "The transactional id belongs to another producer id."
        }
        ErrorCode::ConcurrentTransactions => {
            "The transaction before is still being ended; try again."
        }
        ErrorCode::NotEnoughReplicas => {
            "Fewer replicas are in sync than the topic's min.insync.replicas asks for."
        }
        ErrorCode::DuplicateSequenceNumber => {
            "The records were written long ago; where is no longer known."
        }
        other => other.name(),
    };
    Invalid {
        code,
        message: message.to_owned(),
        record_errors: Vec::new(),
    }
}

/// What a producer that does not own its id any more is told: versions before `since` of a request
/// know it by an older name.
pub(crate) fn of_fenced_producer(code: ErrorCode, version: i16, since: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced if version < since => ErrorCode::InvalidProducerEpoch,
        other => other,
    }
}

/// Why a batch was not appended.
pub(crate) fn of_append(error: &AppendError) -> Invalid {
    let code = match error {
        AppendError::StorageFull { .. } => ErrorCode::KafkaStorageError,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::InvalidTxnState { .. } => ErrorCode::InvalidTxnState,
        AppendError::TransactionCoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        AppendError::RecordListTooLarge { .. } => ErrorCode::RecordListTooLarge,
        AppendError::FencedLeaderEpoch { .. } | AppendError::Closed => {
            ErrorCode::NotLeaderOrFollower
        }
        AppendError::Invalid { .. } => ErrorCode::InvalidRecord,
        // Nobody but a replica's own leader sends such records.
        AppendError::UnexpectedOffset { .. } => ErrorCode::UnknownServerError,
    };
    Invalid {
        code,
        message: error.to_string(),
        record_errors: Vec::new(),
    }
}

/// Why records could not be read.
pub(crate) fn of_read(error: &ottla_log::Error) -> ErrorCode {
    match error {
        ottla_log::Error::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ottla_log::Error::Corrupt { .. } => ErrorCode::CorruptMessage,
        ottla_log::Error::Io { .. }
        | ottla_log::Error::Malformed { .. }
        | ottla_log::Error::Uncleanable { .. }
        | ottla_log::Error::Locked { .. } => ErrorCode::KafkaStorageError,
        ottla_log::Error::Closed { .. } => ErrorCode::NotLeaderOrFollower,
    }
}
