//! A leader is killed: how long until somebody else takes records.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ottla_testkit::scenario::{Outcome, Record, Scenario, send};
use rdkafka::producer::Producer;

use super::{Clients, IMPATIENT, LIMIT};
use crate::side::{Flushing, Programs, Side};
use ottla_testkit::report::{Goal, Report};

const BETWEEN_RECORDS: Duration = Duration::from_millis(5);
const BEFORE_THE_KILL: usize = 100;
const TOPIC: &str = "failover";

/// Kills the leader of a partition `times` times; from the kill to the first acknowledgement of a
/// record that was sent after it.
pub(crate) fn measure(
    report: &mut Report,
    programs: &Programs,
    side: Side,
    times: usize,
) -> Result<()> {
    let mut cluster = programs.cluster(side, Flushing::BeforeAcknowledging, super::NODES)?;
    let clients = Clients::of(&cluster)?;
    clients.create_one(TOPIC, 1)?;
    let mut worst_ms: f64 = 0.0;
    for _ in 0..times {
        let leader = clients.leader(TOPIC, 0)?;
        let mut producer = Steady::start(&clients.scenario)?;
        producer.send_until_acknowledged(BEFORE_THE_KILL)?;
        let killed = Instant::now();
        cluster.kill(leader)?;
        producer.send_until_acknowledged(1)?;
        let ms = killed.elapsed().as_secs_f64() * 1000.0;
        worst_ms = worst_ms.max(ms);
        let goals = [Goal::AtMost(1000.0)];
        let name = "leader killed until producing again";
        report.add(side, name, "ms", &goals, ms);
        cluster.spawn(leader)?;
        cluster.wait_ready(leader)?;
        clients.wait_in_sync(Some(TOPIC), 1)?;
    }
    let name = format!("the same, worst of {times}");
    report.add(side, &name, "ms", &[Goal::AtMost(2000.0)], worst_ms);
    cluster.stop_all()
}

/// A producer that sends a record every few milliseconds.
struct Steady {
    producer: rdkafka::producer::BaseProducer<ottla_testkit::scenario::Acknowledgements>,
    sent: usize,
}

impl Steady {
    fn start(scenario: &Scenario) -> Result<Steady> {
        Ok(Steady {
            producer: scenario.producer(&IMPATIENT)?,
            sent: 0,
        })
    }

    /// Goes on until so many of the records that are sent from now on are acknowledged.
    fn send_until_acknowledged(&mut self, count: usize) -> Result<()> {
        let (first, deadline) = (self.sent, Instant::now() + LIMIT);
        loop {
            send(&self.producer, TOPIC, self.sent, &Record::of("steady"))?;
            self.sent += 1;
            let until = Instant::now() + BETWEEN_RECORDS;
            while Instant::now() < until {
                self.producer.poll(Duration::from_millis(1));
                let outcomes = self.producer.context().outcomes();
                let acknowledged = outcomes
                    .range(first..)
                    .filter(|(_, outcome)| matches!(outcome, Outcome::Acknowledged { .. }))
                    .count();
                if acknowledged >= count {
                    return Ok(());
                }
            }
            ensure!(
                Instant::now() < deadline,
                "nothing is acknowledged after {LIMIT:?}"
            );
        }
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        // What is still on its way is of no use to anybody.
        self.producer
            .purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    }
}
