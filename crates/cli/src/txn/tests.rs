use ottla_client::ActiveProducer;
use ottla_wire::messages::describe_transactions_response::{TopicData, TransactionState};

use super::*;
use crate::output::render;

fn state(name: &str) -> TransactionState {
    TransactionState {
        transactional_id: "pay".into(),
        transaction_state: name.into(),
        transaction_timeout_ms: 90_000,
        transaction_start_time_ms: 1_000,
        producer_id: 5,
        producer_epoch: 2,
        topics: vec![TopicData {
            topic: "orders".into(),
            partitions: vec![0, 3],
            ..TopicData::default()
        }],
        ..TransactionState::default()
    }
}

#[test]
fn a_description_tells_how_long_a_transaction_has_been_open() {
    let described = |name| describe::Descriptions {
        transactions: vec![describe::Description::new(1, state(name), 66_500)],
    };
    let expected = "\
Transactional id:   pay
State:              Ongoing
Producer:           5 in epoch 2
Coordinator:        broker 1
Timeout:            1m30s
Open since:         1970-01-01T00:00:01.000Z (1m5s)

TOPIC    PARTITION
orders   0
orders   3
";
    let text = render(&described("Ongoing"), OutputFormat::Table).unwrap();
    assert_eq!(text, expected);
    let over = render(&described("CompleteCommit"), OutputFormat::Table).unwrap();
    assert!(!over.contains("Open since"), "{over}");
}

#[test]
fn producers_are_shown_with_their_open_transactions() {
    let producer = |producer_id, transaction_start_offset| ActiveProducer {
        producer_id,
        producer_epoch: 1,
        last_sequence: 9,
        last_timestamp_ms: 5_000,
        coordinator_epoch: -1,
        transaction_start_offset,
    };
    let rows = [producer(7, Some(42)), producer(8, None)];
    let view = producers::Producers {
        producers: rows
            .iter()
            .map(|p| producers::Row::new("t", 0, p))
            .collect(),
        now_ms: 8_250,
    };
    let expected = "\
PARTITION   PRODUCER   EPOCH   OPEN TRANSACTION   LAST WRITE
0           7          1       from offset 42     3s ago
0           8          1       -                  3s ago
";
    assert_eq!(render(&view, OutputFormat::Table).unwrap(), expected);
}

#[test]
fn ages_are_told_in_whole_seconds() {
    assert_eq!(age(Some(0), 250), "250ms");
    assert_eq!(age(Some(0), 3_725_999), "1h2m5s");
    assert_eq!(age(Some(-1), 5), "-");
    assert_eq!(age(None, 5), "-");
    assert_eq!(age(Some(9), 5), "0s");
}
