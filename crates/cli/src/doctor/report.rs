//! The report: checks with what was found, what it means and what to do.

use serde::Serialize;

use crate::Error;
use crate::output::View;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    Warning,
    Problem,
}

/// One check. The names of checks are stable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) status: Status,
    /// Which check it is.
    pub(super) check: &'static str,
    /// What was looked at: an address, a broker, the cluster.
    pub(super) subject: String,
    pub(super) found: String,
    /// What follows from it for clients; null when all is well.
    pub(super) means: Option<String>,
    /// What to change; null when nothing is to be.
    pub(super) remedy: Option<String>,
}

impl Check {
    pub(super) fn ok(check: &'static str, subject: &str, found: impl Into<String>) -> Check {
        Check {
            status: Status::Ok,
            check,
            subject: subject.to_owned(),
            found: found.into(),
            means: None,
            remedy: None,
        }
    }

    pub(super) fn but(
        self,
        status: Status,
        means: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        Check {
            status,
            means: Some(means.into()),
            remedy: Some(remedy.into()),
            ..self
        }
    }
}

/// All checks.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    bootstrap_servers: String,
    /// The worst of all checks.
    status: Status,
    problems: usize,
    warnings: usize,
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(bootstrap_servers: &str, checks: Vec<Check>) -> Report {
        let count = |status| checks.iter().filter(|c| c.status == status).count();
        Report {
            bootstrap_servers: bootstrap_servers.to_owned(),
            status: checks.iter().map(|c| c.status).max().unwrap_or(Status::Ok),
            problems: count(Status::Problem),
            warnings: count(Status::Warning),
            checks,
        }
    }

    /// Fails with the problems; warnings are none.
    pub(super) fn verdict(&self, reached: bool) -> Result<(), Error> {
        match self.problems {
            0 => Ok(()),
            problems => Err(Error::Unwell {
                problems: counted(problems, "problem"),
                reached,
            }),
        }
    }
}

/// `1 problem`, `2 problems`.
pub(super) fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

impl View for Report {
    fn table(&self, _wide: bool) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let status = match check.status {
                Status::Ok => "ok",
                Status::Warning => "WARNING",
                Status::Problem => "PROBLEM",
            };
            text.push_str(&format!("{status:9}{}: {}\n", check.subject, check.found));
            let more = [("it means", &check.means), ("to do", &check.remedy)];
            for (label, words) in more {
                if let Some(words) = words {
                    let words = words.replace('\n', "\n           ");
                    text.push_str(&format!("         {label}: {words}\n"));
                }
            }
        }
        let summary = match (self.problems, self.warnings) {
            (0, 0) => "all is well".to_owned(),
            (problems, warnings) => format!(
                "{}, {}",
                counted(problems, "problem"),
                counted(warnings, "warning")
            ),
        };
        format!("{text}\n{summary}\n")
    }

    fn names(&self) -> Vec<String> {
        let unwell = self.checks.iter().filter(|c| c.status != Status::Ok);
        unwell.map(|c| c.check.to_owned()).collect()
    }
}
