//! Quotas, in the form of settings.

use ottla_client::QuotaEntity;

use super::changes::Changed;
use super::resource::entity_text;
use crate::cluster::Cluster;
use crate::{Error, suggest};

/// Kafka's quotas (KIP-546, KIP-599, KIP-612), with what they count.
pub(super) const KNOWN: [(&str, &str); 5] = [
    (
        "producer_byte_rate",
        "bytes a second that it may produce, for each broker",
    ),
    (
        "consumer_byte_rate",
        "bytes a second that it may fetch, for each broker",
    ),
    ("request_percentage", "percent of the threads' time"),
    ("controller_mutation_rate", "changed partitions a second"),
    ("connection_creation_rate", "new connections a second"),
];

/// The quotas of exactly this entity.
pub(super) async fn of(
    entity: &QuotaEntity,
    cluster: &Cluster,
) -> Result<Vec<(String, f64)>, Error> {
    let described = cluster.client.describe_client_quotas(Some(entity)).await;
    let described = cluster.checked("looking up the quotas", described)?;
    let values = described.into_iter().flat_map(|quotas| quotas.values);
    let mut values: Vec<_> = values.collect();
    values.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(values)
}

pub(super) async fn alter(
    entity: &QuotaEntity,
    set: &[(String, String)],
    unset: &[String],
    dry_run: bool,
    cluster: &Cluster,
) -> Result<Vec<Changed>, Error> {
    let mut changes = Vec::new();
    for (name, value) in set {
        let number = value.parse::<f64>().ok().filter(|n| n.is_finite());
        let number = number.ok_or_else(|| {
            Error::Usage(format!(
                "{value:?} is no number: quotas are, such as {name}=1048576"
            ))
        })?;
        changes.push((name.clone(), Some(number)));
    }
    changes.extend(unset.iter().map(|name| (name.clone(), None)));
    for (name, _) in &changes {
        if KNOWN.iter().all(|(known, _)| known != name) {
            return Err(Error::NotThere {
                what: "quota",
                name: name.clone(),
                similar: suggest::closest(name, KNOWN.map(|(known, _)| known)),
                to_do: format!("there are {}", KNOWN.map(|(known, _)| known).join(", ")),
            });
        }
    }
    let before = of(entity, cluster).await?;
    let done = cluster
        .client
        .alter_client_quotas(entity, &changes, dry_run);
    let action = || format!("changing the quotas of {}", entity_text(entity));
    cluster.checked(action(), done.await)?;
    let changed = changes.into_iter().map(|(name, value)| Changed {
        before: before
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, v)| v.to_string()),
        after: value.map(|value| value.to_string()),
        falls_back_to: None,
        name,
    });
    Ok(changed.collect())
}
