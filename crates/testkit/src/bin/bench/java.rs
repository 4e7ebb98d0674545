//! Kafka's own performance programs as clients, the same for both sides.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The folder with the jars of Kafka's tools.
pub(crate) struct Java {
    pub(crate) tools: PathBuf,
}

/// What a client program says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throughput {
    pub(crate) mib_per_second: f64,
}

/// What is produced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) topic: &'a str,
    pub(crate) records: u64,
    pub(crate) record_bytes: u64,
    /// `name=value` of the producer.
    pub(crate) properties: &'a [&'a str],
}

const BEHIND: Duration = Duration::from_secs(60);

impl Java {
    /// Runs `ProducerPerformance` without a limit to its speed.
    pub(crate) fn produce(&self, bootstrap: &str, load: Load<'_>) -> Result<Throughput> {
        let mut command = self.tool("org.apache.kafka.tools.ProducerPerformance");
        command
            .args(["--topic", load.topic])
            .args(["--num-records", &load.records.to_string()])
            .args(["--record-size", &load.record_bytes.to_string()])
            .args(["--throughput", "-1", "--bootstrap-server", bootstrap])
            .arg("--command-property")
            .args(load.properties);
        let said = output(&mut command)?;
        produced(&said).with_context(|| format!("no summary of the producer:\n{said}"))
    }

    /// Runs `ConsumerPerformance` from the first record on.
    pub(crate) fn consume(&self, bootstrap: &str, topic: &str, records: u64) -> Result<Throughput> {
        let mut command = self.tool("org.apache.kafka.tools.ConsumerPerformance");
        command
            .args(["--bootstrap-server", bootstrap, "--topic", topic])
            .args(["--num-records", &records.to_string()])
            .args(["--timeout", &BEHIND.as_millis().to_string()]);
        let said = output(&mut command)?;
        let (throughput, read) =
            consumed(&said).with_context(|| format!("no summary of the consumer:\n{said}"))?;
        ensure!(
            read >= records,
            "{read} of {records} records were read:\n{said}"
        );
        Ok(throughput)
    }

    /// Runs `EndToEndLatency`: one record after the other; the mean in milliseconds.
    pub(crate) fn one_by_one_ms(&self, bootstrap: &str, topic: &str, records: u64) -> Result<f64> {
        let mut command = self.tool("org.apache.kafka.tools.EndToEndLatency");
        command
            .args(["--bootstrap-server", bootstrap, "--topic", topic])
            .args(["--num-records", &records.to_string()])
            .args(["--producer-acks", "all", "--record-size", "100"]);
        let said = output(&mut command)?;
        mean_latency_ms(&said).with_context(|| format!("no summary of the latency:\n{said}"))
    }

    fn tool(&self, class: &str) -> Command {
        let mut command = Command::new("java");
        command
            .args([
                "-Xmx512m",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                "-cp",
            ])
            .arg(class_path(&self.tools))
            .arg(class);
        command
    }
}

fn class_path(folder: &Path) -> PathBuf {
    folder.join("*")
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().context("cannot run java")?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed:\n{out}{err}");
    Ok(out)
}

/// From `N records sent, X records/sec (Y MB/sec), …, 5 ms 99.9th.`: the summary is the only line
/// with percentiles.
fn produced(said: &str) -> Option<Throughput> {
    let summary = said.lines().rev().find(|line| line.contains("99.9th"))?;
    let (_, behind) = summary.split_once('(')?;
    let (mib, _) = behind.split_once(" MB/sec")?;
    Some(Throughput {
        mib_per_second: mib.parse().ok()?,
    })
}

/// From the line behind the header: start, end, MB, MB/s, records, records/s, joining ms, fetching
/// ms, MB/s while fetching. Joining the group is a fixed pause and not counted.
fn consumed(said: &str) -> Option<(Throughput, u64)> {
    let line = said
        .lines()
        .skip_while(|line| !line.starts_with("start.time"))
        .nth(1)?;
    let fields: Vec<&str> = line.split(", ").collect();
    let throughput = Throughput {
        mib_per_second: fields.get(8)?.parse().ok()?,
    };
    Some((throughput, fields.get(4)?.parse().ok()?))
}

fn mean_latency_ms(said: &str) -> Option<f64> {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("Avg latency: "))?;
    line.strip_suffix(" ms")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_read() {
        let said = "100 records sent, 20.0 records/sec (0.02 MB/sec), 1.0 ms avg latency, 2.0 ms max latency.\n\
            1000 records sent, 2000.000000 records/sec (1.95 MB/sec), 1.00 ms avg latency, 9.00 ms max latency, 1 ms 50th, 2 ms 95th, 3 ms 99th, 5 ms 99.9th.\n";
        assert!((produced(said).unwrap().mib_per_second - 1.95).abs() < 1e-9);
        let said = "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec\n\
            2026-01-01 00:00:00:000, 2026-01-01 00:00:05:000, 100.0000, 20.0000, 1000, 200.0000, 3000, 2000, 50.0000, 500.0000\n";
        let (throughput, records) = consumed(said).unwrap();
        assert!((throughput.mib_per_second - 50.0).abs() < 1e-9);
        assert_eq!(records, 1000);
        assert_eq!(
            mean_latency_ms("0\t1.5\nAvg latency: 1.2345 ms\n"),
            Some(1.2345)
        );
        assert!(produced("nothing").is_none() && consumed("nothing").is_none());
    }
}
