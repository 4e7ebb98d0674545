//! Which rules a transaction follows.

/// The level of the feature `transaction.version` that a client speaks (KIP-890).
///
/// | level | what it means |
/// |---|---|
/// | 0 | the original protocol: one epoch for all transactions of a producer |
/// | 1 | the same for clients; records of `__transaction_state` have flexible fields |
/// | 2 | every end of a transaction bumps the epoch, so that nothing late touches the next one |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionVersion(pub i16);

impl TransactionVersion {
    /// What clients before Kafka 4.0 speak.
    pub const V0: TransactionVersion = TransactionVersion(0);
    /// What clients from Kafka 4.0 on speak, and what this coordinator does on its own behalf.
    pub const V2: TransactionVersion = TransactionVersion(2);
    /// The level of this node.
    pub const LATEST: TransactionVersion = TransactionVersion::V2;

    /// Whether the end of a transaction bumps the producer's epoch.
    #[must_use]
    pub const fn bumps_epoch(self) -> bool {
        self.0 >= 2
    }
}
