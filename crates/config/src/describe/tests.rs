use super::*;
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
