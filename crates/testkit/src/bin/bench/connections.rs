//! What a connection costs: many that are silent, and many that produce.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ottla_record::{BatchBuilder, BatchOptions};
use ottla_testkit::scenario::Scenario;
use ottla_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
use ottla_wire::messages::{ApiVersionsRequest, ProduceRequest, RequestHeader};
use ottla_wire::{ApiKey, Chunks, Request, Text, encode_request};

use crate::clients;
use crate::side::{Flushing, Programs, Side};
use ottla_testkit::report::{Goal, Report};

const IDLE: usize = 1_000;
const BUSY: usize = 200;
const BUSY_FOR: Duration = Duration::from_secs(6);
const PATIENCE: Duration = Duration::from_secs(30);
const GOALS: [Goal; 1] = [Goal::AtMost(64.0)];

pub(crate) fn measure(report: &mut Report, programs: &Programs, side: Side) -> Result<()> {
    let mut broker = programs.start(side, Flushing::Off)?;
    let bootstrap = broker.bootstrap();
    let topic = Scenario::new(&bootstrap).create_topic("busy", 16)?;
    // What is kept in memory of the newest records is filled first: it is not the connections'.
    clients::produce(&bootstrap, &topic, 16, 128 << 10, 1024)?;
    let before = broker.process()?.resident_kib()?;
    let versions = frame(ApiKey::ApiVersions, 3, ApiVersionsRequest::default().into())?;
    let idle: Vec<TcpStream> = (0..IDLE)
        .map(|_| {
            let mut stream = connect(&bootstrap)?;
            exchange(&mut stream, &versions)?;
            Ok(stream)
        })
        .collect::<Result<_>>()?;
    let with_idle = broker.process()?.resident_kib()?;
    report.add(
        side,
        "memory per idle connection (1,000)",
        "KiB",
        &GOALS,
        each(before, with_idle, IDLE),
    );
    drop(idle);
    let before = broker.process()?.resident_kib()?;
    let with_busy = busy(&broker, &topic)?;
    report.add(
        side,
        "memory per busy connection (200)",
        "KiB",
        &GOALS,
        each(before, with_busy, BUSY),
    );
    broker.stop()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "memory in KiB is far below 2^52"
)]
fn each(before_kib: u64, after_kib: u64, connections: usize) -> f64 {
    after_kib.saturating_sub(before_kib) as f64 / connections as f64
}

/// The broker's memory while each connection produces one record after the other.
fn busy(broker: &ottla_testkit::Broker, topic: &str) -> Result<u64> {
    let stop = AtomicBool::new(false);
    let bootstrap = broker.bootstrap();
    thread::scope(|scope| {
        let producers: Vec<_> = (0..BUSY)
            .map(|number| {
                let (stop, bootstrap) = (&stop, &bootstrap);
                let partition = i32::try_from(number % 16)?;
                let request = produce(topic, partition)?;
                Ok(scope.spawn(move || -> Result<()> {
                    let mut stream = connect(bootstrap)?;
                    while !stop.load(Ordering::Relaxed) {
                        exchange(&mut stream, &request)?;
                    }
                    Ok(())
                }))
            })
            .collect::<Result<_>>()?;
        thread::sleep(BUSY_FOR);
        let kib = broker.process()?.resident_kib();
        stop.store(true, Ordering::Relaxed);
        for producer in producers {
            producer.join().ok().context("a producer panicked")??;
        }
        kib
    })
}

fn connect(bootstrap: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(bootstrap)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a frame and reads its answer to the end.
fn exchange(stream: &mut TcpStream, request: &[u8]) -> Result<()> {
    stream.write_all(request)?;
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let len = usize::try_from(i32::from_be_bytes(len))?;
    ensure!(len < 1 << 20, "an answer of {len} bytes");
    let mut answer = vec![0; len];
    stream.read_exact(&mut answer)?;
    Ok(())
}

fn produce(topic: &str, partition: i32) -> Result<Vec<u8>> {
    let mut batch = BatchBuilder::new(BatchOptions::default());
    batch.append(0, None, Some(&clients::noise(1024)), &[])?;
    let request = ProduceRequest {
        transactional_id: None,
        acks: 1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: Text::from(topic),
            partition_data: vec![PartitionProduceData {
                index: partition,
                records: Some(Chunks::from(batch.build()?)),
                ..PartitionProduceData::default()
            }],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    frame(ApiKey::Produce, 9, request.into())
}

fn frame(api: ApiKey, version: i16, body: Request) -> Result<Vec<u8>> {
    let header = RequestHeader::new(api, version, 1, Some(Text::from("bench")));
    let frame = encode_request(&header, &body)?;
    Ok(frame.parts().concat())
}
