//! `cargo xtask test`: everything that must pass before a change is accepted.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use ottla_testkit::{Profile, node_binary};

use crate::cases::{self, Tally};
use crate::clients::{Against, node, run_suites};
use crate::cluster_test;
use crate::keeper_clients;
use crate::keeper_differential;
use crate::keeper_test;
use crate::kube;
use crate::suites::{Suite, each_line};
use crate::workspace::{cargo, target};

/// Building included, on two slow cores.
const RUST_LIMIT: Duration = Duration::from_secs(3300);

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    alone: Option<Alone>,
    /// Run only these client suites, and not the workspace's own tests
    #[arg(long, value_enum)]
    only: Vec<Suite>,
    /// Accept that a client is missing when its package registry cannot be reached
    #[arg(long)]
    allow_missing: bool,
    /// Remove what was built for the Rust tests and the simulation once they have run: for a small disk
    #[arg(long)]
    spare_disk: bool,
    /// How long faults in a cluster go on; 0 leaves them out
    #[arg(long, default_value_t = 0.75)]
    cluster_minutes: f64,
    /// How long faults in an ensemble of the keeper go on; 0 leaves them out
    #[arg(long, default_value_t = 0.65)]
    keeper_minutes: f64,
    /// Also run the cases on Kubernetes, with the test cluster if KUBECONFIG is not set
    #[arg(long)]
    kube: bool,
}

/// What can be run alone.
#[derive(Debug, clap::Subcommand)]
enum Alone {
    /// The cases on a real Kubernetes, as `cargo xtask kube`
    Kube(kube::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    if let Some(Alone::Kube(arguments)) = &arguments.alone {
        return kube::run(arguments);
    }
    let mut tallies = Vec::new();
    if arguments.only.is_empty() {
        tallies.push(workspace_tests()?);
        tallies.push(stand_in_tests()?);
        if arguments.spare_disk {
            remove_test_programs(&target()?.join("debug/deps"))?;
        }
        tallies.push(simulation()?);
        if arguments.spare_disk {
            remove_folder(&target()?.join("sim"))?;
        }
    }
    let suites = if arguments.only.is_empty() {
        Suite::ALL.to_vec()
    } else {
        arguments.only.clone()
    };
    let mut missing = Vec::new();
    match node_binary(Profile::Release) {
        Ok(binary) => {
            let (ran, absent) = run_suites(&suites, &Against::Fresh(node(binary.clone())))?;
            tallies.extend(ran);
            missing = absent;
            if arguments.only.is_empty() {
                let (ran, absent) = keeper_clients::in_every_test(&binary)?;
                tallies.extend(ran);
                missing.extend(absent);
            }
            if arguments.only.is_empty() && arguments.cluster_minutes > 0.0 {
                tallies.push(cluster_test::in_every_test(arguments.cluster_minutes)?);
            }
            if arguments.only.is_empty() && arguments.keeper_minutes > 0.0 {
                tallies.push(keeper_test::in_every_test(arguments.keeper_minutes)?);
            }
            if arguments.only.is_empty() {
                let last = [
                    keeper_differential::in_every_test(),
                    kube::in_every_test(arguments.kube),
                ];
                for outcome in last {
                    match outcome {
                        Ok(tally) => tallies.push(tally),
                        Err(absent) => missing.push(absent),
                    }
                }
            }
        }
        // The Rust tests' outcome is still worth its table.
        Err(error) => {
            println!("{error:#}");
            tallies.push(Tally {
                failed: 1,
                ..Tally::of("release build")
            });
        }
    }
    println!("{}", cases::report(&tallies, &missing));
    Ok(cases::good(&tallies, &missing, arguments.allow_missing))
}

/// Removes programs that cargo has built for tests alone: those for use have a second name, outside of
/// this folder. What is needed again is built again.
fn remove_test_programs(folder: &Path) -> Result<()> {
    let mut freed = 0;
    let here = || format!("cannot look through {}", folder.display());
    for entry in fs::read_dir(folder).with_context(here)? {
        let path = entry.with_context(here)?.path();
        let about = path.symlink_metadata().with_context(here)?;
        let is_program = about.is_file() && about.mode() & 0o111 != 0;
        if is_program && path.extension().is_none() && about.nlink() == 1 {
            let removed = fs::remove_file(&path);
            removed.with_context(|| format!("cannot remove {}", path.display()))?;
            freed += about.len();
        }
    }
    println!("== {} MiB of test programs are removed", freed >> 20);
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let removed = fs::remove_dir_all(folder);
    removed.with_context(|| format!("cannot remove {}", folder.display()))
}

/// `cargo test` of everything, with librdkafka against nodes among it.
fn workspace_tests() -> Result<Tally> {
    let tally = Tally {
        version: "with the rdkafka crate".into(),
        ..Tally::of("rust")
    };
    let arguments = [
        "test",
        "--workspace",
        "--exclude",
        "ottla-sim",
        "--no-fail-fast",
    ];
    cargo_tests(tally, &arguments)
}

/// What stands in for a dependency is no member of the workspace.
fn stand_in_tests() -> Result<Tally> {
    let tally = Tally {
        version: "third_party/base2histogram".into(),
        ..Tally::of("stand-in")
    };
    cargo_tests(tally, &["test", "-p", "base2histogram"])
}

/// The simulation: its nodes are optimised a little, and can be told to do wrong.
fn simulation() -> Result<Tally> {
    let tally = Tally {
        version: "seeded worlds".into(),
        ..Tally::of("simulation")
    };
    let arguments = [
        "test",
        "--profile",
        "sim",
        "-p",
        "ottla-sim",
        "--no-fail-fast",
    ];
    cargo_tests(tally, &arguments)
}

fn cargo_tests(mut tally: Tally, arguments: &[&str]) -> Result<Tally> {
    println!("== cargo {}", arguments.join(" "));
    let mut command = cargo(arguments);
    let success = each_line(&mut command, RUST_LIMIT, |line| tally.take_cargo_line(line))?;
    tally.take_end(success);
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn programs_of_tests_go_and_libraries_and_programs_for_use_stay() {
        let folder = tempfile::tempdir().unwrap();
        let deps = folder.path().join("deps");
        fs::create_dir(&deps).unwrap();
        for (name, mode) in [
            ("bench-1", 0o755),
            ("ottla-2", 0o755),
            ("libserde-3.so", 0o755),
            ("libottla-4.rlib", 0o644),
            ("bench-1.d", 0o644),
            ("no-program", 0o644),
        ] {
            let path = deps.join(name);
            fs::write(&path, "x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::hard_link(deps.join("ottla-2"), folder.path().join("ottla")).unwrap();
        remove_test_programs(&deps).unwrap();
        let left = fs::read_dir(&deps).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(
            left,
            [
                "bench-1.d",
                "libottla-4.rlib",
                "libserde-3.so",
                "no-program",
                "ottla-2"
            ]
        );
    }
}
