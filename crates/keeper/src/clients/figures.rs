//! What is counted of one connection (`cons`), with atomics alone.

use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering};

use ottla_jute::OpCode;
use ottla_runtime::Instant;

use crate::monitor::micros;

/// No request was answered yet; no code of a request is below.
const NO_OP: i32 = i32::MIN;

/// What is counted of one connection.
pub(crate) struct Figures {
    established_ms: i64,
    established: Instant,
    received: AtomicU64,
    sent: AtomicU64,
    answered: AtomicU64,
    total_us: AtomicU64,
    min_us: AtomicU64,
    max_us: AtomicU64,
    last_op: AtomicI32,
    last_cxid: AtomicI32,
    last_zxid: AtomicI64,
    /// After the connection was established.
    last_at_us: AtomicU64,
    last_latency_us: AtomicU64,
}

/// A request that was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) op: OpCode,
    pub(crate) xid: i32,
    pub(crate) zxid: i64,
    pub(crate) at: Instant,
    pub(crate) latency_us: u64,
}

/// The figures of one moment. Latencies are in whole milliseconds, as ZooKeeper has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FiguresRead {
    pub(crate) established_ms: i64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) last_op: &'static str,
    /// -1 after a reset.
    pub(crate) last_cxid: i32,
    pub(crate) last_zxid: i64,
    /// When the last request was answered, in milliseconds since the epoch; 0 if none was.
    pub(crate) last_response_ms: i64,
    pub(crate) last_latency_ms: u64,
    pub(crate) min_latency_ms: u64,
    pub(crate) avg_latency_ms: u64,
    pub(crate) max_latency_ms: u64,
}

impl Figures {
    pub(crate) fn new(now: Instant, now_ms: i64) -> Self {
        Figures {
            established_ms: now_ms,
            established: now,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            total_us: AtomicU64::new(0),
            min_us: AtomicU64::new(u64::MAX),
            max_us: AtomicU64::new(0),
            last_op: AtomicI32::new(NO_OP),
            last_cxid: AtomicI32::new(0),
            last_zxid: AtomicI64::new(0),
            last_at_us: AtomicU64::new(0),
            last_latency_us: AtomicU64::new(0),
        }
    }

    pub(crate) fn count_received(&self, frames: usize) {
        self.received.fetch_add(frames as u64, Ordering::Relaxed);
    }

    /// Something was sent that has no latency.
    pub(crate) fn count_sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_answer(&self, last: Answered) {
        let us = last.latency_us;
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.answered.fetch_add(1, Ordering::Relaxed);
        self.total_us.fetch_add(us, Ordering::Relaxed);
        if us < self.min_us.load(Ordering::Relaxed) {
            self.min_us.fetch_min(us, Ordering::Relaxed);
        }
        if us > self.max_us.load(Ordering::Relaxed) {
            self.max_us.fetch_max(us, Ordering::Relaxed);
        }
        let at = last.at.saturating_duration_since(self.established);
        self.last_op.store(last.op.code(), Ordering::Relaxed);
        // Pings and the like have numbers below 0, and hide no request of the client.
        if last.xid >= 0 {
            self.last_cxid.store(last.xid, Ordering::Relaxed);
        }
        self.last_zxid.store(last.zxid, Ordering::Relaxed);
        self.last_at_us.store(micros(at).max(1), Ordering::Relaxed);
        self.last_latency_us.store(us, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> FiguresRead {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let answered = of(&self.answered);
        let at_ms = match of(&self.last_at_us) {
            0 => 0,
            us => self.established_ms + i64::try_from(us / 1_000).unwrap_or(0),
        };
        FiguresRead {
            established_ms: self.established_ms,
            received: of(&self.received),
            sent: of(&self.sent),
            last_op: last_op(self.last_op.load(Ordering::Relaxed)),
            last_cxid: self.last_cxid.load(Ordering::Relaxed),
            last_zxid: self.last_zxid.load(Ordering::Relaxed),
            last_response_ms: at_ms,
            last_latency_ms: of(&self.last_latency_us) / 1_000,
            min_latency_ms: if answered == 0 {
                0
            } else {
                of(&self.min_us) / 1_000
            },
            avg_latency_ms: of(&self.total_us).checked_div(answered).unwrap_or(0) / 1_000,
            max_latency_ms: of(&self.max_us) / 1_000,
        }
    }

    /// `crst`
    pub(crate) fn reset(&self) {
        for number in [&self.received, &self.sent, &self.answered, &self.total_us] {
            number.store(0, Ordering::Relaxed);
        }
        for number in [&self.max_us, &self.last_at_us, &self.last_latency_us] {
            number.store(0, Ordering::Relaxed);
        }
        self.min_us.store(u64::MAX, Ordering::Relaxed);
        self.last_op.store(NO_OP, Ordering::Relaxed);
        self.last_cxid.store(-1, Ordering::Relaxed);
        self.last_zxid.store(-1, Ordering::Relaxed);
    }
}

/// ZooKeeper's short name of an operation (`FinalRequestProcessor`).
fn last_op(code: i32) -> &'static str {
    let Ok(op) = OpCode::try_from(code) else {
        return "NA";
    };
    match op {
        OpCode::Ping => "PING",
        OpCode::CreateSession => "SESS",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::Create | OpCode::Create2 | OpCode::CreateTtl | OpCode::CreateContainer => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::SetData => "SETD",
        OpCode::Reconfig => "RECO",
        OpCode::SetAcl => "SETA",
        OpCode::CloseSession => "CLOS",
        OpCode::Sync => "SYNC",
        OpCode::Check => "CHEC",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::AddWatch => "ADDW",
        OpCode::GetAcl => "GETA",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::CheckWatches => "CHKW",
        OpCode::RemoveWatches => "REMW",
        OpCode::WhoAmI => "HOMI",
        OpCode::GetEphemerals => "GETE",
        OpCode::Notification | OpCode::Auth | OpCode::Sasl | OpCode::Error => "NA",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn figures_tell_the_last_request_and_the_spread_of_latencies() {
        let began = Instant::now();
        let figures = Figures::new(began, 1_000_000);
        assert_eq!(
            (figures.read().last_op, figures.read().min_latency_ms),
            ("NA", 0)
        );
        figures.count_received(2);
        for (op, xid, latency_us) in [(OpCode::GetData, 7, 9_500), (OpCode::Ping, -2, 2_600)] {
            figures.count_answer(Answered {
                op,
                xid,
                zxid: 77,
                at: began + Duration::from_millis(40),
                latency_us,
            });
        }
        figures.count_sent();
        let read = figures.read();
        assert_eq!((read.received, read.sent, read.last_op), (2, 3, "PING"));
        assert_eq!(
            (read.last_cxid, read.last_zxid),
            (7, 77),
            "a ping hides no request"
        );
        assert_eq!(
            (read.last_response_ms, read.last_latency_ms),
            (1_000_040, 2)
        );
        let spread = (
            read.min_latency_ms,
            read.avg_latency_ms,
            read.max_latency_ms,
        );
        assert_eq!(spread, (2, 6, 9));
        figures.reset();
        let read = figures.read();
        assert_eq!((read.received, read.sent, read.last_op), (0, 0, "NA"));
        assert_eq!(
            (read.last_cxid, read.last_zxid, read.max_latency_ms),
            (-1, -1, 0)
        );
    }
}
