//! Data folders are one process's own. Another one that still has a folder is given a moment to end: a
//! pod that is deleted with force, or a service that is restarted, may have its successor before it is
//! gone, and one that gives up at once is started again later and later.

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use ottla_runtime::Runtime;
use ottla_runtime::disk::Lock;

/// How long the process before this one may take to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked whether it has.
const GLANCE: Duration = Duration::from_millis(100);
/// In the folder of a keeper. Logs may lie in the same folder, and have a lock of their own.
const KEEPER_LOCK: &str = ".keeper.lock";

/// Tries to open what lies in a folder, again and again while another process has it.
pub(crate) async fn patiently<T, E, F>(
    runtime: &Runtime,
    folder: &Path,
    mut open: F,
    is_taken: impl Fn(&E) -> bool,
) -> Result<T, E>
where
    F: AsyncFnMut() -> Result<T, E>,
{
    let begin = runtime.clock.instant();
    let mut has_said = false;
    loop {
        let error = match open().await {
            Err(error) if is_taken(&error) => error,
            other => return other,
        };
        if runtime.clock.instant().duration_since(begin) >= PATIENCE {
            return Err(error);
        }
        if !has_said {
            tracing::warn!(
                "the data folder {} is in use by another process, which may be about to end: waiting \
                 for it, {} s at most",
                folder.display(),
                PATIENCE.as_secs()
            );
            has_said = true;
        }
        tokio::select! {
            biased;
            () = runtime.shutdown().announced() => return Err(error),
            () = runtime.clock.sleep(GLANCE) => {}
        }
    }
}

/// Makes a keeper's folder, and this process's own as long as the lock is held.
pub(crate) async fn keeper_folder(
    runtime: &Runtime,
    folder: &Path,
) -> anyhow::Result<Box<dyn Lock>> {
    let disk = &runtime.disk;
    disk.create_dir_all(folder)
        .with_context(|| format!("the data folder {} cannot be made", folder.display()))?;
    let path = folder.join(KEEPER_LOCK);
    let is_taken = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
    match patiently(runtime, folder, async || disk.lock(&path), is_taken).await {
        Err(error) if is_taken(&error) => bail!(
            "the data folder {} is in use by another process; stop that process or choose another \
             folder (dataDir, or log.dirs for all of a node)",
            folder.display()
        ),
        locked => locked.with_context(|| format!("{} cannot be locked", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_is_waited_for_and_then_this_processs_own() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::real();
        let first = keeper_folder(&runtime, folder.path()).await.unwrap();
        let ends = async {
            runtime.clock.sleep(2 * GLANCE).await;
            drop(first);
        };
        let (second, ()) = tokio::join!(keeper_folder(&runtime, folder.path()), ends);
        let _second = second.unwrap();
        // Told to stop meanwhile, it waits no longer.
        let stops = async {
            runtime.clock.sleep(GLANCE).await;
            runtime.shutdown().announce();
        };
        let (third, ()) = tokio::join!(keeper_folder(&runtime, folder.path()), stops);
        let error = format!("{:#}", third.err().unwrap());
        assert!(error.contains("in use by another process"), "{error}");
    }
}
