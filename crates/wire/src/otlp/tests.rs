use super::*;

/// Writes protobuf, for the tests.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, field: u64, value: u64) -> Self {
        self.raw(field << 3);
        self.raw(value);
        self
    }

    fn fixed64(mut self, field: u64, value: u64) -> Self {
        self.raw(field << 3 | 1);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.raw(field << 3 | 2);
        self.raw(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn message(self, field: u64, message: Message) -> Self {
        self.bytes(field, &message.0)
    }

    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

fn text(key: &str, value: &str) -> Message {
    let value = Message::default().bytes(1, value.as_bytes());
    Message::default()
        .bytes(1, key.as_bytes())
        .message(2, value)
}

/// A push with one resource that has an attribute, and these metrics.
fn push(metrics: Vec<Message>) -> Vec<u8> {
    let resource = Message::default().message(1, text("group_id", "g"));
    let scope = metrics
        .into_iter()
        .fold(Message::default(), |scope, metric| scope.message(2, metric));
    let resource_metrics = Message::default().message(2, scope).message(1, resource);
    Message::default().message(1, resource_metrics).0
}

fn gauge(name: &str, value: f64) -> Message {
    let point = Message::default()
        .fixed64(3, 17)
        .fixed64(4, value.to_bits())
        .message(7, text("topic", "t"));
    Message::default()
        .bytes(1, name.as_bytes())
        .message(5, Message::default().message(1, point))
}

#[test]
fn gauges_and_sums_are_read_with_their_attributes() {
    let point = Message::default().fixed64(6, (-3i64).cast_unsigned());
    let sum = Message::default()
        .message(1, point)
        .varint(2, 2)
        .varint(3, 1);
    let sum = Message::default().bytes(1, b"s").message(7, sum);
    let bytes = push(vec![gauge("a.b", 1.5), sum]);
    let metrics = decode(&bytes).unwrap();
    let group = ("group_id", Cow::from("g"));
    assert_eq!(
        metrics,
        [
            Metric {
                name: "a.b",
                kind: MetricKind::Gauge,
                points: vec![Point {
                    attributes: vec![group.clone(), ("topic", Cow::from("t"))],
                    value: 1.5,
                }],
            },
            Metric {
                name: "s",
                kind: MetricKind::Sum {
                    monotonic: true,
                    delta: false,
                },
                points: vec![Point {
                    attributes: vec![group],
                    value: -3.0,
                }],
            },
        ]
    );
}

#[test]
fn what_is_not_known_is_skipped() {
    let histogram = Message::default().message(1, Message::default().fixed64(4, 9));
    let odd = Message::default().bytes(1, b"h").message(9, histogram);
    let mut later = Message::default();
    later.raw(99 << 3 | 5);
    later.0.extend_from_slice(&[0; 4]);
    let odd = Message(odd.0.into_iter().chain(later.0).collect());
    let list = Message::default().message(5, Message::default());
    let attribute = Message::default().bytes(1, b"list").message(2, list);
    let point = Message::default().fixed64(4, 0).message(7, attribute);
    let plain = Message::default()
        .bytes(1, b"g")
        .message(5, Message::default().message(1, point));
    let bytes = push(vec![odd, plain]);
    let metrics = decode(&bytes).unwrap();
    assert_eq!(metrics.len(), 1);
    assert_eq!(metrics[0].points[0].attributes.len(), 1);
    assert_eq!(decode(&[]).unwrap(), []);
}

#[test]
fn damage_is_told_and_nothing_panics() {
    let good = push(vec![gauge("a", 1.0)]);
    for len in 1..good.len() {
        assert!(decode(&good[..len]).is_err(), "{len}");
    }
    assert!(matches!(
        decode(&[0x0b]),
        Err(OtlpError::WireType {
            field: 1,
            wire_type: 3
        })
    ));
    assert!(matches!(
        decode(&[0x08, 1]),
        Err(OtlpError::WireType {
            field: 1,
            wire_type: 0
        })
    ));
    assert_eq!(decode(&[0xff; 11]), Err(OtlpError::Varint));
    let not_utf8 = push(vec![Message::default().bytes(1, &[0xff])]);
    assert_eq!(decode(&not_utf8), Err(OtlpError::Utf8));
}

#[test]
fn the_number_of_items_is_bounded() {
    let many = Message(Message::default().bytes(1, b"").0.repeat(ITEMS_MAX));
    let bytes = push(vec![Message::default().message(5, many)]);
    assert_eq!(decode(&bytes), Err(OtlpError::TooMany));
}
