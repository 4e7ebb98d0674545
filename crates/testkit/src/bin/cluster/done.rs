//! How much the clients of a cluster did.

use ottla_testkit::faults::Counts;
use ottla_testkit::history::{Event, History, Role};
use serde_json::{Value, json};

/// How much the clients did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    sent: usize,
    acknowledged: usize,
    refused: usize,
    committed: usize,
    aborted: usize,
    read: usize,
    offsets_committed: usize,
    offsets_told: usize,
    clients: usize,
    longest_wait_ms: u64,
    pub(crate) written_again: usize,
}

impl Done {
    /// Takes in what clients did.
    pub(crate) fn count(&mut self, history: &History) {
        let counts = self;
        counts.clients = history.clients.len();
        for client in &history.clients {
            let mut last_ack_us = None;
            for entry in &client.entries {
                match &entry.event {
                    Event::Send { .. } => counts.sent += 1,
                    Event::Acked { number, .. } => {
                        counts.acknowledged += 1;
                        if client.role == Role::Producer && *number == 0 {
                            let before = last_ack_us.replace(entry.at_us).unwrap_or(entry.at_us);
                            let wait_ms = entry.at_us.saturating_sub(before) / 1000;
                            counts.longest_wait_ms = counts.longest_wait_ms.max(wait_ms);
                        }
                    }
                    Event::Refused { .. } => counts.refused += 1,
                    Event::Committed { .. } => counts.committed += 1,
                    Event::Aborted { .. } => counts.aborted += 1,
                    Event::Read { .. } => counts.read += 1,
                    Event::OffsetCommitted { .. } => counts.offsets_committed += 1,
                    Event::OffsetTold { .. } => counts.offsets_told += 1,
                    _ => {}
                }
            }
        }
    }
}

impl Counts for Done {
    fn did_all(&self) -> bool {
        self.acknowledged > 0
    }

    fn text(&self) -> String {
        let c = self;
        let mut text = format!(
            "{} clients: {} records sent, {} acknowledged, {} refused; {} transactions committed, {} \
             aborted; {} records read; {} offsets committed, {} asked for; longest wait between two \
             acknowledgements {} ms",
            c.clients,
            c.sent,
            c.acknowledged,
            c.refused,
            c.committed,
            c.aborted,
            c.read,
            c.offsets_committed,
            c.offsets_told,
            c.longest_wait_ms
        );
        if self.written_again > 0 {
            let again = self.written_again;
            text +=
                &format!("\n{again} records were written again by their clients in a new epoch");
        }
        text
    }

    fn json(&self) -> Value {
        let c = self;
        json!({
            "clients": c.clients,
            "records": { "sent": c.sent, "acknowledged": c.acknowledged, "refused": c.refused, "read": c.read },
            "transactions": { "committed": c.committed, "aborted": c.aborted },
            "offsets": { "committed": c.offsets_committed, "asked": c.offsets_told },
            "written_again_by_clients": c.written_again,
            "longest_wait_ms": c.longest_wait_ms,
        })
    }
}
