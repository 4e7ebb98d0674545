//! What the nodes are told: ports, folders, settings.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ottla_config::{NodeConfig, Sources};

use crate::Error;

/// All nodes listen here, and nowhere else.
pub(super) const HOST: &str = "127.0.0.1";
pub(super) const DEFAULT_NODES: u16 = 3;
pub(super) const DEFAULT_PORT: u16 = 9092;
/// From the first port for clients to the first for HTTP: with the default, 9644, where a node
/// alone serves it, too.
const HTTP_DISTANCE: u16 = 552;
/// With nine nodes the last HTTP port is the last that there is.
pub(super) const PORT_MAX: i64 = 65_535 - 552 - 8;

/// Settings that make the nodes a cluster on this machine.
const OWN: &[&str] = &[
    "node.id",
    "broker.id",
    "process.roles",
    "listeners",
    "advertised.listeners",
    "controller.listener.names",
    "controller.quorum.voters",
    "controller.quorum.bootstrap.servers",
    "log.dirs",
    "log.dir",
    "ottla.http.listener",
];

/// A cluster on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) nodes: u16,
    /// Where the first node listens for clients.
    pub(super) port: u16,
    pub(super) folder: PathBuf,
    /// What the person sets besides, for all nodes.
    pub(super) settings: Vec<(String, String)>,
}

/// Where one node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: i32,
    pub(super) client_port: u16,
    pub(super) controller_port: u16,
    pub(super) http_port: u16,
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
}

impl Place {
    /// Its ports with what each is for.
    pub(super) fn ports(&self) -> [(u16, &'static str); 3] {
        [
            (self.client_port, "clients"),
            (self.controller_port, "controllers"),
            (self.http_port, "HTTP"),
        ]
    }

    /// `HOST:PORT` for clients.
    pub(super) fn address(&self) -> String {
        format!("{HOST}:{}", self.client_port)
    }
}

impl Plan {
    /// The nodes, by their ids from 1 on. Clients and controllers take turns: 9092 and 9093 are the
    /// first node's, 9094 and 9095 the second's.
    pub(super) fn places(&self) -> Vec<Place> {
        let place = |index: u16| {
            let folder = self.folder.join(format!("node-{}", index + 1));
            Place {
                id: i32::from(index) + 1,
                client_port: self.port + 2 * index,
                controller_port: self.port + 2 * index + 1,
                http_port: self.port + HTTP_DISTANCE + index,
                data: folder.join("data"),
                log: folder.join("ottla.log"),
            }
        };
        (0..self.nodes).map(place).collect()
    }

    /// The addresses for clients, separated by commas.
    pub(super) fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.places().iter().map(Place::address).collect();
        addresses.join(",")
    }

    /// How many nodes the quorum needs.
    pub(super) fn majority(&self) -> usize {
        usize::from(self.nodes) / 2 + 1
    }

    /// All settings of one node; a later one wins. The nodes share `memory_bytes`.
    pub(super) fn settings_of(&self, place: &Place, memory_bytes: u64) -> Vec<(String, String)> {
        let voters: Vec<String> = self
            .places()
            .iter()
            .map(|place| format!("{}@{HOST}:{}", place.id, place.controller_port))
            .collect();
        let listeners = format!(
            "PLAINTEXT://{HOST}:{},CONTROLLER://{HOST}:{}",
            place.client_port, place.controller_port
        );
        let replicas = self.nodes.min(3);
        // One node may be away, and records with acks=all are taken all the same.
        let in_sync = replicas.saturating_sub(1).max(1).to_string();
        let replicas = replicas.to_string();
        // Half of it, as for a node alone: the rest is the page cache's.
        let budget = memory_bytes / 2 / u64::from(self.nodes).max(1);
        let own = [
            ("node.id", place.id.to_string()),
            ("process.roles", "broker,controller".to_owned()),
            ("listeners", listeners),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("controller.quorum.voters", voters.join(",")),
            ("log.dirs", place.data.display().to_string()),
            ("ottla.http.listener", format!("{HOST}:{}", place.http_port)),
            ("ottla.memory.budget.bytes", budget.to_string()),
            ("default.replication.factor", replicas.clone()),
            ("min.insync.replicas", in_sync.clone()),
            ("offsets.topic.replication.factor", replicas.clone()),
            ("offsets.topic.num.partitions", "12".to_owned()),
            ("transaction.state.log.replication.factor", replicas),
            ("transaction.state.log.num.partitions", "12".to_owned()),
            ("transaction.state.log.min.isr", in_sync),
        ];
        let own = own.into_iter();
        own.map(|(name, value)| (name.to_owned(), value))
            .chain(self.settings.iter().cloned())
            .collect()
    }

    /// Refuses settings that no node would start with, before one is started.
    pub(super) fn check(&self) -> Result<(), Error> {
        if let Some((name, _)) = self
            .settings
            .iter()
            .find(|(k, _)| OWN.contains(&k.as_str()))
        {
            return Err(Error::Usage(format!(
                "--set {name}: each node of `ottla dev` has a value of its own; --nodes, --port and \
                 --data-dir say how many there are and where"
            )));
        }
        for place in self.places() {
            let sources = Sources {
                flags: self.settings_of(&place, 0),
                env: BTreeMap::new(),
                hostname: HOST.to_owned(),
                ..Sources::default()
            };
            NodeConfig::load(sources).map_err(|errors| Error::Usage(errors.to_string()))?;
        }
        Ok(())
    }

    /// What to think of before more nodes are paid for than they are worth.
    pub(super) fn hint(&self) -> Option<String> {
        let nodes = self.nodes;
        if nodes == 0 || !nodes.is_multiple_of(2) {
            return None;
        }
        let may_be_gone = match usize::from(nodes) - self.majority() {
            0 => "none is".to_owned(),
            1 => "1 is".to_owned(),
            several => format!("{several} are"),
        };
        Some(format!(
            "hint: {nodes} nodes go on when {may_be_gone} gone, just as {} would; an odd number is \
             better",
            nodes - 1
        ))
    }
}

/// The arguments of a node's process.
pub(super) fn arguments(settings: &[(String, String)]) -> Vec<String> {
    let mut arguments = vec!["server".to_owned(), "--stop-with-input".to_owned()];
    for (name, value) in settings {
        arguments.push("--set".to_owned());
        arguments.push(format!("{name}={value}"));
    }
    arguments
}

/// Whether a variable of this name would change what a node is. The nodes' settings are those of
/// the command line; only how they log may come from the environment.
pub(super) fn is_withheld(variable: &str) -> bool {
    const PASSED: [&str; 2] = ["OTTLA_LOG", "OTTLA_LOG_FORMAT"];
    let ours = variable.starts_with("OTTLA_") || variable.starts_with("KAFKA_");
    (ours || variable == "CLUSTER_ID") && !PASSED.contains(&variable)
}

/// `./ottla-dev` and not `ottla-dev`, so that it is seen to be a path.
pub(super) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    if path.is_relative() && !text.starts_with('.') {
        format!("./{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(nodes: u16) -> Plan {
        Plan {
            nodes,
            port: 9092,
            folder: PathBuf::from("ottla-dev"),
            settings: Vec::new(),
        }
    }

    fn value(plan: &Plan, node: usize, name: &str) -> String {
        let settings = plan.settings_of(&plan.places()[node - 1], 12 << 30);
        let last = settings.iter().rev().find(|(key, _)| key == name);
        last.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    #[test]
    fn every_port_is_given_once_and_all_exist() {
        for nodes in 1..=9 {
            for port in [1, 9092, u16::try_from(PORT_MAX).unwrap()] {
                let plan = Plan {
                    port,
                    ..plan(nodes)
                };
                let places = plan.places();
                let mut ports: Vec<u16> = places
                    .iter()
                    .flat_map(|place| place.ports().map(|(port, _)| port))
                    .collect();
                ports.sort_unstable();
                ports.dedup();
                assert_eq!(ports.len(), 3 * usize::from(nodes));
            }
        }
        let second = &plan(3).places()[1];
        let expected = [(9094, "clients"), (9095, "controllers"), (9645, "HTTP")];
        assert_eq!(second.ports(), expected);
        assert_eq!(second.log, Path::new("ottla-dev/node-2/ottla.log"));
        assert_eq!(
            plan(3).bootstrap(),
            "127.0.0.1:9092,127.0.0.1:9094,127.0.0.1:9096"
        );
    }

    #[test]
    fn all_sizes_are_configurations_that_a_node_takes() {
        for nodes in 1..=9 {
            plan(nodes).check().unwrap();
        }
    }

    #[test]
    fn the_nodes_know_each_other_and_share_the_memory() {
        let plan = plan(3);
        assert_eq!(
            value(&plan, 2, "controller.quorum.voters"),
            "1@127.0.0.1:9093,2@127.0.0.1:9095,3@127.0.0.1:9097"
        );
        assert_eq!(value(&plan, 2, "node.id"), "2");
        assert_eq!(value(&plan, 2, "log.dirs"), "ottla-dev/node-2/data");
        assert_eq!(
            value(&plan, 2, "ottla.memory.budget.bytes"),
            (2_u64 << 30).to_string()
        );
    }

    #[test]
    fn one_node_may_be_away_where_that_is_possible() {
        for (nodes, replicas, in_sync) in
            [(1, "1", "1"), (2, "2", "1"), (3, "3", "2"), (9, "3", "2")]
        {
            let plan = plan(nodes);
            assert_eq!(value(&plan, 1, "default.replication.factor"), replicas);
            assert_eq!(value(&plan, 1, "min.insync.replicas"), in_sync);
        }
    }

    #[test]
    fn what_the_person_sets_wins_but_for_what_makes_the_cluster() {
        let set = |name: &str, value: &str| Plan {
            settings: vec![(name.to_owned(), value.to_owned())],
            ..plan(3)
        };
        let roomy = set("min.insync.replicas", "1");
        roomy.check().unwrap();
        assert_eq!(value(&roomy, 3, "min.insync.replicas"), "1");
        let refused = set("listeners", "PLAINTEXT://:1").check().unwrap_err();
        assert!(refused.to_string().contains("--port"), "{refused}");
        let wrong = set("num.partitions", "many").check().unwrap_err();
        assert!(wrong.to_string().contains("num.partitions"), "{wrong}");
    }

    #[test]
    fn an_even_number_gets_a_hint() {
        assert_eq!(plan(3).hint(), None);
        let hint = plan(4).hint().unwrap();
        assert!(hint.contains("4 nodes go on when 1 is gone, just as 3 would"));
        let hint = plan(2).hint().unwrap();
        assert!(hint.contains("2 nodes go on when none is gone, just as 1 would"));
        assert!(plan(6).hint().unwrap().contains("when 2 are gone"));
    }

    #[test]
    fn the_environment_says_only_how_a_node_logs() {
        for withheld in ["OTTLA_SET", "KAFKA_CFG_LISTENERS", "CLUSTER_ID"] {
            assert!(is_withheld(withheld), "{withheld}");
        }
        for passed in ["OTTLA_LOG", "OTTLA_LOG_FORMAT", "HOME", "PATH"] {
            assert!(!is_withheld(passed), "{passed}");
        }
    }

    #[test]
    fn arguments_and_paths_are_written_out() {
        let settings = [("a".to_owned(), "b=c".to_owned())];
        let expected = ["server", "--stop-with-input", "--set", "a=b=c"];
        assert_eq!(arguments(&settings), expected);
        assert_eq!(shown(Path::new("ottla-dev")), "./ottla-dev");
        assert_eq!(shown(Path::new("../x")), "../x");
        assert_eq!(shown(Path::new("/x")), "/x");
    }
}
