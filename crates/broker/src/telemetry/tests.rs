use std::borrow::Cow;

use ottla_metadata::{ConfigRecord, ConfigResource, Record};
use ottla_wire::otlp::{Metric, MetricKind, Point};

use super::*;

const ID: Uuid = Uuid([7; 16]);

/// An image with these subscriptions: name, property, value.
fn image(settings: &[(&str, &str, &str)]) -> Image {
    let mut image = Image::empty();
    for (offset, (name, key, value)) in (0..).zip(settings) {
        let record = Record::Config(ConfigRecord {
            resource: ConfigResource::ClientMetrics((*name).to_owned()),
            key: (*key).to_owned(),
            value: Some((*value).to_owned()),
        });
        image.apply(&record, offset).unwrap();
    }
    image
}

fn telemetry(settings: &[(&str, &str, &str)]) -> Telemetry {
    let telemetry = Telemetry::new(1000, 10_000);
    telemetry.follow(&image(settings));
    telemetry
}

fn facts(client_id: &str) -> Facts {
    Facts {
        client_id: client_id.to_owned(),
        software: Some(("apache-kafka-java".to_owned(), "4.4.0".to_owned())),
        address: "127.0.0.9:4711".parse().unwrap(),
    }
}

fn ask(telemetry: &Telemetry, now_ms: i64) -> Result<Granted, ErrorCode> {
    telemetry.subscribe(ID, || unreachable!("it has an id"), facts("app"), now_ms)
}

fn push(subscription_id: i32) -> Push {
    Push {
        client_instance_id: ID,
        subscription_id,
        terminating: false,
        is_known_compression: true,
        bytes: 100,
    }
}

fn gauge<'a>(name: &'a str, value: f64) -> Metric<'a> {
    Metric {
        name,
        kind: MetricKind::Gauge,
        points: vec![Point {
            attributes: Vec::new(),
            value,
        }],
    }
}

#[test]
fn a_client_without_an_id_gets_one_that_nobody_has() {
    let telemetry = telemetry(&[]);
    let mut drawn = [Uuid::ZERO, Uuid([1; 16])].into_iter();
    let mut fresh = || drawn.next().unwrap();
    let first = telemetry
        .subscribe(Uuid::ZERO, &mut fresh, facts("a"), 0)
        .unwrap();
    assert_eq!(first.client_instance_id, Uuid([1; 16]));
    let mut drawn = [Uuid([1; 16]), Uuid([2; 16])].into_iter();
    let fresh = || drawn.next().unwrap();
    let second = telemetry
        .subscribe(Uuid::ZERO, fresh, facts("b"), 0)
        .unwrap();
    assert_eq!(second.client_instance_id, Uuid([2; 16]));
    // Without a subscription there is nothing to push.
    assert_eq!((second.metrics.len(), second.interval_ms), (0, 300_000));
}

#[test]
fn a_client_is_asked_for_what_all_matching_subscriptions_want_as_often_as_the_most_eager() {
    let telemetry = telemetry(&[
        ("a", "metrics", "x.,y."),
        ("a", "interval.ms", "5000"),
        ("a", "match", "client_id=ap+,client_source_port=47.*"),
        ("b", "metrics", "y.,z."),
        ("b", "interval.ms", "2000"),
        (
            "b",
            "match",
            "client_software_name=apache-.*,client_source_address=127\\.0\\.0\\.9",
        ),
        ("c", "metrics", "never."),
        ("c", "interval.ms", "100"),
        ("c", "match", "client_software_version=3.*"),
    ]);
    let granted = ask(&telemetry, 0).unwrap();
    assert_eq!(granted.metrics, ["x.", "y.", "z."]);
    assert_eq!(granted.interval_ms, 2000);
    let all = [("d", "metrics", "*")];
    telemetry.follow(&image(&all));
    let changed = ask(&telemetry, 0).unwrap();
    assert_eq!(changed.metrics, ["*"]);
    assert_ne!(changed.subscription_id, granted.subscription_id);
}

#[test]
fn whoever_asks_too_often_is_throttled_until_something_changes() {
    let settings = [("a", "interval.ms", "1000"), ("a", "metrics", "*")];
    let telemetry = telemetry(&settings);
    let throttled = Err(ErrorCode::ThrottlingQuotaExceeded);
    let granted = ask(&telemetry, 0).unwrap();
    assert_eq!(ask(&telemetry, 999).map(drop), throttled);
    assert!(ask(&telemetry, 1000).is_ok());
    // The first push after a question comes when it comes; then they keep the interval.
    let id = granted.subscription_id;
    assert_eq!(telemetry.admit(push(id), facts("app"), 1200), Ok(()));
    assert_eq!(telemetry.admit(push(id), facts("app"), 2199), throttled);
    assert_eq!(ask(&telemetry, 2199).map(drop), throttled);
    assert_eq!(telemetry.admit(push(id), facts("app"), 2200), Ok(()));
    // A change lets the client ask at once.
    telemetry.follow(&image(&[
        ("a", "interval.ms", "1000"),
        ("a", "metrics", "x."),
    ]));
    let unknown = Err(ErrorCode::UnknownSubscriptionId);
    assert_eq!(telemetry.admit(push(id), facts("app"), 3200), unknown);
    let granted = ask(&telemetry, 3201).unwrap();
    assert_ne!(granted.subscription_id, id);
    // Asking out of turn earns no push out of turn: the two could go on without end.
    let again = |now_ms| telemetry.admit(push(granted.subscription_id), facts("app"), now_ms);
    assert_eq!(again(3202), throttled);
    assert_eq!(again(4200), Ok(()));
    let counts = telemetry.counts();
    assert_eq!((counts.throttled, counts.unknown_subscriptions), (4, 1));
}

#[test]
fn pushes_are_refused_in_kafkas_order_and_not_after_the_last_one() {
    let telemetry = telemetry(&[("a", "interval.ms", "1000"), ("a", "metrics", "*")]);
    let id = ask(&telemetry, 0).unwrap().subscription_id;
    let mut now_ms = 0;
    let mut admit = |change: &dyn Fn(&mut Push)| {
        let mut push = push(id);
        change(&mut push);
        now_ms += 1000;
        telemetry.admit(push, facts("app"), now_ms)
    };
    let bad = |push: &mut Push| {
        push.is_known_compression = false;
        push.bytes = 1001;
    };
    assert_eq!(
        admit(&|p| p.client_instance_id = Uuid::ZERO),
        Err(ErrorCode::InvalidRequest)
    );
    assert_eq!(admit(&bad), Err(ErrorCode::UnsupportedCompressionType));
    assert_eq!(
        admit(&|p| p.bytes = 1001),
        Err(ErrorCode::TelemetryTooLarge)
    );
    assert_eq!(admit(&|p| p.bytes = 1000), Ok(()));
    // The last push comes at any time, and nothing comes behind it.
    let mut last = push(id);
    last.terminating = true;
    assert_eq!(telemetry.admit(last, facts("app"), 4001), Ok(()));
    let behind = telemetry.admit(push(id), facts("app"), 9000);
    assert_eq!(behind, Err(ErrorCode::InvalidRequest));
}

#[test]
fn what_was_asked_for_is_shown_with_who_pushed_it() {
    let telemetry = telemetry(&[("a", "metrics", "org.apache.kafka.producer.")]);
    ask(&telemetry, 0).unwrap();
    let counter = Metric {
        name: "org.apache.kafka.producer.connection.creation.total",
        kind: MetricKind::Sum {
            monotonic: true,
            delta: false,
        },
        points: vec![Point {
            attributes: vec![
                ("client.rack", Cow::from("r")),
                ("client_id", Cow::from("somebody else")),
            ],
            value: 3.0,
        }],
    };
    let unasked = gauge("org.apache.kafka.consumer.lag", 1.0);
    telemetry.record(ID, &[counter, unasked]);
    let families = telemetry.families(0);
    assert_eq!(families.len(), 1);
    let family = &families[0];
    assert_eq!(family.name, "kafka_client_producer_connection_creation");
    assert!(family.is_counter);
    let labels: Vec<_> = family.series[0]
        .labels
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        labels,
        [
            ("client_id", "app"),
            ("client_instance_id", "BwcHBwcHBwcHBwcHBwcHBw"),
            ("client_software_name", "apache-kafka-java"),
            ("client_software_version", "4.4.0"),
            ("client_rack", "r"),
        ]
    );
    assert_eq!(family.series[0].value, 3.0);
}

#[test]
fn a_push_replaces_the_one_before_and_changes_add_up() {
    let telemetry = telemetry(&[("a", "metrics", "*")]);
    ask(&telemetry, 0).unwrap();
    let sum = |value| Metric {
        kind: MetricKind::Sum {
            monotonic: true,
            delta: true,
        },
        ..gauge("sum", value)
    };
    telemetry.record(ID, &[sum(2.0), gauge("gone", 1.0), gauge("stays", 1.0)]);
    telemetry.record(ID, &[sum(3.0), gauge("stays", 9.0)]);
    let values: Vec<_> = telemetry
        .families(0)
        .into_iter()
        .map(|f| (f.name, f.series[0].value))
        .collect();
    let expected = [("kafka_client_stays", 9.0), ("kafka_client_sum", 5.0)];
    assert_eq!(values, expected.map(|(name, v)| (name.to_owned(), v)));
}

#[test]
fn names_are_brought_into_prometheus_alphabet_and_have_one_kind() {
    let telemetry = telemetry(&[("a", "metrics", "*")]);
    for id in [1, 2] {
        let id = Uuid([id; 16]);
        telemetry.subscribe(id, || id, facts("app"), 0).unwrap();
        let odd = gauge("a-b\"{\n}é", f64::from(id.0[0]));
        let counter = Metric {
            kind: MetricKind::Sum {
                monotonic: id.0[0] == 1,
                delta: false,
            },
            ..gauge("x.total", 1.0)
        };
        telemetry.record(id, &[odd, counter]);
    }
    let families = telemetry.families(0);
    let told: Vec<_> = families
        .iter()
        .map(|f| (f.name.as_str(), f.is_counter, f.series.len()))
        .collect();
    // Of the two kinds of x the one that came first is shown.
    assert_eq!(
        told,
        [
            ("kafka_client_a_b_____", false, 2),
            ("kafka_client_x", true, 1)
        ]
    );
}

#[test]
fn series_and_clients_are_bounded_and_the_silent_are_forgotten() {
    let telemetry = Telemetry::new(1000, 2500);
    telemetry.follow(&image(&[
        ("a", "metrics", "*"),
        ("a", "interval.ms", "1000"),
    ]));
    let names: Vec<String> = (0..2100).map(|n| format!("m{n}")).collect();
    let many: Vec<_> = names.iter().map(|name| gauge(name, 1.0)).collect();
    for (n, now_ms) in [(1, 0), (2, 5_000)] {
        let id = Uuid([n; 16]);
        telemetry
            .subscribe(id, || id, facts("app"), now_ms)
            .unwrap();
        telemetry.record(id, &many);
    }
    let counts = telemetry.counts();
    assert_eq!((counts.clients, counts.series), (2, 2500));
    assert_eq!(counts.dropped_series, 100 + 1600);
    assert_eq!(telemetry.families(60_000).len(), 2000);
    assert_eq!(telemetry.families(60_001).len(), 500);
    let counts = telemetry.counts();
    assert_eq!((counts.clients, counts.series), (1, 500));
    for n in 0..20_000_u32 {
        let mut id = [9; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        let id = Uuid(id);
        telemetry
            .subscribe(id, || id, facts("app"), 60_001 + i64::from(n))
            .unwrap();
    }
    let counts = telemetry.counts();
    assert_eq!((counts.clients, counts.series), (16_384, 0));
}
