//! A shorter way to a difference: parts of the operations are left out as long as it stays.

use anyhow::Result;
use ottla_testkit::keeper::differential::{Difference, Step};

use crate::Arguments;
use crate::servers::Servers;

/// Leaves out halves, quarters and so on, and at last single operations. What is left need not be the
/// shortest way; the last operation is always the one that differs.
pub(crate) fn shrink(
    arguments: &Arguments,
    steps: &[Step],
    difference: Difference,
) -> Result<(Vec<Step>, Difference)> {
    let mut best = (steps.to_vec(), difference);
    let mut tries = arguments.shrink;
    let mut part = best.0.len() / 2;
    while part > 0 && tries > 0 {
        let mut from = 0;
        let mut is_shorter = false;
        while from + 1 < best.0.len() && tries > 0 {
            let until = (from + part).min(best.0.len() - 1);
            let mut fewer = best.0.clone();
            fewer.drain(from..until);
            tries -= 1;
            match again(arguments, &fewer)? {
                Some(found) if found.kind == best.1.kind => {
                    fewer.truncate(found.at + 1);
                    best = (fewer, found);
                    is_shorter = true;
                }
                _ => from = until,
            }
        }
        if !is_shorter || part > 1 {
            part /= 2;
        }
    }
    Ok(best)
}

/// The first difference that these operations show on fresh servers.
fn again(arguments: &Arguments, steps: &[Step]) -> Result<Option<Difference>> {
    let servers = Servers::start(arguments)?;
    let mut pair = servers.pair();
    for step in steps {
        if let Err(difference) = pair.step(step)? {
            return Ok(Some(*difference));
        }
    }
    Ok(None)
}
