//! Watches by session and by path, as `wchc` and `wchp` tell of them (`WatchManager`).

use std::collections::{BTreeMap, BTreeSet};

use ottla_znode::WatchSummary;

use crate::server::Server;

/// How many there are.
pub(crate) fn summary(server: &Server) -> WatchSummary {
    server.watches.lock().summary()
}

/// Which session watches which paths.
pub(crate) fn by_session(server: &Server) -> BTreeMap<i64, BTreeSet<String>> {
    let mut sessions: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for (path, watchers) in by_path(server) {
        for session in watchers {
            sessions.entry(session).or_default().insert(path.clone());
        }
    }
    sessions
}

/// Which path is watched by which sessions.
pub(crate) fn by_path(server: &Server) -> BTreeMap<String, BTreeSet<i64>> {
    // Connections first, as that lock comes before the one of the watches.
    let connections = server.connections.lock();
    let sessions = connections
        .iter()
        .map(|(number, of)| (*number, of.session()));
    let sessions: BTreeMap<u64, i64> = sessions.collect();
    drop(connections);
    let watches = server.watches.lock();
    let paths = watches.by_path().map(|(path, watchers)| {
        let watching = watchers
            .iter()
            .filter_map(|number| sessions.get(number).copied());
        (path.to_owned(), watching.collect())
    });
    paths.collect()
}
