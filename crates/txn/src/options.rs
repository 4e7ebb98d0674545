//! What an operator may set about transactions.

/// The limits and intervals of transactions. The names follow Kafka's properties.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `transaction.max.timeout.ms`: producers that ask for more are refused.
    pub transaction_timeout_ms_max: i32,
    /// `transactional.id.expiration.ms`: how long an unused transactional id is remembered.
    pub transactional_id_expiration_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`: the least time between two
    /// looks for transactions that have been open for too long.
    pub abort_timed_out_interval_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`: how often unused
    /// transactional ids are looked for.
    pub remove_expired_interval_ms: i64,
    /// `transaction.two.phase.commit.enable`: whether producers may ask for transactions without a
    /// timeout (KIP-939).
    pub two_phase_commit: bool,
    /// How long the first retry of a marker or of a completion waits; each further one waits twice
    /// as long, up to [`Options::retry_backoff_ms_max`].
    pub retry_backoff_ms: i64,
    /// The longest wait between two retries.
    pub retry_backoff_ms_max: i64,
}

/// Kafka's defaults.
impl Default for Options {
    fn default() -> Self {
        Options {
            transaction_timeout_ms_max: 900_000,
            transactional_id_expiration_ms: 7 * 24 * 60 * 60 * 1_000,
            abort_timed_out_interval_ms: 10_000,
            remove_expired_interval_ms: 60 * 60 * 1_000,
            two_phase_commit: false,
            retry_backoff_ms: 20,
            retry_backoff_ms_max: 1_000,
        }
    }
}
