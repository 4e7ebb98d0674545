//! What can go wrong, in words for the person at the terminal.

use std::io;

use ottla_model::ErrorCode;

use crate::{Exit, Streams, suggest};

/// Why a command failed: what happened, to what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Arguments that parse one by one but make no sense together, or a value out of its syntax.
    #[error("{0}")]
    Usage(String),
    /// No node answered.
    #[error(
        "cannot reach {tried}; is the node running? start one with `ottla server`, or name \
         another with --bootstrap-server"
    )]
    Unreachable {
        /// Each address with what happened there.
        tried: String,
    },
    /// A node did not answer in time.
    #[error(
        "{action}: no success within {limit} ({last}); try again, or wait longer with --timeout"
    )]
    TimedOut {
        /// What was tried.
        action: String,
        /// The limit, as people write it.
        limit: String,
        /// What happened the last time.
        last: String,
    },
    /// There is no such topic.
    #[error(
        "there is no topic {topic}; {}`ottla topic list` shows those that exist, \
         `ottla topic create {topic}` makes it",
        suggest::question(similar)
    )]
    NoTopic {
        /// The name that was asked for.
        topic: String,
        /// Names of topics that could have been meant.
        similar: Vec<String>,
    },
    /// There is nothing of this name.
    #[error("there is no {what} {name}; {}{to_do}", suggest::question(similar))]
    NotThere {
        /// What it would be: a group, a setting of topics.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// Names that could have been meant.
        similar: Vec<String>,
        /// What to do about it.
        to_do: String,
    },
    /// A broker is too old.
    #[error("{action}: {reason}")]
    TooOld {
        /// What was tried.
        action: String,
        /// Which broker does not know what, and since when Kafka does.
        reason: String,
    },
    /// A file holds what it should not.
    #[error("{findings} in {files}")]
    Damaged {
        /// How much was found: `3 damages`.
        findings: String,
        /// How many files were looked into: `12 files`.
        files: String,
    },
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}; it has {partitions}, counted from 0")]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition that was asked for.
        partition: i32,
        /// How many there are.
        partitions: usize,
    },
    /// The cluster refused.
    #[error("{action}: {}", refused(*code, message.as_deref()))]
    Refused {
        /// What was tried.
        action: String,
        /// Kafka's code.
        code: ErrorCode,
        /// The cluster's own words, if it gave any.
        message: Option<String>,
    },
    /// No server of a keeper answered.
    #[error(
        "cannot reach {tried}; is the keeper running? start one with `ottla server`, or name \
         another with --server"
    )]
    KeeperUnreachable {
        /// Each address with what happened there.
        tried: String,
    },
    /// A keeper refused.
    #[error("{action}: {reason} ({})", code.name())]
    Keeper {
        /// What was tried.
        action: String,
        /// Why, and what to do.
        reason: String,
        /// ZooKeeper's code.
        code: ottla_jute::ErrorCode,
    },
    /// Anything else that the client tells.
    #[error("{action}: {reason}")]
    Failed {
        /// What was tried.
        action: String,
        /// Why it failed.
        reason: String,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// Its path.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Standard output, standard input or the terminal failed.
    #[error("{stream}: {source}")]
    Stream {
        /// Which one.
        stream: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A line of input that is no record.
    #[error("{input}, line {line}: {reason}")]
    Line {
        /// The file, or standard input.
        input: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Several of several things failed; each was reported when it did.
    #[error("{failed} of {total} {things} failed")]
    Several {
        /// How many failed.
        failed: usize,
        /// How many were tried.
        total: usize,
        /// What they are.
        things: &'static str,
        /// The exit of the first that failed.
        exit: Exit,
    },
    /// The doctor's report has problems in it.
    #[error(
        "{problems} found; the report says what {} means and what to change",
        if *problems == "1 problem" { "it" } else { "each" }
    )]
    Unwell {
        /// How many: `2 problems`.
        problems: String,
        /// Whether any node answered at all.
        reached: bool,
    },
    /// The question was not answered with yes.
    #[error("nothing was changed")]
    Declined,
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// A refusal with Kafka's code, in our own words where there are better ones.
    pub(crate) fn refused(action: String, code: ErrorCode, message: Option<String>) -> Self {
        Error::Refused {
            action,
            code,
            message: message.filter(|text| !text.is_empty()),
        }
    }

    /// What several tries came to: the only one's own error, or each error reported and their
    /// number.
    pub(crate) fn of_several(
        mut errors: Vec<Error>,
        total: usize,
        things: &'static str,
        streams: &mut Streams,
    ) -> Result<(), Error> {
        match (errors.len(), total) {
            (0, _) => Ok(()),
            (1, 1) => errors.pop().map_or(Ok(()), Err),
            (failed, total) => {
                let exit = errors.first().map_or(Exit::Failed, Error::exit);
                for error in &errors {
                    streams.report(error);
                }
                Err(Error::Several {
                    failed,
                    total,
                    things,
                    exit,
                })
            }
        }
    }

    /// A failed write to standard output.
    pub(crate) fn stdout(source: io::Error) -> Self {
        Error::Stream {
            stream: "cannot write to standard output",
            source,
        }
    }

    /// Whether whoever read our output has gone: the end of `ottla … | head`, and no failure.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Error::Stream { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The exit code for it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) => Exit::Usage,
            Error::Unreachable { .. } | Error::KeeperUnreachable { .. } => Exit::Unreachable,
            Error::Keeper { code, .. } => exit_of_keeper(*code),
            Error::TimedOut { .. } => Exit::TimedOut,
            Error::NoTopic { .. } | Error::NoPartition { .. } | Error::NotThere { .. } => {
                Exit::NotFound
            }
            Error::TooOld { .. } => Exit::TooOld,
            Error::Damaged { .. } => Exit::Damaged,
            Error::Refused { code, .. } => exit_of(*code),
            Error::File { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Exit::NotFound
            }
            Error::Several { exit, .. } => *exit,
            Error::Unwell { reached: false, .. } => Exit::Unreachable,
            Error::Unwell { .. } => Exit::Unwell,
            Error::Interrupted => Exit::Interrupted,
            Error::Stream { .. } if self.is_broken_pipe() => Exit::Ok,
            Error::Failed { .. }
            | Error::Declined
            | Error::File { .. }
            | Error::Stream { .. }
            | Error::Line { .. } => Exit::Failed,
        }
    }
}

fn exit_of_keeper(code: ottla_jute::ErrorCode) -> Exit {
    use ottla_jute::ErrorCode;
    match code {
        ErrorCode::NoNode | ErrorCode::NoWatcher => Exit::NotFound,
        ErrorCode::NodeExists => Exit::AlreadyExists,
        ErrorCode::NoAuth | ErrorCode::AuthFailed | ErrorCode::SessionClosedRequireSaslAuth => {
            Exit::Denied
        }
        _ => Exit::Failed,
    }
}

fn exit_of(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::UnknownTopicId
        | ErrorCode::BrokerNotAvailable
        | ErrorCode::BrokerIdNotRegistered
        | ErrorCode::GroupIdNotFound
        | ErrorCode::TransactionalIdNotFound
        | ErrorCode::VoterNotFound => Exit::NotFound,
        ErrorCode::UnsupportedVersion => Exit::TooOld,
        ErrorCode::TopicAlreadyExists | ErrorCode::DuplicateVoter => Exit::AlreadyExists,
        ErrorCode::RequestTimedOut => Exit::TimedOut,
        ErrorCode::TopicAuthorizationFailed
        | ErrorCode::GroupAuthorizationFailed
        | ErrorCode::ClusterAuthorizationFailed
        | ErrorCode::TransactionalIdAuthorizationFailed
        | ErrorCode::SaslAuthenticationFailed => Exit::Denied,
        _ => Exit::Failed,
    }
}

/// Why the cluster refused and what to do, with Kafka's name of the code so that it can be looked
/// up. The cluster's own words win over ours: it knows the values.
fn refused(code: ErrorCode, message: Option<&str>) -> String {
    let (what, to_do) = explained(code);
    let what = message.map_or(what, |text| text.trim_end_matches('.'));
    let mut text = String::new();
    text.push_str(if what.is_empty() {
        "the cluster refused it"
    } else {
        what
    });
    text.push_str(&format!(" ({})", code.name()));
    if !to_do.is_empty() {
        text.push_str("; ");
        text.push_str(to_do);
    }
    text
}

/// What a code means in this place, and what to do about it; either may be empty.
fn explained(code: ErrorCode) -> (&'static str, &'static str) {
    match code {
        ErrorCode::UnknownTopicOrPartition => {
            ("it does not exist", "`ottla topic list` shows what does")
        }
        ErrorCode::TopicAlreadyExists => (
            "it exists already",
            "with --if-not-exists that is no failure",
        ),
        ErrorCode::InvalidReplicationFactor => (
            "the replication factor is not possible",
            "it can be at most the number of brokers",
        ),
        ErrorCode::InvalidPartitions => ("the number of partitions is not possible", ""),
        ErrorCode::InvalidConfig => (
            "a setting is not valid",
            "`ottla config reference` lists all with their bounds",
        ),
        ErrorCode::InvalidTopicException => (
            "the name is not allowed",
            "use letters, digits, '.', '_' and '-'",
        ),
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => (
            "the record is larger than the topic allows",
            "raise max.message.bytes of the topic, or compress with --compression",
        ),
        ErrorCode::KafkaStorageError => (
            "the broker cannot write to its disk",
            "look for a full or broken disk in the broker's log",
        ),
        ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend => (
            "fewer replicas are in sync than min.insync.replicas asks for",
            "bring the missing brokers back",
        ),
        ErrorCode::LeaderNotAvailable => (
            "the partition has no leader",
            "`ottla topic describe` shows its replicas",
        ),
        ErrorCode::InvalidRecord => ("the broker found the record invalid", ""),
        ErrorCode::OffsetOutOfRange => (
            "the offset is not in the log",
            "`ottla topic describe` shows the earliest and the latest",
        ),
        ErrorCode::TopicAuthorizationFailed | ErrorCode::ClusterAuthorizationFailed => {
            ("this user may not do that", "ask for an ACL")
        }
        ErrorCode::TopicDeletionDisabled => {
            ("deleting topics is switched off", "set delete.topic.enable")
        }
        ErrorCode::NonEmptyGroup | ErrorCode::UnknownMemberId => (
            "the group has members that read",
            "stop them first; `ottla group describe` shows who they are",
        ),
        ErrorCode::GroupSubscribedToTopic => (
            "members of the group are subscribed to the topic",
            "stop them first; `ottla group describe` shows who they are",
        ),
        ErrorCode::GroupIdNotFound => (
            "there is no such group",
            "`ottla group list` shows those that exist",
        ),
        ErrorCode::TransactionalIdNotFound => (
            "there is no such transactional id",
            "`ottla txn list` shows those that exist",
        ),
        ErrorCode::BrokerNotAvailable => (
            "there is no such broker, or it does not run",
            "`ottla cluster describe` lists those that there are",
        ),
        ErrorCode::PreferredLeaderNotAvailable => (
            "the preferred leader is not in sync, or does not run",
            "`ottla topic describe` shows the first of the replicas, and who is in sync",
        ),
        ErrorCode::EligibleLeadersNotAvailable => (
            "no replica that could lead runs",
            "start one of its brokers; with --unclean one leads that lacks records",
        ),
        ErrorCode::InvalidReplicaAssignment => (
            "these brokers cannot hold the partition",
            "`ottla broker list` shows those that there are",
        ),
        ErrorCode::ReassignmentInProgress => (
            "the partition is being moved already",
            "`ottla topic reassignments` shows how far it is",
        ),
        ErrorCode::BrokerIdNotRegistered => (
            "there is no such broker",
            "`ottla broker list` shows those that there are",
        ),
        ErrorCode::DuplicateVoter => ("it is a voter already", ""),
        ErrorCode::VoterNotFound => (
            "there is no such voter",
            "`ottla quorum describe` shows those that there are",
        ),
        ErrorCode::InvalidGroupId => ("this cannot be a group's id", ""),
        ErrorCode::TransactionCoordinatorFenced => (
            "a newer coordinator has written there since",
            "look again with `ottla txn find-hanging`",
        ),
        ErrorCode::UnsupportedVersion => ("the broker is too old for this", ""),
        _ => ("", ""),
    }
}

#[cfg(test)]
mod tests;
