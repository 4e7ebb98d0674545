//! The two brokers that are compared, and how each is told what to wait for.

use std::path::PathBuf;

use anyhow::Result;
use ottla_testkit::cluster::{Cluster, ClusterOptions, Flavour};
use ottla_testkit::report::Whose;
use ottla_testkit::{Broker, Launch};

/// What its own start script gives to each node.
const KAFKA_HEAP_MIB: u32 = 1024;

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Our own node.
    Ottla,
    /// Apache Kafka.
    Kafka,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Side::Ottla => "ottla",
            Side::Kafka => "kafka",
        }
    }
}

impl From<Side> for Whose {
    fn from(side: Side) -> Whose {
        match side {
            Side::Ottla => Whose::Ours,
            Side::Kafka => Whose::Theirs,
        }
    }
}

/// What an acknowledgement says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushing {
    /// The broker has the records in memory: Kafka's default.
    Off,
    /// The records are on disk: our default.
    BeforeAcknowledging,
}

/// Where the programs are.
pub(crate) struct Programs {
    /// Our binary.
    pub(crate) ottla: PathBuf,
    /// The folder with Apache Kafka's jars.
    pub(crate) kafka: PathBuf,
}

impl Programs {
    /// How to start one side.
    pub(crate) fn launch(&self, side: Side, flushing: Flushing) -> Launch {
        let set = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        match (side, flushing) {
            (Side::Ottla, Flushing::Off) => Launch::Ottla {
                binary: self.ottla.clone(),
                settings: set("ottla.acks.wait.for.disk", "false"),
            },
            (Side::Ottla, Flushing::BeforeAcknowledging) => Launch::Ottla {
                binary: self.ottla.clone(),
                settings: Vec::new(),
            },
            (Side::Kafka, Flushing::Off) => Launch::Kafka {
                lib: self.kafka.clone(),
                settings: Vec::new(),
            },
            (Side::Kafka, Flushing::BeforeAcknowledging) => Launch::Kafka {
                lib: self.kafka.clone(),
                settings: set("log.flush.interval.messages", "1"),
            },
        }
    }

    /// Starts several nodes of one side on empty data, on loopback addresses, with the settings that
    /// each comes with.
    pub(crate) fn cluster(&self, side: Side, flushing: Flushing, nodes: usize) -> Result<Cluster> {
        let (flavour, settings) = match self.launch(side, flushing) {
            Launch::Ottla { binary, settings } => (Flavour::Ottla { binary }, settings),
            Launch::Kafka { lib, settings } => (Flavour::kafka(lib, KAFKA_HEAP_MIB), settings),
        };
        Cluster::start(ClusterOptions {
            settings,
            loopback: true,
            ..ClusterOptions::plain(flavour, nodes)
        })
    }

    /// Starts one side on empty data.
    pub(crate) fn start(&self, side: Side, flushing: Flushing) -> Result<Broker> {
        Broker::start(self.launch(side, flushing))
    }
}
