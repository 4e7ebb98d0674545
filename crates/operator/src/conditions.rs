//! Conditions of a resource: what is so, since when, and why.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use crate::api::{Reason, condition};
use crate::progress::Progress;

/// The conditions that a reconciliation comes to. Those that it does not speak of stay.
pub(crate) struct Conditions {
    now: Timestamp,
    generation: Option<i64>,
    all: Vec<Condition>,
}

impl Conditions {
    /// Begins with what was so before.
    pub(crate) fn of(before: &[Condition], generation: Option<i64>, now: Timestamp) -> Self {
        Conditions {
            now,
            generation,
            all: before.to_vec(),
        }
    }

    /// Sets one. The time changes only when the status does.
    pub(crate) fn set(
        &mut self,
        kind: &str,
        is_so: bool,
        reason: Reason,
        message: impl Into<String>,
    ) {
        let status = if is_so { "True" } else { "False" };
        let known = self.all.iter_mut().find(|known| known.type_ == kind);
        let since = match &known {
            Some(known) if known.status == status => known.last_transition_time.clone(),
            _ => Time(self.now),
        };
        let condition = Condition {
            last_transition_time: since,
            message: message.into(),
            observed_generation: self.generation,
            reason: reason.as_str().to_owned(),
            status: status.to_owned(),
            type_: kind.to_owned(),
        };
        match known {
            Some(known) => *known = condition,
            None => self.all.push(condition),
        }
    }

    /// What is under way, what is wrong, and whether all is well: `counted` says how far it has come.
    pub(crate) fn sum_up(&mut self, progress: &Progress<'_>, serves: bool, counted: String) {
        let (doing, wrong) = (progress.doing.first(), progress.wrong.first());
        for (kind, found, nothing) in [
            (condition::PROGRESSING, doing, "nothing is under way"),
            (condition::DEGRADED, wrong, "nothing is wrong"),
        ] {
            let is_so = found.is_some();
            let (reason, what) = match found {
                Some((reason, what)) => (*reason, what.as_str()),
                None => (Reason::AsDeclared, nothing),
            };
            self.set(kind, is_so, reason, what);
        }
        let is_ready = serves && wrong.is_none();
        let (reason, text) = match wrong.or(doing) {
            Some((reason, what)) => (*reason, format!("{counted}; {what}")),
            None if is_ready => (Reason::AsDeclared, counted),
            None => (Reason::PodsNotReady, counted),
        };
        self.set(condition::READY, is_ready, reason, text);
    }

    /// Takes one away that nobody speaks of any more.
    pub(crate) fn remove(&mut self, kind: &str) {
        self.all.retain(|known| known.type_ != kind);
    }

    /// All of them.
    pub(crate) fn into_vec(self) -> Vec<Condition> {
        self.all
    }
}

/// Whether a condition is so.
pub(crate) fn is_so(conditions: &[Condition], kind: &str) -> bool {
    let known = conditions.iter().find(|known| known.type_ == kind);
    known.is_some_and(|known| known.status == "True")
}

/// How many seconds a condition has been as it is.
pub(crate) fn seconds_since(conditions: &[Condition], kind: &str, now: Timestamp) -> Option<i64> {
    let known = conditions.iter().find(|known| known.type_ == kind)?;
    Some(now.as_second() - known.last_transition_time.0.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_changes_only_with_the_status() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut first = Conditions::of(&[], Some(1), at(10));
        first.set("Ready", false, Reason::Creating, "pods are made");
        let first = first.into_vec();
        let mut second = Conditions::of(&first, Some(2), at(20));
        second.set("Ready", false, Reason::PodsNotReady, "two of three");
        let second = second.into_vec();
        assert_eq!(second.len(), 1);
        assert_eq!(second[0].last_transition_time, Time(at(10)));
        assert_eq!(second[0].observed_generation, Some(2));
        assert_eq!(seconds_since(&second, "Ready", at(25)), Some(15));
        let mut third = Conditions::of(&second, Some(2), at(30));
        third.set("Ready", true, Reason::AsDeclared, "");
        let third = third.into_vec();
        assert_eq!(third[0].last_transition_time, Time(at(30)));
    }
}
