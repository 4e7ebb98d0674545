//! Peers that are slow, silent, confused or many hurt only themselves.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ottla_testkit::Broker;
use ottla_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use ottla_wire::messages::{FetchRequest, RequestHeader};
use ottla_wire::{ApiKey, encode_request};

use super::harness::{PATIENCE, Session, eventually, log_of, metric, node, try_http, value};

fn connect(node: &Broker) -> TcpStream {
    let stream = TcpStream::connect(node.bootstrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether the node has ended this connection.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// A request for a megabyte from the topic's start.
fn fetch_frame(topic: &str) -> Vec<u8> {
    let request = FetchRequest {
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![FetchTopic {
            topic: topic.into(),
            partitions: vec![FetchPartition {
                partition_max_bytes: 1 << 20,
                ..FetchPartition::default()
            }],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    };
    let header = RequestHeader::new(ApiKey::Fetch, 11, 1, Some("greedy".into()));
    encode_request(&header, &request.into())
        .unwrap()
        .to_bytes()
        .to_vec()
}

/// The normal client's work: each record is produced, and all are read.
fn work(session: &Session, topic: &str, records: usize) -> Duration {
    let began = Instant::now();
    let mut first = None;
    for n in 0..records {
        let offset = session.produce(topic, 0, &value(n, 1000)).unwrap();
        first.get_or_insert(offset);
    }
    assert_eq!(
        session.read_from(topic, 0, first.unwrap()).unwrap().len(),
        records
    );
    began.elapsed()
}

#[test]
fn silent_slow_and_greedy_peers_leave_a_normal_client_alone() {
    let node = node(&[("ottla.memory.budget.bytes", "67108864")]);
    let session = Session::patient(&node);
    session.create("orders", 1, &[]);
    session.create("big", 1, &[]);
    for n in 0..8 {
        session.produce("big", 0, &value(n, 1_000_000)).unwrap();
    }
    let alone = work(&session, "orders", 100);

    let silent: Vec<TcpStream> = (0..500).map(|_| connect(&node)).collect();
    // Each announces a request as large as may be, and sends next to nothing of it.
    let mut announcers: Vec<TcpStream> = (0..20).map(|_| connect(&node)).collect();
    for stream in &mut announcers {
        stream
            .write_all(&(16 * 1024 * 1024i32 - 1024).to_be_bytes())
            .unwrap();
    }
    // Each asks for a gigabyte in pieces of a megabyte, and reads nothing.
    let greedy: Vec<TcpStream> = (0..20).map(|_| connect(&node)).collect();
    let frame = fetch_frame("big");
    for stream in &greedy {
        stream
            .set_write_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let mut stream = stream;
        // The node stops reading at some time; that is the point.
        let _ = (0..1000).try_for_each(|_| stream.write_all(&frame));
    }
    let stop = AtomicBool::new(false);
    let took = thread::scope(|scope| {
        scope.spawn(|| {
            let mut slow: Vec<TcpStream> = (0..50).map(|_| connect(&node)).collect();
            let mut bytes = frame.iter().cycle();
            while !stop.load(Ordering::SeqCst) {
                let byte = [*bytes.next().unwrap()];
                for stream in &mut slow {
                    let _ = stream.write_all(&byte);
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let took = work(&session, "orders", 100);
        stop.store(true, Ordering::SeqCst);
        took
    });
    let resident = node.process().unwrap().resident_kib().unwrap();
    println!("100 records: {alone:?} alone, {took:?} among hostile peers; {resident} KiB resident");
    assert!(
        took < Duration::from_secs(10),
        "{took:?} among hostile peers, {alone:?} alone"
    );
    assert!(resident < 200 * 1024, "{resident} KiB resident");
    let open = metric(&node, "ottla_connections", "PLAINTEXT");
    assert!(open >= 540.0, "{open} connections are open");
    drop((silent, announcers, greedy));
    eventually("the connections are forgotten", || {
        metric(&node, "ottla_connections", "PLAINTEXT") < 10.0
    });
}

#[test]
fn strangers_on_the_kafka_port_are_told_apart_in_plain_words() {
    let node = node(&[]);
    let hello: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 9, 9, 9];
    let strangers: [(&[u8], &str); 4] = [
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "the client speaks HTTP",
        ),
        (hello, "the client speaks TLS"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH-"),
        (&[0xff; 64], "no Kafka client"),
    ];
    for (bytes, words) in strangers {
        let mut stream = connect(&node);
        stream.write_all(bytes).unwrap();
        assert!(is_closed(&mut stream), "{words}: still open");
        // The line is written right after the end.
        let line = || {
            log_of(&node)
                .lines()
                .find(|l| l.contains(words))
                .map(str::to_owned)
        };
        eventually(words, || line().is_some());
        let line = line().unwrap();
        assert!(line.contains("127.0.0.1"), "who it was is not told: {line}");
    }
    // A length that may be, and then garbage.
    let mut stream = connect(&node);
    stream.write_all(&[0, 0, 0, 20]).unwrap();
    stream.write_all(&[0x7f; 20]).unwrap();
    assert!(is_closed(&mut stream));
    // A hundred megabytes are announced, a few bytes come, and the peer goes.
    let mut stream = connect(&node);
    stream
        .write_all(&(100 * 1024 * 1024i32).to_be_bytes())
        .unwrap();
    stream.write_all(b"xx").unwrap();
    stream.shutdown(Shutdown::Both).unwrap();
    // A flood of them does not fill the log.
    for _ in 0..300 {
        connect(&node).write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    }
    eventually("all are closed", || {
        metric(&node, "ottla_connections", "PLAINTEXT") < 1.0
    });
    let lines = log_of(&node).lines().count();
    assert!(lines < 60, "{lines} lines:\n{}", log_of(&node));
    let resident = node.process().unwrap().resident_kib().unwrap();
    assert!(resident < 150 * 1024, "{resident} KiB");
}

#[test]
fn connections_per_address_are_limited_and_idle_ones_are_closed() {
    let node = node(&[
        ("max.connections.per.ip", "5"),
        ("connections.max.idle.ms", "1000"),
    ]);
    let mut kept: Vec<TcpStream> = (0..5).map(|_| connect(&node)).collect();
    thread::sleep(Duration::from_millis(200));
    let mut sixth = connect(&node);
    assert!(is_closed(&mut sixth));
    eventually("the limit is named", || {
        log_of(&node).contains("max.connections.per.ip")
    });
    let began = Instant::now();
    for stream in &mut kept {
        assert!(is_closed(stream));
    }
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "idle connections were closed after {took:?}"
    );
    let reasons = metric(&node, "ottla_connections_closed_total", "idle");
    assert!(reasons >= 5.0, "{reasons} closed as idle");
    // The places are free again.
    Session::patient(&node).create("orders", 1, &[]);
}

#[test]
fn thousands_of_connections_that_come_and_go_leave_nothing_behind() {
    let node = node(&[]);
    let before = metric(&node, "process_open_fds", "");
    for n in 0..3000 {
        let mut stream = connect(&node);
        if n % 3 == 0 {
            stream.write_all(&[0, 0, 1]).unwrap();
        }
    }
    // The kernel has connected them; the node may still be on its way through the queue.
    eventually("all are accepted", || {
        metric(&node, "ottla_connections_accepted_total", "PLAINTEXT") >= 3000.0
    });
    eventually("all are closed", || {
        metric(&node, "ottla_connections", "PLAINTEXT") < 1.0
    });
    eventually("their file descriptors are free", || {
        metric(&node, "process_open_fds", "") <= before + 2.0
    });
    let log = log_of(&node);
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
}

#[test]
fn a_flood_of_the_http_port_is_closed_and_leaves_probes_and_clients_alone() {
    let node = node(&[]);
    let session = Session::patient(&node);
    session.create("flooded", 1, &[]);
    let http = ("127.0.0.1", node.http_port());
    let before = metric(&node, "process_open_fds", "");
    let mut silent: Vec<TcpStream> = (0..600)
        .map(|_| TcpStream::connect(http).unwrap())
        .collect();
    // Those beyond the limit are closed at once.
    let mut closed = 0;
    for stream in &mut silent {
        stream
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        closed += usize::from(is_closed(stream));
    }
    assert!(closed >= 300, "{closed} of 600 connections were closed");
    work(&session, "flooded", 20);
    drop(silent);
    eventually("the probes are answered again", || {
        try_http(&node, "/health/ready").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    });
    eventually("the descriptors are free again", || {
        metric(&node, "process_open_fds", "") <= before + 8.0
    });
}
