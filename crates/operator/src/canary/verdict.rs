//! What a cluster's status says of its canary. Pure, but for the telling.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;

use crate::api::{CanaryStatus, Reason, condition};
use crate::conditions::Conditions;
use crate::context::Context;

/// A time as people read it.
pub(super) fn time(ms: i64) -> Option<String> {
    let time = Timestamp::from_millisecond(ms).ok()?;
    // Parts of a second would tell nobody anything.
    let whole = Timestamp::from_second(time.as_second()).ok()?;
    Some(whole.to_string())
}

/// What was found, with what the status knew before: an operator that has just begun does not know
/// since when.
pub(crate) fn judge(before: &[CanaryStatus], found: Vec<CanaryStatus>) -> Vec<CanaryStatus> {
    if found.is_empty() {
        return before.to_vec();
    }
    let known = |one: &CanaryStatus| {
        let mut before = before.iter();
        let before = before.find(|known| known.listener == one.listener);
        before
            .filter(|known| known.healthy == one.healthy && known.since.is_some())
            .and_then(|known| known.since.clone())
    };
    let all = found.into_iter().map(|one| CanaryStatus {
        since: known(&one).or(one.since.clone()),
        ..one
    });
    all.collect()
}

/// Says whether all listeners work.
pub(crate) fn set(conditions: &mut Conditions, found: &[CanaryStatus]) {
    if found.is_empty() {
        return;
    }
    let failing: Vec<String> = found.iter().filter(|one| !one.healthy).map(told).collect();
    if failing.is_empty() {
        let names: Vec<&str> = found.iter().map(|one| one.listener.as_str()).collect();
        let message = format!("records come back through {}", names.join(", "));
        conditions.set(condition::CANARY_HEALTHY, true, Reason::Healthy, message);
    } else {
        let message = failing.join("; ");
        conditions.set(condition::CANARY_HEALTHY, false, Reason::Failing, message);
    }
}

fn told(one: &CanaryStatus) -> String {
    format!(
        "listener {} has failed since {}: {}",
        one.listener,
        one.since.as_deref().unwrap_or("an unknown time"),
        one.error.as_deref().unwrap_or("no reason")
    )
}

/// Tells that a listener has begun to fail, or works again.
pub(crate) async fn tell(
    context: &Context,
    about: &ObjectReference,
    before: &[CanaryStatus],
    now: &[CanaryStatus],
) {
    for one in now {
        let mut known = before.iter();
        let known = known.find(|known| known.listener == one.listener);
        match (known.map(|known| known.healthy), one.healthy) {
            (Some(true) | None, false) => {
                context.warn(about, Reason::Failing, told(one)).await;
            }
            (Some(false), true) => {
                let since = one.since.as_deref().unwrap_or_default();
                let note = format!("listener {} works again since {since}", one.listener);
                context.say(about, Reason::Healthy, note).await;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(healthy: bool, since: &str) -> CanaryStatus {
        CanaryStatus {
            listener: "external".to_owned(),
            healthy,
            since: Some(since.to_owned()),
            error: (!healthy).then(|| "no broker answers".to_owned()),
        }
    }

    #[test]
    fn an_operator_that_starts_again_remembers_since_when_it_fails() {
        let before = [found(false, "2026-01-01T00:00:00Z")];
        let now = judge(&before, vec![found(false, "2026-01-01T01:00:00Z")]);
        assert_eq!(now[0].since.as_deref(), Some("2026-01-01T00:00:00Z"));
        let now = judge(&before, vec![found(true, "2026-01-01T01:00:00Z")]);
        assert_eq!(now[0].since.as_deref(), Some("2026-01-01T01:00:00Z"));
        // Nothing is known yet: what was known stays.
        assert_eq!(judge(&before, Vec::new()), before);
    }

    #[test]
    fn the_condition_says_which_listener_fails_since_when_and_why() {
        let mut conditions = Conditions::of(&[], Some(1), Timestamp::UNIX_EPOCH);
        set(&mut conditions, &[found(false, "2026-01-01T00:00:00Z")]);
        let all = conditions.into_vec();
        assert_eq!(all[0].status, "False");
        assert_eq!(
            all[0].message,
            "listener external has failed since 2026-01-01T00:00:00Z: no broker answers"
        );
        assert_eq!(
            time(1_700_000_000_123).as_deref(),
            Some("2023-11-14T22:13:20Z")
        );
    }
}
