//! The servers of the ensemble, as `conf` and AdminServer tell of them.

use ottla_config::KeeperServer;

use crate::monitor::reading::is_alone;
use crate::server::Server;

/// The servers of the ensemble, and the change that has set them; none for a server alone.
pub(crate) fn read(server: &Server) -> Option<(Vec<KeeperServer>, i64)> {
    if is_alone(server) {
        return None;
    }
    let tree = server.tree.read();
    let servers = crate::reconfig::servers(&tree);
    let version = tree.config_version();
    drop(tree);
    if servers.is_empty() {
        // The first leader has not written them down yet.
        let config = &server.config;
        return Some((config.servers.clone(), config.dynamic_config_version));
    }
    Some((servers.into_values().collect(), version))
}
