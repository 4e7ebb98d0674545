//! Restarts under load.

use anyhow::{Result, ensure};

use super::Case;
use super::clients::Load;
use super::examples::start_with_load_balancer;
use super::space::{READY_LIMIT, Space, note};

pub(super) const CASES: &[Case] = &[Case {
    name: "a_rolling_restart_under_load_loses_nothing",
    run: rolling_restart,
}];

fn rolling_restart(space: &Space) -> Result<()> {
    let addresses = start_with_load_balancer(space)?;
    let before = space.pods("kafka")?;
    let load = Load::start(
        "rolling_load.py",
        &["--bootstrap", &addresses[0], "--topic", "load"],
    )?;
    let began = std::time::Instant::now();
    space.run(&["rollout", "restart", "statefulset/kafka"])?;
    let wait = ["-n", &space.name, "rollout", "status", "statefulset/kafka"];
    space.kubectl.run_within(&wait, 2 * READY_LIMIT)?;
    note(&format!(
        "three nodes were restarted one by one in {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    let (after, _) = space.ready("kafka", 3)?;
    for (before, after) in before.iter().zip(&after) {
        ensure!(before.uid != after.uid, "{} was not restarted", before.name);
        ensure!(
            after.restarts == 0,
            "{} ended by itself: {after:?}",
            after.name
        );
    }
    let seen = load.end()?;
    note(&format!("the clients saw {seen}"));
    for nothing in ["failed", "missing", "duplicates", "out_of_order"] {
        ensure!(seen[nothing] == 0, "{nothing}: {seen}");
    }
    ensure!(seen["acknowledged"].as_u64() > Some(1000), "{seen}");
    Ok(())
}
