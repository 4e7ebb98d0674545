//! What transactions move from one topic to another arrives once, in order, and exactly as far as the
//! offset says that was committed with it.

use crate::history::{History, Place};

/// Partitions whose moved records are not the prefix of the source that the committed offset names.
pub(super) fn moves(history: &History) -> Vec<String> {
    let Some(moves) = &history.moves else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (place, source) in history
        .stored
        .iter()
        .filter(|(place, _)| place.topic == moves.from)
    {
        let to = Place::of(&moves.to, place.partition);
        let key = (moves.group.clone(), place.clone());
        let committed = history.group_offsets.get(&key).copied().unwrap_or(0).max(0);
        let wanted: Vec<&String> = source
            .committed
            .range(..committed)
            .map(|(_, v)| v)
            .collect();
        let stored = history.stored.get(&to);
        let moved: Vec<&String> = stored
            .into_iter()
            .flat_map(|s| s.committed.values())
            .collect();
        if moved == wanted {
            continue;
        }
        let same = moved
            .iter()
            .zip(&wanted)
            .take_while(|(a, b)| a == b)
            .count();
        let (count, all) = (moved.len(), wanted.len());
        found.push(format!(
            "{to} has {count} records of the {all} that the offset {committed} of {place} stands for; \
             they differ from number {same} on: {:?} instead of {:?}",
            moved.get(same), wanted.get(same)
        ));
    }
    found
}
