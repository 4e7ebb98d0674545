//! The watches that a session has, so that it can set them anew on another connection.

use std::collections::BTreeSet;

use ottla_jute::{EventType, SetWatches2};

/// A watch that a request sets if it succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Watch {
    /// For data, of a znode that is there, or, with `exists`, of one that need not be.
    Data { path: String, exists: bool },
    /// For children.
    Children { path: String },
    /// Stays until it is removed.
    Persistent { path: String, recursive: bool },
    /// Takes all watches of a path away.
    Remove { path: String },
}

/// What is watched.
#[derive(Debug, Default)]
pub(super) struct Watches {
    data: BTreeSet<String>,
    exist: BTreeSet<String>,
    children: BTreeSet<String>,
    persistent: BTreeSet<String>,
    recursive: BTreeSet<String>,
}

/// The paths of one request to set watches take no more bytes than about this: a frame has a limit
/// (`ClientCnxn.SET_WATCHES_MAX_LENGTH`).
const BYTES_MAX: usize = 128 << 10;

/// Where in the request watches of a kind stand.
type ListOf = fn(&mut SetWatches2) -> &mut Vec<String>;

impl Watches {
    /// A request that sets a watch was answered; `found` says whether its znode is there.
    pub(super) fn set(&mut self, watch: Watch, found: bool) {
        match watch {
            Watch::Data { path, .. } if found => self.data.insert(path),
            Watch::Data { path, exists: true } => self.exist.insert(path),
            Watch::Children { path } if found => self.children.insert(path),
            Watch::Persistent { path, recursive } if found && recursive => {
                self.recursive.insert(path)
            }
            Watch::Persistent { path, .. } if found => self.persistent.insert(path),
            Watch::Remove { path } if found => {
                self.all().into_iter().for_each(|set| {
                    set.remove(&path);
                });
                true
            }
            _ => false,
        };
    }

    fn all(&mut self) -> [&mut BTreeSet<String>; 5] {
        [
            &mut self.data,
            &mut self.exist,
            &mut self.children,
            &mut self.persistent,
            &mut self.recursive,
        ]
    }

    /// An event has come: what fires once is over.
    pub(super) fn fired(&mut self, kind: i32, path: &str) {
        let kind = EventType::try_from(kind);
        let data = [&mut self.data, &mut self.exist];
        match kind {
            Ok(EventType::NodeCreated | EventType::NodeDataChanged) => {
                data.into_iter().for_each(|set| {
                    set.remove(path);
                });
            }
            Ok(EventType::NodeDeleted) => {
                data.into_iter().for_each(|set| {
                    set.remove(path);
                });
                self.children.remove(path);
            }
            Ok(EventType::NodeChildrenChanged) => {
                self.children.remove(path);
            }
            _ => {}
        }
    }

    /// The requests that set all of them anew, for a client that has seen so much.
    pub(super) fn requests(&self, relative_zxid: i64) -> Vec<SetWatches2> {
        let empty = || SetWatches2 {
            relative_zxid,
            data_watches: Vec::new(),
            exist_watches: Vec::new(),
            child_watches: Vec::new(),
            persistent_watches: Vec::new(),
            persistent_recursive_watches: Vec::new(),
        };
        let lists: [(&BTreeSet<String>, ListOf); 5] = [
            (&self.data, |r| &mut r.data_watches),
            (&self.exist, |r| &mut r.exist_watches),
            (&self.children, |r| &mut r.child_watches),
            (&self.persistent, |r| &mut r.persistent_watches),
            (&self.recursive, |r| &mut r.persistent_recursive_watches),
        ];
        let mut requests = Vec::new();
        let (mut current, mut bytes) = (empty(), 0);
        for (set, list) in lists {
            for path in set {
                if bytes > BYTES_MAX {
                    requests.push(std::mem::replace(&mut current, empty()));
                    bytes = 0;
                }
                list(&mut current).push(path.clone());
                bytes += path.len() + 4;
            }
        }
        if bytes > 0 {
            requests.push(current);
        }
        requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> String {
        path.to_owned()
    }

    fn data(at: &str, exists: bool) -> Watch {
        Watch::Data {
            path: path(at),
            exists,
        }
    }

    #[test]
    fn what_fires_once_is_not_set_anew_and_what_stays_is() {
        let mut watches = Watches::default();
        watches.set(data("/a", false), true);
        watches.set(data("/gone", false), false);
        watches.set(data("/soon", true), false);
        watches.set(Watch::Children { path: path("/a") }, true);
        for recursive in [false, true] {
            let path = path("/p");
            watches.set(Watch::Persistent { path, recursive }, true);
        }
        let [request] = watches.requests(7).try_into().unwrap();
        assert_eq!(request.relative_zxid, 7);
        assert_eq!(request.data_watches, ["/a"]);
        assert_eq!(request.exist_watches, ["/soon"]);
        assert_eq!(request.child_watches, ["/a"]);
        assert_eq!(request.persistent_watches, ["/p"]);
        assert_eq!(request.persistent_recursive_watches, ["/p"]);
        watches.fired(EventType::NodeChildrenChanged.code(), "/a");
        watches.fired(EventType::NodeCreated.code(), "/soon");
        watches.fired(EventType::NodeDeleted.code(), "/p");
        let [request] = watches.requests(8).try_into().unwrap();
        assert_eq!(request.data_watches, ["/a"]);
        assert!(request.exist_watches.is_empty() && request.child_watches.is_empty());
        assert_eq!(request.persistent_watches, ["/p"]);
        watches.set(Watch::Remove { path: path("/p") }, true);
        watches.fired(EventType::NodeDeleted.code(), "/a");
        assert!(watches.requests(9).is_empty());
    }

    #[test]
    fn many_watches_are_set_with_several_requests() {
        let mut watches = Watches::default();
        for n in 0..3_000 {
            watches.set(data(&format!("/{n:0100}"), false), true);
        }
        let requests = watches.requests(1);
        assert_eq!(requests.len(), 3);
        let paths: usize = requests.iter().map(|r| r.data_watches.len()).sum();
        assert_eq!(paths, 3_000);
    }
}
