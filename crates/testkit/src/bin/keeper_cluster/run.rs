//! One run: an ensemble, clients, faults in a row, and the judgement.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ottla_testkit::cluster::{Cluster, ClusterOptions, Node};
use ottla_testkit::copy_folder;
use ottla_testkit::faults::{self, Happened, Kind, Schedule, Step, Subject};
use ottla_testkit::keeper::check;
use ottla_testkit::keeper::history::History;
use ottla_testkit::keeper::workload::{Options, Workload};

use crate::Arguments;
use crate::done::Done;

type Report = faults::Report<Done>;

/// Ticks are short, so that sessions end and leaders change within what faults last; snapshots are
/// taken all the time.
const SETTINGS: [(&str, &str); 7] = [
    ("tickTime", "500"),
    ("initLimit", "20"),
    ("syncLimit", "6"),
    ("maxClientCnxns", "0"),
    ("snapCount", "500"),
    ("4lw.commands.whitelist", "*"),
    ("admin.enableServer", "false"),
];
const DISK_MIB: u32 = 256;
/// What is shown of the journal has to be somewhere.
const JOURNAL: &str = "journal";
/// How long clients may take to begin.
const UNDER_WAY_LIMIT: Duration = Duration::from_secs(60);
const UNDER_WAY_EVENTS: usize = 100;
const TICK: Duration = Duration::from_millis(50);

pub(crate) fn run(arguments: &Arguments) -> Result<Report> {
    let began = Instant::now();
    let wanted = arguments.kinds()?;
    let has = |kind| wanted.contains(&kind);
    let given = &arguments.faults.settings;
    let own = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut settings = own.to_vec();
    settings.retain(|(name, _)| given.iter().all(|(given, _)| given != name));
    settings.extend(given.iter().cloned());
    let mut cluster = Cluster::start(ClusterOptions {
        settings,
        loopback: arguments.faults.loopback,
        disk_mib: has(Kind::FullDisk).then_some(DISK_MIB),
        preload: has(Kind::SlowDisk) || has(Kind::Clock),
        ..ClusterOptions::plain(arguments.flavour()?, arguments.faults.nodes)
    })?;
    let name = cluster.flavour().name();
    println!(
        "{} servers of {name} are ready after {:.1} s",
        cluster.len(),
        seconds(began)
    );
    let mut report = Report::of(
        Subject {
            flavour: name,
            command: "keeper-test",
            reference: "zookeeper",
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
    let mut journal = String::new();
    match outcome {
        Ok(history) => {
            report.findings = check::judge(&history);
            journal = history.text();
        }
        Err(error) => report.failures.push(format!("{error:#}")),
    }
    let end = stopped.err().map(|error| format!("{error:#}"));
    report.failures.extend(end);
    report.seconds = seconds(began);
    let kept = arguments.faults.out.join(report.name());
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    if arguments.faults.keep || !report.is_good() {
        copy_folder(cluster.folder(), &kept.join("servers"))
            .with_context(|| format!("cannot keep what was written in {}", kept.display()))?;
        fs::write(kept.join(JOURNAL), journal)?;
        report.kept = Some(kept);
    }
    Ok(report)
}

fn go_through(
    arguments: &Arguments,
    cluster: &mut Cluster,
    kinds: &[Kind],
    report: &mut Report,
) -> Result<History> {
    let workload = Workload::start(Options {
        servers: cluster.nodes().iter().map(Node::client_address).collect(),
        seed: arguments.faults.seed,
        workers: arguments.workers,
        nomads: arguments.nomads,
        pause: Duration::from_millis(arguments.pause_ms),
    })?;
    let deadline = Instant::now() + UNDER_WAY_LIMIT;
    while workload.events() < UNDER_WAY_EVENTS && Instant::now() < deadline {
        std::thread::sleep(TICK);
    }
    println!("clients are at work");
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(arguments.faults.minutes * 60.0);
    for step in Schedule::draw(arguments.faults.seed, kinds, cluster.len()) {
        if Instant::now() > until {
            break;
        }
        let victim = victim(cluster, &step);
        let hit = if step.kind.hits_all() {
            "all servers".to_owned()
        } else {
            format!("server {}", victim + 1)
        };
        let at_second = seconds(began);
        println!(
            "{at_second:>6.1} s  {} of {hit}, {:?}",
            step.kind, step.lasts
        );
        faults::begin(cluster, &step, victim)?;
        std::thread::sleep(step.lasts);
        faults::end(cluster, &step, victim)?;
        report.happened.push(Happened {
            kind: step.kind,
            node: victim + 1,
            at_second,
            lasted_seconds: seconds(began) - at_second,
        });
        std::thread::sleep(step.rest);
    }
    // Without faults there is still the time.
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    println!(
        "{:>6.1} s  all is well again; clients come to their end",
        seconds(began)
    );
    let history = workload.finish()?;
    report.counts = Done::of(&history);
    Ok(history)
}

/// The leader, if the step wants it and there is one.
fn victim(cluster: &Cluster, step: &Step) -> usize {
    let leader = if step.at_leader {
        cluster.leader()
    } else {
        None
    };
    leader.unwrap_or(step.victim)
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}
