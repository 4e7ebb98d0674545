//! Clients that produce while something happens to their cluster.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{CHANGE_LIMIT, Cluster};
use crate::kube::clients::Load;
use crate::kube::space::{note, within};

/// The topic that they write to.
pub(super) const TOPIC: &str = "load";

/// A load that knows all addresses of a listener.
pub(super) fn start(cluster: &Cluster<'_>, listener: &str, more: &[&str]) -> Result<Load> {
    let bootstrap = cluster.bootstraps(listener)?;
    let arguments = ["--bootstrap", &bootstrap, "--topic", TOPIC];
    Load::start("rolling_load.py", &[&arguments[..], more].concat())
}

/// Waits until every partition has taken another record.
pub(super) fn goes_on(load: &mut Load) -> Result<()> {
    let before = load.now()?;
    within(CHANGE_LIMIT, "all partitions take records", || {
        Ok(has_grown(&before, &load.now()?))
    })
}

/// Ends it: nothing that was acknowledged is missing, and no record has failed.
pub(super) fn nothing_is_lost(load: Load) -> Result<()> {
    let seen = load.end()?;
    note(&format!("the clients saw {seen}"));
    for nothing in ["failed", "missing", "duplicates", "out_of_order"] {
        ensure!(seen[nothing] == 0, "{nothing}: {seen}");
    }
    ensure!(seen["acknowledged"].as_u64() > Some(100), "{seen}");
    Ok(())
}

fn has_grown(before: &Value, now: &Value) -> bool {
    let counts = |seen: &Value| -> Vec<u64> {
        let each = seen["each"].as_array().map(Vec::as_slice);
        let each = each.unwrap_or_default().iter();
        each.filter_map(Value::as_u64).collect()
    };
    let (before, now) = (counts(before), counts(now));
    !now.is_empty() && before.iter().zip(&now).all(|(before, now)| before < now)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_partitions_have_to_grow() {
        let seen = |each: [u64; 2]| json!({ "each": each });
        assert!(has_grown(&seen([1, 2]), &seen([2, 3])));
        assert!(!has_grown(&seen([1, 2]), &seen([9, 2])));
        assert!(!has_grown(&json!({}), &json!({})));
    }
}
