//! Changes of settings: what is wanted, and what becomes of it.

use std::fmt;

use ottla_client::{ConfigChange, ConfigResource};
use ottla_model::ErrorCode;
use ottla_wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use serde::Serialize;

use crate::cluster::{Cluster, Source};
use crate::{Error, suggest};

/// Settings to change, none of them twice.
#[derive(Debug, Default)]
pub(crate) struct Changes(Vec<ConfigChange>);

/// One setting, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Changed {
    pub(crate) name: String,
    /// Null when it is unset, secret, or nobody could tell.
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    /// Where the value comes from afterwards; null when it was set by this.
    pub(crate) falls_back_to: Option<Source>,
}

impl Changed {
    pub(crate) fn is_same(&self) -> bool {
        self.before.is_some() && self.before == self.after
    }
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(unset)".to_owned());
        let (name, before, after) = (&self.name, shown(&self.before), shown(&self.after));
        match self.falls_back_to {
            // Kafka does not tell the default of what has a value.
            Some(_) if self.after.is_none() => write!(f, "{name}: {before} -> its default"),
            Some(source) => write!(f, "{name}: {before} -> {after} ({})", source.words()),
            None => write!(f, "{name}: {before} -> {after}"),
        }
    }
}

impl Changes {
    /// Those that a command line asks for.
    pub(crate) fn new(set: &[(String, String)], unset: &[String]) -> Result<Self, Error> {
        let set = set.iter().map(|(name, value)| (name, Some(value.clone())));
        let unset = unset.iter().map(|name| (name, None));
        let mut changes: Vec<ConfigChange> = Vec::new();
        for (name, value) in set.chain(unset) {
            if changes.iter().any(|change| change.name == *name) {
                return Err(Error::Usage(format!("{name} is there twice; say it once")));
            }
            let name = name.clone();
            changes.push(ConfigChange { name, value });
        }
        Ok(Changes(changes))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has the cluster check the changes; what they would change.
    pub(crate) async fn plan(
        &self,
        resource: ConfigResource<'_>,
        cluster: &Cluster,
    ) -> Result<Vec<Changed>, Error> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let described = cluster.client.describe_configs(resource, None).await;
        let described = cluster.checked("looking up the settings", described)?;
        let checked = cluster.client.alter_configs(resource, &self.0, true).await;
        if let Err(error) = checked {
            return Err(self.explain(&error, &described, cluster));
        }
        let planned = self.0.iter().map(|change| {
            let known = described.iter().find(|known| *known.name == *change.name);
            planned(change, known)
        });
        Ok(planned.collect())
    }

    /// Changes the settings as planned.
    pub(crate) async fn carry_out(
        &self,
        resource: ConfigResource<'_>,
        planned: Vec<Changed>,
        cluster: &Cluster,
    ) -> Result<Vec<Changed>, Error> {
        if !self.is_empty() && !planned.iter().all(Changed::is_same) {
            let done = cluster.client.alter_configs(resource, &self.0, false).await;
            cluster.checked("changing the settings", done)?;
        }
        Ok(planned)
    }

    /// The cluster's refusal, with a suggestion where a setting is not known.
    fn explain(
        &self,
        error: &ottla_client::Error,
        described: &[DescribeConfigsResourceResult],
        cluster: &Cluster,
    ) -> Error {
        let refused = matches!(
            error.code(),
            Some(ErrorCode::InvalidConfig | ErrorCode::InvalidRequest)
        );
        let known = || described.iter().map(|config| &*config.name);
        let unknown = self
            .0
            .iter()
            .find(|change| known().all(|name| name != change.name));
        match unknown.filter(|_| refused && !described.is_empty()) {
            Some(change) => Error::NotThere {
                what: "setting",
                name: change.name.clone(),
                similar: suggest::closest(&change.name, known()),
                to_do: "`ottla config get` with --all shows those that exist".to_owned(),
            },
            None => cluster.failure("changing the settings", error),
        }
    }
}

fn planned(change: &ConfigChange, known: Option<&DescribeConfigsResourceResult>) -> Changed {
    let before = known.and_then(|known| known.value.as_deref());
    let mut changed = Changed {
        name: change.name.clone(),
        before: before.map(str::to_owned),
        after: change.value.clone(),
        falls_back_to: None,
    };
    if let (None, Some(known)) = (&change.value, known) {
        // The first synonym is what holds now; if that was set, what stands behind it comes next.
        let own = known
            .synonyms
            .first()
            .is_some_and(|first| *first.name == *change.name);
        let is_set = own && !Source::from_id(known.config_source).is_default();
        let behind = known.synonyms.get(usize::from(is_set));
        changed.after = match behind {
            Some(behind) => behind
                .value
                .as_deref()
                .map(|value| in_unit_of(&change.name, &behind.name, value)),
            None if is_set => None,
            None => changed.before.clone(),
        };
        let source = behind.map(|behind| Source::from_id(behind.source));
        changed.falls_back_to = Some(source.unwrap_or(Source::DefaultConfig));
    }
    changed
}

/// The value of a synonym, in the unit of the setting that it stands for: the default of
/// `retention.ms` is one of `log.retention.hours`.
pub(super) fn in_unit_of(setting: &str, synonym: &str, value: &str) -> String {
    let factor = match synonym.rsplit('.').next() {
        Some("hours") => 60 * 60 * 1000,
        Some("minutes") => 60 * 1000,
        _ => 1,
    };
    match value
        .parse::<i64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
    {
        Some(ms) if setting.ends_with(".ms") && ms >= 0 => ms.to_string(),
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests;
