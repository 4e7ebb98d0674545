//! Brings the commands of this server's clients to whoever leads.
//!
//! ```text
//! outbox ─▶ no leader: waits, and gives up after a while
//!        ─▶ this server leads: the desk
//!        ─▶ another one leads: an ordered stream to it
//! ```
//!
//! When the way to the leader ends, nobody knows what of the commands on it was carried out: the
//! clients that wait for one lose their connections.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use ottla_raft::{NodeId, State};
use ottla_runtime::{Instant, Service, Shutdown};

use crate::leader::desk::Office;
use crate::members::{ForwardLink, Members};
use crate::server::Server;

/// How long after an attempt to reach the leader the next one follows.
const RETRY: Duration = Duration::from_millis(20);
/// How long clients wait for a leader, at least.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a frame to the leader holds.
const COMMANDS: u8 = 0;
const TOUCHED_SESSIONS: u8 = 1;

/// A frame to the leader, read.
pub(crate) enum Frame<'a> {
    Commands(&'a [u8]),
    Touched(Vec<i64>),
}

/// Reads a frame; commands are whole ones.
pub(crate) fn decode(frame: &[u8]) -> Result<Frame<'_>, String> {
    match frame.split_first() {
        Some((&COMMANDS, commands)) => Ok(Frame::Commands(commands)),
        Some((&TOUCHED_SESSIONS, sessions)) if sessions.len().is_multiple_of(8) => {
            let number = |bytes: &[u8]| {
                let bytes: [u8; 8] = bytes.try_into().unwrap_or_default();
                i64::from_be_bytes(bytes)
            };
            Ok(Frame::Touched(
                sessions.chunks_exact(8).map(number).collect(),
            ))
        }
        Some((kind, rest)) => Err(format!("a frame of kind {kind} with {} bytes", rest.len())),
        None => Err("an empty frame".to_owned()),
    }
}

fn commands_frame(commands: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(1 + commands.len());
    frame.put_u8(COMMANDS);
    frame.put_slice(commands);
    frame.freeze()
}

fn touched_frame(sessions: &[i64]) -> Bytes {
    let mut frame = BytesMut::with_capacity(1 + 8 * sessions.len());
    frame.put_u8(TOUCHED_SESSIONS);
    sessions.iter().for_each(|session| frame.put_i64(*session));
    frame.freeze()
}

/// The running half of the outbox.
pub(crate) struct Forwarder {
    pub(crate) server: Arc<Server>,
    pub(crate) raft: ottla_raft::Handle,
    pub(crate) members: Members,
}

/// How commands get to the leader.
enum Way {
    Here(Office),
    There(ForwardLink),
}

impl Service for Forwarder {
    async fn run(self, shutdown: Shutdown) -> Result<(), String> {
        tokio::select! {
            biased;
            () = shutdown.announced() => {}
            () = self.forward() => {}
        }
        self.server.give_up_waiting();
        Ok(())
    }
}

impl Forwarder {
    async fn forward(&self) {
        let clock = &self.server.runtime.clock;
        let mut lost_at = clock.instant();
        loop {
            if let Some(way) = self.find_way().await {
                self.server.set_has_leader(true);
                self.follow(way).await;
                self.server.set_has_leader(false);
                self.server.give_up_waiting();
                lost_at = clock.instant();
            }
            self.wait_for_leader(lost_at).await;
        }
    }

    /// The way to the leader that this server knows now.
    async fn find_way(&self) -> Option<Way> {
        let state = self.raft.state().get();
        if state.is_leader {
            return self.server.desk.office().map(Way::Here);
        }
        let link = self.members.forward(leader(&state)?, state.term);
        let mut published = self.raft.state();
        let other_leader = async {
            loop {
                let now = published.get();
                let is_same = (now.term, now.leader) == (state.term, state.leader);
                if !is_same || !published.changed().await {
                    return;
                }
            }
        };
        let taken = tokio::select! {
            biased;
            taken = link.taken() => taken,
            () = other_leader => Err("another server leads".to_owned()),
            // A leader that a majority does not answer takes nothing, and clients shall know that.
            () = self.server.runtime.clock.sleep(PATIENCE) => Err("it does not answer".to_owned()),
        };
        match taken {
            Ok(()) => Some(Way::There(link)),
            Err(reason) => {
                tracing::debug!(reason, "the leader takes no commands yet");
                None
            }
        }
    }

    /// Waits a moment for another leader; clients do not wait for ever.
    async fn wait_for_leader(&self, lost_at: Instant) {
        let clock = &self.server.runtime.clock;
        let mut state = self.raft.state();
        tokio::select! {
            biased;
            _ = state.changed() => {}
            () = clock.sleep(RETRY) => {}
        }
        // A published state may follow the other at once; a way needs a moment all the same.
        clock.sleep(Duration::from_millis(1)).await;
        let alone = clock.instant().saturating_duration_since(lost_at);
        if alone >= PATIENCE {
            self.server.give_up_waiting();
        }
        let limit = self.server.config.sync_limit_ticks * self.server.config.tick_time_ms;
        if alone >= Duration::from_millis(limit).max(PATIENCE) {
            self.server.leave_clients();
        }
    }

    /// Sends what comes until the way ends.
    async fn follow(&self, way: Way) {
        let mut state = self.raft.state();
        let term = state.get().term;
        let ended = async {
            match &way {
                Way::Here(office) => self.server.desk.leaves(*office).await,
                Way::There(link) => {
                    let reason = link.ended().await;
                    tracing::debug!(reason, "the way to the leader has ended");
                }
            }
        };
        let mut ended = std::pin::pin!(ended);
        loop {
            tokio::select! {
                biased;
                () = &mut ended => return,
                alive = state.changed() => if !alive || state.get().term != term {
                    return;
                },
                () = self.server.outbox.filled() => {
                    let sent = tokio::select! {
                        biased;
                        () = &mut ended => return,
                        sent = self.send(&way) => sent,
                    };
                    if sent.is_err() {
                        return;
                    }
                }
                sessions = self.server.touched() => {
                    match &way {
                        Way::Here(_) => {
                            let now_ms = self.server.runtime.clock.monotonic_ms();
                            self.server.liveness.touch(sessions.into_iter(), now_ms);
                        }
                        Way::There(link) => if link.send(touched_frame(&sessions)).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }

    async fn send(&self, way: &Way) -> Result<(), String> {
        let Some(commands) = self.server.outbox.take() else {
            return Ok(());
        };
        match way {
            Way::Here(office) => {
                let brought = self.server.desk.bring(*office, &commands).await;
                brought.map_err(|_| "this server leads no more".to_owned())
            }
            Way::There(link) => {
                let sent = link.send(commands_frame(&commands)).await;
                sent.map_err(|error| error.to_string())
            }
        }
    }
}

/// The leader, if it is another server.
fn leader(state: &State) -> Option<NodeId> {
    state.leader.filter(|leader| *leader != state.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back() {
        let Ok(Frame::Touched(sessions)) = decode(&touched_frame(&[1, -2])) else {
            panic!("another frame");
        };
        assert_eq!(sessions, [1, -2]);
        let frame = commands_frame(&[0, 0, 0, 1, 9]);
        assert!(matches!(decode(&frame), Ok(Frame::Commands(c)) if c == [0, 0, 0, 1, 9]));
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        for bytes in [&[][..], &[7], &[TOUCHED_SESSIONS, 1], &[9, 1, 2]] {
            assert!(decode(bytes).is_err());
        }
    }
}
