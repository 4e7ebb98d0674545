//! Whose volume this is: `meta.properties`, in Kafka's format.
//!
//! ```text
//! version=1
//! node.id=1
//! cluster.id=Mk3OEYBSRjK5wJpnB4ynZA
//! directory.id=4L6g3nShT-eMCtK--X86sw
//! ```
//!
//! A node that looks for its cluster has no `cluster.id` yet.

use std::collections::BTreeMap;
use std::path::Path;

use ottla_model::{BrokerId, ClusterId, Uuid};
use ottla_runtime::Runtime;

use crate::error::Error;

/// The file's name, in each log directory.
pub const META_PROPERTIES: &str = "meta.properties";

/// The `node.id` of a new volume when the configuration gives none.
pub const DEFAULT_NODE_ID: BrokerId = BrokerId(0);

/// Who the node is, as its volume says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `node.id`
    pub node_id: BrokerId,
    /// `cluster.id`
    pub cluster_id: ClusterId,
    /// `directory.id`: names this log directory (KIP-858).
    pub directory_id: Uuid,
}

/// What the configuration says about the node's identity; what it leaves open is taken from the
/// volume, or made up on the first start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityOptions {
    /// `node.id`
    pub node_id: Option<BrokerId>,
    /// `cluster.id`
    pub cluster_id: Option<ClusterId>,
}

/// Who the node is, as far as its volume knows: a new node belongs to no cluster before it has
/// founded or found one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// `node.id`
    pub node_id: BrokerId,
    /// `cluster.id`
    pub cluster_id: Option<ClusterId>,
    /// `directory.id`
    pub directory_id: Uuid,
}

impl Volume {
    /// Reads whose volume it is, or makes it the node's own when it is new.
    ///
    /// Blocks on the disk. An error when the volume belongs to another node or cluster than the
    /// configuration says.
    pub fn open(
        runtime: &Runtime,
        log_dir: &Path,
        options: &IdentityOptions,
    ) -> Result<Volume, Error> {
        let path = log_dir.join(META_PROPERTIES);
        let disk = &*runtime.disk;
        if disk.exists(&path) {
            let bytes = disk.read(&path).map_err(Error::io("read", &path))?;
            let stored = parse(&bytes).map_err(|reason| Error::MetaProperties {
                path: path.clone(),
                reason,
            })?;
            stored.check(&path, options)?;
            return Ok(stored);
        }
        let volume = Volume {
            node_id: options.node_id.unwrap_or(DEFAULT_NODE_ID),
            cluster_id: None,
            directory_id: random_uuid(runtime),
        };
        disk.create_dir_all(log_dir)
            .map_err(Error::io("create", log_dir))?;
        // The others may have been told the directory's id, so it must not change with a crash.
        disk.write_atomically(&path, volume.to_text().as_bytes())
            .map_err(Error::io("write", &path))?;
        Ok(volume)
    }

    /// From now on the volume belongs to this cluster. Blocks on the disk.
    ///
    /// An error when it belongs to another one already.
    pub fn adopt(
        &mut self,
        runtime: &Runtime,
        log_dir: &Path,
        cluster_id: &ClusterId,
    ) -> Result<Identity, Error> {
        let path = log_dir.join(META_PROPERTIES);
        match &self.cluster_id {
            Some(own) if own != cluster_id => {
                return Err(Error::ForeignCluster {
                    path,
                    own: own.clone(),
                    met: cluster_id.clone(),
                });
            }
            Some(_) => {}
            None => {
                self.cluster_id = Some(cluster_id.clone());
                runtime
                    .disk
                    .write_atomically(&path, self.to_text().as_bytes())
                    .map_err(Error::io("write", &path))?;
            }
        }
        Ok(Identity {
            node_id: self.node_id,
            cluster_id: cluster_id.clone(),
            directory_id: self.directory_id,
        })
    }

    fn check(&self, path: &Path, options: &IdentityOptions) -> Result<(), Error> {
        let foreign = |key, stored: &dyn ToString, configured: &dyn ToString| {
            Err(Error::ForeignVolume {
                path: path.to_owned(),
                key,
                stored: stored.to_string(),
                configured: configured.to_string(),
            })
        };
        match (&options.node_id, &options.cluster_id) {
            (Some(id), _) if *id != self.node_id => foreign("node.id", &self.node_id, id),
            (_, Some(id)) => match &self.cluster_id {
                Some(stored) if stored != id => foreign("cluster.id", stored, id),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn to_text(&self) -> String {
        let cluster = self.cluster_id.as_ref();
        let cluster = cluster.map(|id| format!("cluster.id={id}\n"));
        format!(
            "version=1\nnode.id={}\n{}directory.id={}\n",
            self.node_id,
            cluster.unwrap_or_default(),
            self.directory_id
        )
    }
}

/// A random id that command lines do not take for a flag.
pub(crate) fn random_uuid(runtime: &Runtime) -> Uuid {
    Uuid::drawn(|| runtime.random.bytes16())
}

fn parse(bytes: &[u8]) -> Result<Volume, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let mut properties = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        // Kafka writes the date as a comment.
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| format!("the line '{line}' has no '='"))?;
        properties.insert(key.trim(), value.trim());
    }
    let get = |key: &str| {
        properties
            .get(key)
            .copied()
            .ok_or_else(|| format!("{key} is missing"))
    };
    match get("version")? {
        "1" => {}
        other => return Err(format!("it has version {other}, and only 1 is known")),
    }
    let node_id = get("node.id")?;
    let node_id = match node_id.parse() {
        Ok(id) if id >= 0 => BrokerId(id),
        _ => return Err(format!("'{node_id}' is no node.id")),
    };
    let cluster_id = properties.get("cluster.id").copied();
    if cluster_id == Some("") {
        return Err("cluster.id is empty".to_owned());
    }
    let directory_id = get("directory.id")?
        .parse()
        .map_err(|e| format!("directory.id: {e}"))?;
    Ok(Volume {
        node_id,
        cluster_id: cluster_id.map(|id| ClusterId(id.to_owned())),
        directory_id,
    })
}

#[cfg(test)]
mod tests;
