//! SIGTERM and Ctrl-C end a node soon and cleanly, whatever its clients are doing.

use std::thread;
use std::time::Duration;

use ottla_client::{Broker as To, Consumer, ConsumerOptions, Start};
use ottla_testkit::{Broker, Signal};
use ottla_wire::messages::JoinGroupRequest;
use ottla_wire::messages::join_group_request::JoinGroupRequestProtocol;

use super::harness::{PATIENCE, Session, log_of, node, stop, value};

/// Far below the ten seconds that requests in work may take.
const SOON: Duration = Duration::from_secs(2);

fn assert_stops_cleanly(node: &mut Broker, signal: Signal) {
    let (status, took, log) = stop(node, signal);
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(took < SOON, "the stop took {took:?}:\n{log}");
    assert!(log.trim_end().ends_with("stopped"), "{log}");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    assert!(node.data_dir().join(".kafka_cleanshutdown").exists());
    node.spawn().unwrap();
    node.wait_ready().unwrap();
    assert!(
        log_of(node).contains("the last stop was clean"),
        "{}",
        log_of(node)
    );
}

#[test]
fn both_signals_stop_at_once_while_clients_wait_for_records_and_members() {
    // The join is held back for a minute, as the default of three seconds is for new members.
    let mut node = node(&[("group.initial.rebalance.delay.ms", "60000")]);
    let session = Session::patient(&node);
    session.create("orders", 3, &[]);
    session.produce("orders", 0, b"one").unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        let (fetching, joining) = (Session::impatient(&node), Session::impatient(&node));
        thread::scope(|scope| {
            scope.spawn(|| {
                let options = ConsumerOptions {
                    max_wait: Duration::from_secs(25),
                    min_bytes: 1_000_000,
                    ..ConsumerOptions::default()
                };
                let mut consumer = Consumer::new(fetching.client.clone(), options);
                fetching.run(async {
                    consumer
                        .assign("orders", None, Start::Earliest)
                        .await
                        .unwrap();
                    // It ends with whatever the stopping node says.
                    drop(consumer.next(PATIENCE).await);
                });
            });
            scope.spawn(|| {
                let join = JoinGroupRequest {
                    group_id: "workers".into(),
                    session_timeout_ms: 45_000,
                    rebalance_timeout_ms: 60_000,
                    protocol_type: "consumer".into(),
                    protocols: vec![JoinGroupRequestProtocol {
                        name: "range".into(),
                        ..JoinGroupRequestProtocol::default()
                    }],
                    ..JoinGroupRequest::default()
                };
                drop(joining.run(joining.client.call_version(To::Any, 3, join.into())));
            });
            thread::sleep(Duration::from_millis(700));
            assert_stops_cleanly(&mut node, signal);
        });
        let session = Session::patient(&node);
        assert_eq!(session.read_from("orders", 0, 0).unwrap().len(), 1);
    }
}

#[test]
fn producers_in_full_flow_do_not_hold_up_the_stop() {
    let mut node = node(&[]);
    let session = Session::patient(&node);
    session.create("orders", 1, &[]);
    let acknowledged = thread::scope(|scope| {
        let producing = scope.spawn(|| {
            let hasty = Session::impatient(&node);
            let mut count = 0;
            while hasty.produce("orders", 0, &value(count, 20_000)).is_ok() {
                count += 1;
            }
            count
        });
        thread::sleep(Duration::from_millis(500));
        let id = node.process().unwrap().id();
        ottla_testkit::signal(id, Signal::TERM).unwrap();
        producing.join().unwrap()
    });
    let status = node.take_process().unwrap().wait(PATIENCE).unwrap();
    assert!(status.success());
    node.spawn().unwrap();
    node.wait_ready().unwrap();
    let there = Session::patient(&node)
        .read_from("orders", 0, 0)
        .unwrap()
        .len();
    assert!(
        there >= acknowledged && acknowledged > 5,
        "{acknowledged} acknowledged, {there} there"
    );
}

#[test]
fn a_stop_during_the_start_is_obeyed_and_harms_nothing() {
    let mut node = node(&[("ottla.acks.wait.for.disk", "false")]);
    let session = Session::patient(&node);
    session.create("orders", 20, &[]);
    for n in 0..40 {
        session
            .produce("orders", n % 20, &value(7, 900_000))
            .unwrap();
    }
    drop(session);
    for delay_ms in [0, 3, 10, 20, 40, 80] {
        node.kill().unwrap();
        node.spawn().unwrap();
        thread::sleep(Duration::from_millis(delay_ms));
        let (status, took, log) = stop(&mut node, Signal::TERM);
        // Before the handler is there the signal simply ends the process.
        let ended = status.code() == Some(0) || log.is_empty();
        assert!(ended, "{delay_ms} ms: {status}\n{log}");
        assert!(took < SOON, "{delay_ms} ms: the stop took {took:?}:\n{log}");
        assert!(
            !log.contains("ERROR") && !log.contains("panicked"),
            "{delay_ms} ms:\n{log}"
        );
        node.spawn().unwrap();
        node.wait_ready().unwrap();
    }
    let session = Session::patient(&node);
    for partition in 0..20 {
        assert_eq!(session.read_from("orders", partition, 0).unwrap().len(), 2);
    }
}
