//! Reads what test programs print, and adds it up.

use std::fmt::Write as _;

/// The outcome of one suite of tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The suite's name.
    pub(crate) suite: String,
    /// The client and its version, once it is known.
    pub(crate) version: String,
    /// Cases that passed.
    pub(crate) passed: usize,
    /// Cases that failed. A suite that ends badly without a failed case counts as one.
    pub(crate) failed: usize,
    /// Cases that could not run, for example because nothing restarts the node.
    pub(crate) not_run: usize,
    /// Those of them that the next `test result` will count as passed.
    pub(crate) called_passed: usize,
}

impl Tally {
    /// Nothing is known yet.
    pub(crate) fn of(suite: &str) -> Tally {
        Tally {
            suite: suite.to_owned(),
            ..Tally::default()
        }
    }

    /// Takes in one line of a client suite: `version: …` or `case NAME: ok|FAILED|not run`.
    pub(crate) fn take_case_line(&mut self, line: &str) {
        if let Some(version) = line.strip_prefix("version: ") {
            version.clone_into(&mut self.version);
        } else if let Some((_, outcome)) = line
            .strip_prefix("case ")
            .and_then(|case| case.split_once(": "))
        {
            match outcome {
                ok if ok.starts_with("ok") => self.passed += 1,
                skipped if skipped.starts_with("not run") => self.not_run += 1,
                _ => self.failed += 1,
            }
        }
    }

    /// Takes in one line of `cargo test`: `test result: ok. 3 passed; 0 failed; 1 ignored; …`, or
    /// `not run: NAME: REASON` of a test that found itself without what it needs.
    pub(crate) fn take_cargo_line(&mut self, line: &str) {
        if line.starts_with("not run: ") {
            self.not_run += 1;
            self.called_passed += 1;
            return;
        }
        let Some(result) = line.strip_prefix("test result: ") else {
            return;
        };
        let count = |what: &str| -> usize {
            let words: Vec<&str> = result.split([' ', ';']).filter(|w| !w.is_empty()).collect();
            let at = words.iter().position(|word| *word == what);
            at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok())
                .unwrap_or(0)
        };
        let called_passed = std::mem::take(&mut self.called_passed);
        self.passed += count("passed").saturating_sub(called_passed);
        self.failed += count("failed");
        self.not_run += count("ignored");
    }

    /// Takes in how the program ended: a bad end is a failure even when no case says so.
    pub(crate) fn take_end(&mut self, success: bool) {
        if self.failed == 0 && (!success || self.passed + self.not_run == 0) {
            self.failed = 1;
        }
    }
}

/// A client that could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// Its name.
    pub(crate) client: String,
    /// Why, in one line.
    pub(crate) reason: String,
    /// Whether a package registry did not answer: nothing that this machine could mend.
    pub(crate) unreachable: bool,
}

impl Missing {
    /// The failure to get a client, as the entry for the report.
    pub(crate) fn because(client: &str, error: &anyhow::Error) -> Missing {
        let message = format!("{error:#}");
        Missing {
            client: client.to_owned(),
            unreachable: crate::setup::unreachable(&message),
            reason: message.lines().take(6).collect::<Vec<_>>().join(" | "),
        }
    }
}

/// The table for people, with its closing line.
pub(crate) fn report(tallies: &[Tally], missing: &[Missing]) -> String {
    let mut rows = vec![["suite", "client", "passed", "failed", "not run"].map(String::from)];
    rows.extend(tallies.iter().map(|t| {
        let counts = [t.passed, t.failed, t.not_run].map(|count| count.to_string());
        let [passed, failed, not_run] = counts;
        [t.suite.clone(), t.version.clone(), passed, failed, not_run]
    }));
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths = [0, 1, 2, 3, 4].map(width);
    let mut text = String::from("\n");
    for row in &rows {
        let _ = writeln!(
            text,
            "{:<w0$}  {:<w1$}  {:>w2$}  {:>w3$}  {:>w4$}",
            row[0],
            row[1],
            row[2],
            row[3],
            row[4],
            w0 = widths[0],
            w1 = widths[1],
            w2 = widths[2],
            w3 = widths[3],
            w4 = widths[4],
        );
    }
    for absent in missing {
        let _ = writeln!(text, "missing: {}: {}", absent.client, absent.reason);
    }
    let passed: usize = tallies.iter().map(|t| t.passed).sum();
    let failed: usize = tallies.iter().map(|t| t.failed).sum();
    let _ = write!(text, "\n{passed} passed, {failed} failed");
    text
}

/// Whether the whole run may be called good. A case that did not run is not good; a client that is
/// missing is excused only when its registry is unreachable and the caller allows that.
pub(crate) fn good(tallies: &[Tally], missing: &[Missing], allow_missing: bool) -> bool {
    tallies.iter().all(|tally| tally.failed == 0)
        && missing
            .iter()
            .all(|absent| allow_missing && absent.unreachable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_lines_are_counted() {
        let mut tally = Tally::of("kcat");
        for line in [
            "version: kcat 1.7.1",
            "case a: ok (0.1 s)",
            "case b: FAILED (2.0 s)",
            "    case in a log: ok",
            "case c: not run (needs --control)",
        ] {
            tally.take_case_line(line);
        }
        tally.take_end(false);
        assert_eq!(tally.version, "kcat 1.7.1");
        assert_eq!((tally.passed, tally.failed, tally.not_run), (1, 1, 1));
    }

    #[test]
    fn cargo_lines_are_added_up() {
        let mut tally = Tally::of("rust");
        tally.take_cargo_line(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out",
        );
        tally.take_cargo_line("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured");
        tally.take_cargo_line("test some::case ... ok");
        assert_eq!((tally.passed, tally.failed, tally.not_run), (4, 2, 1));
    }

    #[test]
    fn a_test_that_could_not_run_is_not_counted_as_passed() {
        let mut tally = Tally::of("rust");
        tally.take_cargo_line("not run: a full disk: a tmpfs cannot be mounted");
        tally.take_cargo_line("test result: ok. 3 passed; 0 failed; 0 ignored");
        tally.take_cargo_line("test result: ok. 2 passed; 0 failed; 0 ignored");
        assert_eq!((tally.passed, tally.failed, tally.not_run), (4, 0, 1));
    }

    #[test]
    fn a_suite_that_dies_or_says_nothing_has_failed() {
        let mut died = Tally {
            passed: 3,
            ..Tally::of("x")
        };
        died.take_end(false);
        assert_eq!(died.failed, 1);
        let mut silent = Tally::of("x");
        silent.take_end(true);
        assert_eq!(silent.failed, 1);
        let mut fine = Tally {
            passed: 3,
            ..Tally::of("x")
        };
        fine.take_end(true);
        assert_eq!(fine.failed, 0);
    }

    #[test]
    fn the_report_ends_with_the_sums() {
        let tallies = [
            Tally {
                passed: 3,
                version: "1.0".into(),
                ..Tally::of("a")
            },
            Tally {
                passed: 2,
                failed: 1,
                ..Tally::of("b")
            },
        ];
        let missing = [Missing {
            client: "c".into(),
            reason: "gone".into(),
            unreachable: false,
        }];
        let report = report(&tallies, &missing);
        assert!(report.contains("missing: c: gone\n"), "{report}");
        assert!(report.ends_with("\n5 passed, 1 failed"), "{report}");
    }

    #[test]
    fn a_missing_client_is_excused_only_when_unreachable_and_allowed() {
        let tallies = [Tally {
            passed: 1,
            ..Tally::of("a")
        }];
        let missing = |unreachable| {
            [Missing {
                client: "c".into(),
                reason: String::new(),
                unreachable,
            }]
        };
        assert!(good(&tallies, &[], false));
        assert!(!good(&tallies, &missing(true), false));
        assert!(!good(&tallies, &missing(false), true));
        assert!(good(&tallies, &missing(true), true));
    }
}
