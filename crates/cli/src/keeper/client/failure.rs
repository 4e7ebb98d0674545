//! Why a request has no answer.

use std::time::Duration;

use ottla_jute::ErrorCode;

use crate::Error;
use crate::moment::duration_text;

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The server refused it.
    #[error("{}", .0.name())]
    Refused(ErrorCode),
    /// One operation of a multi was refused, and so none was carried out.
    #[error("operation {}: {}", index + 1, code.name())]
    Operation { index: usize, code: ErrorCode },
    /// The connection broke while it was on its way.
    #[error("the connection was lost before the answer ({reason})")]
    Lost { reason: String },
    /// No server could be reached.
    #[error("cannot reach {tried}")]
    Unreachable { tried: String },
    /// Servers are there and open no session.
    #[error("no server opened a session within {}: {last}", duration_text(*limit))]
    NoSession { limit: Duration, last: String },
    /// No answer came in time.
    #[error("no answer within {}", duration_text(*limit))]
    TimedOut { limit: Duration },
    /// The session was closed.
    #[error("the session is closed")]
    Closed,
    /// What came is no answer.
    #[error("the answer cannot be read: {0}")]
    Unreadable(#[from] ottla_jute::Error),
    /// Something on this side cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl Failure {
    /// The server's code, if it refused.
    pub(crate) fn code(&self) -> Option<ErrorCode> {
        match self {
            Failure::Refused(code) | Failure::Operation { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The error of a command that was doing something when this happened.
    pub(crate) fn during(self, action: impl Into<String>) -> Error {
        let action = action.into();
        match self {
            Failure::Refused(code) => Error::Keeper {
                action,
                reason: code.explained().to_owned(),
                code,
            },
            Failure::Operation { index, code } => Error::Keeper {
                action: format!("{action}: operation {}", index + 1),
                reason: format!(
                    "{}; none of the operations was carried out",
                    code.explained()
                ),
                code,
            },
            Failure::Unreachable { tried } => Error::KeeperUnreachable { tried },
            Failure::NoSession { limit, last } => Error::TimedOut {
                action: "opening a session".to_owned(),
                limit: duration_text(limit),
                last,
            },
            Failure::TimedOut { limit } => Error::TimedOut {
                action,
                limit: duration_text(limit),
                last: "no answer".to_owned(),
            },
            Failure::Lost { .. } => Error::Failed {
                action,
                reason: format!(
                    "{self}; nobody knows whether it was carried out: look, then try again"
                ),
            },
            other => Error::Failed {
                action,
                reason: other.to_string(),
            },
        }
    }
}

/// ZooKeeper's codes in words for the person at the terminal.
pub(crate) trait Explained {
    /// What it means, and what to do about it.
    fn explained(self) -> &'static str;
}

impl Explained for ErrorCode {
    fn explained(self) -> &'static str {
        match self {
            ErrorCode::NoNode => "there is no such znode; `ottla keeper ls /` shows what there is",
            ErrorCode::NoAuth => {
                "its ACL does not allow it; `ottla keeper acl get` shows whom it allows, --auth \
                 says who you are"
            }
            ErrorCode::BadVersion => {
                "it was changed since: its version is another one; look again, or leave --version \
                 out"
            }
            ErrorCode::NoChildrenForEphemerals => "an ephemeral znode cannot have children",
            ErrorCode::NodeExists => "it exists already",
            ErrorCode::NotEmpty => "it has children; `deleteall` deletes them, too",
            ErrorCode::InvalidAcl => {
                "the ACL is empty, or names an identity that cannot be; write it as \
                 world:anyone:cdrwa, auth::cdrwa, digest:USER:HASH:rw or ip:10.0.0.0/8:r"
            }
            ErrorCode::AuthFailed => {
                "the credentials are wrong, or the server does not know the scheme"
            }
            ErrorCode::SessionExpired => "the session has expired; try again",
            ErrorCode::SessionMoved => "the session speaks through another connection; try again",
            ErrorCode::NotReadOnly => "the server is cut off from the others and only reads",
            ErrorCode::BadArguments => "the server finds the arguments wrong",
            ErrorCode::MarshallingError => "the server could not read the request, or a quota",
            ErrorCode::Unimplemented => {
                "the server does not know this, or has it switched off \
                 (extendedTypesEnabled=true for a time to live)"
            }
            ErrorCode::ReconfigDisabled => {
                "changing the members is switched off; set reconfigEnabled=true"
            }
            ErrorCode::ReconfigInProgress => "another change of members is under way; try again",
            ErrorCode::NewConfigNoQuorum => {
                "a majority of the new members does not follow; start them first"
            }
            ErrorCode::QuotaExceeded => "a quota forbids it; `ottla keeper quota list` shows which",
            ErrorCode::NoWatcher => "there is no such watch",
            ErrorCode::SessionClosedRequireSaslAuth => {
                "the server asks for an identity first; give --auth"
            }
            ErrorCode::ThrottledOp => "the server is overloaded and did not begin; try again",
            ErrorCode::RequestTimeout | ErrorCode::OperationTimeout => {
                "it took the server too long"
            }
            ErrorCode::ConnectionLoss => "the server has lost the connection to the others",
            _ => "the server refused it",
        }
    }
}
