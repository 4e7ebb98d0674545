//! What is done to a test cluster, and undone whatever becomes of the case.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::finished::output;
use super::kubectl::Kubectl;
use super::space::{Space, note, within};
use super::testbed;

const LIMIT: Duration = Duration::from_secs(20);

/// A node that nothing reaches, and that reaches nothing.
pub(crate) struct CutOff {
    link: String,
    healed: bool,
}

impl CutOff {
    pub(crate) fn node(space: &Space, node: &str) -> Result<CutOff> {
        let [name] = testbed::variables(space.testbed()?, ["NAME"])?;
        let cut = CutOff {
            link: format!("{name}-{node}"),
            healed: false,
        };
        cut.set("down")?;
        Ok(cut)
    }

    pub(crate) fn heal(mut self) -> Result<()> {
        self.healed = true;
        self.set("up")
    }

    fn set(&self, state: &str) -> Result<()> {
        let mut command = Command::new("ip");
        command.args(["link", "set", &self.link, state]);
        output(&mut command, b"", LIMIT).map(drop)
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        if !self.healed
            && let Err(error) = self.set("up")
        {
            note(&format!("{} stays down: {error:#}", self.link));
        }
    }
}

/// An API server that is not there.
pub(crate) struct NoApiServer {
    testbed: PathBuf,
    healed: bool,
}

impl NoApiServer {
    pub(crate) fn stop(space: &Space) -> Result<NoApiServer> {
        let testbed = space.testbed()?.to_owned();
        let id = process(&testbed, "kube-apiserver")?;
        let away = NoApiServer {
            testbed,
            healed: false,
        };
        // At once: asked to end it first waits for those who watch.
        output(Command::new("kill").args(["-KILL", &id]), b"", LIMIT)?;
        within(LIMIT, "the API server is gone", || {
            Ok(!Path::new("/proc").join(&id).is_dir())
        })?;
        Ok(away)
    }

    pub(crate) fn heal(mut self, kubectl: &Kubectl) -> Result<()> {
        self.healed = true;
        testbed::start(&self.testbed)?;
        within(2 * LIMIT, "the API server answers", || {
            kubectl.run(&["get", "--raw", "/readyz"]).map(|_| true)
        })
    }
}

impl Drop for NoApiServer {
    fn drop(&mut self) {
        if !self.healed
            && let Err(error) = testbed::start(&self.testbed)
        {
            note(&format!("the API server stays away: {error:#}"));
        }
    }
}

/// The id of a program of the test cluster.
fn process(testbed: &Path, program: &str) -> Result<String> {
    let [run] = testbed::variables(testbed, ["R"])?;
    let file = Path::new(&run).join("pid").join(program);
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let id = text.split_whitespace().next().map(str::to_owned);
    id.with_context(|| format!("{} names no process", file.display()))
}
