//! `cargo xtask kube`: the manifests of `deploy/examples`, and the operator, on a real Kubernetes, seen by
//! real clients.
//!
//! ```text
//! testbed (which cluster) ─▶ image ─▶ for each case: space (a namespace) ─▶ the case ─▶ namespace gone
//! ```
//!
//! A case is a function of its [`Space`] in the file of its topic, and a line in [`CASES`].

mod clients;
mod examples;
mod faults;
mod finished;
mod keepers;
mod kubectl;
mod operator;
mod pod;
mod refusals;
mod rolling;
mod space;
mod testbed;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use ottla_testkit::{Profile, node_binary};

use self::space::{NotRun, Space};
use self::testbed::Site;
use crate::cases::{self, Missing, Tally};
use crate::image;

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Run only cases with this word in their names; may be repeated
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    /// List the cases, and run none
    #[arg(long)]
    list: bool,
    /// Leave the namespace of each case as it is at its end
    #[arg(long)]
    keep: bool,
    /// The folder of a test cluster: used without KUBECONFIG, and given the image [env:
    /// OTTLA_KUBE_TESTBED]
    #[arg(long, value_name = "DIR")]
    testbed: Option<PathBuf>,
    /// This program instead of a fresh release build
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// An image that the cluster has already, instead of one that is made now
    #[arg(long, value_name = "REF", conflicts_with = "binary")]
    image: Option<String>,
}

/// One case.
struct Case {
    name: &'static str,
    run: fn(&Space) -> Result<()>,
}

/// All cases, topic by topic.
const CASES: [&[Case]; 4] = [
    examples::CASES,
    refusals::CASES,
    keepers::CASES,
    rolling::CASES,
];

pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    if arguments.list {
        for case in chosen(arguments) {
            println!("{}", case.name);
        }
        return Ok(true);
    }
    let (tallies, missing) = match suite(arguments) {
        Ok(tally) => (vec![tally], Vec::new()),
        Err(absent) => (Vec::new(), vec![absent]),
    };
    println!("{}", cases::report(&tallies, &missing));
    Ok(cases::good(&tallies, &missing, false))
}

/// What `cargo xtask test` does: all cases where `KUBECONFIG` names a cluster or `wanted` says so,
/// else the reason why none of them ran.
pub(crate) fn in_every_test(wanted: bool) -> Result<Tally, Missing> {
    let has_cluster = std::env::var_os("KUBECONFIG").is_some_and(|config| !config.is_empty());
    if wanted || has_cluster {
        return suite(&Arguments::default());
    }
    println!("\n== kubernetes");
    let all = chosen(&Arguments::default()).count();
    println!("not run: {all} cases: KUBECONFIG is not set; --kube runs them on a test cluster");
    Ok(Tally {
        version: "KUBECONFIG is not set, and no --kube".into(),
        not_run: all,
        ..Tally::of("kubernetes")
    })
}

fn chosen(arguments: &Arguments) -> impl Iterator<Item = &'static Case> {
    let only = arguments.only.clone();
    let is_chosen = move |case: &&Case| {
        only.is_empty() || only.iter().any(|word| case.name.contains(word.as_str()))
    };
    let all = CASES.into_iter().chain(operator::CASES);
    all.flatten().filter(is_chosen)
}

/// Runs the cases, or says what they miss.
fn suite(arguments: &Arguments) -> Result<Tally, Missing> {
    println!("\n== kubernetes");
    let absent = |error: anyhow::Error| {
        println!("not run: {error:#}");
        Missing::because("kubernetes", &error)
    };
    let (site, image) = prepare(arguments).map_err(absent)?;
    let mut tally = Tally::of("kubernetes");
    if let Ok(version) = site.kubectl.json(&["version"]) {
        let server = version["serverVersion"]["gitVersion"].as_str();
        tally.take_case_line(&format!("version: {}", server.unwrap_or("unknown")));
    }
    for case in chosen(arguments) {
        let line = play(case, &site, &image, arguments.keep);
        println!("{line}");
        tally.take_case_line(&line);
    }
    tally.take_end(true);
    Ok(tally)
}

/// The cluster, and the image on its nodes.
fn prepare(arguments: &Arguments) -> Result<(Site, String)> {
    let mut site = testbed::find(arguments.testbed.as_deref())?;
    if let Some(image) = &arguments.image {
        return Ok((site, image.clone()));
    }
    let Some(testbed) = &site.testbed else {
        anyhow::bail!(
            "nothing here puts an image onto the nodes of the cluster in KUBECONFIG: make one with \
             `cargo xtask image`, push or load it, and name it with --image"
        );
    };
    let binary = match &arguments.binary {
        Some(binary) => binary.clone(),
        None => node_binary(Profile::Release)?,
    };
    image::load(image::TAG, &binary, testbed)?;
    site.program = Some(binary);
    Ok((site, image::TAG.to_owned()))
}

/// Plays a case in a namespace of its own; the line that tells how it ended.
fn play(case: &Case, site: &Site, image: &str, keep: bool) -> String {
    println!("… {}", case.name);
    let began = Instant::now();
    let played = Space::create(site, case.name, image)
        .context("the namespace cannot be made")
        .and_then(|space| {
            let played = (case.run)(&space);
            if let Err(error) = &played
                && error.downcast_ref::<NotRun>().is_none()
            {
                println!("{}", indented(&space.report()));
            }
            if !keep {
                space.remove().context("the namespace does not go away")?;
            }
            played
        });
    let seconds = began.elapsed().as_secs_f64();
    match played {
        Ok(()) => format!("case {}: ok ({seconds:.1} s)", case.name),
        Err(error) => {
            if let Some(NotRun(why)) = error.downcast_ref() {
                return format!("case {}: not run ({why})", case.name);
            }
            println!("{}", indented(&format!("{error:#}")));
            format!("case {}: FAILED ({seconds:.1} s)", case.name)
        }
    }
}

/// So that no line of a log is taken for a case's.
fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn cases_have_names_of_their_own_and_are_chosen_by_words_in_them() {
        let all: Vec<_> = chosen(&Arguments::default()).map(|c| c.name).collect();
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        let only = Arguments {
            only: vec!["node_port".into()],
            ..Arguments::default()
        };
        let some: Vec<_> = chosen(&only).map(|c| c.name).collect();
        assert!(!some.is_empty() && some.len() < all.len(), "{some:?}");
    }

    #[test]
    fn what_is_not_run_is_in_the_table_with_its_reason() {
        // Only a caller without a cluster can see it.
        if std::env::var_os("KUBECONFIG").is_none() {
            let tally = in_every_test(false).unwrap();
            assert!(tally.not_run > 0 && tally.failed == 0);
            assert!(tally.version.contains("KUBECONFIG"));
        }
    }
}
