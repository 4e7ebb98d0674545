//! ConsumerGroupHeartbeat (key 68): a member of a consumer group joins, stays, or leaves (KIP-848).

use ottla_group::{
    Assignment as Assigned, ConsumerHeartbeatRequest, ConsumerHeartbeatResponse, Request, Response,
};
use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use ottla_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};

use crate::context::{Answer, Ctx};
use crate::groups::{shared, shared_option, text_option};

/// From this version on members choose their ids themselves (KIP-1082).
const OWN_MEMBER_IDS: i16 = 1;

pub(crate) async fn handle(
    ctx: Ctx,
    request: ConsumerGroupHeartbeatRequest,
) -> Answer<ConsumerGroupHeartbeatResponse> {
    let heartbeat = Request::ConsumerHeartbeat(ConsumerHeartbeatRequest {
        group_id: shared(&request.group_id),
        member_id: shared(&request.member_id),
        member_epoch: request.member_epoch,
        instance_id: shared_option(request.instance_id.as_ref()),
        rack_id: shared_option(request.rack_id.as_ref()),
        rebalance_timeout_ms: Some(request.rebalance_timeout_ms).filter(|&ms| ms != -1),
        topics: request
            .subscribed_topic_names
            .map(|names| names.iter().map(shared).collect()),
        regex: shared_option(request.subscribed_topic_regex.as_ref()),
        assignor: shared_option(request.server_assignor.as_ref()),
        owned: request.topic_partitions.map(|topics| {
            topics
                .into_iter()
                .map(|t| (t.topic_id, t.partitions))
                .collect()
        }),
        client_id: shared(&ctx.client_id),
        client_host: format!("/{}", ctx.peer.address().ip()).into(),
        requires_member_id: ctx.version >= OWN_MEMBER_IDS,
    });
    let answer = ctx
        .broker
        .groups
        .ask(&ctx.broker, &request.group_id, heartbeat)
        .await;
    Answer::later(async move {
        let error = |code| ConsumerHeartbeatResponse::error(code, None);
        response(match answer.wait().await {
            Ok(Response::ConsumerHeartbeat(answer)) => answer,
            Ok(_) => error(ErrorCode::UnknownServerError),
            Err(code) => error(code),
        })
    })
}

fn response(answer: ConsumerHeartbeatResponse) -> ConsumerGroupHeartbeatResponse {
    ConsumerGroupHeartbeatResponse {
        error_code: answer.error.code(),
        error_message: answer.error_message.as_deref().map(Text::from),
        member_id: text_option(answer.member_id.as_ref()),
        member_epoch: answer.member_epoch,
        heartbeat_interval_ms: answer.heartbeat_interval_ms,
        assignment: answer.assignment.map(assignment),
        ..ConsumerGroupHeartbeatResponse::default()
    }
}

fn assignment(assigned: Assigned) -> Assignment {
    let topics = assigned
        .into_iter()
        .map(|(topic_id, partitions)| TopicPartitions {
            topic_id,
            partitions: partitions.into_iter().collect(),
            ..TopicPartitions::default()
        });
    Assignment {
        topic_partitions: topics.collect(),
        ..Assignment::default()
    }
}
