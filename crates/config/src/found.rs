//! What is found while a configuration is read: everything that is wrong, and what is worth saying.

use crate::error::ConfigError;
use crate::sources::{Level, Notice};

/// Errors and notices, in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) errors: Vec<ConfigError>,
    pub(crate) notices: Vec<Notice>,
}

impl Found {
    /// Two values that cannot both hold, or one that cannot hold.
    pub(crate) fn conflict(&mut self, keys: impl Into<String>, reason: impl Into<String>) {
        self.errors.push(ConfigError::Conflict {
            keys: keys.into(),
            reason: reason.into(),
        });
    }

    /// Something to log once.
    pub(crate) fn note(&mut self, level: Level, key: &str, message: impl Into<String>) {
        self.notices.push(Notice {
            level,
            key: key.to_owned(),
            message: message.into(),
        });
    }
}
