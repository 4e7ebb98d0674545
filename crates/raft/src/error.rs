//! Why a member cannot start, or why a request was refused.

use std::io;
use std::path::{Path, PathBuf};

use ottla_model::Uuid;

use crate::member::{Member, NodeId};

/// Why a member cannot start, or why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error("could not {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, for example `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file's bytes are not what was written.
    #[error(
        "{path} is corrupt at position {position}: {reason}; start this member with an empty \
         folder and let the others fill it, or restore the folder from a backup",
        path = path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The byte at which the damage begins.
        position: u64,
        /// What is wrong.
        reason: String,
    },
    /// Entries that were there are missing.
    #[error("{path} has lost entries: {reason}; start this member with an empty folder and let the \
             others fill it", path = path.display())]
    Lost {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The options make no sense.
    #[error("a member cannot be started: {0}")]
    Options(String),
    /// A message that is none of ours, or not whole.
    #[error("a message of {len} bytes cannot be understood: {reason}")]
    Malformed {
        /// The bytes of the message.
        len: usize,
        /// What is wrong.
        reason: String,
    },
    /// The message is of another group.
    #[error("a message for group {theirs} came to a member of group {ours}: check the endpoints")]
    ForeignGroup {
        /// The group of the message.
        theirs: String,
        /// The group here.
        ours: String,
    },
    /// The message is for a member that this one is not.
    #[error(
        "a message for member {wanted} came to member {id}: check the endpoints of both members"
    )]
    WrongMember {
        /// Who was meant.
        wanted: NodeId,
        /// Who is here.
        id: NodeId,
    },
    /// The message is for the same member, but with another volume.
    #[error(
        "a message for member {id} with directory {wanted} came to directory {here}: the volume \
         was replaced; remove the member and add it again"
    )]
    WrongDirectory {
        /// Who was meant, and is here.
        id: NodeId,
        /// The volume that was meant.
        wanted: Uuid,
        /// The volume that is here.
        here: Uuid,
    },
    /// The sender is a member that is known here with another volume.
    #[error(
        "member {id} speaks with directory {theirs}, but is known with directory {known}: its \
         volume was replaced; remove the member and add it again"
    )]
    ReplacedMember {
        /// The sender.
        id: NodeId,
        /// The volume that it has.
        theirs: Uuid,
        /// The volume that the membership has.
        known: Uuid,
    },
    /// This member has stopped.
    #[error("the member has stopped")]
    Stopped,
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }
}

/// Why an entry was not taken, or what became of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This member is not the leader of that term; the entry is in no log. Ask the leader, if it is
    /// known.
    #[error("this member is not the leader{}", leader_of(.0))]
    NotLeader(Option<(NodeId, Member)>),
    /// The leader lost its office before the entry was committed: it may still come to be applied,
    /// or never.
    #[error("the leader lost its office before the entry was committed: its fate is open")]
    Lost,
    /// The leader's disk is full: the entry is in no log.
    #[error("the disk of the leader is full: free some room")]
    DiskFull,
    /// The entry is larger than the options allow.
    #[error("an entry of {bytes} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// The entry's bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// This member has stopped: the entry's fate is open.
    #[error("the member has stopped")]
    Stopped,
}

/// Why the membership was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// This member is not the leader. Ask the leader, if it is known.
    #[error("this member is not the leader{}", leader_of(.0))]
    NotLeader(Option<(NodeId, Member)>),
    /// An earlier change is still under way.
    #[error("another change of the membership is still under way: wait for it")]
    InProgress,
    /// The change makes no sense.
    #[error("{0}")]
    Refused(String),
    /// The leader lost its office before the change was committed: it may or may not come about.
    #[error("the leader lost its office before the change was committed: its fate is open")]
    Lost,
    /// This member has stopped: the fate of the change is open.
    #[error("the member has stopped")]
    Stopped,
}

fn leader_of(leader: &Option<(NodeId, Member)>) -> String {
    match leader {
        Some((id, member)) => format!("; the leader is {id} at {member}"),
        None => String::new(),
    }
}
