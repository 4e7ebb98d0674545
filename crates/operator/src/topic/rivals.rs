//! Several resources for one topic: the oldest decides.

use std::cmp::Ordering;

use kube::ResourceExt;
use kube::runtime::reflector::{ObjectRef, Store};
use parking_lot::RwLock;

use super::topic_name;
use crate::api::KafkaTopic;

/// All topics' resources, as the watches know them, so that nobody has to list them for each one.
#[derive(Default)]
pub(crate) struct Topics(RwLock<Vec<Store<KafkaTopic>>>);

impl Topics {
    /// Adds what a watch knows.
    pub(crate) fn watch(&self, store: Store<KafkaTopic>) {
        self.0.write().push(store);
    }

    /// The older resource for the same topic, if there is one.
    pub(crate) fn older(&self, topic: &KafkaTopic) -> Option<String> {
        let stores = self.0.read();
        let known = stores.iter().flat_map(Store::state);
        let mut rivals: Vec<_> = known.filter(|other| gives_way(topic, other)).collect();
        rivals.sort_by(|one, other| age(one, other));
        rivals.first().map(|oldest| oldest.name_any())
    }

    /// The resources for topics of a cluster.
    pub(crate) fn of_cluster(&self, namespace: &str, cluster: &str) -> Vec<ObjectRef<KafkaTopic>> {
        let stores = self.0.read();
        let known = stores.iter().flat_map(Store::state);
        known
            .filter(|topic| {
                topic.spec.cluster == cluster && topic.namespace().as_deref() == Some(namespace)
            })
            .map(|topic| ObjectRef::from_obj(&*topic))
            .collect()
    }
}

/// Whether a resource leaves the topic to another one.
fn gives_way(topic: &KafkaTopic, other: &KafkaTopic) -> bool {
    topic.namespace() == other.namespace()
        && topic.spec.cluster == other.spec.cluster
        && topic_name(topic) == topic_name(other)
        && topic.name_any() != other.name_any()
        && age(other, topic).is_lt()
}

/// The older one is less; of two that are equally old, the one with the lesser name.
fn age(one: &KafkaTopic, other: &KafkaTopic) -> Ordering {
    let made = |topic: &KafkaTopic| {
        topic
            .metadata
            .creation_timestamp
            .as_ref()
            .map(|time| time.0)
    };
    (made(one), one.name_any()).cmp(&(made(other), other.name_any()))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::api::KafkaTopicSpec;

    fn resource(name: &str, topic: Option<&str>, second: i64) -> KafkaTopic {
        let spec = KafkaTopicSpec {
            cluster: "demo".to_owned(),
            topic: topic.map(str::to_owned),
            ..KafkaTopicSpec::default()
        };
        let mut topic = KafkaTopic::new(name, spec);
        topic.metadata.creation_timestamp = Timestamp::from_second(second).ok().map(Time);
        topic
    }

    #[test]
    fn the_younger_resource_of_a_topic_gives_way() {
        let old = resource("orders", None, 10);
        let young = resource("orders-2", Some("orders"), 20);
        assert!(gives_way(&young, &old));
        assert!(!gives_way(&old, &young));
        let same_age = resource("a-orders", Some("orders"), 10);
        assert!(gives_way(&old, &same_age));
        assert!(!gives_way(&same_age, &old));
        assert!(!gives_way(&old, &old));
        let another = resource("payments", None, 1);
        assert!(!gives_way(&old, &another));
        let mut elsewhere = resource("x", Some("orders"), 1);
        elsewhere.spec.cluster = "other".to_owned();
        assert!(!gives_way(&old, &elsewhere));
    }
}
