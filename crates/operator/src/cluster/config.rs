//! Properties that brokers take while they run: a changed value restarts nobody.
//!
//! ```text
//!   a value changes        set for all brokers, at once; it stands before what their files say
//!   a property is added    the same, and pods roll, to have it in their files
//!   one is taken away      it is unset, and pods roll, to have it in their files no more
//! ```
//!
//! Pods that start anew have it from their file before they know the cluster, and from the cluster's
//! metadata after that. Properties that the resource does not name are left to people.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::{ConfigChange, ConfigResource};
use ottla_placement::RATES;
use serde_json::json;

use super::Round;
use crate::api::{KafkaCluster, Reason};
use crate::error::{Asked, Error};
use crate::kafka::View;
use crate::{quantity, render, status};

/// Sets what differs.
pub(super) async fn set(round: &mut Round<'_>) -> Result<(), Error> {
    let Some(view) = round.view.clone() else {
        return Ok(());
    };
    let wanted = wanted(round.cluster);
    let named: BTreeSet<String> = wanted.keys().map(|name| (*name).to_owned()).collect();
    let all: BTreeSet<String> = round.set_properties.union(&named).cloned().collect();
    if all.is_empty() {
        return Ok(());
    }
    // Before they are set: they are taken back one day, whatever happens to this operator in between.
    if all != round.set_properties {
        let fields = json!({ "setProperties": all });
        status::patch(round.context, round.cluster, fields).await?;
        round.set_properties.clone_from(&all);
    }
    match carry_out(&view, &wanted, &all).await {
        Ok(changes) => {
            round.set_properties = named;
            if !changes.is_empty() {
                let note = format!("all brokers have got {}", told(&changes));
                round.say(Reason::Changed, note).await;
            }
        }
        // Brokers that do not know a property yet may know it when they have rolled.
        Err(error) => round.complain(Reason::Error, error.to_string()).await,
    }
    Ok(())
}

/// What the resource wants: what its `config` says, and what follows from other fields.
fn wanted(cluster: &KafkaCluster) -> BTreeMap<&str, String> {
    let live = render::live_config(cluster).into_iter();
    let mut wanted: BTreeMap<&str, String> =
        live.map(|(name, value)| (name, value.to_owned())).collect();
    let throttle = cluster.spec.rebalance.throttle.as_ref();
    if let Some(bytes) = throttle.and_then(quantity::bytes) {
        for name in RATES {
            wanted.entry(name).or_insert(format!("{bytes:.0}"));
        }
    }
    wanted
}

/// What was changed.
async fn carry_out(
    view: &View,
    wanted: &BTreeMap<&str, String>,
    all: &BTreeSet<String>,
) -> Result<Vec<ConfigChange>, Error> {
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    let resource = ConfigResource::BrokerDefault;
    let described = view.client.describe_configs(resource, Some(&names)).await;
    let described = described.when(|| "asking what is set for all brokers".to_owned())?;
    let found = described.into_iter().filter_map(|config| {
        let value = config.value?;
        Some((config.name.to_string(), value.to_string()))
    });
    let changes = differing(wanted, all, &found.collect());
    if !changes.is_empty() {
        let altered = view.client.alter_configs(resource, &changes, false).await;
        altered.when(|| format!("setting {} for all brokers", told(&changes)))?;
    }
    Ok(changes)
}

fn differing(
    wanted: &BTreeMap<&str, String>,
    all: &BTreeSet<String>,
    found: &BTreeMap<String, String>,
) -> Vec<ConfigChange> {
    let changes = all.iter().filter_map(|name| {
        let value = wanted.get(name.as_str());
        let differs = found.get(name) != value;
        differs.then(|| ConfigChange {
            name: name.clone(),
            value: value.cloned(),
        })
    });
    changes.collect()
}

fn told(changes: &[ConfigChange]) -> String {
    let each = changes.iter().map(|change| match &change.value {
        Some(value) => format!("{} = {value}", change.name),
        None => format!("{} as their files have it", change.name),
    });
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_set_and_what_was_set_once_is_unset() {
        let wanted = [("log.retention.ms", "5"), ("message.max.bytes", "9")];
        let wanted = wanted.map(|(name, value)| (name, value.to_owned())).into();
        let all = ["log.retention.ms", "message.max.bytes", "log.segment.bytes"];
        let all = all.map(str::to_owned).into();
        let found = [
            ("log.retention.ms", "4"),
            ("message.max.bytes", "9"),
            ("log.segment.bytes", "7"),
        ];
        let found = found.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let changes = differing(&wanted, &all, &found.into());
        assert_eq!(
            told(&changes),
            "log.retention.ms = 5, log.segment.bytes as their files have it"
        );
        assert_eq!(differing(&wanted, &BTreeSet::new(), &BTreeMap::new()), []);
    }

    #[test]
    fn the_rate_of_moves_is_a_property_of_all_brokers_that_rolls_nobody() {
        let spec = json!({
            "rebalance": { "throttle": "1.5Mi" },
            "config": { "leader.replication.throttled.rate": "7", "log.retention.ms": "5" },
        });
        let spec = serde_json::from_value(spec).expect("the spec is right");
        let cluster = KafkaCluster::new("shop", spec);
        let told: Vec<String> = wanted(&cluster)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            told,
            [
                "follower.replication.throttled.rate=1572864",
                "leader.replication.throttled.rate=7",
                "log.retention.ms=5",
            ]
        );
    }
}
