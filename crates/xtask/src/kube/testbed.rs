//! Which cluster the cases run on: the one of `KUBECONFIG`, or a test cluster on this machine, which
//! is started if it is not there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::finished::output;
use super::kubectl::Kubectl;
use crate::setup::on_path;
use crate::workspace::root;

/// Nodes that are there already take seconds; new ones load their images first.
const UP_LIMIT: Duration = Duration::from_secs(600);
/// Kubernetes itself, from its sources.
const BUILD_LIMIT: Duration = Duration::from_secs(3600);
/// Names the folder of a test cluster.
const VARIABLE: &str = "OTTLA_KUBE_TESTBED";

/// A cluster, and how an image comes onto its nodes.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) kubectl: Kubectl,
    /// The folder of a test cluster that takes a program as an image; none where somebody else brings
    /// the image.
    pub(crate) testbed: Option<PathBuf>,
    /// The program under test, where the image was made of it just now.
    pub(crate) program: Option<PathBuf>,
}

/// The folder of a test cluster, if there is one.
pub(crate) fn folder(given: Option<&Path>) -> Option<PathBuf> {
    let named = given.map(Path::to_path_buf);
    let named = named.or_else(|| std::env::var_os(VARIABLE).map(PathBuf::from));
    let folder = named.unwrap_or_else(|| root().join("../shared/kube"));
    folder.join("up").is_file().then_some(folder)
}

/// The cluster to use, or why there is none.
pub(crate) fn find(given: Option<&Path>) -> Result<Site> {
    let testbed = folder(given);
    if let Some(config) = std::env::var_os("KUBECONFIG").filter(|c| !c.is_empty()) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let kubectl = Kubectl {
            config: config.into(),
            path,
        };
        kubectl
            .run(&["get", "--raw", "/readyz"])
            .context("the cluster of KUBECONFIG does not answer")?;
        let is_testbeds = given.is_some()
            || testbed
                .as_deref()
                .is_some_and(|folder| settings(folder).is_ok_and(|(own, _)| own == kubectl.config));
        return Ok(Site {
            kubectl,
            testbed: testbed.filter(|_| is_testbeds),
            program: None,
        });
    }
    let Some(folder) = testbed else {
        bail!(
            "KUBECONFIG is not set, and there is no test cluster: name its folder with --testbed \
             or {VARIABLE}"
        );
    };
    start(&folder)?;
    let (config, path) = settings(&folder)?;
    Ok(Site {
        kubectl: Kubectl { config, path },
        testbed: Some(folder),
        program: None,
    })
}

/// Starts what is missing of the test cluster.
pub(crate) fn start(folder: &Path) -> Result<()> {
    let up = || output(&mut Command::new(folder.join("up")), b"", UP_LIMIT);
    let Err(error) = up() else { return Ok(()) };
    if !format!("{error:#}").contains("run build") {
        return Err(error).context("the test cluster does not start");
    }
    if !on_path("go") {
        bail!("the test cluster's Kubernetes is not built, and there is no Go to build it with");
    }
    println!("building Kubernetes for the test cluster: a quarter of an hour, once");
    output(&mut Command::new(folder.join("build")), b"", BUILD_LIMIT)?;
    up().map(drop)
}

/// The test cluster's KUBECONFIG, and a PATH with its programs.
fn settings(folder: &Path) -> Result<(PathBuf, OsString)> {
    let [config, path] = variables(folder, ["KUBECONFIG", "PATH"])?;
    Ok((config.into(), path.into()))
}

/// What the settings of the test cluster say.
pub(crate) fn variables<const N: usize>(folder: &Path, names: [&str; N]) -> Result<[String; N]> {
    let script = ". \"$1/settings\"; shift; for name; do printf '%s\\n' \"${!name}\"; done";
    let mut command = Command::new("bash");
    // Its own answer is wanted, not the one that stands in the environment.
    command.env_remove("KUBECONFIG");
    command
        .args(["-euc", script, "bash"])
        .arg(folder)
        .args(names);
    let text = output(&mut command, b"", Duration::from_secs(20))?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.try_into().map_err(|lines| {
        anyhow::anyhow!("the settings of the test cluster do not say {names:?}, but {lines:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_the_program_up_is_no_test_cluster() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(folder(Some(here)), None);
    }
}
