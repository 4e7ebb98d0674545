//! Finding the broker that looks after a group or a transactional id.

use ottla_wire::ApiKey;
use ottla_wire::messages::FindCoordinatorRequest;

use crate::admin::only;
use crate::{Broker, Client, Error};

/// What is coordinated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coordinated<'a> {
    /// A group, by its id.
    Group(&'a str),
    /// The transactions of a transactional id.
    Transactions(&'a str),
}

impl Coordinated<'_> {
    fn key(&self) -> &str {
        match self {
            Coordinated::Group(key) | Coordinated::Transactions(key) => key,
        }
    }

    fn type_id(self) -> i8 {
        match self {
            Coordinated::Group(_) => 0,
            Coordinated::Transactions(_) => 1,
        }
    }

    fn subject(&self) -> String {
        match self {
            Coordinated::Group(id) => format!("group {id}"),
            Coordinated::Transactions(id) => format!("transactional id {id}"),
        }
    }
}

impl Client {
    /// The node id of the coordinator, asked once.
    pub(crate) async fn coordinator(&self, of: Coordinated<'_>) -> Result<i32, Error> {
        let api = ApiKey::FindCoordinator;
        let build = |version| {
            let mut request = FindCoordinatorRequest {
                key_type: of.type_id(),
                ..FindCoordinatorRequest::default()
            };
            if version >= 4 {
                request.coordinator_keys = vec![of.key().into()];
            } else {
                request.key = of.key().into();
            }
            request.into()
        };
        let answer = self
            .ask(Broker::Any, api, build, only!(FindCoordinator))
            .await?;
        let (node, code, message) = match answer.coordinators.into_iter().next() {
            Some(c) => (c.node_id, c.error_code, c.error_message),
            None => (answer.node_id, answer.error_code, answer.error_message),
        };
        Error::check(api, of.subject(), code, message.as_deref())?;
        Ok(node)
    }
}
