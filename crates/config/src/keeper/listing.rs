//! The configuration as ZooKeeper tells it: the four-letter word `conf`.

use std::fmt::Write as _;

use super::{KeeperConfig, KeeperPeerType, KeeperServer};

/// What only a running server knows.
#[derive(Debug, Clone)]
pub struct ConfFacts<'a> {
    /// The server's number.
    pub my_id: i64,
    /// The plaintext port that is open, if there is one.
    pub client_port: Option<u16>,
    /// The TLS port that is open, if there is one.
    pub secure_client_port: Option<u16>,
    /// How many bytes are in the folder of snapshots.
    pub data_dir_bytes: u64,
    /// How many bytes are in the folder of the log.
    pub data_log_bytes: u64,
    /// The ensemble as it is now, and the zxid of its last change; none for a server alone.
    pub ensemble: Option<(&'a [KeeperServer], i64)>,
}

impl KeeperConfig {
    /// The answer to `conf` (`ConfCommand`, `ZooKeeperServer.dumpConf` and `QuorumPeer`).
    ///
    /// An ensemble's lines end without a newline, as in ZooKeeper.
    #[must_use]
    pub fn conf(&self, facts: &ConfFacts<'_>) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(out, "{name}={value}");
        };
        let port = |port: Option<u16>| port.map_or(-1, i32::from);
        line("clientPort", &port(facts.client_port));
        line("secureClientPort", &port(facts.secure_client_port));
        line("dataDir", &self.storage.data_dir);
        line("dataDirSize", &facts.data_dir_bytes);
        line("dataLogDir", &self.storage.data_log_dir);
        line("dataLogSize", &facts.data_log_bytes);
        line("tickTime", &self.tick_time_ms);
        let per_ip = self.limits.connections_per_ip_max.unwrap_or(0);
        line("maxClientCnxns", &per_ip);
        line("minSessionTimeout", &self.session_timeout_ms_min);
        line("maxSessionTimeout", &self.session_timeout_ms_max);
        line("clientPortListenBacklog", &-1);
        line("serverId", &facts.my_id);
        let Some((servers, version)) = facts.ensemble else {
            return out;
        };
        let own = servers.iter().find(|server| server.id == facts.my_id);
        let address = own.and_then(|server| server.addresses.first());
        let is_observer = own.is_some_and(|own| own.peer_type == KeeperPeerType::Observer);
        line("initLimit", &self.init_limit_ticks);
        line("syncLimit", &self.sync_limit_ticks);
        line("electionAlg", &3);
        line("electionPort", &address.map_or(0, |a| a.election_port));
        line("quorumPort", &address.map_or(0, |a| a.peer_port));
        line("peerType", &u8::from(is_observer));
        out.push_str("membership: \n");
        out.push_str(&config_text(servers, version));
        out
    }
}

/// The contents of the znode `/zookeeper/config` (`QuorumMaj.toString`): the servers in the order of
/// their numbers, and the zxid of the last change in hexadecimal.
#[must_use]
pub fn config_text(servers: &[KeeperServer], version: i64) -> String {
    let mut out = String::new();
    let mut servers: Vec<&KeeperServer> = servers.iter().collect();
    servers.sort_by_key(|server| server.id);
    for server in servers {
        let _ = writeln!(out, "server.{}={server}", server.id);
    }
    let _ = write!(out, "version={version:x}");
    out
}
