use ottla_config::Sources;
use ottla_metadata::{ConfigRecord, Record};
use ottla_model::{BrokerId, Offset, TopicName};

use super::*;

fn rules() -> DeclaredRules {
    let loaded = NodeConfig::load(Sources::default()).unwrap();
    DeclaredRules::new(Arc::new(loaded.config))
}

fn one(key: &str, value: &str) -> Overrides {
    Overrides::from([(key.into(), value.into())])
}

fn topic() -> ConfigResource {
    ConfigResource::Topic(TopicName::new("topic").unwrap())
}

#[test]
fn declared_bounds_hold_for_topics() {
    let (rules, image) = (rules(), Image::empty());
    let check = |overrides| rules.check(&image, &topic(), &overrides);
    assert_eq!(check(one("retention.ms", "1000")), Ok(()));
    assert!(check(one("retention.ms", "-7")).is_err());
    assert!(check(one("retention.ms", "soon")).is_err());
    let refusal = check(one("no.such.property", "1")).unwrap_err();
    assert!(refusal.message.contains("no.such.property"), "{refusal}");
    assert_eq!(refusal.code, ErrorCode::InvalidConfig);
}

#[test]
fn a_running_broker_takes_what_can_change_and_names_what_cannot() {
    let (rules, image) = (rules(), Image::empty());
    let own = ConfigResource::Broker(BrokerId(1));
    for resource in [&own, &ConfigResource::DefaultBroker] {
        let check = |key, value| rules.check(&image, resource, &one(key, value));
        assert_eq!(check("log.retention.ms", "1000"), Ok(()));
        for (key, value, code, word) in [
            ("num.partitions", "2", ErrorCode::InvalidRequest, "restart"),
            (
                "log.retention.ms",
                "-2",
                ErrorCode::InvalidRequest,
                "at least -1",
            ),
            (
                "log.retention.ms",
                "0",
                ErrorCode::InvalidRequest,
                "at least 1",
            ),
            (
                "log.retention.m",
                "1",
                ErrorCode::InvalidConfig,
                "log.retention.ms",
            ),
        ] {
            let refusal = check(key, value).unwrap_err();
            assert_eq!(refusal.code, code, "{refusal}");
            assert!(refusal.message.contains(key), "{refusal}");
            assert!(refusal.message.contains(word), "{refusal}");
        }
    }
}

#[test]
fn a_topic_is_judged_on_top_of_what_is_set_for_all_brokers() {
    let (rules, mut image) = (rules(), Image::empty());
    let lag = one("max.compaction.lag.ms", "5");
    assert_eq!(rules.check(&image, &topic(), &lag), Ok(()));
    let record = Record::Config(ConfigRecord {
        resource: ConfigResource::DefaultBroker,
        key: "log.cleaner.min.compaction.lag.ms".into(),
        value: Some("9".into()),
    });
    let offset: Offset = 0;
    image.apply(&record, offset).unwrap();
    let refusal = rules.check(&image, &topic(), &lag).unwrap_err();
    assert!(
        refusal.message.contains("min.compaction.lag.ms (9)"),
        "{refusal}"
    );
}

#[test]
fn groups_and_subscriptions_have_their_own_properties() {
    let (rules, image) = (rules(), Image::empty());
    let group = ConfigResource::Group("g".into());
    let check = |key, value| rules.check(&image, &group, &one(key, value));
    assert_eq!(check("consumer.session.timeout.ms", "50000"), Ok(()));
    let refusal = check("consumer.session.timeout.ms", "1000").unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidConfig);
    assert!(
        refusal.message.contains("range 45000 to 60000"),
        "{refusal}"
    );
    assert!(check("retention.ms", "1").is_err());

    let subscription = ConfigResource::ClientMetrics("s".into());
    let check = |key, value| rules.check(&image, &subscription, &one(key, value));
    assert_eq!(
        check("match", "client_id=app-.*,client_source_port=90.."),
        Ok(())
    );
    let codes = [
        check("interval.ms", "99").unwrap_err().code,
        check("interval.ms", "often").unwrap_err().code,
        check("match", "client_id").unwrap_err().code,
        check("match", "client_name=a").unwrap_err().code,
        check("push", "1").unwrap_err().code,
    ];
    assert_eq!(
        codes,
        [
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidConfig,
            ErrorCode::InvalidConfig,
            ErrorCode::InvalidConfig,
            ErrorCode::InvalidRequest,
        ]
    );
}
