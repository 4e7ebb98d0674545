use super::*;
use crate::node::Dynamic;
use crate::sources::Sources;

fn node(settings: &[(&str, &str)]) -> NodeConfig {
    let flags = settings
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let sources = Sources {
        flags,
        ..Sources::default()
    };
    NodeConfig::load(sources).unwrap().config
}

fn find<'a>(entries: &'a [ConfigEntry], name: &str) -> &'a ConfigEntry {
    entries.iter().find(|entry| entry.name == name).unwrap()
}

fn synonyms(entry: &ConfigEntry) -> Vec<(&str, &str, i8)> {
    entry
        .synonyms
        .iter()
        .map(|s| (s.name, s.value.as_deref().unwrap_or("-"), s.source.id()))
        .collect()
}

#[test]
fn a_topics_value_is_described_with_every_place_that_gives_it_one() {
    let node = node(&[("log.retention.hours", "1")]);
    let own = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
    let entries = describe_topic(&node, &own);
    let entry = find(&entries, "retention.ms");
    assert_eq!(entry.value.as_deref(), Some("5"));
    assert_eq!(entry.source, ConfigSource::DynamicTopicConfig);
    assert!(!entry.read_only);
    assert_eq!(
        synonyms(entry),
        [
            ("retention.ms", "5", 1),
            ("log.retention.hours", "1", 4),
            ("log.retention.hours", "168", 5),
        ]
    );

    let entries = describe_topic(&node, &BTreeMap::new());
    let entry = find(&entries, "retention.ms");
    assert_eq!(entry.value.as_deref(), Some("3600000"));
    assert_eq!(entry.source, ConfigSource::StaticBrokerConfig);
    let entry = find(&entries, "segment.bytes");
    assert_eq!(entry.value.as_deref(), Some("1073741824"));
    assert_eq!(entry.source, ConfigSource::DefaultConfig);
}

#[test]
fn the_described_value_is_the_one_that_applies() {
    let settings = [
        ("log.retention.minutes", "2"),
        ("log.cleanup.policy", "compact, delete"),
    ];
    let node = node(&settings);
    let entries = describe_topic(&node, &BTreeMap::new());
    let entry = find(&entries, "retention.ms");
    assert_eq!(
        entry.value,
        Some(node.topic_defaults.retention_ms.to_string())
    );
    let entry = find(&entries, "cleanup.policy");
    assert_eq!(entry.value.as_deref(), Some("compact,delete"));
    assert_eq!(entry.value_type.id(), 7);
}

#[test]
fn synonyms_come_in_the_order_in_which_they_count() {
    let at_start = node(&[("log.retention.ms", "4"), ("log.retention.hours", "1")]);
    let one = |value: &str| BTreeMap::from([("log.retention.ms".to_owned(), value.to_owned())]);
    let dynamic = Dynamic {
        all_brokers: one("3"),
        this_broker: one("2"),
    };
    let node = at_start.with_dynamic(dynamic).unwrap();
    assert_eq!(node.topic_defaults.retention_ms, 2);
    let own = BTreeMap::from([("retention.ms".to_owned(), "1".to_owned())]);
    let entries = describe_topic(&node, &own);
    let expected = [
        ("retention.ms", "1", 1),
        ("log.retention.ms", "2", 2),
        ("log.retention.ms", "3", 3),
        ("log.retention.ms", "4", 4),
        ("log.retention.hours", "1", 4),
        ("log.retention.hours", "168", 5),
    ];
    assert_eq!(synonyms(find(&entries, "retention.ms")), expected);
    let entries = describe_broker(&node, 0);
    let entry = find(&entries, "log.retention.ms");
    assert_eq!(synonyms(entry), expected[1..]);
    assert_eq!(
        (entry.value.as_deref(), entry.read_only),
        (Some("2"), false)
    );
    let entries = describe_all_brokers(&node);
    assert_eq!(entries.len(), 1);
    assert_eq!(synonyms(&entries[0]), [("log.retention.ms", "3", 3)]);
}

#[test]
fn a_group_falls_back_to_its_node_and_a_subscription_to_its_defaults() {
    let node = node(&[("group.consumer.session.timeout.ms", "46000")]);
    let none = BTreeMap::new();
    let entries = describe_group(&node, &none);
    let entry = find(&entries, "consumer.session.timeout.ms");
    assert_eq!(entry.value.as_deref(), Some("46000"));
    assert_eq!(entry.source, ConfigSource::StaticBrokerConfig);
    let own = BTreeMap::from([("consumer.session.timeout.ms".to_owned(), "50000".to_owned())]);
    let entries = describe_group(&node, &own);
    let entry = find(&entries, "consumer.session.timeout.ms");
    assert_eq!(entry.source.id(), 8);
    assert_eq!(entry.value.as_deref(), Some("50000"));

    let own = BTreeMap::from([("interval.ms".to_owned(), "1000".to_owned())]);
    let entries = describe_client_metrics(&own);
    let interval = find(&entries, "interval.ms");
    assert_eq!(
        (interval.source.id(), interval.value.as_deref()),
        (7, Some("1000"))
    );
    let wanted = find(&entries, "match");
    assert_eq!((wanted.source.id(), wanted.value.as_deref()), (5, Some("")));
}

#[test]
fn a_broker_is_described_with_its_id_and_without_its_secrets() {
    let node = node(&[
        ("ssl.keystore.password", "swordfish"),
        ("num.partitions", "3"),
    ]);
    let entries = describe_broker(&node, 5);
    assert_eq!(find(&entries, "node.id").value.as_deref(), Some("5"));
    let password = find(&entries, "ssl.keystore.password");
    assert!(password.sensitive);
    assert_eq!(password.value, None);
    let partitions = find(&entries, "num.partitions");
    assert!(partitions.read_only);
    assert_eq!(
        synonyms(partitions),
        [("num.partitions", "3", 4), ("num.partitions", "1", 5)]
    );
    assert!(!format!("{entries:?}").contains("swordfish"));
    assert_eq!(entries.len(), NODE_PROPERTIES.len());
}
