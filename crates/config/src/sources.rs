//! Where settings come from, and which of them wins.

use std::collections::BTreeMap;
use std::fmt;

/// Everything that a configuration is read from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--set key=value`, in the order given; the last one of a key wins.
    pub flags: Vec<(String, String)>,
    /// The environment: `KAFKA_CFG_*`, `OTTLA_*`, and what templates ask for.
    pub env: BTreeMap<String, String>,
    /// The name and the text of a `server.properties`.
    pub file: Option<(String, String)>,
    /// The same of a file that somebody else wrote for this process alone; its lines win over those
    /// of `file`.
    pub late_file: Option<(String, String)>,
    /// The name and the text of a `zoo.cfg`, for the keeper. With it alone, and no
    /// `process.roles`, the process is a keeper and nothing else.
    pub keeper_file: Option<(String, String)>,
    /// The name of this host, for its ordinal and for advertised listeners.
    pub hostname: String,
    /// The domain of this host, if it is known: for the names of the other servers of a StatefulSet.
    pub domain: Option<String>,
}

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `--set`.
    Flag,
    /// An environment variable.
    Environment(String),
    /// A line of the properties file.
    File {
        /// The file's name.
        path: String,
        /// The line, from 1.
        line: usize,
    },
    /// Set for all brokers while they run.
    AllBrokers,
    /// Set for this broker while it runs.
    ThisBroker,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag => f.write_str("from --set"),
            Origin::Environment(name) => write!(f, "from the environment, {name}"),
            Origin::File { path, line } => write!(f, "from {path}, line {line}"),
            Origin::AllBrokers => f.write_str("set for all brokers"),
            Origin::ThisBroker => f.write_str("set for this broker"),
        }
    }
}

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The text.
    pub value: String,
    /// Its origin.
    pub origin: Origin,
}

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Good to know.
    Info,
    /// Probably not what was meant.
    Warn,
}

/// Something that does not stop the start, to be logged once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// The property or the environment variable that it is about.
    pub key: String,
    /// What to know, a whole sentence.
    pub message: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
