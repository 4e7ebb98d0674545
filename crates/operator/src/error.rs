//! Why a step of the operator failed.

/// What happened, to what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API server refused, or was not reached.
    #[error("{action}: {source}")]
    Kubernetes {
        /// What was tried, with the object's kind and name.
        action: String,
        /// What came back.
        source: Box<kube::Error>,
    },
    /// The cluster refused, or was not reached.
    #[error("{action}: {source}")]
    Kafka {
        /// What was tried.
        action: String,
        /// What came back.
        source: Box<ottla_client::Error>,
    },
    /// A server of an ensemble was not reached, or said something that makes no sense.
    #[error("{action}: {reason}")]
    Keeper {
        /// What was tried.
        action: String,
        /// What came back.
        reason: String,
    },
    /// A manifest that cannot be written down.
    #[error("{what} cannot be written as JSON: {source}")]
    Json {
        /// Its kind and name.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The process cannot do its work at all.
    #[error("{0}")]
    Start(String),
}

/// The result of asking the API server, with what was asked.
pub(crate) trait Asked<T> {
    /// Says what was tried.
    fn when(self, action: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Asked<T> for Result<T, kube::Error> {
    fn when(self, action: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Kubernetes {
            action: action(),
            source: Box::new(source),
        })
    }
}

impl<T> Asked<T> for Result<T, ottla_client::Error> {
    fn when(self, action: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Kafka {
            action: action(),
            source: Box::new(source),
        })
    }
}

impl Error {
    /// Whether what was asked for is not there.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether somebody else was faster: asking again with newer knowledge helps.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    fn status(&self) -> Option<u16> {
        match self {
            Error::Kubernetes { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            _ => None,
        }
    }
}
