use super::*;
use crate::Sources;

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

fn overrides(settings: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = settings.iter().map(|&(k, v)| (k.to_owned(), v.to_owned()));
    owned.collect()
}

#[test]
fn every_fallback_and_bound_is_declared() {
    for property in GROUP_PROPERTIES {
        for fallback in property.fallbacks {
            let declared = others::find(fallback.name);
            let declared = declared.unwrap_or_else(|| panic!("{}", fallback.name));
            assert_eq!(declared.default, property.default, "{}", fallback.name);
        }
    }
    for bounded in BOUNDED {
        assert!(find(bounded.name).is_some(), "{}", bounded.name);
        for bound in [bounded.min, bounded.max] {
            assert!(others::find(bound).is_some(), "{bound}");
        }
    }
}

#[test]
fn a_setting_stays_within_the_nodes_bounds_even_when_they_change_later() {
    let own = overrides(&[("consumer.session.timeout.ms", "58000")]);
    let wide = node(&[]);
    assert_eq!(GroupConfig::check(&wide, &own), Ok(()));
    let config = GroupConfig::resolve(&wide, &own).unwrap();
    assert_eq!(config.consumer_session_timeout_ms, 58_000);
    let narrow = node(&[("group.consumer.max.session.timeout.ms", "50000")]);
    let config = GroupConfig::resolve(&narrow, &own).unwrap();
    assert_eq!(config.consumer_session_timeout_ms, 50_000);
    let refused = GroupConfig::check(&narrow, &own).unwrap_err().to_string();
    assert_eq!(
        refused,
        "consumer.session.timeout.ms must be in the range 45000 to 50000 inclusive, and it is \
         58000; group.consumer.min.session.timeout.ms and group.consumer.max.session.timeout.ms \
         set the bounds"
    );
}

#[test]
fn a_session_is_longer_than_a_heartbeat() {
    let node = node(&[
        ("group.consumer.min.session.timeout.ms", "5000"),
        ("group.consumer.max.heartbeat.interval.ms", "15000"),
    ]);
    let own = overrides(&[
        ("consumer.session.timeout.ms", "6000"),
        ("consumer.heartbeat.interval.ms", "6000"),
    ]);
    let refused = GroupConfig::check(&node, &own).unwrap_err().to_string();
    assert_eq!(
        refused,
        "consumer.session.timeout.ms (6000) must be greater than consumer.heartbeat.interval.ms \
         (6000)"
    );
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (name, value) in [
        ("share.delivery.count.limit", "6"),
        ("streams.assignor.name", "x"),
    ] {
        let refused = GroupConfig::check(&node(&[]), &overrides(&[(name, value)]));
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains(name) && text.contains("not supported yet"),
            "{text}"
        );
    }
}
