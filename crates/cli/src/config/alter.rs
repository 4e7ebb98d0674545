//! `ottla config set` and `ottla config unset`.

use serde::Serialize;

use super::changes::{Changed, Changes};
use super::quota;
use super::resource::{Resource, resource};
use crate::cluster::Cluster;
use crate::globals::key_value;
use crate::output::{self, OutputFormat, View};
use crate::{Error, Streams};

/// What `ottla config set` takes.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// Whose: topic/NAME, broker/ID, broker-default, group/NAME, client-metrics/NAME; for quotas
    /// user/NAME, client/ID, ip/ADDRESS, user-default, client-default, ip-default, or two with a
    /// comma
    #[arg(value_name = "TYPE/NAME", value_parser = resource)]
    pub(super) resource: Resource,
    /// The settings
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub settings: Vec<(String, String)>,
    /// Only ask the cluster whether it would do it
    #[arg(long, visible_alias = "validate-only")]
    pub dry_run: bool,
}

/// What `ottla config unset` takes.
#[derive(Debug, clap::Args)]
pub struct UnsetArgs {
    /// Whose, as for `ottla config set`
    #[arg(value_name = "TYPE/NAME", value_parser = resource)]
    pub(super) resource: Resource,
    /// The settings
    #[arg(required = true, value_name = "KEY")]
    pub names: Vec<String>,
    /// Only ask the cluster whether it would do it
    #[arg(long, visible_alias = "validate-only")]
    pub dry_run: bool,
}

/// The reply to the person.
#[derive(Debug, Serialize)]
pub(super) struct Altered {
    pub(super) resource: String,
    pub(super) dry_run: bool,
    pub(super) configs: Vec<Changed>,
}

impl View for Altered {
    fn table(&self, _wide: bool) -> String {
        let name = &self.resource;
        let mut text = match (self.configs.iter().all(Changed::is_same), self.dry_run) {
            (true, _) => format!("{name} is so already\n"),
            (false, false) => format!("{name} configured\n"),
            (false, true) => format!("{name} can be configured; nothing was changed\n"),
        };
        for config in &self.configs {
            text.push_str(&format!("  {config}\n"));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.resource.clone()]
    }
}

pub(super) async fn set(
    args: &SetArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let changes = Changes::new(&args.settings, &[])?;
    let plan = (&args.resource, changes, args.dry_run);
    run(plan, (&args.settings, &[]), cluster, output, streams).await
}

pub(super) async fn unset(
    args: &UnsetArgs,
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let changes = Changes::new(&[], &args.names)?;
    let plan = (&args.resource, changes, args.dry_run);
    run(plan, (&[], &args.names), cluster, output, streams).await
}

async fn run(
    (resource, changes, dry_run): (&Resource, Changes, bool),
    (set, unset): (&[(String, String)], &[String]),
    cluster: &Cluster,
    output: OutputFormat,
    streams: &mut Streams,
) -> Result<(), Error> {
    let configs = match (resource, resource.config()) {
        (Resource::Quota(entity), _) => quota::alter(entity, set, unset, dry_run, cluster).await?,
        (_, None) => Vec::new(),
        (_, Some(config)) => {
            if let Resource::Topic(name) = resource {
                cluster.topic(name).await?;
            }
            let planned = changes.plan(config, cluster).await?;
            if dry_run {
                planned
            } else {
                changes.carry_out(config, planned, cluster).await?
            }
        }
    };
    let altered = Altered {
        resource: resource.to_string(),
        dry_run,
        configs,
    };
    output::print(&altered, output, streams)
}
