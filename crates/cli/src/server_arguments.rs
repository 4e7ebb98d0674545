//! The arguments of `ottla server`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::Error;
use crate::globals::key_value;

/// What `ottla server` takes.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Node")]
pub struct ServerArgs {
    /// Read this server.properties [env: OTTLA_CONFIG]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Read this file, too, and wait for it until it is there and not empty: somebody else writes
    /// down there what is not known before this node has its place. Its lines win over those of
    /// --config [env: OTTLA_LATE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub late_config: Option<PathBuf>,
    /// When --late-config is still empty after half a minute, read this file instead, if it is there
    /// [env: OTTLA_LATE_CONFIG_FALLBACK]
    #[arg(long, value_name = "FILE", requires = "late_config")]
    pub late_config_fallback: Option<PathBuf>,
    /// Read this zoo.cfg for the keeper; without --config, the process is nothing but a keeper
    /// [env: OTTLA_KEEPER_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub keeper_config: Option<PathBuf>,
    /// Set a property; wins over environment and file, may be repeated [env: OTTLA_SET, one
    /// key=value a line]
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Keep the data in this folder: short for --set log.dirs=DIR [env: OTTLA_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// How the log is written [default: text] [env: OTTLA_LOG_FORMAT]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, debug, trace, also by part, such as
    /// info,ottla_broker=debug [default: info] [env: OTTLA_LOG]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Stop when standard input, a pipe, ends: whoever started the node is gone. It is how the nodes
    /// of `ottla dev` end with it
    #[arg(long, hide = true)]
    pub stop_with_input: bool,
    /// Flags of another program that change nothing here, and why.
    #[arg(skip)]
    pub without_effect: Vec<(&'static str, &'static str)>,
}

/// How a node writes its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// [`ServerArgs`] with the environment and the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStart {
    /// The properties file to read.
    pub config_file: Option<PathBuf>,
    /// The file to wait for, which is read over it.
    pub late_config_file: Option<PathBuf>,
    /// What is read when that does not come.
    pub late_config_fallback_file: Option<PathBuf>,
    /// The `zoo.cfg` to read.
    pub keeper_config_file: Option<PathBuf>,
    /// The settings of flags, in the order in which the last one of a key wins: for
    /// `ottla_config::Sources::flags`.
    pub settings: Vec<(String, String)>,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What is logged, as `tracing_subscriber::EnvFilter` reads it.
    pub log_filter: String,
    /// Whether the node stops when its standard input ends.
    pub stop_with_input: bool,
    /// Flags that were given and change nothing, and why: to be logged once.
    pub without_effect: Vec<(&'static str, &'static str)>,
}

impl ServerArgs {
    /// Fills in what the environment says: a flag wins over a variable.
    ///
    /// # Errors
    /// A variable whose value is not in its syntax.
    pub fn resolve(&self, env: &BTreeMap<String, String>) -> Result<ServerStart, Error> {
        let variable = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let mut settings = Vec::new();
        for line in variable("OTTLA_SET").into_iter().flat_map(|v| v.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let setting = key_value(line).map_err(|reason| {
                Error::Usage(format!("OTTLA_SET has the line {line:?}: {reason}"))
            })?;
            settings.push(setting);
        }
        if let Some(dir) = self.data_dir.as_ref().or(variable("OTTLA_DATA_DIR")) {
            settings.push(("log.dirs".to_owned(), dir.clone()));
        }
        settings.extend(self.set.iter().cloned());
        let log_format = match (self.log_format, variable("OTTLA_LOG_FORMAT")) {
            (Some(format), _) => format,
            (None, None) => LogFormat::default(),
            (None, Some(text)) => {
                <LogFormat as clap::ValueEnum>::from_str(text, true).map_err(|_| {
                    Error::Usage(format!(
                        "OTTLA_LOG_FORMAT is {text}; it can be text or json"
                    ))
                })?
            }
        };
        let file = |flag: &Option<PathBuf>, name: &str| {
            flag.clone().or_else(|| variable(name).map(PathBuf::from))
        };
        Ok(ServerStart {
            config_file: file(&self.config, "OTTLA_CONFIG"),
            late_config_file: file(&self.late_config, "OTTLA_LATE_CONFIG"),
            late_config_fallback_file: file(
                &self.late_config_fallback,
                "OTTLA_LATE_CONFIG_FALLBACK",
            ),
            keeper_config_file: file(&self.keeper_config, "OTTLA_KEEPER_CONFIG"),
            settings,
            log_format,
            log_filter: self
                .log_level
                .as_ref()
                .or(variable("OTTLA_LOG"))
                .map_or_else(|| "info".to_owned(), Clone::clone),
            stop_with_input: self.stop_with_input,
            without_effect: self.without_effect.clone(),
        })
    }

    /// Whether nothing was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.config.is_none()
            && self.late_config.is_none()
            && self.late_config_fallback.is_none()
            && self.keeper_config.is_none()
            && self.set.is_empty()
            && self.data_dir.is_none()
            && self.log_format.is_none()
            && self.log_level.is_none()
            && !self.stop_with_input
    }

    /// What stands before the word `server` and what stands behind it; the latter wins.
    pub(crate) fn merged(mut self, later: ServerArgs) -> ServerArgs {
        self.set.extend(later.set);
        ServerArgs {
            config: later.config.or(self.config),
            late_config: later.late_config.or(self.late_config),
            late_config_fallback: later.late_config_fallback.or(self.late_config_fallback),
            keeper_config: later.keeper_config.or(self.keeper_config),
            set: self.set,
            data_dir: later.data_dir.or(self.data_dir),
            log_format: later.log_format.or(self.log_format),
            log_level: later.log_level.or(self.log_level),
            stop_with_input: later.stop_with_input || self.stop_with_input,
            without_effect: later.without_effect,
        }
    }
}

#[cfg(test)]
mod tests;
