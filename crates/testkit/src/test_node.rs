//! The broker that a test talks to.

use std::env;

use anyhow::{Context, Result};

use crate::binary::{Profile, node_binary};
use crate::broker::{Broker, Launch};
use crate::control;

/// A node of the test's own, or the broker that the environment names.
#[derive(Debug)]
pub enum TestNode {
    /// Started for this test.
    Own(Broker),
    /// Named by `OTTLA_TEST_BOOTSTRAP`; restarted through `OTTLA_TEST_CONTROL`.
    Given {
        /// `HOST:PORT` for clients.
        bootstrap: String,
        /// `HOST:PORT` of the control.
        control: Option<String>,
    },
}

impl TestNode {
    /// A node with default settings; groups do not wait for more members, to keep tests quick.
    pub fn start() -> Result<TestNode> {
        TestNode::start_with(&[("group.initial.rebalance.delay.ms", "0")])
    }

    /// A node with these settings. A given broker is taken as it is.
    pub fn start_with(settings: &[(&str, &str)]) -> Result<TestNode> {
        if let Ok(bootstrap) = env::var("OTTLA_TEST_BOOTSTRAP") {
            return Ok(TestNode::Given {
                bootstrap,
                control: env::var("OTTLA_TEST_CONTROL").ok(),
            });
        }
        let profile = if cfg!(debug_assertions) {
            Profile::Dev
        } else {
            Profile::Release
        };
        let settings = settings
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        let launch = Launch::Ottla {
            binary: node_binary(profile)?,
            settings,
        };
        Ok(TestNode::Own(Broker::start(launch)?))
    }

    /// `HOST:PORT` for clients.
    pub fn bootstrap(&self) -> String {
        match self {
            TestNode::Own(broker) => broker.bootstrap(),
            TestNode::Given { bootstrap, .. } => bootstrap.clone(),
        }
    }

    /// SIGTERM and a new start on the same data.
    pub fn restart(&mut self) -> Result<()> {
        match self {
            TestNode::Own(broker) => broker.restart(),
            TestNode::Given { control, .. } => ask_given(control.as_deref(), "restart"),
        }
    }

    /// SIGKILL and a new start on the same data.
    pub fn kill_and_start(&mut self) -> Result<()> {
        match self {
            TestNode::Own(broker) => broker.kill_and_start(),
            TestNode::Given { control, .. } => ask_given(control.as_deref(), "kill"),
        }
    }
}

fn ask_given(control: Option<&str>, word: &str) -> Result<()> {
    let control = control.context(
        "OTTLA_TEST_BOOTSTRAP is set: set OTTLA_TEST_CONTROL too, this test restarts it",
    )?;
    control::ask(control, word)
}
