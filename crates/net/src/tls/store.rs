//! The files, as they are on the disk.

use std::path::Path;
use std::sync::Arc;

use ottla_model::{Secret, StoreFile, TlsOptions};
use ottla_runtime::Disk;
use ottla_runtime::disk::OpenMode;
use ottla_security::keys::STORE_BYTES_MAX;

use super::Error;

/// One file and what opens it.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) bytes: Vec<u8>,
    pub(super) password: Option<Secret>,
}

/// The keystore and the truststore.
#[derive(PartialEq, Eq)]
pub(super) struct Files {
    pub(super) keys: Option<Contents>,
    pub(super) trust: Option<Contents>,
}

impl Files {
    pub(super) fn read(disk: &Arc<dyn Disk>, options: &TlsOptions) -> Result<Self, Error> {
        let contents = |store: &Option<StoreFile>| {
            store
                .as_ref()
                .map(|store| Contents::read(disk, store))
                .transpose()
        };
        Ok(Files {
            keys: contents(&options.key_store)?,
            trust: contents(&options.trust_store)?,
        })
    }
}

impl Contents {
    fn read(disk: &Arc<dyn Disk>, store: &StoreFile) -> Result<Self, Error> {
        let password = match &store.password_path {
            Some(path) => {
                let bytes = read_bounded(disk, path)?;
                let text = String::from_utf8_lossy(&bytes);
                let line = text.lines().next().unwrap_or_default();
                Some(Secret::new(line))
            }
            None => store.password.clone(),
        };
        Ok(Contents {
            bytes: read_bounded(disk, &store.path)?,
            password,
        })
    }
}

/// Somebody may name a file that is no store; only as much of it is read as shows that.
fn read_bounded(disk: &Arc<dyn Disk>, path: &Path) -> Result<Vec<u8>, Error> {
    let refused = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let file = disk.open(path, OpenMode::Read).map_err(refused)?;
    let len = file.len().map_err(refused)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len.min(STORE_BYTES_MAX + 1)];
    let read = file.read_at(&mut bytes, 0).map_err(refused)?;
    bytes.truncate(read);
    Ok(bytes)
}
