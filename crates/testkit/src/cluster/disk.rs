//! Disks that can be filled.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

const BALLAST: &str = "ballast-of-a-test";

/// A file system of its own in memory; unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts one of this size. Only root may.
    pub fn mount(at: &Path, mib: u32) -> Result<SmallDisk> {
        fs::create_dir_all(at)?;
        let size = format!("size={mib}m,mode=755");
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "ottla-test"])
            .arg(at)
            .output()
            .context("cannot run mount")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let why = said.lines().next().unwrap_or_default();
        ensure!(output.status.success(), "a tmpfs cannot be mounted: {why}");
        Ok(SmallDisk { at: at.to_owned() })
    }

    /// Fills it to the last byte.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = File::create(self.at.join(BALLAST))?;
        let block = vec![1; 64 * 1024];
        for len in [block.len(), 4096, 1] {
            // The error is what is wanted.
            while ballast.write_all(&block[..len]).is_ok() {}
        }
        Ok(())
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub fn make_room(&self) -> Result<()> {
        let ballast = self.at.join(BALLAST);
        let emptied = File::options().write(true).open(&ballast);
        // Emptied first: a process that another thread has just forked may hold it open for a moment,
        // and what is only removed takes room until then.
        let gone = emptied
            .and_then(|file| file.set_len(0))
            .and_then(|()| fs::remove_file(&ballast));
        match gone {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a node that is being killed holds files in it, and ends right after.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_until_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let disk = match SmallDisk::mount(&folder.path().join("disk"), 1) {
            Ok(disk) => disk,
            Err(reason) => {
                let line = format!("\nnot run: a small disk: {reason} (root may do it)\n");
                std::io::stdout().write_all(line.as_bytes()).unwrap();
                return;
            }
        };
        let file = disk.at.join("file");
        disk.fill().unwrap();
        assert!(fs::write(&file, [0; 9000]).is_err());
        disk.make_room().unwrap();
        fs::write(&file, [0; 9000]).unwrap();
    }
}
