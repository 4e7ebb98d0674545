//! The folder of a cluster on this machine, and what it remembers of it.

use std::io;
use std::path::Path;

use ottla_runtime::disk::Lock;
use ottla_runtime::{Disk, Runtime};

use super::plan::shown;
use crate::Error;

/// Says how the cluster was made.
const RECORD: &str = "cluster.properties";
const LOCK: &str = ".lock";

/// How a cluster was made. It cannot be made otherwise later: its voters know each other by their
/// ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) nodes: u16,
    pub(super) port: u16,
}

/// The folder, which is ours while this lives.
pub(super) struct Folder {
    pub(super) made: Made,
    _lock: Box<dyn Lock>,
}

impl Folder {
    /// Takes the folder, or makes it. What is not asked for is as it was, or else the `default`.
    pub(super) fn open(
        path: &Path,
        nodes: Option<u16>,
        port: Option<u16>,
        default: Made,
        runtime: &Runtime,
    ) -> Result<Folder, Error> {
        let disk = &*runtime.disk;
        let record = path.join(RECORD);
        let failed = |what: &str, source: &io::Error| Error::Failed {
            action: format!("{what} {}", shown(path)),
            reason: format!("{source}; name another folder with --data-dir"),
        };
        if !disk.exists(&record) {
            refuse_others(path, disk)?;
        }
        let making = disk.create_dir_all(path);
        making.map_err(|error| failed("making the folder", &error))?;
        let lock = disk.lock(&path.join(LOCK)).map_err(|error| {
            if error.kind() != io::ErrorKind::WouldBlock {
                return failed("taking the folder", &error);
            }
            Error::Failed {
                action: format!("taking the folder {}", shown(path)),
                reason: "another `ottla dev` runs there; stop it, or name another folder with \
                         --data-dir"
                    .to_owned(),
            }
        })?;
        let made = if disk.exists(&record) {
            let bytes = disk.read(&record);
            let bytes = bytes.map_err(|error| failed("reading", &error))?;
            let made = parse(&String::from_utf8_lossy(&bytes)).ok_or_else(|| Error::Failed {
                action: format!("reading {}", shown(&record)),
                reason: format!(
                    "it does not say nodes= and port=; to begin anew, remove {}",
                    shown(path)
                ),
            })?;
            refuse_other(path, made, nodes, port)?;
            made
        } else {
            Made {
                nodes: nodes.unwrap_or(default.nodes),
                port: port.unwrap_or(default.port),
            }
        };
        Ok(Folder { made, _lock: lock })
    }

    /// Remembers how the cluster was made: from now on it has nodes with data.
    pub(super) fn remember(&self, path: &Path, runtime: &Runtime) -> Result<(), Error> {
        let text = text(self.made);
        let record = path.join(RECORD);
        let written = runtime.disk.write_atomically(&record, text.as_bytes());
        written.map_err(|error| Error::Failed {
            action: format!("writing {}", shown(&record)),
            reason: format!("{error}; name another folder with --data-dir"),
        })
    }
}

/// A folder with other things in it is not taken: somebody may remove it to begin anew.
fn refuse_others(path: &Path, disk: &dyn Disk) -> Result<(), Error> {
    if !disk.exists(path) {
        return Ok(());
    }
    let listed = disk.list(path).map_err(|source| Error::File {
        path: shown(path),
        source,
    })?;
    let names = listed.into_iter().map(|entry| entry.name);
    let others = names.filter(|name| name != LOCK).min();
    match others {
        None => Ok(()),
        Some(name) => Err(Error::Failed {
            action: format!("taking the folder {}", shown(path)),
            reason: format!(
                "it has {name} in it, and `ottla dev` did not make it; name a new folder with \
                 --data-dir"
            ),
        }),
    }
}

fn refuse_other(
    path: &Path,
    made: Made,
    nodes: Option<u16>,
    port: Option<u16>,
) -> Result<(), Error> {
    let (flag, is, wanted) = match (nodes, port) {
        (Some(wanted), _) if wanted != made.nodes => ("--nodes", made.nodes, wanted),
        (_, Some(wanted)) if wanted != made.port => ("--port", made.port, wanted),
        _ => return Ok(()),
    };
    let folder = shown(path);
    Err(Error::Usage(format!(
        "the cluster in {folder} was made with {flag} {is}, and cannot go on with {wanted}: run it \
         with {flag} {is}, or name another folder with --data-dir; to begin anew, remove {folder} \
         with all its data"
    )))
}

fn text(made: Made) -> String {
    let Made { nodes, port } = made;
    format!(
        "# A cluster of `ottla dev`. To begin anew, remove this folder.\nnodes={nodes}\nport={port}\n"
    )
}

fn parse(text: &str) -> Option<Made> {
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let (_, value) = lines.find(|(key, _)| key.trim() == name)?;
        value.trim().parse::<u16>().ok()
    };
    let made = Made {
        nodes: value("nodes")?,
        port: value("port")?,
    };
    let is_possible = (1..=9).contains(&made.nodes)
        && (1..=super::plan::PORT_MAX).contains(&i64::from(made.port));
    is_possible.then_some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Made = Made {
        nodes: 3,
        port: 9092,
    };

    fn open(path: &Path, nodes: Option<u16>, port: Option<u16>) -> Result<Folder, Error> {
        Folder::open(path, nodes, port, DEFAULT, &Runtime::real())
    }

    fn refusal(opened: Result<Folder, Error>) -> String {
        match opened {
            Ok(folder) => panic!("it was taken: {:?}", folder.made),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn a_cluster_goes_on_as_it_was_made() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("dev");
        let folder = open(&path, Some(5), None).unwrap();
        assert_eq!(
            folder.made,
            Made {
                nodes: 5,
                port: 9092
            }
        );
        folder.remember(&path, &Runtime::real()).unwrap();
        drop(folder);
        let again = open(&path, None, None).unwrap();
        assert_eq!(again.made.nodes, 5);
        drop(again);
        assert!(open(&path, Some(5), Some(9092)).is_ok());
    }

    #[tokio::test]
    async fn another_number_of_nodes_or_port_is_refused_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path();
        let folder = open(path, None, None).unwrap();
        folder.remember(path, &Runtime::real()).unwrap();
        drop(folder);
        let refused = refusal(open(path, Some(5), None));
        for part in ["made with --nodes 3", "with 5", "--data-dir", "remove"] {
            assert!(refused.contains(part), "{refused}");
        }
        let refused = refusal(open(path, Some(3), Some(19092)));
        assert!(refused.contains("made with --port 9092"), "{refused}");
    }

    #[tokio::test]
    async fn a_cluster_that_never_started_binds_nobody() {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path(), Some(5), None).unwrap());
        assert_eq!(open(root.path(), None, None).unwrap().made, DEFAULT);
    }

    #[tokio::test]
    async fn a_folder_of_something_else_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("thesis.txt"), "").unwrap();
        let refused = refusal(open(root.path(), None, None));
        assert!(refused.contains("thesis.txt"), "{refused}");
        assert!(!root.path().join(LOCK).exists());
    }

    #[tokio::test]
    async fn two_at_a_time_are_one_too_many() {
        let root = tempfile::tempdir().unwrap();
        let first = open(root.path(), None, None).unwrap();
        let refused = refusal(open(root.path(), None, None));
        assert!(
            refused.contains("another `ottla dev` runs there"),
            "{refused}"
        );
        drop(first);
    }

    #[test]
    fn a_damaged_record_is_not_guessed_at() {
        assert_eq!(parse(&text(DEFAULT)), Some(DEFAULT));
        for wrong in ["", "nodes=3", "nodes=0\nport=9092", "nodes=3\nport=x"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
