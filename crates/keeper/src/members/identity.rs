//! Whose volume this is: `version-2/ensemble.properties` in `dataDir`.
//!
//! ```text
//! version=1
//! server.id=1
//! ensemble.id=Mk3OEYBSRjK5wJpnB4ynZA
//! directory.id=4L6g3nShT-eMCtK--X86sw
//! ```
//!
//! A server that looks for its ensemble has no `ensemble.id` yet. The directory's id is made up on
//! the first start: a server that comes back with an empty volume has another one, and is not taken
//! for its old self.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ottla_model::Uuid;
use ottla_raft::NodeId;
use ottla_runtime::Runtime;

use crate::error::Error;

/// The folder in `dataDir`, as ZooKeeper has it.
const FOLDER: &str = "version-2";
/// The file's name.
const FILE: &str = "ensemble.properties";

/// Who the server is, as far as its volume knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `myid`
    pub id: NodeId,
    /// The ensemble that the server belongs to, once it has founded or found one.
    pub ensemble_id: Option<Uuid>,
    /// Names the volume.
    pub directory_id: Uuid,
}

impl Identity {
    /// Reads whose volume it is, or makes it this server's own when it is new.
    ///
    /// Blocks on the disk.
    ///
    /// # Errors
    /// The volume belongs to another server; the file is damaged; the disk refuses.
    pub fn open(runtime: &Runtime, data_dir: &Path, id: NodeId) -> Result<Identity, Error> {
        let path = path(data_dir);
        let disk = &*runtime.disk;
        if disk.exists(&path) {
            let bytes = disk.read(&path).map_err(Error::io("read", &path))?;
            let stored = parse(&bytes).map_err(|reason| Error::DamagedIdentity {
                path: path.clone(),
                reason,
            })?;
            if stored.id != id {
                return Err(Error::ForeignVolume {
                    path,
                    stored: stored.id,
                    configured: id,
                });
            }
            return Ok(stored);
        }
        let identity = Identity {
            id,
            ensemble_id: None,
            directory_id: random_uuid(runtime),
        };
        let folder = data_dir.join(FOLDER);
        disk.create_dir_all(&folder)
            .map_err(Error::io("create", &folder))?;
        // Others may soon have been told the directory's id, so it must not change with a crash.
        identity.write(runtime, &path)?;
        Ok(identity)
    }

    /// From now on the volume belongs to this ensemble. Blocks on the disk.
    ///
    /// # Errors
    /// It belongs to another one already; the disk refuses.
    pub fn adopt(
        &mut self,
        runtime: &Runtime,
        data_dir: &Path,
        ensemble_id: Uuid,
    ) -> Result<(), Error> {
        let path = path(data_dir);
        match self.ensemble_id {
            Some(own) if own != ensemble_id => Err(Error::ForeignEnsemble {
                path,
                own,
                met: ensemble_id,
            }),
            Some(_) => Ok(()),
            None => {
                self.ensemble_id = Some(ensemble_id);
                self.write(runtime, &path)
            }
        }
    }

    fn write(&self, runtime: &Runtime, path: &Path) -> Result<(), Error> {
        let ensemble = self.ensemble_id;
        let ensemble = ensemble.map(|id| format!("ensemble.id={id}\n"));
        let text = format!(
            "version=1\nserver.id={}\n{}directory.id={}\n",
            self.id,
            ensemble.unwrap_or_default(),
            self.directory_id
        );
        let written = runtime.disk.write_atomically(path, text.as_bytes());
        written.map_err(Error::io("write", path))
    }
}

/// Where the file is.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join(FOLDER).join(FILE)
}

/// A random id that command lines do not take for a flag.
pub(crate) fn random_uuid(runtime: &Runtime) -> Uuid {
    Uuid::drawn(|| runtime.random.bytes16())
}

fn parse(bytes: &[u8]) -> Result<Identity, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let mut properties = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| format!("the line '{line}' has no '='"))?;
        properties.insert(key.trim(), value.trim());
    }
    let get = |key: &str| {
        let value = properties.get(key).copied();
        value.ok_or_else(|| format!("{key} is missing"))
    };
    let uuid = |key: &str, text: &str| -> Result<Uuid, String> {
        text.parse().map_err(|error| format!("{key}: {error}"))
    };
    match get("version")? {
        "1" => {}
        other => return Err(format!("it has version {other}, and only 1 is known")),
    }
    let id = get("server.id")?;
    let ensemble_id = properties.get("ensemble.id").copied();
    Ok(Identity {
        id: id
            .parse()
            .map_err(|_| format!("'{id}' is no server's number"))?,
        ensemble_id: ensemble_id
            .map(|text| uuid("ensemble.id", text))
            .transpose()?,
        directory_id: uuid("directory.id", get("directory.id")?)?,
    })
}

#[cfg(test)]
mod tests;
