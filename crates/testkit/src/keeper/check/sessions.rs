//! A session lives for its timeout, counted from when a server last heard of its client.

use crate::keeper::history::{Answer, Event, History, Of};

/// A server tells the leader whom it has heard a few times in each tick, if it lives so long.
const TOLD_WITHIN_US: u64 = 1_000_000;

/// Sessions that were over before their time.
pub(super) fn early(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for ((client, _), entries) in history.sessions() {
        let (mut timeout_us, mut heard_us, mut is_closing) = (0, 0, false);
        for entry in entries {
            match &entry.event {
                Event::Opened { timeout_ms } => timeout_us = timeout_ms * 1000,
                Event::Closed(_) => is_closing = true,
                Event::Resumed(Answer::Refused(_)) if !is_closing => {
                    let silent_us = entry.ended_us.saturating_sub(heard_us);
                    if silent_us < timeout_us {
                        let of = Of { client, entry };
                        found.push(format!(
                            "over after {silent_us} µs of silence instead of {timeout_us}: {of}"
                        ));
                    }
                }
                _ => {}
            }
            let is_leaders = matches!(entry.event, Event::Opened { .. } | Event::Resumed(_));
            let told_us = if is_leaders { 0 } else { TOLD_WITHIN_US };
            if let Some(life_us) = entry.life_us() {
                heard_us = heard_us.max(life_us.saturating_sub(told_us));
            }
        }
    }
    found
}
