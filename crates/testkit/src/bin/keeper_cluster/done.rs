//! How much the clients of an ensemble did.

use ottla_testkit::faults::Counts;
use ottla_testkit::keeper::history::{Answer, Event, History};
use serde_json::{Value, json};

/// How much the clients did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    clients: usize,
    writes: usize,
    acknowledged: usize,
    refused: usize,
    unknown: usize,
    reads: usize,
    events: usize,
    appended: usize,
    made: usize,
    listed: usize,
    sessions: usize,
    resumed: usize,
    expired: usize,
    longest_wait_ms: u64,
}

impl Done {
    pub(crate) fn of(history: &History) -> Done {
        let mut counts = Done {
            clients: history.clients.len(),
            ..Done::default()
        };
        let mut acknowledged_us = Vec::new();
        for of in history.entries() {
            match &of.entry.event {
                Event::Wrote { answer, .. } => {
                    counts.writes += 1;
                    match answer {
                        Answer::Done(_) => {
                            counts.acknowledged += 1;
                            acknowledged_us.push(of.entry.ended_us);
                        }
                        Answer::Refused(_) => counts.refused += 1,
                        Answer::Unknown => counts.unknown += 1,
                    }
                }
                Event::Read { answer, .. } => counts.reads += usize::from(answer.done().is_some()),
                Event::Fired { .. } => counts.events += 1,
                Event::Appended { answer, .. } => {
                    counts.appended += usize::from(answer.done().is_some());
                }
                Event::Made(answer) => counts.made += usize::from(answer.done().is_some()),
                Event::Listed { answer, .. } => {
                    counts.listed += usize::from(answer.done().is_some());
                }
                Event::Opened { .. } => counts.sessions += 1,
                Event::Resumed(Answer::Done(())) => counts.resumed += 1,
                Event::Resumed(Answer::Refused(_)) => counts.expired += 1,
                _ => {}
            }
        }
        acknowledged_us.sort_unstable();
        let waits = acknowledged_us.windows(2).map(|pair| pair[1] - pair[0]);
        counts.longest_wait_ms = waits.max().unwrap_or(0) / 1000;
        counts
    }
}

impl Counts for Done {
    fn did_all(&self) -> bool {
        let c = self;
        let each = [
            c.acknowledged,
            c.reads,
            c.events,
            c.appended,
            c.made,
            c.listed,
        ];
        each.iter().all(|count| *count > 0)
    }

    fn text(&self) -> String {
        let c = self;
        format!(
            "{} clients: {} writes of registers ({} acknowledged, {} refused, {} unknown), longest wait \
             between two acknowledgements {} ms; {} reads, {} watches fired; {} nodes kept, {} ephemerals, \
             {} lists of those; {} sessions, {} resumed, {} found to be over",
            c.clients,
            c.writes,
            c.acknowledged,
            c.refused,
            c.unknown,
            c.longest_wait_ms,
            c.reads,
            c.events,
            c.appended,
            c.made,
            c.listed,
            c.sessions,
            c.resumed,
            c.expired
        )
    }

    fn json(&self) -> Value {
        let c = self;
        json!({
            "clients": c.clients,
            "writes": { "asked": c.writes, "acknowledged": c.acknowledged, "refused": c.refused, "unknown": c.unknown },
            "reads": c.reads,
            "watches_fired": c.events,
            "znodes": { "kept": c.appended, "ephemeral": c.made, "lists": c.listed },
            "sessions": { "opened": c.sessions, "resumed": c.resumed, "over": c.expired },
            "longest_wait_ms": c.longest_wait_ms,
        })
    }
}
