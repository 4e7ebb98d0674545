//! What a piece of work cost: the broker, the clients, the time.

use std::fs;
use std::time::Instant;

use crate::Broker;
use anyhow::{Context, Result};

/// The cost of one piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// User and system time of the broker.
    pub broker_cpu_s: f64,
    /// User and system time of this process and of the client programs that it waited for.
    pub client_cpu_s: f64,
    /// How long it took.
    pub wall_s: f64,
}

/// Runs `work` and measures it.
pub fn measured<T>(broker: &Broker, work: impl FnOnce() -> Result<T>) -> Result<(T, Cost)> {
    measured_by(|| broker.process()?.cpu_seconds(), work)
}

/// The same, with the broker's CPU time, or that of several, as the caller reads it.
pub fn measured_by<T>(
    broker_cpu_seconds: impl Fn() -> Result<f64>,
    work: impl FnOnce() -> Result<T>,
) -> Result<(T, Cost)> {
    let broker_cpu = broker_cpu_seconds()?;
    let (client_cpu, began) = (own_cpu_seconds()?, Instant::now());
    let result = work()?;
    let cost = Cost {
        wall_s: began.elapsed().as_secs_f64(),
        broker_cpu_s: broker_cpu_seconds()? - broker_cpu,
        client_cpu_s: own_cpu_seconds()? - client_cpu,
    };
    Ok((result, cost))
}

/// The CPU time of this process and of its children that have ended.
fn own_cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let ticks = ticks_with_children(&stat).with_context(|| format!("unreadable: {stat}"))?;
    #[expect(clippy::cast_precision_loss, reason = "ticks are far below 2^52")]
    let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    Ok(seconds)
}

/// `utime`, `stime`, `cutime` and `cstime`: fields 14 to 17 of `/proc/PID/stat`.
fn ticks_with_children(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields = behind_name.split_whitespace().skip(11).take(4);
    fields.map(|field| field.parse::<u64>().ok()).sum()
}

/// KiB as MiB.
#[expect(
    clippy::cast_precision_loss,
    reason = "memory in KiB is far below 2^52"
)]
pub fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Bytes as GiB.
#[expect(
    clippy::cast_precision_loss,
    reason = "a benchmark's bytes are far below 2^52"
)]
pub fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_counted() {
        let stat = "42 (a) S 1 42 42 0 -1 4194560 900 0 0 0 100 20 3 4 20 0 4 0 99 1 1";
        assert_eq!(ticks_with_children(stat), Some(127));
        assert!(own_cpu_seconds().unwrap() >= 0.0);
    }
}
