use super::*;
use crate::Sources;
use crate::property::Bounds;

fn one(name: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(name.to_owned(), value.to_owned())])
}

fn for_all(name: &str, value: &str) -> Dynamic {
    Dynamic {
        all_brokers: one(name, value),
        ..Dynamic::default()
    }
}

#[test]
fn what_is_set_while_the_node_runs_is_gone_when_it_is_taken_away() {
    let node = NodeConfig::default();
    let changed = node
        .with_dynamic(for_all("message.max.bytes", "77"))
        .unwrap();
    assert_eq!(changed.broker.message_max_bytes, 77);
    assert_eq!(changed.topic_defaults.max_message_bytes, 77);
    let changed = changed
        .with_dynamic(for_all("max.connections", "5"))
        .unwrap();
    assert_eq!(changed.broker.max_connections, 5);
    assert_eq!(changed.topic_defaults.max_message_bytes, 1_048_588);
    assert_eq!(changed.with_dynamic(Dynamic::default()).unwrap(), node);
}

#[test]
fn problems_name_the_property_and_what_to_do() {
    let node = NodeConfig::default();
    for (name, value, text) in [
        (
            "num.io.threads",
            "4",
            "Cannot update these configs dynamically: [num.io.threads]. Set it in the node's \
             configuration and restart the node",
        ),
        (
            "message.max.bytes",
            "-1",
            "Invalid value -1 for configuration message.max.bytes: Value must be at least 0",
        ),
        (
            "max.connections.per.ip.overrides",
            "127.0.0.1",
            "Invalid value 127.0.0.1 for configuration max.connections.per.ip.overrides: expected \
             address:count, but there is '127.0.0.1'",
        ),
        (
            "max.connections",
            "0",
            "Invalid value 0 for configuration max.connections: nobody could connect any more, \
             also not to change it back",
        ),
        (
            "mesage.max.bytes",
            "1",
            "Unknown broker config name: mesage.max.bytes. Did you mean message.max.bytes?",
        ),
        (
            "listener.name.internal.ssl.keystore.location",
            "x",
            "listener.name.internal.ssl.keystore.location is not supported: listeners have no \
             properties of their own yet",
        ),
        (
            "log.cleaner.min.compaction.lag.ms",
            "9223372036854775807",
            "",
        ),
    ] {
        let problem = node.with_dynamic(for_all(name, value)).map(drop);
        let told = problem.map_err(|error| error.to_string());
        let expected = if text.is_empty() {
            Ok(())
        } else {
            Err(text.to_owned())
        };
        assert_eq!(told, expected);
    }
}

#[test]
fn a_property_that_no_longer_holds_is_left_out_and_named() {
    let node = NodeConfig::default();
    let mut dynamic = for_all("message.max.bytes", "77");
    dynamic.this_broker = one("gone.from.kafka", "1");
    let (config, problems) = node.with_valid_dynamic(dynamic);
    assert_eq!(config.broker.message_max_bytes, 77);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].to_string().contains("gone.from.kafka"));
}

#[test]
fn whatever_can_change_can_be_set_to_its_default() {
    let loaded = NodeConfig::load(Sources::default()).unwrap();
    for property in others::NODE_PROPERTIES.iter() {
        let Some(default) = property.default else {
            continue;
        };
        let changed = loaded.config.with_dynamic(for_all(property.name, default));
        match property.change {
            Change::Live => {
                changed.unwrap_or_else(|error| panic!("{}: {error}", property.name));
            }
            Change::PerBroker | Change::Restart => {
                assert!(changed.is_err(), "{} = {default}", property.name);
            }
        }
        if property.change == Change::Live && matches!(property.bounds, Bounds::AtLeast(_)) {
            let below = for_all(property.name, "-9223372036854775808");
            assert!(
                loaded.config.with_dynamic(below).is_err(),
                "{}",
                property.name
            );
        }
    }
}
