//! Sessions and when they end, as `dump` tells of them (`ExpiryQueue`).

use std::collections::BTreeMap;

use crate::server::Server;

/// What ends at the same moment, by that moment in milliseconds since the epoch.
pub(crate) type Expiring<T> = BTreeMap<i64, Vec<T>>;

/// The sessions as a server knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sessions {
    /// The leader, and a server alone, know when each of them ends.
    Tracked(Expiring<i64>),
    /// Others know their timeouts, in milliseconds.
    Known(Vec<(i64, i32)>),
}

impl Sessions {
    pub(crate) fn read(server: &Server) -> Sessions {
        let Some(until) = server.liveness.expiring() else {
            return Sessions::Known(server.tree.sessions());
        };
        let clock = &server.runtime.clock;
        let offset_ms = clock.now_ms() - clock.monotonic_ms();
        let ends = until
            .into_iter()
            .map(|(session, until_ms)| (until_ms + offset_ms, session));
        Sessions::Tracked(expiring(ends, server.config.tick_time_ms))
    }
}

/// Puts together what ends in the same tick: ends are told as the ends of ticks.
pub(crate) fn expiring<T>(ends: impl Iterator<Item = (i64, T)>, tick_ms: u64) -> Expiring<T> {
    let tick_ms = i64::try_from(tick_ms).unwrap_or(i64::MAX).max(1);
    let mut expiring = Expiring::new();
    for (end_ms, what) in ends {
        let tick_end_ms = (end_ms / tick_ms).saturating_add(1).saturating_mul(tick_ms);
        expiring
            .entry(tick_end_ms)
            .or_insert_with(Vec::new)
            .push(what);
    }
    expiring
}

/// The ephemeral nodes of all sessions that have some.
pub(crate) fn ephemerals(server: &Server) -> BTreeMap<i64, Vec<String>> {
    let tree = server.tree.read();
    let owners = tree.ephemeral_owners();
    let mut all = BTreeMap::new();
    for (session, _) in owners {
        let mut paths = tree.get_ephemerals(None, session);
        paths.sort_unstable();
        all.insert(session, paths);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_in_the_same_tick_ends_together() {
        let ends = [(1_999, 'a'), (2_000, 'b'), (3_999, 'c'), (4_000, 'd')];
        let expiring = expiring(ends.into_iter(), 2_000);
        let wanted = [
            (2_000, vec!['a']),
            (4_000, vec!['b', 'c']),
            (6_000, vec!['d']),
        ];
        assert_eq!(expiring, Expiring::from(wanted));
    }
}
