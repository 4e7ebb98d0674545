//! The announcement that the node ends.

use tokio_util::sync::CancellationToken;

/// Announced once; everything that runs for long waits for it beside its work.
#[derive(Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A new one, not yet announced.
    #[must_use]
    pub fn new() -> Self {
        Shutdown::default()
    }

    /// One that is announced with its parent, or earlier by itself.
    #[must_use]
    pub fn child(&self) -> Self {
        Shutdown(self.0.child_token())
    }

    /// Announces the end. Saying it twice is harmless.
    pub fn announce(&self) {
        self.0.cancel();
    }

    /// Whether the end was announced.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the announcement.
    pub async fn announced(&self) {
        self.0.cancelled().await;
    }
}
