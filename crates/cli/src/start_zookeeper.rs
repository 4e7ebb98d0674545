//! `ottla start-zookeeper`: the flags of the script `start-zookeeper` in the image
//! `kubernetes-zookeeper`, as they stand in many manifests.

use crate::ServerArgs;

/// What `start-zookeeper` takes. Flags have underscores, as the script's do.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Keeper")]
pub struct StartZookeeperArgs {
    /// How many servers the StatefulSet has
    #[arg(long, value_name = "COUNT", default_value = "1")]
    pub servers: String,
    /// Where snapshots are kept
    #[arg(long = "data_dir", value_name = "DIR")]
    pub data_directory: Option<String>,
    /// Where the log of transactions is kept
    #[arg(long = "data_log_dir", value_name = "DIR")]
    pub data_log_directory: Option<String>,
    /// Has no effect: no configuration is written
    #[arg(long = "conf_dir", value_name = "DIR")]
    pub conf_dir: Option<String>,
    /// Has no effect: the log goes to standard error
    #[arg(long = "log_dir", value_name = "DIR")]
    pub log_dir: Option<String>,
    /// The port of clients
    #[arg(long = "client_port", value_name = "PORT", default_value = "2181")]
    pub client_port: String,
    /// The port of elections, which is told on and not opened
    #[arg(long = "election_port", value_name = "PORT")]
    pub election_port: Option<String>,
    /// The port on which the servers talk to each other
    #[arg(long = "server_port", value_name = "PORT")]
    pub server_port: Option<String>,
    /// The length of a tick in milliseconds
    #[arg(long = "tick_time", value_name = "MS")]
    pub tick_time: Option<String>,
    /// How many ticks a server may take to catch up at first
    #[arg(long = "init_limit", value_name = "TICKS")]
    pub init_limit: Option<String>,
    /// How many ticks a server may be silent or behind
    #[arg(long = "sync_limit", value_name = "TICKS")]
    pub sync_limit: Option<String>,
    /// Has no effect: there is no JVM
    #[arg(long, value_name = "SIZE")]
    pub heap: Option<String>,
    /// Has no effect: there is no JVM
    #[arg(long, value_name = "PERCENT")]
    pub percentage: Option<String>,
    /// The most connections from one address
    #[arg(long = "max_client_cnxns", value_name = "COUNT")]
    pub max_client_cnxns: Option<String>,
    /// How many snapshots a purge leaves
    #[arg(long = "snap_retain_count", value_name = "COUNT")]
    pub snap_retain_count: Option<String>,
    /// How often old snapshots are purged; 0 is never
    #[arg(long = "purge_interval", value_name = "HOURS")]
    pub purge_interval: Option<String>,
    /// The longest session timeout that a client gets
    #[arg(long = "max_session_timeout", value_name = "MS")]
    pub max_session_timeout: Option<String>,
    /// The shortest session timeout that a client gets
    #[arg(long = "min_session_timeout", value_name = "MS")]
    pub min_session_timeout: Option<String>,
    /// What is logged, in log4j's words
    #[arg(long = "log_level", value_name = "LEVEL")]
    pub level: Option<String>,
}

const NO_JVM: &str = "there is no JVM";

impl StartZookeeperArgs {
    /// The same as arguments of `ottla server`.
    pub(crate) fn into_server(self) -> ServerArgs {
        let set = [
            ("process.roles", Some("keeper".to_owned())),
            ("ottla.keeper.replicas", Some(self.servers)),
            ("clientPort", Some(self.client_port)),
            ("dataDir", self.data_directory),
            ("dataLogDir", self.data_log_directory),
            ("ottla.keeper.election.port", self.election_port),
            ("ottla.keeper.server.port", self.server_port),
            ("tickTime", self.tick_time),
            ("initLimit", self.init_limit),
            ("syncLimit", self.sync_limit),
            ("maxClientCnxns", self.max_client_cnxns),
            ("autopurge.snapRetainCount", self.snap_retain_count),
            ("autopurge.purgeInterval", self.purge_interval),
            ("maxSessionTimeout", self.max_session_timeout),
            ("minSessionTimeout", self.min_session_timeout),
        ];
        let given = set.into_iter();
        let without_effect = [
            (self.heap.is_some(), "--heap", NO_JVM),
            (self.percentage.is_some(), "--percentage", NO_JVM),
            (
                self.conf_dir.is_some(),
                "--conf_dir",
                "no configuration is written",
            ),
            (
                self.log_dir.is_some(),
                "--log_dir",
                "the log goes to standard error",
            ),
        ];
        ServerArgs {
            set: given
                .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                .collect(),
            log_level: self.level.as_deref().map(level),
            without_effect: without_effect
                .into_iter()
                .filter(|(is_given, ..)| *is_given)
                .map(|(_, flag, reason)| (flag, reason))
                .collect(),
            ..ServerArgs::default()
        }
    }
}

/// log4j has two levels more than we have.
fn level(log4j: &str) -> String {
    match log4j.to_ascii_lowercase().as_str() {
        "fatal" => "error".to_owned(),
        "all" => "trace".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;

    use ottla_config::{Loaded, NodeConfig, Sources};

    use crate::{Action, Cli};

    fn start(arguments: &str) -> crate::ServerStart {
        let arguments = arguments.split_whitespace().map(OsString::from);
        match Cli::of_process(arguments).action().unwrap() {
            Action::Server(args) => args.resolve(&BTreeMap::new()).unwrap(),
            other => panic!("it is no server: {other:?}"),
        }
    }

    /// The command of a document, as it stands there.
    const DOCUMENT: &str = "--servers=3 --data_dir=/var/lib/zookeeper/data \
        --data_log_dir=/var/lib/zookeeper/data/log --conf_dir=/opt/zookeeper/conf \
        --client_port=2181 --election_port=3888 --server_port=2888 --tick_time=2000 \
        --init_limit=10 --sync_limit=5 --heap=512M --max_client_cnxns=60 --snap_retain_count=3 \
        --purge_interval=12 --max_session_timeout=40000 --min_session_timeout=4000 \
        --log_level=INFO";

    #[test]
    fn the_command_of_the_documents_starts_a_keeper_of_the_ensemble() {
        for program in ["/usr/bin/start-zookeeper", "ottla start-zookeeper"] {
            let start = start(&format!("{program} {DOCUMENT}"));
            let flags: Vec<&str> = start.without_effect.iter().map(|(flag, _)| *flag).collect();
            assert_eq!(flags, ["--heap", "--conf_dir"]);
            assert_eq!(start.log_filter, "info");
            let sources = Sources {
                flags: start.settings,
                hostname: "zookeeper-2".to_owned(),
                domain: Some("zookeeper-hs.default.svc.cluster.local".to_owned()),
                ..Sources::default()
            };
            let Loaded { config, notices } = NodeConfig::load(sources).unwrap();
            assert!(notices.is_empty(), "{notices:?}");
            assert!(config.roles.keeper && !config.roles.broker && !config.roles.controller);
            let keeper = config.keeper.unwrap();
            assert_eq!(keeper.my_id(None).unwrap(), 3);
            assert_eq!(keeper.servers.len(), 3);
            assert_eq!(
                keeper.servers[0].to_string(),
                "zookeeper-0.zookeeper-hs.default.svc.cluster.local:2888:3888:participant"
            );
            assert_eq!(keeper.storage.data_log_dir, "/var/lib/zookeeper/data/log");
            assert_eq!(keeper.storage.purge_interval_ms, Some(12 * 3_600_000));
            let listener = keeper.client_listener.unwrap();
            assert_eq!((listener.host.as_str(), listener.port), ("", 2181));
        }
    }

    #[test]
    fn without_flags_one_server_is_alone() {
        let start = start("start-zookeeper");
        let sources = Sources {
            flags: start.settings,
            hostname: "laptop".to_owned(),
            ..Sources::default()
        };
        let keeper = NodeConfig::load(sources).unwrap().config.keeper.unwrap();
        assert!(keeper.is_standalone());
        assert_eq!(keeper.my_id(None).unwrap(), 0);
    }
}
