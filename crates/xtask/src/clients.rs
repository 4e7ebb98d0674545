//! `cargo xtask clients`: the suites against our node, Apache Kafka, or a given address.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use ottla_testkit::cluster::{Cluster, ClusterOptions, Flavour};
use ottla_testkit::{Broker, Control, Launch, Profile, node_binary};

use crate::cases::{self, Missing, Tally};
use crate::setup;
use crate::suites::{Suite, each_line};
use crate::workspace::cargo;

/// Of a suite that needs a cluster.
const CLUSTER_NODES: usize = 3;
const RUST_LIMIT: Duration = Duration::from_secs(1200);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run against Apache Kafka from Maven Central: this proves the suites themselves
    #[arg(long, conflicts_with = "bootstrap")]
    kafka: bool,
    /// Run against this HOST:PORT
    #[arg(long)]
    bootstrap: Option<String>,
    /// HOST:PORT that restarts the node at --bootstrap; cases that need it do not run without
    #[arg(long, requires = "bootstrap")]
    control: Option<String>,
    /// Run only these suites
    #[arg(long, value_enum)]
    only: Vec<Suite>,
    /// With --kafka: also run the librdkafka tests of `cargo test` against it
    #[arg(long, requires = "kafka")]
    rust: bool,
}

/// Which broker the suites talk to.
#[derive(Clone, Debug)]
pub(crate) enum Against {
    /// A fresh process for each suite.
    Fresh(Launch),
    /// One that somebody else started.
    Given {
        bootstrap: String,
        control: Option<String>,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let against = match &arguments.bootstrap {
        Some(bootstrap) => Against::Given {
            bootstrap: bootstrap.clone(),
            control: arguments.control.clone(),
        },
        None if arguments.kafka => Against::Fresh(kafka()?),
        None => Against::Fresh(node(node_binary(Profile::Release)?)),
    };
    let mut tallies = Vec::new();
    if let (true, Against::Fresh(launch)) = (arguments.rust, &against) {
        tallies.push(rust_tests(launch)?);
    }
    let suites = if arguments.only.is_empty() {
        Suite::ALL.to_vec()
    } else {
        arguments.only.clone()
    };
    let (ran, missing) = run_suites(&suites, &against)?;
    tallies.extend(ran);
    println!("{}", cases::report(&tallies, &missing));
    Ok(cases::good(&tallies, &missing, false))
}

/// Groups that do not wait for more members make the suites quick.
fn settings() -> Vec<(String, String)> {
    vec![("group.initial.rebalance.delay.ms".into(), "0".into())]
}

/// Our node from this binary.
pub(crate) fn node(binary: PathBuf) -> Launch {
    Launch::Ottla {
        binary,
        settings: settings(),
    }
}

/// Apache Kafka from its jars.
pub(crate) fn kafka() -> Result<Launch> {
    Ok(Launch::Kafka {
        lib: setup::jars("kafka")?,
        settings: settings(),
    })
}

/// Gets the clients and runs their suites, one after the other.
pub(crate) fn run_suites(
    suites: &[Suite],
    against: &Against,
) -> Result<(Vec<Tally>, Vec<Missing>)> {
    let (mut tallies, mut missing) = (Vec::new(), Vec::new());
    for suite in suites {
        let command = match suite.prepare_or_missing() {
            Ok(command) => command,
            Err(absent) => {
                println!("\n== {}\nmissing: {}", absent.client, absent.reason);
                missing.push(absent);
                continue;
            }
        };
        tallies.push(match against {
            Against::Given { bootstrap, control } => {
                suite.run(command, bootstrap, control.as_deref(), None)?
            }
            Against::Fresh(launch) if suite.needs_cluster() => {
                with_cluster(launch, suite.name(), |bootstrap, control, folder| {
                    suite.run(command, bootstrap, Some(control), Some(folder))
                })?
            }
            Against::Fresh(launch) => {
                with_broker(launch, suite.name(), |bootstrap, control, data_dir| {
                    suite.run(command, bootstrap, Some(control), Some(data_dir))
                })?
            }
        });
    }
    Ok((tallies, missing))
}

/// Starts a broker, runs the suite, and stops the broker cleanly. A broker that does not start or
/// stop is a failure of the suite, not of the whole run.
fn with_broker(
    launch: &Launch,
    suite: &str,
    run: impl FnOnce(&str, &str, &Path) -> Result<Tally>,
) -> Result<Tally> {
    let failed = |error: anyhow::Error| {
        println!("\n== {suite}\nthe broker failed: {error:#}");
        Tally {
            failed: 1,
            ..Tally::of(suite)
        }
    };
    let broker = match Broker::start(launch.clone()) {
        Ok(broker) => Arc::new(Mutex::new(broker)),
        Err(error) => return Ok(failed(error)),
    };
    let (bootstrap, data_dir) = {
        let broker = broker.lock().unwrap_or_else(PoisonError::into_inner);
        (broker.bootstrap(), broker.data_dir())
    };
    let control = Control::serve(Arc::clone(&broker))?;
    let mut tally = run(&bootstrap, control.address(), &data_dir)?;
    drop(control);
    let mut broker = broker.lock().unwrap_or_else(PoisonError::into_inner);
    if tally.failed > 0 {
        println!("the broker's log ends with:\n{}", broker.log_tail());
    }
    if let Err(error) = broker.stop() {
        tally.failed += failed(error).failed;
    }
    Ok(tally)
}

/// As [`with_broker`], with three nodes.
fn with_cluster(
    launch: &Launch,
    suite: &str,
    run: impl FnOnce(&str, &str, &Path) -> Result<Tally>,
) -> Result<Tally> {
    let (flavour, settings) = match launch.clone() {
        Launch::Ottla { binary, settings } => (Flavour::Ottla { binary }, settings),
        Launch::Kafka { lib, settings } => (Flavour::lean_kafka(lib), settings),
    };
    let mut options = ClusterOptions::plain(flavour, CLUSTER_NODES);
    options.loopback = true;
    options.settings = settings;
    // Cases that count leaders must not be helped in the middle.
    let unhelped = ("auto.leader.rebalance.enable".into(), "false".into());
    options.settings.push(unhelped);
    let failed = |error: anyhow::Error| {
        println!("\n== {suite}\nthe cluster failed: {error:#}");
        Tally {
            failed: 1,
            ..Tally::of(suite)
        }
    };
    let cluster = match Cluster::start(options) {
        Ok(cluster) => cluster,
        Err(error) => return Ok(failed(error)),
    };
    let (bootstrap, folder) = (cluster.bootstrap(), cluster.folder().to_path_buf());
    let cluster = Arc::new(Mutex::new(cluster));
    let control = Control::serve_cluster(Arc::clone(&cluster))?;
    let mut tally = run(&bootstrap, control.address(), &folder)?;
    drop(control);
    let mut cluster = cluster.lock().unwrap_or_else(PoisonError::into_inner);
    if tally.failed > 0 {
        for node in cluster.nodes() {
            println!(
                "the log of node {} ends with:\n{}",
                node.id(),
                node.log_tail()
            );
        }
    }
    if let Err(error) = cluster.stop_all() {
        tally.failed += failed(error).failed;
    }
    Ok(tally)
}

/// The librdkafka tests of this workspace against a broker of this kind.
fn rust_tests(launch: &Launch) -> Result<Tally> {
    with_broker(launch, "rust", |bootstrap, control, _| {
        let mut command = cargo(&["test", "-p", "ottla-testkit", "--test", "clients", "--"]);
        command.arg("--test-threads=1");
        command
            .env("OTTLA_TEST_BOOTSTRAP", bootstrap)
            .env("OTTLA_TEST_CONTROL", control);
        let mut tally = Tally {
            version: "rdkafka crate".into(),
            ..Tally::of("rust")
        };
        let success = each_line(&mut command, RUST_LIMIT, |line| tally.take_cargo_line(line))?;
        tally.take_end(success);
        if tally.passed + tally.failed == 0 {
            bail!("cargo test ran nothing");
        }
        Ok(tally)
    })
}
