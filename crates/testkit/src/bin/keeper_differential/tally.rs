//! What a run was made of: how often each operation ended how. A comparison of nothing but errors, or of
//! nothing but successes, would show little.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use ottla_testkit::keeper::differential::{Seen, Step};

/// Slower ones are worth a look: they are waits for what never comes.
const SLOW: Duration = Duration::from_secs(3);

#[derive(Default)]
pub(crate) struct Tally {
    outcomes: BTreeMap<(String, String), usize>,
    events: usize,
    slow: Vec<(String, Duration)>,
}

impl Tally {
    pub(crate) fn count(&mut self, step: &Step, seen: &Seen, took: Duration) {
        let mut outcome = seen
            .text("err")
            .or(seen.text("opened"))
            .unwrap_or("-")
            .to_owned();
        let is_closed = |name: &str| name == "connection" || name.ends_with(" connection");
        if let Some(end) = seen.fields.iter().find(|field| is_closed(&field.name)) {
            outcome = format!("{outcome}, {:?}", end.value);
        }
        *self.outcomes.entry((step.kind(), outcome)).or_default() += 1;
        let is_event = |name: &str| name.ends_with("event");
        let events = seen.fields.iter().filter(|field| is_event(&field.name));
        self.events += events.count();
        if took > SLOW {
            self.slow.push((step.to_string(), took));
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((kind, outcome), count) in &self.outcomes {
            writeln!(f, "{count:>6} {kind}: {outcome}")?;
        }
        writeln!(f, "{:>6} events", self.events)?;
        for (step, took) in &self.slow {
            writeln!(f, "  {:.1} s: {step}", took.as_secs_f64())?;
        }
        Ok(())
    }
}
