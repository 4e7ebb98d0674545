//! Client quotas: which limit holds for a client, and how long it has to pause.
//!
//! ```text
//! (user, client id) ──▶ QuotaRules::limit ──▶ Limit { bound, share }
//!                                                     │
//!                         Shares::meter(share) ◀──────┘   one meter for all connections of a share
//!                                │
//!             WindowedRate (bytes, time, connections) or TokenBucket (mutations)
//!                                │
//!                                ▼
//!                         throttle_ms: the pause that brings the client back to its bound
//! ```
//!
//! The numbers are Kafka's: a rate over `quota.window.num` windows of `quota.window.size.seconds`
//! (KIP-13, KIP-124, KIP-612), a token bucket for mutations (KIP-599).

mod rate;
mod rules;
mod shares;
mod tokens;

pub use rate::WindowedRate;
pub use rules::{Limit, QuotaRules, Share};
pub use shares::{MAX_SHARES, Meter, Shares};
pub use tokens::TokenBucket;

/// Over which time rates are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many samples are kept (`quota.window.num`), at least 1.
    pub samples: u32,
    /// The length of each (`quota.window.size.seconds`) in milliseconds, at least 1.
    pub sample_ms: i64,
}

impl Window {
    /// The windows of these two properties.
    #[must_use]
    pub fn new(samples: i32, sample_seconds: i32) -> Self {
        Window {
            samples: samples.max(1).unsigned_abs(),
            sample_ms: i64::from(sample_seconds.max(1)) * 1000,
        }
    }

    /// All samples together, in milliseconds.
    #[must_use]
    pub fn span_ms(self) -> i64 {
        self.sample_ms.saturating_mul(self.samples.into())
    }
}

/// A pause in whole milliseconds; longer ones than the protocol can tell are cut.
fn pause_ms(ms: f64) -> i32 {
    // The cast cuts what does not fit, and takes what is no number for none.
    ms.round().max(0.0) as i32
}
