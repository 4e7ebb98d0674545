//! Ask a component and wait for its reply: the only form in which a long-lived component is called.
//!
//! ```text
//! Caller ──(request)──▶ Inbox ─▶ the one owner of the state
//!    ▲                              │
//!    └────────(reply)── Responder ◀─┘
//! ```
//!
//! Architecture invariant: components expose a handle with methods; channels stay inside.

use tokio::sync::{mpsc, oneshot};

/// The component that should answer is gone: the node is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the component that should answer has stopped")
    }
}

impl std::error::Error for Gone {}

/// The asking side. Cheap to clone.
pub struct Caller<Req, Rep>(mpsc::Sender<(Req, Responder<Rep>)>);

impl<Req, Rep> Clone for Caller<Req, Rep> {
    fn clone(&self) -> Self {
        Caller(self.0.clone())
    }
}

/// The answering side; its component owns it alone.
pub struct Inbox<Req, Rep>(mpsc::Receiver<(Req, Responder<Rep>)>);

/// Where one reply goes. Dropping it unanswered tells the caller [`Gone`].
pub struct Responder<Rep>(oneshot::Sender<Rep>);

/// Makes both sides. At most `capacity` requests wait; further callers wait for room.
#[must_use]
pub fn mailbox<Req, Rep>(capacity: usize) -> (Caller<Req, Rep>, Inbox<Req, Rep>) {
    let (tx, rx) = mpsc::channel(capacity);
    (Caller(tx), Inbox(rx))
}

impl<Req, Rep> Caller<Req, Rep> {
    /// Asks, and waits for the reply.
    pub async fn call(&self, request: Req) -> Result<Rep, Gone> {
        self.send(request).await?.wait().await
    }

    /// Puts the request into the mailbox (in the order of the calls) and returns where its reply
    /// will come, so that the caller can go on meanwhile.
    pub async fn send(&self, request: Req) -> Result<Pending<Rep>, Gone> {
        let (tx, rx) = oneshot::channel();
        self.0
            .send((request, Responder(tx)))
            .await
            .map_err(|_| Gone)?;
        Ok(Pending(rx))
    }
}

/// A reply that is still to come.
pub struct Pending<Rep>(oneshot::Receiver<Rep>);

impl<Rep> Pending<Rep> {
    /// Waits for it.
    pub async fn wait(self) -> Result<Rep, Gone> {
        self.0.await.map_err(|_| Gone)
    }
}

impl<Req, Rep> Inbox<Req, Rep> {
    /// The next request, or `None` when every caller is gone.
    pub async fn recv(&mut self) -> Option<(Req, Responder<Rep>)> {
        self.0.recv().await
    }

    /// The next request if one waits already.
    pub fn try_recv(&mut self) -> Option<(Req, Responder<Rep>)> {
        self.0.try_recv().ok()
    }
}

impl<Rep> Responder<Rep> {
    /// Answers. A caller that no longer waits is no error.
    pub fn send(self, reply: Rep) {
        // The caller may have gone away; nobody is left to tell.
        drop(self.0.send(reply));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reply_reaches_its_caller_and_a_dropped_responder_says_gone() {
        let (caller, mut inbox) = mailbox::<u32, u32>(4);
        let owner = tokio::spawn(async move {
            let (n, to) = inbox.recv().await.unwrap();
            to.send(n + 1);
            let (_, to) = inbox.recv().await.unwrap();
            drop(to);
        });
        assert_eq!(caller.call(1).await, Ok(2));
        assert_eq!(caller.call(1).await, Err(Gone));
        owner.await.unwrap();
        assert_eq!(caller.call(1).await, Err(Gone));
    }
}
