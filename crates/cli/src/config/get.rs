//! `ottla config get`.

use ottla_wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use serde::Serialize;

use super::changes::in_unit_of;
use super::quota;
use super::resource::{Resource, resource};
use crate::cluster::{Cluster, Source};
use crate::output::{self, OutputFormat, View};
use crate::table::table;
use crate::{Error, Streams, suggest};

/// What `ottla config get` takes.
#[derive(Debug, clap::Args)]
pub struct GetArgs {
    /// Whose: topic/NAME, broker/ID, broker-default, broker-logger/ID, group/NAME,
    /// client-metrics/NAME; for quotas user/NAME, client/ID, ip/ADDRESS, user-default,
    /// client-default, ip-default, or two with a comma
    #[arg(value_name = "TYPE/NAME", value_parser = resource)]
    pub(super) resource: Resource,
    /// Only these settings [default: those that differ from their default]
    #[arg(value_name = "KEY")]
    pub names: Vec<String>,
    /// Every setting, also those at their default
    #[arg(short, long)]
    pub all: bool,
}

/// The settings of something.
#[derive(Debug, Serialize)]
pub(super) struct Settings {
    pub(super) resource: String,
    pub(super) configs: Vec<Setting>,
}

/// One setting.
#[derive(Debug, Serialize)]
pub(super) struct Setting {
    pub(super) name: String,
    /// Null when it is unset or secret.
    pub(super) value: Option<String>,
    /// In Kafka's words; null for quotas.
    pub(super) source: Option<Source>,
    /// What it would be if nothing were set; null when nobody says.
    pub(super) default: Option<String>,
    pub(super) read_only: bool,
    pub(super) sensitive: bool,
    #[serde(rename = "type")]
    pub(super) value_type: Option<&'static str>,
    /// All places that give it a value, the winner first.
    pub(super) synonyms: Vec<Synonym>,
}

/// A place that gives a setting a value.
#[derive(Debug, Serialize)]
pub(super) struct Synonym {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) source: Source,
}

impl View for Settings {
    fn table(&self, wide: bool) -> String {
        if self.configs.is_empty() {
            return String::new();
        }
        let mut headings = vec!["NAME", "VALUE", "SOURCE", "DEFAULT"];
        if wide {
            headings.extend(["TYPE", "READ-ONLY", "ALSO GIVEN BY"]);
        }
        let dash = |text: Option<&str>| match text {
            None => "-".to_owned(),
            Some("") => "\"\"".to_owned(),
            Some(text) => text.to_owned(),
        };
        let rows = self.configs.iter().map(|config| {
            let value = if config.sensitive {
                "(hidden)".to_owned()
            } else {
                dash(config.value.as_deref())
            };
            let mut cells = vec![
                config.name.clone(),
                value,
                dash(config.source.map(Source::words)),
                dash(config.default.as_deref()),
            ];
            if wide {
                cells.push(dash(config.value_type));
                cells.push(config.read_only.to_string());
                let also = config.synonyms.iter().skip(1).map(|s| {
                    format!(
                        "{}={} ({})",
                        s.name,
                        dash(s.value.as_deref()),
                        s.source.words()
                    )
                });
                cells.push(also.collect::<Vec<_>>().join(", "));
            }
            cells
        });
        table(&headings, rows)
    }

    fn names(&self) -> Vec<String> {
        self.configs
            .iter()
            .map(|config| config.name.clone())
            .collect()
    }
}

/// Kafka's types of settings, by their number (KIP-569).
fn type_name(id: i8) -> Option<&'static str> {
    let names = [
        "boolean", "string", "int", "short", "long", "double", "list", "class", "password",
    ];
    names
        .get(usize::try_from(id).ok()?.checked_sub(1)?)
        .copied()
}

fn setting(config: DescribeConfigsResourceResult) -> Setting {
    let synonyms: Vec<Synonym> = config
        .synonyms
        .iter()
        .map(|synonym| Synonym {
            name: synonym.name.to_string(),
            value: synonym.value.as_deref().map(str::to_owned),
            source: Source::from_id(synonym.source),
        })
        .collect();
    let source = Source::from_id(config.config_source);
    let value = config.value.map(|value| value.to_string());
    let default = match synonyms.iter().find(|synonym| synonym.source.is_default()) {
        Some(default) => {
            let value = default.value.as_deref();
            value.map(|value| in_unit_of(&config.name, &default.name, value))
        }
        None if source.is_default() => value.clone(),
        None => None,
    };
    Setting {
        name: config.name.to_string(),
        value,
        source: Some(source),
        default,
        read_only: config.read_only,
        sensitive: config.is_sensitive,
        value_type: type_name(config.config_type),
        synonyms,
    }
}

pub(super) async fn run(
    args: &GetArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let mut configs = match (&args.resource, args.resource.config()) {
        (Resource::Quota(entity), _) => quotas(quota::of(entity, cluster).await?),
        (_, None) => Vec::new(),
        (resource, Some(config)) => {
            if let Resource::Topic(name) = resource {
                cluster.topic(name).await?;
            }
            let described = cluster.client.describe_configs(config, None).await;
            let action = format!("looking up the settings of {resource}");
            let described = cluster.checked(action, described)?;
            described.into_iter().map(setting).collect()
        }
    };
    configs.sort_by(|a, b| a.name.cmp(&b.name));
    for name in &args.names {
        if configs.iter().all(|config| config.name != *name) {
            let known = configs.iter().map(|config| config.name.as_str());
            return Err(Error::NotThere {
                what: "setting",
                name: name.clone(),
                similar: suggest::closest(name, known),
                to_do: format!(
                    "`ottla config get {} --all` shows those that exist",
                    args.resource
                ),
            });
        }
    }
    let total = configs.len();
    configs.retain(|config| {
        if args.names.is_empty() {
            args.all || !config.source.is_some_and(Source::is_default)
        } else {
            args.names.contains(&config.name)
        }
    });
    let settings = Settings {
        resource: args.resource.to_string(),
        configs,
    };
    if settings.configs.is_empty() && matches!(output, OutputFormat::Table | OutputFormat::Wide) {
        streams.say(&match total {
            _ if args.resource.config().is_none() => format!("{} has no quotas", args.resource),
            0 => format!("{} has no settings", args.resource),
            _ => format!(
                "{} has no settings of its own; --all shows the defaults",
                args.resource
            ),
        });
    }
    output::print(&settings, output, streams)
}

fn quotas(values: Vec<(String, f64)>) -> Vec<Setting> {
    let quota = |(name, value): (String, f64)| Setting {
        name,
        value: Some(value.to_string()),
        source: None,
        default: None,
        read_only: false,
        sensitive: false,
        value_type: Some("double"),
        synonyms: Vec::new(),
    };
    values.into_iter().map(quota).collect()
}
