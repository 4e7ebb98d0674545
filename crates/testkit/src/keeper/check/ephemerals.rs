//! Nodes that live as long as their session: they are there while it lives, and gone when it is over.

use std::collections::BTreeMap;

use crate::keeper::history::{Answer, Entry, Event, History, Of};

/// What is known of one of them.
struct Ephemeral<'a> {
    of: Of<'a>,
    /// When somebody began to remove it.
    removal_us: Option<u64>,
    /// When it was gone for certain: it was removed, or its session had ended.
    gone_us: Option<u64>,
    /// The last moment at which its session is known to have lived.
    alive_us: u64,
}

fn ephemerals(history: &History) -> BTreeMap<&str, Ephemeral<'_>> {
    let mut all = BTreeMap::new();
    for ((client, _), entries) in history.sessions() {
        let alive_us = entries.iter().filter_map(|entry| entry.life_us());
        let alive_us = alive_us.max().unwrap_or(0);
        let closing = entries.iter().find_map(|entry| match &entry.event {
            Event::Closed(_) => Some(entry.began_us),
            _ => None,
        });
        let end_us = entries.iter().find_map(|entry| ended_us(entry));
        for entry in &entries {
            if let Event::Made(Answer::Done(path)) = &entry.event {
                all.insert(
                    path.as_str(),
                    Ephemeral {
                        of: Of { client, entry },
                        removal_us: closing,
                        gone_us: end_us,
                        alive_us,
                    },
                );
            }
        }
        for entry in &entries {
            let Event::Removed { path, answer } = &entry.event else {
                continue;
            };
            let Some(ephemeral) = all.get_mut(path.as_str()) else {
                continue;
            };
            let earlier =
                |known: Option<u64>, us: u64| Some(known.map_or(us, |known| known.min(us)));
            ephemeral.removal_us = earlier(ephemeral.removal_us, entry.began_us);
            if answer.done().is_some() {
                ephemeral.gone_us = earlier(ephemeral.gone_us, entry.ended_us);
            }
        }
    }
    all
}

/// When a session was over for certain.
fn ended_us(entry: &Entry) -> Option<u64> {
    match &entry.event {
        Event::Closed(Answer::Done(())) | Event::Resumed(Answer::Refused(_)) => {
            Some(entry.ended_us)
        }
        _ => None,
    }
}

/// Those that are not there although their session lives and nobody removed them.
pub(super) fn vanished(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let all = ephemerals(history);
    let made = all
        .iter()
        .map(|(path, ephemeral)| (ephemeral.of.entry.ended_us, *path, ephemeral));
    let mut by_made: Vec<(u64, &str, &Ephemeral<'_>)> = made.collect();
    by_made.sort_by_key(|(made_us, ..)| *made_us);
    let lives_us = |(made_us, _, ephemeral): &(u64, &str, &Ephemeral<'_>)| {
        ephemeral.alive_us.saturating_sub(*made_us)
    };
    let longest_us = by_made.iter().map(lives_us).max().unwrap_or(0);
    let in_place = |ephemeral: &Ephemeral<'_>, until_us: u64| {
        ephemeral
            .removal_us
            .is_none_or(|removal_us| removal_us > until_us)
    };
    for of in history.entries() {
        match &of.entry.event {
            // Its own session asks, and is answered: that shows that it lives.
            Event::Looked {
                path,
                answer: Answer::Done(false),
            } => {
                let missed = all.get(path.as_str());
                if missed.is_some_and(|missed| in_place(missed, of.entry.ended_us)) {
                    found.push(format!("it is not there for its own session: {of}"));
                }
            }
            Event::Removed {
                path,
                answer: Answer::Refused(why),
            } => {
                let missed = all.get(path.as_str());
                if missed.is_some_and(|missed| in_place(missed, of.entry.began_us - 1)) {
                    found.push(format!("it cannot be removed, {why}: {of}"));
                }
            }
            Event::Listed {
                synced_us,
                answer: Answer::Done(paths),
            } => {
                // Only those made so long before can still live.
                let since_us = of.entry.ended_us.saturating_sub(longest_us);
                let from = by_made.partition_point(|(made_us, ..)| *made_us < since_us);
                for (made_us, path, ephemeral) in &by_made[from..] {
                    let must_be = made_us < synced_us
                        && ephemeral.alive_us > of.entry.ended_us
                        && in_place(ephemeral, of.entry.ended_us);
                    if must_be && !paths.iter().any(|seen| seen == *path) {
                        let (client, session) = (of.client + 1, of.entry.session);
                        found.push(format!(
                            "client {client}, session {session}, misses it at {}..{}: {}",
                            of.entry.began_us, of.entry.ended_us, ephemeral.of
                        ));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// Those that are there although they were removed or their session is over.
pub(super) fn left(history: &History) -> Vec<String> {
    let mut found = Vec::new();
    let all = ephemerals(history);
    for of in history.entries() {
        let Event::Listed {
            synced_us,
            answer: Answer::Done(paths),
        } = &of.entry.event
        else {
            continue;
        };
        for path in paths {
            let Some(ephemeral) = all.get(path.as_str()) else {
                continue;
            };
            if ephemeral
                .gone_us
                .is_some_and(|gone_us| gone_us < *synced_us)
            {
                let (client, session) = (of.client + 1, of.entry.session);
                found.push(format!(
                    "client {client}, session {session}, still sees it at {}..{}: {}",
                    of.entry.began_us, of.entry.ended_us, ephemeral.of
                ));
            }
        }
    }
    for (server, tree) in history.trees.iter().enumerate() {
        let owned = tree
            .iter()
            .filter(|(_, node)| node.stat.ephemeral_owner != 0);
        found.extend(owned.map(|(path, _)| {
            format!(
                "{path} is left on server {} when all sessions are over",
                server + 1
            )
        }));
    }
    found
}
