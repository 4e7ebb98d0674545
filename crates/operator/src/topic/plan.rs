//! What has to be done to a topic so that it is as its resource says. Pure.

use ottla_client::ConfigChange;

use super::found::Found;
use crate::api::{KafkaTopicSpec, TopicDrift};

/// What has to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// It gets so many partitions.
    pub(crate) grow: Option<i32>,
    /// Some partitions have another number of replicas than this.
    pub(crate) replicas: Option<usize>,
    pub(crate) configs: Vec<ConfigChange>,
    /// What is different, and is changed.
    pub(crate) differs: Vec<TopicDrift>,
    /// What is different, and cannot be changed.
    pub(crate) cannot: Vec<TopicDrift>,
}

/// Compares. `set_before` are properties that this resource has set some time.
pub(crate) fn plan(spec: &KafkaTopicSpec, set_before: &[String], found: &Found) -> Plan {
    let mut plan = Plan::default();
    let now = i32::try_from(found.partitions.len()).unwrap_or(i32::MAX);
    let partitions = drift("partitions", spec.partitions, now);
    match spec.partitions.cmp(&now) {
        std::cmp::Ordering::Greater => {
            plan.grow = Some(spec.partitions);
            plan.differs.push(partitions);
        }
        std::cmp::Ordering::Less => plan.cannot.push(partitions),
        std::cmp::Ordering::Equal => {}
    }
    let wanted = spec
        .replicas
        .and_then(|wanted| usize::try_from(wanted).ok());
    if let Some(wanted) = wanted {
        let other = found.partitions.iter().map(|placed| placed.replicas.len());
        if let Some(other) = other.clone().find(|count| *count != wanted) {
            plan.replicas = Some(wanted);
            plan.differs.push(drift("replicas", wanted, other));
        }
    }
    for (name, wanted) in &spec.config {
        let own = found.own.get(name);
        if own.is_some_and(|own| is_same(own, wanted)) {
            continue;
        }
        let found = own.map_or("the default", String::as_str);
        plan.differs.push(drift(name, wanted, found));
        plan.configs.push(ConfigChange {
            name: name.clone(),
            value: Some(wanted.clone()),
        });
    }
    let not_any_more = set_before
        .iter()
        .filter(|name| !spec.config.contains_key(*name));
    for name in not_any_more {
        if let Some(own) = found.own.get(name) {
            plan.differs.push(drift(name, "the default", own));
            plan.configs.push(ConfigChange {
                name: name.clone(),
                value: None,
            });
        }
    }
    plan
}

fn drift(field: &str, wanted: impl ToString, found: impl ToString) -> TopicDrift {
    TopicDrift {
        field: field.to_owned(),
        wanted: wanted.to_string(),
        found: found.to_string(),
    }
}

/// Whether two ways of writing a value mean the same: blanks around it, and around the parts of a
/// list, do not count.
fn is_same(one: &str, other: &str) -> bool {
    let parts = |text: &str| -> Vec<String> {
        let parts = text.split(',').map(str::trim);
        parts.map(str::to_owned).collect()
    };
    parts(one) == parts(other)
}

/// Differences as a person reads them.
pub(crate) fn told(differences: &[TopicDrift]) -> String {
    let all = differences.iter().map(|one| {
        format!(
            "{} is {}, the resource says {}",
            one.field, one.found, one.wanted
        )
    });
    all.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use ottla_placement::Placed;

    use super::*;

    fn found(partitions: i32, replicas: &[i32], own: &[(&str, &str)]) -> Found {
        let placed = |partition| Placed {
            topic: "orders".to_owned(),
            partition,
            replicas: replicas.to_vec(),
            ..Placed::default()
        };
        Found {
            id: None,
            partitions: (0..partitions).map(placed).collect(),
            moving: 0,
            own: own
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn spec(partitions: i32, replicas: Option<i32>, config: &[(&str, &str)]) -> KafkaTopicSpec {
        KafkaTopicSpec {
            cluster: "demo".to_owned(),
            partitions,
            replicas,
            config: found(0, &[], config).own,
            ..KafkaTopicSpec::default()
        }
    }

    #[test]
    fn a_topic_that_is_as_it_says_is_left_alone() {
        let spec = spec(3, Some(2), &[("cleanup.policy", "compact, delete")]);
        let found = found(3, &[0, 1], &[("cleanup.policy", "compact,delete")]);
        let before = ["cleanup.policy".to_owned()];
        assert_eq!(plan(&spec, &before, &found), Plan::default());
    }

    #[test]
    fn a_topic_with_fewer_partitions_grows_and_one_with_more_is_told_of() {
        let small = plan(&spec(6, None, &[]), &[], &found(3, &[0], &[]));
        assert_eq!(small.grow, Some(6));
        assert_eq!(told(&small.differs), "partitions is 3, the resource says 6");
        let large = plan(&spec(2, None, &[]), &[], &found(3, &[0], &[]));
        assert_eq!(large.grow, None);
        assert_eq!(told(&large.cannot), "partitions is 3, the resource says 2");
        assert_eq!(large.differs, []);
    }

    #[test]
    fn replicas_are_left_to_the_cluster_where_the_resource_names_none() {
        let found = found(1, &[0, 1], &[]);
        assert_eq!(plan(&spec(1, None, &[]), &[], &found), Plan::default());
        let more = plan(&spec(1, Some(3), &[]), &[], &found);
        assert_eq!(more.replicas, Some(3));
        let fewer = plan(&spec(1, Some(1), &[]), &[], &found);
        assert_eq!(fewer.replicas, Some(1));
    }

    #[test]
    fn only_properties_that_were_named_are_touched() {
        let found = found(
            1,
            &[0],
            &[("retention.ms", "1000"), ("max.message.bytes", "2000")],
        );
        // It was set by hand, and nobody has named it: it is not even asked for.
        assert_eq!(plan(&spec(1, None, &[]), &[], &found).configs, []);
        // Named before, and not any more.
        let before = ["retention.ms".to_owned()];
        let back = plan(&spec(1, None, &[]), &before, &found);
        let default = ConfigChange {
            name: "retention.ms".to_owned(),
            value: None,
        };
        assert_eq!(back.configs, [default]);
        // Named, and different.
        let named = plan(&spec(1, None, &[("retention.ms", "5")]), &before, &found);
        assert_eq!(named.configs.len(), 1);
        assert_eq!(
            told(&named.differs),
            "retention.ms is 1000, the resource says 5"
        );
    }
}
