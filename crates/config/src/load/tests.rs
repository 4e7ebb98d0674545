use super::*;
use crate::broker::BROKER_PROPERTIES;
use crate::judge::shown;
use crate::property::{Bounds, Effect};
use crate::topic::TOPIC_PROPERTIES;

fn sources() -> Sources {
    Sources {
        hostname: "kafka-2".to_owned(),
        ..Sources::default()
    }
}

fn with_file(text: &str) -> Sources {
    Sources {
        file: Some(("server.properties".to_owned(), text.to_owned())),
        ..sources()
    }
}

fn with_env(vars: &[(&str, &str)]) -> Sources {
    Sources {
        env: vars
            .iter()
            .map(|&(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
        ..sources()
    }
}

fn load(sources: Sources) -> NodeConfig {
    NodeConfig::load(sources).unwrap().config
}

/// The texts of all errors.
fn errors(sources: Sources) -> Vec<String> {
    match NodeConfig::load(sources) {
        Ok(loaded) => panic!("loaded: {:?}", loaded.notices),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}

fn notices(sources: Sources) -> Vec<String> {
    let loaded = NodeConfig::load(sources).unwrap();
    loaded.notices.iter().map(ToString::to_string).collect()
}

#[test]
fn without_settings_a_node_serves_this_machine_only() {
    let loaded = NodeConfig::load(sources()).unwrap();
    assert!(loaded.notices.is_empty(), "{:?}", loaded.notices);
    let config = loaded.config;
    assert_eq!(config.node_id, NodeIdSource::FromDataOrDefault);
    assert_eq!(config.log_dirs, ["./ottla-data"]);
    let [listener] = config.listeners.as_slice() else {
        panic!("{:?}", config.listeners)
    };
    assert_eq!(
        (listener.name.as_str(), listener.bind_host.as_str()),
        ("PLAINTEXT", "127.0.0.1")
    );
    assert_eq!(
        (listener.port, listener.advertised_port),
        (9092, Some(9092))
    );
    let http = config.http_listener.unwrap();
    assert_eq!((http.host.as_str(), http.port), ("127.0.0.1", 9644));
    assert!(config.topic_defaults.acks_wait_for_disk);
    assert_eq!(config.topic_defaults, TopicConfig::default());
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = || "num.partitions=2\n".to_owned();
    let mut sources = with_file(&file());
    assert_eq!(load(sources.clone()).broker.num_partitions, 2);
    sources
        .env
        .insert("KAFKA_CFG_NUM_PARTITIONS".into(), "3".into());
    assert_eq!(load(sources.clone()).broker.num_partitions, 3);
    sources
        .env
        .insert("OTTLA_NUM_PARTITIONS".into(), "4".into());
    assert_eq!(load(sources.clone()).broker.num_partitions, 4);
    sources
        .flags
        .push(("num.partitions".to_owned(), "5".to_owned()));
    assert_eq!(load(sources.clone()).broker.num_partitions, 5);
    sources
        .flags
        .push(("num.partitions".to_owned(), "6".to_owned()));
    assert_eq!(load(sources).broker.num_partitions, 6);
}

#[test]
fn every_problem_is_reported_at_once() {
    let errors = errors(with_file(
        "num.partitions=0\nlog.segment.bytes=big\nauthorizer.class.name=a.B\n\
         log.retention.ms=\\u12\nlisteners=PLAINTEXT://:99999\n",
    ));
    assert_eq!(errors.len(), 5, "{errors:#?}");
}

#[test]
fn a_bounds_error_names_key_value_origin_and_bounds() {
    let errors = errors(with_file("\nnum.partitions=0\n"));
    assert_eq!(
        errors,
        [
            "num.partitions = 0 (from server.properties, line 2): Value must be at least 1. \
             Allowed: int, at least 1."
        ]
    );
}

/// A text below and one above the bounds of a property, where it has any.
fn texts_out_of_bounds(property: &Property) -> Vec<String> {
    let mut texts = match property.bounds {
        Bounds::AtLeast(min) => vec![(min - 1).to_string()],
        Bounds::Between(min, max) | Bounds::BetweenOr(min, max, _) => {
            vec![(min - 3).to_string(), (max + 1).to_string()]
        }
        Bounds::OneOf(_) => vec!["no-such-value".to_owned()],
        Bounds::NonEmpty => vec![String::new(), "a,a".to_owned()],
        Bounds::NoDuplicates => vec!["a,a".to_owned()],
        Bounds::Replicas => vec!["a".to_owned()],
        Bounds::Any => Vec::new(),
    };
    use crate::property::ValueType::{Boolean, Double, Int, Long, Short};
    if matches!(property.value_type, Boolean | Double | Int | Long | Short) {
        texts.push("zebra".to_owned());
    }
    texts
}

#[test]
fn every_property_refuses_what_is_out_of_its_bounds_by_name() {
    for property in others::NODE_PROPERTIES.iter() {
        if matches!(property.effect, Effect::Refused(_)) {
            continue;
        }
        for text in texts_out_of_bounds(property) {
            let mut sources = sources();
            sources.flags.push((property.name.to_owned(), text.clone()));
            let errors = errors(sources);
            let start = format!("{} = {text} (from --set): ", property.name);
            let error = errors.iter().find(|error| error.starts_with(&start));
            let error = error.unwrap_or_else(|| panic!("{start}: {errors:?}"));
            assert!(
                error.contains(&property.bounds.to_string()),
                "{error} names no bounds"
            );
        }
    }
}

#[test]
fn every_default_lies_within_its_bounds() {
    for property in others::NODE_PROPERTIES.iter().chain(TOPIC_PROPERTIES) {
        if let Some(default) = property.default {
            assert_eq!(property.check(default), Ok(()), "{}", property.name);
        }
    }
}

#[test]
fn names_are_declared_once_and_ours_are_marked() {
    let mut names: Vec<&str> = others::NODE_PROPERTIES.iter().map(|p| p.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a property is declared twice");
    for property in BROKER_PROPERTIES.iter().chain(TOPIC_PROPERTIES) {
        assert!(
            property.doc.ends_with('.'),
            "{} has no sentence",
            property.name
        );
    }
}

#[test]
fn unknown_keys_are_named_with_the_nearest_known_one() {
    assert_eq!(
        notices(with_file("num.partition=3\nmy.plugin.option=x\n")),
        [
            "my.plugin.option (from server.properties, line 2) is not a known property and has no \
             effect.",
            "num.partition (from server.properties, line 1) is not a known property and has no \
             effect. Did you mean num.partitions?",
        ]
    );
}

#[test]
fn a_key_that_comes_twice_counts_once_and_is_named() {
    let loaded = NodeConfig::load(with_file("num.partitions=2\nnum.partitions=3\n")).unwrap();
    assert_eq!(loaded.config.broker.num_partitions, 3);
    assert_eq!(
        loaded.notices[0].message,
        "num.partitions is in server.properties more than once; line 2 counts."
    );
}

#[test]
fn the_environment_of_the_published_manifests_works_as_it_stands() {
    let loaded = NodeConfig::load(with_env(&[
        ("ALLOW_PLAINTEXT_LISTENER", "yes"),
        ("KAFKA_CFG_ZOOKEEPER_CONNECT", "zk-0.zk:2181,zk-1.zk:2181"),
        ("KAFKA_CFG_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_CFG_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
        ("KAFKA_CFG_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
        ("KAFKA_CFG_LISTENERS", "INTERNAL://:9093,CLIENT://:9092"),
        (
            "KAFKA_CFG_LISTENER_SECURITY_PROTOCOL_MAP",
            "INTERNAL:PLAINTEXT,CLIENT:PLAINTEXT",
        ),
        (
            "KAFKA_CFG_ADVERTISED_LISTENERS",
            "INTERNAL://$(MY_POD_NAME).kafka:9093,CLIENT://example.org:{port+ordinal}",
        ),
        ("KAFKA_CFG_INTER_BROKER_LISTENER_NAME", "INTERNAL"),
        ("MY_POD_NAME", "kafka-2"),
        ("KAFKA_HEAP_OPTS", "-Xmx512M -Xms512M"),
        ("KAFKA_OPTS", "-Dlogging.level=DEBUG"),
        ("KF_REPLICAS", "3"),
        ("PATH", "/bin"),
        ("OTTLA_SERVICE_HOST", "10.0.0.1"),
        ("OTTLA_PORT", "tcp://10.0.0.1:9092"),
    ]))
    .unwrap();
    let advertised: Vec<_> = loaded
        .config
        .listeners
        .iter()
        .map(|l| {
            (
                l.name.as_str(),
                l.advertised_host.as_str(),
                l.advertised_port,
            )
        })
        .collect();
    assert_eq!(
        advertised,
        [
            ("INTERNAL", "kafka-2.kafka", Some(9093)),
            ("CLIENT", "example.org", Some(9094)),
        ]
    );
    assert_eq!(loaded.config.inter_broker_listener_name, "INTERNAL");
    assert_eq!(loaded.config.broker.offsets_topic_replication_factor, 1);
    let mut named: Vec<&str> = loaded.notices.iter().map(|n| n.key.as_str()).collect();
    named.sort_unstable();
    assert_eq!(
        named,
        [
            "ALLOW_PLAINTEXT_LISTENER",
            "KAFKA_HEAP_OPTS",
            "KAFKA_OPTS",
            "KF_REPLICAS",
            "zookeeper.connect",
        ]
    );
}

#[test]
fn an_advertised_address_that_is_none_is_refused_by_name() {
    let errors = errors(with_env(&[(
        "KAFKA_CFG_ADVERTISED_LISTENERS",
        "PLAINTEXT://12.345.67.8:9092",
    )]));
    assert_eq!(
        errors,
        [
            "advertised.listeners: PLAINTEXT://12.345.67.8:9092: 12.345.67.8 looks like an IPv4 \
             address and is none."
        ]
    );
}

#[test]
fn a_variable_that_lacks_cfg_is_named() {
    assert_eq!(
        notices(with_env(&[(
            "KAFKA_ADVERTISED_LISTENERS",
            "PLAINTEXT://x:1"
        )])),
        [
            "KAFKA_ADVERTISED_LISTENERS in the environment is not read; to set \
             advertised.listeners, write KAFKA_CFG_ADVERTISED_LISTENERS."
        ]
    );
}

#[test]
fn what_would_change_behaviour_is_refused_unless_it_states_the_default() {
    let refused = errors(with_file("remote.log.storage.system.enable=true"));
    assert_eq!(
        refused,
        [
            "remote.log.storage.system.enable = true (from server.properties, line 1) is not \
             supported: tiered storage is not supported yet. Remove it to start."
        ]
    );
    load(with_file("remote.log.storage.system.enable=false"));
    load(with_file("authorizer.class.name="));
    assert_eq!(
        errors(with_file("listener.name.x.ssl.keystore.location=a")).len(),
        1
    );
}

#[test]
fn secrets_are_never_printed() {
    let notices = notices(with_file("ssl.keystore.password=swordfish"));
    assert_eq!(notices.len(), 1);
    assert!(!notices[0].contains("swordfish"));
    let setting = Setting {
        value: "swordfish".to_owned(),
        origin: Origin::Flag,
    };
    let shown = shown(others::find("ssl.key.password"), &setting);
    assert_eq!(shown.value, "[hidden]");
}

#[test]
fn lines_of_the_late_file_win_over_those_of_the_file_and_lose_to_the_environment() {
    let mut sources = with_file("broker.rack=a\nlog.retention.hours=1\nnode.id=1");
    sources.late_file = Some(("late".to_owned(), "broker.rack=b\nnode.id=2".to_owned()));
    let variable = ("KAFKA_CFG_NODE_ID".to_owned(), "3".to_owned());
    sources.env = [variable].into();
    let loaded = NodeConfig::load(sources).expect("it is valid");
    let config = loaded.config;
    assert_eq!(config.broker.broker_rack.as_deref(), Some("b"));
    assert_eq!(config.node_id, NodeIdSource::Given(3));
    let notices: Vec<String> = loaded.notices.iter().map(ToString::to_string).collect();
    assert!(
        !notices.iter().any(|n| n.contains("more than once")),
        "{notices:?}"
    );
}

#[test]
fn the_node_id_is_given_or_comes_from_the_ordinal_or_from_the_data() {
    let id = |text: &str| load(with_file(text)).node_id;
    assert_eq!(id("node.id=7"), NodeIdSource::Given(7));
    assert_eq!(id("broker.id=7"), NodeIdSource::Given(7));
    assert_eq!(id("broker.id=7\nnode.id=7"), NodeIdSource::Given(7));
    assert_eq!(id("broker.id=-1"), NodeIdSource::FromDataOrDefault);
    assert_eq!(id("node.id={ordinal}"), NodeIdSource::Given(2));
    let source = id("ottla.node.id.ordinal.offset=1");
    assert_eq!(source.configured(), Some(3));
    assert_eq!(
        id("ottla.node.id.ordinal.offset=1\nnode.id=9"),
        NodeIdSource::Given(9)
    );
    assert_eq!(
        errors(with_file("broker.id=1\nnode.id=2")),
        [
            "node.id = 2, broker.id = 1: both are the node's id, so they must be the same; \
             broker.id can go."
        ]
    );
}

#[test]
fn a_hostname_without_an_ordinal_is_an_error_only_when_it_is_needed() {
    let mut sources = with_file("ottla.node.id.ordinal.offset=0");
    sources.hostname = "laptop".to_owned();
    assert_eq!(
        errors(sources.clone()),
        ["Failed to extract ordinal from hostname laptop"]
    );
    sources.flags.push(("node.id".to_owned(), "4".to_owned()));
    assert_eq!(load(sources).node_id, NodeIdSource::Given(4));
}

#[test]
fn properties_that_contradict_each_other_are_refused() {
    for text in [
        "group.min.session.timeout.ms=10\ngroup.max.session.timeout.ms=9",
        "log.retention.hours=0",
        "log.retention.ms=0",
        "queued.max.request.bytes=10",
        "process.roles=controller",
        "process.roles=broker",
        "controller.quorum.voters=1@a:9093,2@b:9093",
        "inter.broker.listener.name=NOPE",
        "security.inter.broker.protocol=SSL",
        "log.cleaner.min.compaction.lag.ms=10\nlog.cleaner.max.compaction.lag.ms=9",
        "max.connections.per.ip.overrides=host",
        "ottla.http.listener=9644",
    ] {
        assert_eq!(errors(with_file(text)).len(), 1, "{text}");
    }
}

#[test]
fn kafkas_own_combined_server_properties_loads() {
    let config = load(with_file(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.bootstrap.servers=localhost:9093\n\
         listeners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
         inter.broker.listener.name=PLAINTEXT\n\
         advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,\
         SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL\n\
         num.network.threads=3\nnum.io.threads=8\nsocket.send.buffer.bytes=102400\n\
         socket.receive.buffer.bytes=102400\nsocket.request.max.bytes=104857600\n\
         log.dirs=/tmp/kraft-combined-logs\nnum.partitions=1\n\
         num.recovery.threads.per.data.dir=2\noffsets.topic.replication.factor=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         log.retention.hours=168\nlog.segment.bytes=1073741824\n\
         log.retention.check.interval.ms=300000\n",
    ));
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.controller_listeners.len(), 1);
    assert_eq!(config.quorum.expect, 1);
    assert_eq!(config.log_dirs, ["/tmp/kraft-combined-logs"]);
    assert_eq!(config.node_id, NodeIdSource::Given(1));
}

#[test]
fn limits_of_single_addresses_are_read() {
    let config = load(with_file(
        "max.connections.per.ip.overrides=10.0.0.1:5, [::1]:7",
    ));
    let overrides = config.max_connections_per_ip_overrides;
    assert_eq!(overrides.get("10.0.0.1"), Some(&5));
    assert_eq!(overrides.get("::1"), Some(&7));
}

#[test]
fn min_insync_replicas_that_blocks_writes_is_warned_of() {
    let both = "min.insync.replicas=3\ndefault.replication.factor=3";
    assert!(notices(with_file(both))[0].contains("while any one broker is away"));
    assert!(notices(with_file("min.insync.replicas=2"))[0].contains("will be refused"));
}

proptest::proptest! {
    #[test]
    fn random_text_never_panics(text: String, key in "[a-z.]{0,20}", value: String) {
        let mut sources = with_file(&text);
        sources.flags.push((key, value.clone()));
        sources.flags.push(("listeners".to_owned(), value.clone()));
        sources.env.insert("KAFKA_CFG_ADVERTISED_LISTENERS".to_owned(), value);
        if let Err(errors) = NodeConfig::load(sources) {
            assert!(!errors.0.is_empty());
        }
    }
}
