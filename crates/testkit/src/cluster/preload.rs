//! A library in front of the C library, through which a node's flushes are slow and its clock is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

const SOURCE: &str = include_str!("preloaded.c");
const FLUSH_DELAY_FILE: &str = "flush-delay-ms";
const CLOCK_FILE: &str = "clock-seconds-off";

/// The library, built for a cluster.
#[derive(Clone, Debug)]
pub(super) struct Preload {
    library: PathBuf,
}

impl Preload {
    /// Builds it in this folder. The machine needs a C compiler.
    pub(super) fn build(folder: &Path) -> Result<Preload> {
        let (source, library) = (folder.join("preloaded.c"), folder.join("preloaded.so"));
        fs::write(&source, SOURCE)?;
        let output = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(&source)
            .arg("-ldl")
            .output()
            .context("cannot run cc")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cc refused preloaded.c: {said}");
        Ok(Preload { library })
    }

    /// Puts it in front of a command whose files of control are in this folder.
    pub(super) fn apply(&self, command: &mut Command, folder: &Path) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FLUSH_DELAY_FILE", folder.join(FLUSH_DELAY_FILE))
            .env("CLOCK_FILE", folder.join(CLOCK_FILE));
    }
}

/// How long each flush waits from now on, in milliseconds.
pub(super) fn set_flush_delay(folder: &Path, delay_ms: u32) -> Result<()> {
    set(&folder.join(FLUSH_DELAY_FILE), &delay_ms.to_string())
}

/// How much later the time of day is from now on, in seconds.
pub(super) fn set_clock(folder: &Path, seconds: i64) -> Result<()> {
    set(&folder.join(CLOCK_FILE), &seconds.to_string())
}

/// At once, since it is read at any moment.
fn set(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    Ok(fs::rename(new, path)?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn flushes_wait_as_long_as_the_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let preload = Preload::build(folder.path()).unwrap();
        let flush = || {
            let began = Instant::now();
            let mut dd = Command::new("dd");
            dd.args(["if=/dev/zero", "bs=1", "count=1", "conv=fdatasync"])
                .arg(format!("of={}", folder.path().join("out").display()));
            preload.apply(&mut dd, folder.path());
            assert!(dd.output().unwrap().status.success());
            began.elapsed()
        };
        flush();
        set_flush_delay(folder.path(), 300).unwrap();
        assert!(flush() >= Duration::from_millis(300));
    }

    #[test]
    fn the_time_of_day_is_off_as_much_as_the_file_says() {
        let folder = tempfile::tempdir().unwrap();
        let preload = Preload::build(folder.path()).unwrap();
        let off = || {
            let mut date = Command::new("date");
            preload.apply(date.arg("+%s"), folder.path());
            let said = String::from_utf8(date.output().unwrap().stdout).unwrap();
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_secs();
            said.trim().parse::<i64>().unwrap() - i64::try_from(now).unwrap()
        };
        assert!((-5..=0).contains(&off()));
        set_clock(folder.path(), -3600).unwrap();
        assert!((-3605..=-3600).contains(&off()));
    }
}
