//! A child process with its output in a file, and what `/proc` tells about it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::io::Errno;
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A running child. It is killed, and waited for, when the value is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the command with nothing on its standard input; both outputs are appended to `log`.
    pub fn spawn(command: &mut Command, log: &Path) -> Result<Process> {
        let out = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Process {
            child,
            log: log.to_path_buf(),
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends a signal; that the process has already ended is not an error.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        crate::signal(self.id(), signal)
    }

    /// Waits for the end; an error when it takes longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("process {} did not end within {limit:?}", self.id());
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// SIGKILL, and the wait for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.wait(Duration::from_secs(30)).map(|_| ())
    }

    /// All that it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines that it printed, for a report of what went wrong.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// CPU time used so far in seconds, in user space and in the kernel together.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        let ticks = cpu_ticks(&stat).ok_or_else(|| anyhow!("unreadable /proc stat: {stat}"))?;
        #[expect(clippy::cast_precision_loss, reason = "ticks are far below 2^52")]
        let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        Ok(seconds)
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        self.status_kib("VmRSS")
    }

    /// The most resident memory so far, in KiB.
    pub fn peak_resident_kib(&self) -> Result<u64> {
        self.status_kib("VmHWM")
    }

    fn status_kib(&self, field: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        kib_of(&status, field).ok_or_else(|| anyhow!("no {field} in /proc/{}/status", self.id()))
    }
}

/// Sends a signal to a process; that it has already ended is not an error.
pub fn signal(id: u32, signal: Signal) -> Result<()> {
    let id = i32::try_from(id).ok().and_then(Pid::from_raw);
    match kill_process(id.context("a process id that is not positive")?, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The ids of all processes that this one has started, and those have started, and so on.
pub fn descendants(id: u32) -> Vec<u32> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: Vec<(u32, u32)> = folders
        .filter_map(|folder| {
            let id: u32 = folder.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(folder.path().join("stat")).ok()?;
            let parent = stat
                .rsplit_once(')')?
                .1
                .split_whitespace()
                .nth(1)?
                .parse()
                .ok()?;
            Some((id, parent))
        })
        .collect();
    let mut found = vec![id];
    let mut next = 0;
    while let Some(&of) = found.get(next) {
        found.extend(
            parents
                .iter()
                .filter(|(_, parent)| *parent == of)
                .map(|(id, _)| *id),
        );
        next += 1;
    }
    found.split_off(1)
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and the process may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `utime` and `stime`, fields 14 and 15 of `/proc/PID/stat`. The second field is the program's
/// name in brackets, which may itself hold blanks and brackets, so counting starts behind it.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// A line such as `VmRSS:     20480 kB` of `/proc/PID/status`.
fn kib_of(status: &str, field: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_ticks_are_counted_behind_a_name_with_brackets() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 900 0 0 0 120 30 0 0 20 0 4 0 99 1 1";
        assert_eq!(cpu_ticks(stat), Some(150));
        assert_eq!(cpu_ticks("42 (a) S 1"), None);
    }

    #[test]
    fn resident_memory_is_read_in_kib() {
        assert_eq!(
            kib_of("Name:\tx\nVmRSS:\t   20480 kB\nThreads:\t1\n", "VmRSS"),
            Some(20480)
        );
        assert_eq!(kib_of("Name:\tx\n", "VmRSS"), None);
    }

    #[test]
    fn a_process_is_logged_measured_and_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo started; exec sleep 60"]);
        let mut process = Process::spawn(&mut command, &folder.path().join("log")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !process.log().contains("started") && Instant::now() < deadline {
            thread::sleep(LOOK_AGAIN);
        }
        assert_eq!(process.log_tail(5), "started");
        assert!(process.resident_kib().unwrap() > 0);
        assert!(process.cpu_seconds().unwrap() < 10.0);
        process.kill().unwrap();
        assert!(!process.ended().unwrap().unwrap().success());
    }
}
