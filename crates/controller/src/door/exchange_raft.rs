//! ExchangeRaft (key 10000): a message of another member of the raft group.

use std::sync::Arc;

use ottla_model::ErrorCode;
use ottla_wire::messages::{ExchangeRaftRequest, ExchangeRaftResponse};
use ottla_wire::{Response, Text};

use super::Host;

pub(super) async fn handle(host: Arc<Host>, request: ExchangeRaftRequest) -> Response {
    let Some(joined) = host.joined.get() else {
        let message = format!("Node {} has no cluster yet.", host.node_id);
        return failed(ErrorCode::NotController, &message).into();
    };
    match joined.raft.receive(request.message).await {
        Ok(message) => ExchangeRaftResponse {
            message,
            ..ExchangeRaftResponse::default()
        }
        .into(),
        Err(error) => failed(ErrorCode::InvalidRequest, &error.to_string()).into(),
    }
}

fn failed(code: ErrorCode, message: &str) -> ExchangeRaftResponse {
    ExchangeRaftResponse {
        error_code: code.code(),
        error_message: Some(Text::from(message)),
        ..ExchangeRaftResponse::default()
    }
}
