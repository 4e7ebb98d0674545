//! `cargo xtask keeper-clients`: the suites of ZooKeeper's clients against Apache ZooKeeper or a given
//! ensemble. `cargo xtask zookeeper`: Apache ZooKeeper for whatever a person wants to try.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use ottla_testkit::{Control, Profile, ZooKeeper, ZooKeeperOptions, node_binary};

use crate::cases::{self, Missing, Tally};
use crate::keeper_suites::{KeeperSuite, Kind, SASL, SUPER_DIGEST, Servers};
use crate::setup;

/// Of one suite, which is told if it starts JVMs of its own.
const SUITE_LIMIT: Duration = Duration::from_secs(1200);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run against Apache ZooKeeper from Maven Central: this proves the suites themselves
    #[arg(long, conflicts_with = "connect")]
    zookeeper: bool,
    /// Run against our own keeper, release build
    #[arg(long, conflicts_with_all = ["connect", "zookeeper"])]
    ottla: bool,
    /// With --zookeeper or --ottla: how many servers
    #[arg(long, default_value_t = 3)]
    servers: usize,
    /// Run against these HOST:PORT,…
    #[arg(long)]
    connect: Option<String>,
    /// HOST:PORT that stops and starts the servers of --connect; cases that need it do not run without
    #[arg(long, requires = "connect")]
    control: Option<String>,
    /// Run only these suites
    #[arg(long, value_enum)]
    only: Vec<KeeperSuite>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ZooKeeperArguments {
    /// How many servers
    #[arg(long, default_value_t = 1)]
    servers: usize,
    /// Lines of `zoo.cfg`, name=value
    #[arg(long = "set")]
    settings: Vec<String>,
    /// Leave out what the suites need: users, short ticks, words and types that are off by default
    #[arg(long)]
    bare: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let mut suites = arguments.only.clone();
    if suites.is_empty() {
        suites = KeeperSuite::ALL.to_vec();
        suites.retain(|suite| arguments.connect.is_none() || !suite.starts_servers());
    }
    let (tallies, missing) = match &arguments.connect {
        Some(connect) => {
            if let Some(suite) = suites.iter().find(|suite| suite.starts_servers()) {
                let name = suite.name();
                bail!("{name} starts its servers itself: say --ottla or --zookeeper");
            }
            let servers = Servers {
                connect: connect.clone(),
                control: arguments.control.clone(),
                reference: false,
            };
            each_suite(&suites, |suite, command| {
                suite.run(command, &servers, SUITE_LIMIT)
            })?
        }
        None if arguments.zookeeper => against_zookeeper(&suites, arguments.servers)?,
        None if arguments.ottla => {
            let binary = node_binary(Profile::Release)?;
            against_keeper(&suites, arguments.servers, &binary)?
        }
        None => bail!("say --ottla, --zookeeper, or --connect and where the servers are"),
    };
    println!("{}", cases::report(&tallies, &missing));
    Ok(cases::good(&tallies, &missing, false))
}

/// Starts Apache ZooKeeper and keeps it until standard input ends.
pub(crate) fn zookeeper(arguments: &ZooKeeperArguments) -> Result<bool> {
    let lib = setup::jars("zookeeper")?;
    let mut options = if arguments.bare {
        ZooKeeperOptions::plain(lib, arguments.servers)
    } else {
        for_suites(lib, arguments.servers)
    };
    for setting in &arguments.settings {
        let Some((name, value)) = setting.split_once('=') else {
            bail!("{setting:?} is not name=value");
        };
        options.settings.retain(|(known, _)| known != name);
        options.settings.push((name.into(), value.into()));
    }
    let ensemble = ZooKeeper::start(options)?;
    println!("connect: {}", ensemble.connect());
    let ensemble = Arc::new(Mutex::new(ensemble));
    let control = Control::serve_zookeeper(Arc::clone(&ensemble))?;
    println!("control: {}", control.address());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(control);
    let mut ensemble = ensemble.lock().unwrap_or_else(PoisonError::into_inner);
    ensemble.stop_all()?;
    Ok(true)
}

/// What the suites expect of a server: quick sessions, all words and types, a superuser, users of SASL.
fn for_suites(lib: PathBuf, servers: usize) -> ZooKeeperOptions {
    let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = list
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        owned.collect()
    };
    let (user, password) = SASL;
    ZooKeeperOptions {
        settings: pairs(&[
            ("tickTime", "500"),
            ("initLimit", "40"),
            ("syncLimit", "20"),
            ("maxSessionTimeout", "60000"),
            ("maxClientCnxns", "0"),
            ("4lw.commands.whitelist", "*"),
            ("extendedTypesEnabled", "true"),
            ("reconfigEnabled", "true"),
            ("enforceQuota", "true"),
            ("DigestAuthenticationProvider.superDigest", SUPER_DIGEST),
        ]),
        properties: pairs(&[
            ("readonlymode.enabled", "true"),
            ("znode.container.checkIntervalMs", "200"),
        ]),
        users: pairs(&[(user, password)]),
        ..ZooKeeperOptions::plain(lib, servers)
    }
}

/// What came of suites.
pub(crate) type Outcome = (Vec<Tally>, Vec<Missing>);

fn against_zookeeper(suites: &[KeeperSuite], servers: usize) -> Result<Outcome> {
    let options = for_suites(setup::jars("zookeeper")?, servers);
    against_fresh(suites, &options)
}

/// What `cargo xtask test` runs: each client once, against three servers.
pub(crate) fn in_every_test(binary: &Path) -> Result<Outcome> {
    against_keeper(&KeeperSuite::ALL, 3, binary)
}

/// The suites against the keeper of this binary.
fn against_keeper(suites: &[KeeperSuite], servers: usize, binary: &Path) -> Result<Outcome> {
    let mut options = for_suites(PathBuf::new(), servers);
    options.keeper = Some(binary.to_owned());
    against_fresh(suites, &options)
}

/// A fresh ensemble for each suite.
fn against_fresh(suites: &[KeeperSuite], options: &ZooKeeperOptions) -> Result<Outcome> {
    let kind = match &options.keeper {
        Some(binary) => Kind::Ottla(binary.clone()),
        None => Kind::Reference,
    };
    let reference = options.keeper.is_none();
    each_suite(suites, |suite, command| {
        if suite.starts_servers() {
            return suite.run_alone(command, &kind, SUITE_LIMIT);
        }
        let mut options = options.clone();
        if reference {
            let own = suite.settings().iter();
            let own = own.map(|(name, value)| ((*name).into(), (*value).into()));
            options.settings.extend(own);
        }
        let ensemble = ZooKeeper::start(options)?;
        let connect = ensemble.connect();
        let ensemble = Arc::new(Mutex::new(ensemble));
        let control = Control::serve_zookeeper(Arc::clone(&ensemble))?;
        let servers = Servers {
            connect,
            control: Some(control.address().to_owned()),
            reference,
        };
        let tally = suite.run(command, &servers, SUITE_LIMIT)?;
        drop(control);
        let mut ensemble = ensemble.lock().unwrap_or_else(PoisonError::into_inner);
        ensemble.stop_all()?;
        Ok(tally)
    })
}

/// Gets the clients and runs their suites, one after the other.
fn each_suite(
    suites: &[KeeperSuite],
    mut run: impl FnMut(KeeperSuite, std::process::Command) -> Result<Tally>,
) -> Result<(Vec<Tally>, Vec<Missing>)> {
    let (mut tallies, mut missing) = (Vec::new(), Vec::new());
    for suite in suites {
        match suite.prepare() {
            Ok(command) => {
                println!("\n== {}", suite.name());
                tallies.push(run(*suite, command)?);
            }
            Err(error) => {
                let absent = Missing::because(suite.name(), &error);
                println!("\n== {}\nmissing: {}", absent.client, absent.reason);
                missing.push(absent);
            }
        }
    }
    Ok((tallies, missing))
}
