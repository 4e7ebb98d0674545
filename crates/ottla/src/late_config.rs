//! A file of settings that is written after the process has started: on Kubernetes nobody knows a
//! pod's zone and addresses before it has its place.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use ottla_cli::ServerStart;
use ottla_runtime::Runtime;

use crate::server::{read_text, stop_signal};

/// How often the file is looked at.
const POLL: Duration = Duration::from_millis(50);
/// After that long the fallback is read, if there is one.
const FALLBACK_AFTER: Duration = Duration::from_secs(30);
/// How often the log says that the node still waits.
const SAY_AFTER: Duration = Duration::from_secs(10);

/// What came of waiting.
#[derive(Debug, PartialEq, Eq)]
pub enum Late {
    /// There is nothing to wait for.
    NotAsked,
    /// The file's name and its text.
    Read(String, String),
    /// The process was told to stop while it waited.
    Stopped,
}

/// Waits until the file is there and not empty.
///
/// # Errors
/// A file that is there and cannot be read.
pub fn wait(start: &ServerStart) -> anyhow::Result<Late> {
    let Some(path) = &start.late_config_file else {
        return Ok(Late::NotAsked);
    };
    // The number of threads that a node uses is not known before its configuration is.
    let waiting = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let fallback = start.late_config_fallback_file.as_deref();
    waiting.block_on(async {
        let stop = stop_signal()?;
        tokio::select! {
            biased;
            () = stop => {
                tracing::info!("stopping before {} was written", path.display());
                Ok(Late::Stopped)
            }
            read = until_written(path, fallback, FALLBACK_AFTER) => read,
        }
    })
}

async fn until_written(
    path: &Path,
    fallback: Option<&Path>,
    fallback_after: Duration,
) -> anyhow::Result<Late> {
    let clock = Runtime::real().clock;
    let begin = clock.instant();
    let mut say_at = begin + SAY_AFTER;
    loop {
        if let Some(text) = written(path)? {
            return Ok(Late::Read(path.display().to_string(), text));
        }
        let waited = clock.instant().duration_since(begin);
        if waited >= fallback_after
            && let Some(fallback) = fallback
            && let Some(text) = written(fallback)?
        {
            tracing::warn!(
                "{} is still empty after {} s: {} is read instead, which tells how it was the last \
                 time; is the operator away?",
                path.display(),
                waited.as_secs(),
                fallback.display()
            );
            return Ok(Late::Read(fallback.display().to_string(), text));
        }
        if clock.instant() >= say_at {
            tracing::info!("waiting for {} to be written", path.display());
            say_at += SAY_AFTER;
        }
        clock.sleep(POLL).await;
    }
}

/// The text of a file that is there and not empty.
fn written(path: &Path) -> anyhow::Result<Option<String>> {
    let there = path
        .try_exists()
        .with_context(|| format!("{} cannot be looked at", path.display()))?;
    if !there {
        return Ok(None);
    }
    let text = read_text(path)?;
    Ok((!text.trim().is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(120);

    #[tokio::test]
    async fn a_file_is_read_once_it_is_not_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("late");
        let read = until_written(&path, None, SOON);
        let write = async {
            tokio::time::sleep(SOON).await;
            std::fs::write(&path, "\n").unwrap();
            tokio::time::sleep(SOON).await;
            std::fs::write(&path, "broker.rack=a\n").unwrap();
        };
        let (read, ()) = tokio::join!(read, write);
        let name = path.display().to_string();
        let expected = Late::Read(name, "broker.rack=a\n".to_owned());
        assert_eq!(read.unwrap(), expected);
    }

    #[tokio::test]
    async fn the_fallback_is_read_when_the_file_stays_empty() {
        let folder = tempfile::tempdir().unwrap();
        let (path, fallback) = (folder.path().join("late"), folder.path().join("before"));
        std::fs::write(&path, "").unwrap();
        std::fs::write(&fallback, "broker.rack=b").unwrap();
        let read = until_written(&path, Some(&fallback), SOON).await.unwrap();
        let name = fallback.display().to_string();
        assert_eq!(read, Late::Read(name, "broker.rack=b".to_owned()));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = until_written(folder.path(), None, SOON).await;
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("cannot be read"), "{error}");
    }
}
