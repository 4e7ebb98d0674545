//! One run: a cluster, clients, faults in a row, and the judgement.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ottla_testkit::cluster::{Cluster, ClusterOptions, Flavour};
use ottla_testkit::dice::Dice;
use ottla_testkit::faults::{self, Happened, Kind, Schedule, Step, Subject};
use ottla_testkit::history::{History, now_us};
use ottla_testkit::scenario::Scenario;
use ottla_testkit::workload::{self, Workload, WorkloadOptions};
use ottla_testkit::{check, copy_folder};

use crate::Arguments;
use crate::done::Done;

type Report = faults::Report<Done>;

/// Lags that are over within what faults last, so that leaders do change.
const IMPATIENT: [(&str, &str); 3] = [
    ("replica.lag.time.max.ms", "4000"),
    ("group.initial.rebalance.delay.ms", "0"),
    (
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "1000",
    ),
];
/// Of Apache Kafka; our own comes with such times.
const IMPATIENT_KAFKA: [(&str, &str); 4] = [
    ("broker.session.timeout.ms", "3000"),
    ("broker.heartbeat.interval.ms", "500"),
    ("controller.quorum.election.timeout.ms", "1000"),
    ("controller.quorum.fetch.timeout.ms", "2000"),
];
const DISK_MIB: u32 = 512;
/// How long after a fault a node may still believe what was true before: connections that were cut
/// come to life again when their next packet is due.
const OLD_NEWS_US: u64 = 5_000_000;
/// How long clients may take to begin.
const UNDER_WAY_LIMIT: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(200);

pub(crate) fn run(arguments: &Arguments) -> Result<Report> {
    let began = Instant::now();
    let flavour = arguments.flavour()?;
    let wanted = arguments.faults.kinds(&Kind::ALL)?;
    let has = |kind| wanted.contains(&kind);
    let mut impatient = IMPATIENT.to_vec();
    if matches!(flavour, Flavour::Kafka { .. }) {
        impatient.extend(IMPATIENT_KAFKA);
    }
    let settings = impatient
        .into_iter()
        .map(|(n, v)| (n.to_owned(), v.to_owned()));
    let mut cluster = Cluster::start(ClusterOptions {
        settings: settings
            .chain(arguments.faults.settings.iter().cloned())
            .collect(),
        loopback: arguments.faults.loopback,
        disk_mib: has(Kind::FullDisk).then_some(DISK_MIB),
        preload: has(Kind::SlowDisk) || has(Kind::Clock),
        ..ClusterOptions::plain(flavour, arguments.faults.nodes)
    })?;
    let name = cluster.flavour().name();
    println!(
        "{} nodes of {name} are ready after {:.1} s",
        cluster.len(),
        seconds(began)
    );
    let mut report = Report::of(
        Subject {
            flavour: name,
            command: "cluster-test",
            reference: "kafka",
        },
        &arguments.faults,
        &wanted,
    );
    let (kinds, impossible) = faults::possible(&cluster, &wanted);
    for (kind, why) in impossible {
        println!("not run: {kind}: {why}");
        report.not_run.push((kind, why));
    }
    let outcome = go_through(arguments, &mut cluster, &kinds, &mut report);
    let stopped = cluster.stop_all();
    // After a run that was broken off nobody waited for replicas to be alike.
    let judged = match (outcome, stopped) {
        (Ok(history), Ok(())) => judge(&cluster, history, &mut report),
        (outcome, stopped) => {
            let errors = outcome.err().into_iter().chain(stopped.err());
            report
                .failures
                .extend(errors.map(|error| format!("{error:#}")));
            Ok(())
        }
    };
    if let Err(error) = judged {
        report.failures.push(format!("{error:#}"));
    }
    report.seconds = seconds(began);
    if arguments.faults.keep || !report.is_good() {
        let kept = arguments.faults.out.join(report.name());
        copy_folder(cluster.folder(), &kept.join("nodes"))
            .with_context(|| format!("cannot keep what was written in {}", kept.display()))?;
        report.kept = Some(kept);
    } else {
        fs::remove_dir_all(arguments.faults.out.join(report.name()))?;
    }
    Ok(report)
}

fn go_through(
    arguments: &Arguments,
    cluster: &mut Cluster,
    kinds: &[Kind],
    report: &mut Report,
) -> Result<History> {
    let folder = arguments.faults.out.join(report.name()).join("journals");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let nodes = i32::try_from(cluster.len())?;
    let mut workload = Workload::start(WorkloadOptions {
        bootstrap: cluster.bootstrap(),
        seed: arguments.faults.seed,
        replication_factor: nodes.min(3),
        min_in_sync: nodes.min(2),
        acks: arguments.acks.clone(),
        pause: Duration::from_millis(arguments.pause_ms),
        programs: arguments.programs(),
        folder,
    })?;
    println!("clients are at work");
    let schedule = Schedule::draw(arguments.faults.seed, kinds, cluster.len());
    let mut dice = Dice::named(arguments.faults.seed, "clients");
    let mut next_kill = Instant::now() + dice.between_ms(8000, 20_000);
    let mut pass = |workload: &mut Workload, time: Duration| -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            std::thread::sleep(TICK.min(time));
            workload.keep_running()?;
            if Instant::now() > next_kill {
                workload.kill_a_client(&mut dice)?;
                next_kill = Instant::now() + dice.between_ms(8000, 20_000);
            }
        }
        Ok(())
    };
    pass(&mut workload, Duration::from_secs(3))?;
    let deadline = Instant::now() + UNDER_WAY_LIMIT;
    while !workload.is_under_way()? && Instant::now() < deadline {
        pass(&mut workload, TICK)?;
    }
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(arguments.faults.minutes * 60.0);
    let mut unaware = Vec::new();
    for step in schedule {
        if Instant::now() > until {
            break;
        }
        let victim = victim(cluster, &step);
        let hit = if step.kind.hits_all() {
            "all nodes".to_owned()
        } else {
            format!("node {}", victim + 1)
        };
        println!(
            "{:>6.1} s  {} of {hit}, {:?}",
            seconds(began),
            step.kind,
            step.lasts
        );
        let (at_second, at_us) = (seconds(began), now_us());
        faults::begin(cluster, &step, victim)?;
        pass(&mut workload, step.lasts)?;
        faults::end(cluster, &step, victim)?;
        if step.kind.keeps_news_away() {
            unaware.push((at_us, now_us() + OLD_NEWS_US));
        }
        report.happened.push(Happened {
            kind: step.kind,
            node: victim + 1,
            at_second,
            lasted_seconds: seconds(began) - at_second,
        });
        pass(&mut workload, step.rest)?;
    }
    // Without faults there is still the time.
    pass(
        &mut workload,
        until.saturating_duration_since(Instant::now()),
    )?;
    println!(
        "{:>6.1} s  all is well again; clients come to their end",
        seconds(began)
    );
    let mut ending = workload.finish()?;
    ending.history.unaware = unaware;
    report.failures.extend(ending.overdue);
    report.counts.count(&ending.history);
    Ok(ending.history)
}

/// Compares what clients saw with each other, and with what lies on the nodes' disks.
fn judge(cluster: &Cluster, mut history: History, report: &mut Report) -> Result<()> {
    report.failures.extend(cluster.differing_replicas()?);
    for node in cluster.nodes() {
        let audit = workload::audit(&node.data_dir())?;
        let on = |what| format!("on the disk of node {}: {what}", node.id());
        report.failures.extend(audit.findings.into_iter().map(on));
        history.written_again.extend(audit.written_again);
    }
    report.counts.written_again = history.written_again.len();
    report.findings = check::judge(&history);
    Ok(())
}

/// The leader of a partition, if the step wants it and one is known.
fn victim(cluster: &Cluster, step: &Step) -> usize {
    if !step.at_leader {
        return step.victim;
    }
    let scenario = Scenario::new(cluster.bootstrap());
    let leader = scenario.leader("plain", 0).ok().flatten();
    leader
        .and_then(|id| usize::try_from(id).ok()?.checked_sub(1))
        .filter(|node| *node < cluster.len())
        .unwrap_or(step.victim)
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}
