//! What can be wrong with a record of `__transaction_state`.

use ottla_model::ErrorCode;

/// A record that cannot be understood. The other records of the partition stay usable; whether to
/// go on without this one is the driver's decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The key or the value ends early or contradicts its format.
    #[error(
        "a record of __transaction_state is corrupt: {what} cannot be read ({reason}); the partition's log needs a look"
    )]
    Corrupt {
        /// The key or value, by the name of its format.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The value is of a version that this release does not know.
    #[error(
        "a record of __transaction_state has {what} version {version}, which is newer than this release; upgrade before reading it"
    )]
    UnknownValueVersion {
        /// The value, by the name of its format.
        what: &'static str,
        /// Its version.
        version: i16,
    },
}

/// What a producer is told when its transaction's record could not be made durable. The log's own
/// codes would mean something else to it, so Kafka translates them.
#[must_use]
pub fn append_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
        other => other,
    }
}
