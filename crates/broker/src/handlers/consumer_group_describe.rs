//! ConsumerGroupDescribe (key 69): consumer groups with their members (KIP-848).

use futures_util::future::join_all;
use ottla_group::{
    DescribedConsumerGroup, DescribedConsumerMember, DescribedPartitions, Request, Response,
};
use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::consumer_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};
use ottla_wire::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};

use crate::authorized_operations;
use crate::context::{Answer, Ctx};
use crate::distinct::distinct;
use crate::groups::{shared, text, text_option};

/// What stands for the type of a member that speaks the classic protocol, and of one that does not.
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

pub(crate) async fn handle(
    ctx: Ctx,
    request: ConsumerGroupDescribeRequest,
) -> Answer<ConsumerGroupDescribeResponse> {
    Answer::later(async move {
        let asked = request.include_authorized_operations;
        let groups = distinct(request.group_ids, Text::clone);
        let groups = join_all(groups.iter().map(|id| one(&ctx, id, asked))).await;
        ConsumerGroupDescribeResponse {
            groups,
            ..ConsumerGroupDescribeResponse::default()
        }
    })
}

async fn one(ctx: &Ctx, group_id: &Text, operations: bool) -> DescribedGroup {
    if group_id.is_empty() {
        return failed(group_id, ErrorCode::InvalidGroupId);
    }
    let describe = Request::ConsumerDescribe(shared(group_id));
    let answer = ctx.broker.groups.ask(&ctx.broker, group_id, describe).await;
    match answer.wait().await {
        Ok(Response::ConsumerDescribe(described)) => {
            let field = authorized_operations::GROUP;
            let operations = operations && described.error.is_none();
            DescribedGroup {
                authorized_operations: authorized_operations::if_asked(operations, field),
                ..group(described, ctx.version)
            }
        }
        Ok(_) => failed(group_id, ErrorCode::UnknownServerError),
        Err(code) => failed(group_id, code),
    }
}

fn failed(group_id: &Text, code: ErrorCode) -> DescribedGroup {
    DescribedGroup {
        error_code: code.code(),
        group_id: group_id.clone(),
        ..DescribedGroup::default()
    }
}

fn group(described: DescribedConsumerGroup, version: i16) -> DescribedGroup {
    let members = described.members.into_iter().map(|m| member(m, version));
    DescribedGroup {
        error_code: described.error.code(),
        error_message: described.error_message.as_deref().map(Text::from),
        group_id: text(&described.group_id),
        group_state: Text::from(described.state),
        group_epoch: described.group_epoch,
        assignment_epoch: described.assignment_epoch,
        assignor_name: Text::from(described.assignor),
        members: members.collect(),
        ..DescribedGroup::default()
    }
}

fn member(member: DescribedConsumerMember, version: i16) -> Member {
    let member_type = if member.is_classic { CLASSIC } else { CONSUMER };
    Member {
        member_id: text(&member.member_id),
        instance_id: text_option(member.instance_id.as_ref()),
        rack_id: text_option(member.rack_id.as_ref()),
        member_epoch: member.member_epoch,
        client_id: text(&member.client_id),
        client_host: text(&member.client_host),
        subscribed_topic_names: member.topics.iter().map(text).collect(),
        subscribed_topic_regex: text_option(member.regex.as_ref()),
        assignment: assignment(member.assignment),
        target_assignment: assignment(member.target),
        member_type: if version >= 1 { member_type } else { -1 },
        ..Member::default()
    }
}

fn assignment(partitions: Vec<DescribedPartitions>) -> Assignment {
    let topics = partitions
        .into_iter()
        .map(|(topic_id, name, partitions)| TopicPartitions {
            topic_id,
            topic_name: text(&name),
            partitions,
            ..TopicPartitions::default()
        });
    Assignment {
        topic_partitions: topics.collect(),
        ..Assignment::default()
    }
}
