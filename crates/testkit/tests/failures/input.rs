//! What a client may ask for at most.

use std::time::Instant;

use ottla_model::ErrorCode;

use super::harness::{Session, assert_refused, log_of, node, value};

#[test]
fn a_request_beyond_the_limit_closes_its_connection_and_is_explained() {
    let node = node(&[("socket.request.max.bytes", "200000")]);
    let session = Session::patient(&node);
    session.create("orders", 1, &[]);
    session.produce("orders", 0, &value(1, 100_000)).unwrap();
    let hasty = Session::impatient(&node);
    hasty.produce("orders", 0, &value(2, 300_000)).unwrap_err();
    let log = log_of(&node);
    assert!(log.contains("socket.request.max.bytes"), "{log}");
    assert!(log.contains("200000"), "{log}");
    // Others do not notice.
    assert_eq!(session.produce("orders", 0, b"small").unwrap(), 1);
}

#[test]
fn a_record_beyond_the_topics_limit_has_kafkas_own_error() {
    let node = node(&[]);
    let session = Session::impatient(&node);
    session.create("small", 1, &[("max.message.bytes", "1000")]);
    let refused = session.produce("small", 0, &value(1, 2000));
    assert_refused(refused, ErrorCode::MessageTooLarge);
    assert_eq!(session.produce("small", 0, &value(1, 500)).unwrap(), 0);
}

#[test]
fn ten_thousand_partitions_are_created_written_to_and_found_again() {
    let mut node = node(&[]);
    let session = Session::patient(&node);
    let began = Instant::now();
    for topic in 0..10 {
        session.create(&format!("wide-{topic}"), 1000, &[]);
    }
    let created = began.elapsed();
    for partition in 0..20 {
        session.produce("wide-7", partition * 50, b"here").unwrap();
    }
    let before = node.process().unwrap().resident_kib().unwrap();
    drop(session);
    let began = Instant::now();
    node.restart().unwrap();
    let restarted = began.elapsed();
    let session = Session::patient(&node);
    assert_eq!(session.read_from("wide-7", 950, 0).unwrap().len(), 1);
    let after = node.process().unwrap().resident_kib().unwrap();
    println!(
        "10,000 partitions: created in {created:?}, stopped and started in {restarted:?}, \
         {before} KiB before and {after} KiB after the restart"
    );
}
