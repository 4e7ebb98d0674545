//! What a group has committed stays committed.

use std::collections::BTreeMap;

use crate::history::{Event, History, Place, Role};

/// A commit of one member: when it was sent, and when it was acknowledged, if it was.
#[derive(Clone, Copy, Debug)]
struct Commit {
    sent_us: u64,
    acked_us: Option<u64>,
    offset: i64,
}

/// Answers about committed offsets that no commit explains: at the time of the question there was a
/// later one that had been acknowledged already. Each partition's offset is a register; an answer must
/// be the value of a write that no other write had certainly replaced. While a coordinator may not know
/// of its successor ([`History::unaware`]) a question counts as asked before that.
pub(super) fn went_back(history: &History) -> Vec<String> {
    let mut commits: BTreeMap<(&str, &Place), Vec<Commit>> = BTreeMap::new();
    for client in &history.clients {
        let Role::Member { group } = &client.role else {
            continue;
        };
        for entry in &client.entries {
            match &entry.event {
                Event::CommitOffset { at, offset } => {
                    let sent_us = entry.at_us;
                    let commit = Commit {
                        sent_us,
                        acked_us: None,
                        offset: *offset,
                    };
                    commits.entry((group, at)).or_default().push(commit);
                }
                Event::OffsetCommitted { at, offset } => {
                    let own = commits.entry((group, at)).or_default();
                    let sent = own.iter_mut().rev().find(|c| c.offset == *offset);
                    if let Some(commit) = sent {
                        commit.acked_us.get_or_insert(entry.at_us);
                    }
                }
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    for client in &history.clients {
        let Role::Observer { group } = &client.role else {
            continue;
        };
        let mut asked_us: BTreeMap<&Place, u64> = BTreeMap::new();
        for entry in &client.entries {
            match &entry.event {
                Event::AskOffset { at } => {
                    asked_us.insert(at, entry.at_us);
                }
                Event::OffsetTold { at, offset } => {
                    let asked = asked_us.get(at).copied().unwrap_or(0);
                    let asked = known_until(&history.unaware, asked);
                    let writes = commits
                        .get(&(group.as_str(), at))
                        .map_or(&[][..], Vec::as_slice);
                    if let Some(later) = contradiction(writes, asked, entry.at_us, *offset) {
                        found.push(format!(
                            "{group} had committed {} of {at}, and {} was told {offset} later",
                            later.offset, client.name
                        ));
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// The last moment whose commits whoever was asked then certainly knows.
fn known_until(unaware: &[(u64, u64)], asked_us: u64) -> u64 {
    let around = unaware
        .iter()
        .filter(|(from, until)| (*from..*until).contains(&asked_us));
    around.map(|(from, _)| *from).min().unwrap_or(asked_us)
}

/// The commit that makes this answer impossible, if there is one. No offset at all is -1: it was true
/// at the beginning.
fn contradiction(writes: &[Commit], asked_us: u64, told_us: u64, told: i64) -> Option<Commit> {
    let nothing = Commit {
        sent_us: 0,
        acked_us: Some(0),
        offset: -1,
    };
    let mut candidates: Vec<Commit> = writes
        .iter()
        .copied()
        .filter(|w| w.offset == told && w.sent_us <= told_us)
        .collect();
    if told < 0 {
        candidates.push(nothing);
    }
    let replaced_by = |candidate: &Commit| {
        let end = candidate.acked_us?;
        let certainly_later =
            |w: &&Commit| w.sent_us > end && w.acked_us.is_some_and(|acked| acked < asked_us);
        writes.iter().find(certainly_later).copied()
    };
    let refutations: Vec<Option<Commit>> = candidates.iter().map(replaced_by).collect();
    if refutations.iter().any(Option::is_none) {
        return None;
    }
    // An offset that nobody ever committed is refuted by whatever was.
    let any = writes
        .iter()
        .find(|w| w.acked_us.is_some_and(|acked| acked < asked_us));
    refutations.into_iter().flatten().next().or(any.copied())
}
