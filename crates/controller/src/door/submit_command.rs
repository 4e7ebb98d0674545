//! SubmitCommand (key 10001): a change of the metadata that another node asks for.

use std::sync::Arc;

use ottla_metadata::Refusal;
use ottla_model::ErrorCode;
use ottla_runtime::mailbox::Pending;
use ottla_wire::messages::{SubmitCommandRequest, SubmitCommandResponse};
use ottla_wire::{Response, Text};

use super::Host;
use crate::codec;
use crate::decider::Decided;
use crate::members::broker_id;

/// The ordered stage: the command gets its place among the others.
pub(super) async fn begin(
    host: &Arc<Host>,
    request: SubmitCommandRequest,
) -> Result<Pending<Decided>, Box<SubmitCommandResponse>> {
    if let Err(message) = host.check_cluster(Some(&request.cluster_id)) {
        return Err(failed(ErrorCode::InconsistentClusterId, &message));
    }
    let Some(joined) = host.joined.get() else {
        let message = format!("Node {} has no cluster yet.", host.node_id);
        return Err(failed(ErrorCode::NotController, &message));
    };
    let command = codec::decode_command(&request.command)
        .map_err(|error| failed(ErrorCode::InvalidRequest, &error))?;
    let stopping = |_| failed(ErrorCode::NotController, "The node is stopping.");
    joined.decider.send(command).await.map_err(stopping)
}

/// The awaiting stage: the change is committed, or is not.
pub(super) async fn finish(pending: Pending<Decided>) -> Response {
    let response = match pending.wait().await {
        Ok(Decided::Answer(offset, reply)) => answered(offset, &reply),
        Ok(Decided::NotLeader(leader)) => {
            let mut refused = failed(
                ErrorCode::NotController,
                "This node does not lead the quorum.",
            );
            refused.leader_id = leader.map_or(-1, |id| broker_id(id).0);
            *refused
        }
        Ok(Decided::Open(reason)) => *failed(ErrorCode::RequestTimedOut, &reason),
        Err(gone) => *failed(ErrorCode::RequestTimedOut, &gone.to_string()),
    };
    response.into()
}

fn answered(
    offset: ottla_model::Offset,
    reply: &Result<ottla_metadata::Reply, Refusal>,
) -> SubmitCommandResponse {
    SubmitCommandResponse {
        metadata_offset: offset,
        reply: codec::encode_answer(reply),
        ..SubmitCommandResponse::default()
    }
}

fn failed(code: ErrorCode, message: &str) -> Box<SubmitCommandResponse> {
    Box::new(SubmitCommandResponse {
        error_code: code.code(),
        error_message: Some(Text::from(message)),
        ..SubmitCommandResponse::default()
    })
}
