//! `ottla config list`: what has settings that no other list shows.

use ottla_client::ConfigResource;
use serde::Serialize;

use super::resource::{entity_text, sorted};
use crate::cluster::Cluster;
use crate::output::{self, OutputFormat, View};
use crate::table::table;
use crate::{Error, Streams};

/// What `ottla config list` takes.
#[derive(Debug, clap::Args)]
pub struct ListArgs {}

/// What has settings.
#[derive(Debug, Serialize)]
struct Resources {
    resources: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    /// As `ottla config get` takes it.
    resource: String,
    /// The values of quotas; empty for others.
    quotas: Vec<Quota>,
}

#[derive(Debug, Serialize)]
struct Quota {
    name: String,
    value: f64,
}

impl View for Resources {
    fn table(&self, _wide: bool) -> String {
        if self.resources.is_empty() {
            return String::new();
        }
        let rows = self.resources.iter().map(|row| {
            let quotas = row.quotas.iter().map(|q| format!("{}={}", q.name, q.value));
            [row.resource.clone(), quotas.collect::<Vec<_>>().join(" ")]
        });
        table(&["RESOURCE", "QUOTAS"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.resources
            .iter()
            .map(|row| row.resource.clone())
            .collect()
    }
}

pub(super) async fn run(
    _args: &ListArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let mut resources = Vec::new();
    let kinds = [
        ("group", ConfigResource::Group("")),
        ("client-metrics", ConfigResource::ClientMetrics("")),
    ];
    for (kind, of) in kinds {
        let listed = cluster.client.list_config_resources(of).await;
        match cluster.checked(format!("listing settings of {kind}s"), listed) {
            Ok(names) => resources.extend(names.into_iter().map(|name| Row {
                resource: format!("{kind}/{name}"),
                quotas: Vec::new(),
            })),
            // The other kinds can still be told.
            Err(error @ (Error::TooOld { .. } | Error::Refused { .. })) => {
                streams.say(&format!("not listed: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    let quotas = cluster.client.describe_client_quotas(None).await;
    match cluster.checked("listing quotas", quotas) {
        Ok(quotas) => resources.extend(quotas.into_iter().map(|entry| {
            Row {
                resource: entity_text(&sorted(entry.entity)),
                quotas: entry
                    .values
                    .into_iter()
                    .map(|(name, value)| Quota { name, value })
                    .collect(),
            }
        })),
        Err(error @ (Error::TooOld { .. } | Error::Refused { .. })) => {
            streams.say(&format!("not listed: {error}"));
        }
        Err(error) => return Err(error),
    }
    resources.sort_by(|a, b| a.resource.cmp(&b.resource));
    if resources.is_empty() && matches!(output, OutputFormat::Table | OutputFormat::Wide) {
        streams.say("no groups or metrics subscriptions with settings, and no quotas");
    }
    output::print(&Resources { resources }, output, streams)
}
