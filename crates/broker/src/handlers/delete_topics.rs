//! DeleteTopics (key 20), by name, and from version 6 on also by id.

use ottla_metadata::{Command, DeleteTopicResult, DeleteTopics, Image, Reply, TopicSelector};
use ottla_model::{ErrorCode, Uuid};
use ottla_wire::Text;
use ottla_wire::messages::delete_topics_response::DeletableTopicResult;
use ottla_wire::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use crate::context::{Answer, Ctx};
use crate::quotas::{MutationQuota, is_exceeded};

/// Older clients do not know `THROTTLING_QUOTA_EXCEEDED` (KIP-599).
const STRICT_SINCE: i16 = 5;

pub(crate) async fn handle(ctx: Ctx, request: DeleteTopicsRequest) -> Answer<DeleteTopicsResponse> {
    Answer::later(async move {
        let by_name = request
            .topic_names
            .into_iter()
            .map(|n| TopicSelector::by_name(&*n));
        let by_state = request.topics.into_iter().map(|t| TopicSelector {
            name: t.name.map(|n| n.to_string()),
            topic_id: t.topic_id,
        });
        let topics: Vec<TopicSelector> = by_name.chain(by_state).collect();
        let image = ctx.broker.image();
        let asked = topics.iter().map(|t| partitions(&image, t)).sum();
        let quota = MutationQuota::take(&ctx, STRICT_SINCE, asked);
        let command = Command::DeleteTopics(DeleteTopics {
            topics: topics.clone(),
            allowance: quota.allowance(),
        });
        let outcome = ctx.broker.submit(command).await;
        let (used, is_over) = match &outcome {
            Ok(Reply::DeleteTopics(results)) => {
                let deleted = results.iter().filter(|r| r.outcome.is_ok());
                let used = deleted.map(|r| {
                    let topic = image.topic_by_id(r.topic_id);
                    topic.map_or(0, |topic| topic.partitions.len())
                });
                (used.sum(), results.iter().any(|r| is_exceeded(&r.outcome)))
            }
            _ => (0, false),
        };
        quota.settle(used, is_over);
        let responses = match outcome {
            Ok(Reply::DeleteTopics(results)) => results
                .into_iter()
                .map(|r| result(r, ctx.version))
                .collect(),
            Ok(_) => refused(topics, ErrorCode::UnknownServerError, "", ctx.version),
            Err(refusal) => refused(topics, refusal.code, &refusal.message, ctx.version),
        };
        DeleteTopicsResponse {
            responses,
            ..DeleteTopicsResponse::default()
        }
    })
}

/// How many partitions go with the topic.
fn partitions(image: &Image, topic: &TopicSelector) -> usize {
    let topic = match &topic.name {
        Some(name) => image.topic(name),
        None => image.topic_by_id(topic.topic_id),
    };
    topic.map_or(0, |topic| topic.partitions.len())
}

fn refused(
    topics: Vec<TopicSelector>,
    code: ErrorCode,
    why: &str,
    version: i16,
) -> Vec<DeletableTopicResult> {
    let refusal = || Err(ottla_metadata::Refusal::new(code, why));
    topics
        .into_iter()
        .map(|t| DeleteTopicResult {
            name: t.name,
            topic_id: t.topic_id,
            outcome: refusal(),
        })
        .map(|r| result(r, version))
        .collect()
}

fn result(result: DeleteTopicResult, version: i16) -> DeletableTopicResult {
    let (code, message) = match result.outcome {
        Ok(()) => (ErrorCode::None, None),
        Err(refusal) => (refusal.code, Some(Text::from(refusal.message.as_str()))),
    };
    // Clients before version 3 do not know that deleting can be disabled.
    let code = match code {
        ErrorCode::TopicDeletionDisabled if version < 3 => ErrorCode::InvalidRequest,
        code => code,
    };
    // An unknown id must not reveal a name, and an unknown name has no id.
    let topic_id = if code.is_none() || result.name.is_none() {
        result.topic_id
    } else {
        Uuid::ZERO
    };
    DeletableTopicResult {
        name: result.name.as_deref().map(Text::from),
        topic_id,
        error_code: code.code(),
        error_message: message,
        ..DeletableTopicResult::default()
    }
}
