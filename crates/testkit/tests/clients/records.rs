//! Records come out as they went in.

use std::time::{SystemTime, UNIX_EPOCH};

use ottla_testkit::scenario::Record;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::{numbered, start};

const MESSAGE_MAX_BYTES: usize = 1_048_588;
/// What a batch of one record needs beyond the value.
const BATCH_OVERHEAD_BYTES: usize = 100;

/// Bytes that do not compress (xorshift), the same in each run.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

#[test]
fn records_come_back_under_every_compression() {
    let (_node, clients) = start();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = clients.create_topic(&format!("codec-{codec}"), 1).unwrap();
        let sent: Vec<Record> = (0..500)
            .map(|n| Record {
                key: Some(format!("key-{n}").into_bytes()),
                ..Record::of(format!("value-{n} some words that compress well"))
            })
            .collect();
        let properties = [("compression.type", codec), ("linger.ms", "20")];
        let offsets = clients.produce(&topic, &sent, &properties).unwrap();
        assert_eq!(offsets, (0..500).collect::<Vec<i64>>(), "{codec}");
        let read = clients.consume(&topic, 0, 0, 500).unwrap();
        for (n, (offset, record)) in read.iter().enumerate() {
            assert_eq!(*offset, i64::try_from(n).unwrap(), "{codec}");
            assert_eq!(
                (&record.key, &record.value),
                (&sent[n].key, &sent[n].value),
                "{codec}"
            );
        }
    }
}

#[test]
fn headers_keep_their_order_their_duplicates_and_their_nulls() {
    let (_node, clients) = start();
    let topic = clients.create_topic("headers", 1).unwrap();
    let header = |key: &str, value: Option<&[u8]>| (key.to_owned(), value.map(<[u8]>::to_vec));
    let headers = vec![
        header("a", Some(b"1")),
        header("b", Some(b"2")),
        header("a", Some(b"3")),
        header("empty", Some(b"")),
        header("null", None),
    ];
    let sent = [
        Record {
            headers: headers.clone(),
            ..Record::of("v")
        },
        Record::of("w"),
    ];
    clients.produce(&topic, &sent, &[]).unwrap();
    let read = clients.consume(&topic, 0, 0, 2).unwrap();
    assert_eq!(read[0].1.headers, headers);
    assert!(read[1].1.headers.is_empty());
}

#[test]
fn timestamps_of_the_producer_are_kept() {
    let (_node, clients) = start();
    let topic = clients.create_topic("timestamps", 1).unwrap();
    // A few minutes ago: retention takes away what is much older.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = i64::try_from(now.as_millis()).unwrap() - 300_000;
    let times: Vec<i64> = (0..50).map(|n| first + n * 1000).collect();
    let sent: Vec<Record> = times
        .iter()
        .map(|t| Record {
            timestamp_ms: Some(*t),
            ..Record::of("v")
        })
        .collect();
    clients.produce(&topic, &sent, &[]).unwrap();
    let read = clients.consume(&topic, 0, 0, 50).unwrap();
    let found: Vec<i64> = read
        .iter()
        .filter_map(|(_, record)| record.timestamp_ms)
        .collect();
    assert_eq!(found, times);
}

#[test]
fn null_and_empty_keys_and_values_are_told_apart() {
    let (_node, clients) = start();
    let topic = clients.create_topic("tombstones", 1).unwrap();
    let empty = || Some(Vec::new());
    let sent = [
        Record {
            key: Some(b"gone".to_vec()),
            value: None,
            ..Record::default()
        },
        Record {
            key: Some(b"empty".to_vec()),
            value: empty(),
            ..Record::default()
        },
        Record {
            key: empty(),
            ..Record::of("v")
        },
        Record::of("v"),
        Record::default(),
    ];
    clients.produce(&topic, &sent, &[]).unwrap();
    for (n, (_, record)) in clients.consume(&topic, 0, 0, 5).unwrap().iter().enumerate() {
        assert_eq!(
            (&record.key, &record.value),
            (&sent[n].key, &sent[n].value),
            "record {n}"
        );
    }
}

#[test]
fn the_largest_record_is_taken_and_a_larger_one_refused() {
    let (_node, clients) = start();
    let topic = clients.create_topic("large", 1).unwrap();
    let largest = Record::of(noise(MESSAGE_MAX_BYTES - BATCH_OVERHEAD_BYTES));
    let limits = [("message.max.bytes", "4000000")];
    clients
        .produce(&topic, std::slice::from_ref(&largest), &limits)
        .unwrap();
    let refused = clients
        .produce(&topic, &[Record::of(noise(2_000_000))], &limits)
        .unwrap_err();
    let error = refused
        .downcast_ref::<KafkaError>()
        .and_then(KafkaError::rdkafka_error_code);
    assert_eq!(
        error,
        Some(RDKafkaErrorCode::MessageSizeTooLarge),
        "{refused}"
    );
    clients
        .produce(&topic, &[Record::of("after")], &[])
        .unwrap();
    let read = clients.consume(&topic, 0, 0, 2).unwrap();
    assert!(
        read[0].1.value == largest.value,
        "the largest value differs"
    );
    assert_eq!(read[1].1.text(), "after");
}

#[test]
fn an_idempotent_producer_keeps_the_order_of_each_partition() {
    let (_node, clients) = start();
    let topic = clients.create_topic("idempotent", 2).unwrap();
    let sent = numbered(0, 4000, 2);
    let properties = [
        ("enable.idempotence", "true"),
        ("batch.num.messages", "100"),
    ];
    clients.produce(&topic, &sent, &properties).unwrap();
    for partition in [0, 1] {
        assert_eq!(clients.bounds(&topic, partition).unwrap(), (0, 2000));
        let read = clients.consume(&topic, partition, 0, 2000).unwrap();
        let expected = sent.iter().filter(|record| record.partition == partition);
        assert!(
            read.iter()
                .map(|(_, record)| &record.value)
                .eq(expected.map(|r| &r.value))
        );
    }
}

#[test]
fn records_survive_a_clean_restart() {
    let (mut node, clients) = start();
    let topic = clients.create_topic("restart", 1).unwrap();
    clients
        .produce(&topic, &numbered(0, 1000, 1), &[("acks", "all")])
        .unwrap();
    node.restart().unwrap();
    let offsets = clients
        .produce(&topic, &numbered(1000, 10, 1), &[("acks", "all")])
        .unwrap();
    assert_eq!(offsets, (1000..1010).collect::<Vec<i64>>());
    let read = clients.consume(&topic, 0, 0, 1010).unwrap();
    for (n, (_, record)) in read.iter().enumerate() {
        assert_eq!(record.text(), format!("value-{n}"));
    }
}
