//! DeleteTopics (key 20), by name, and from version 6 on also by id.

use ottla_metadata::{Command, DeleteTopicResult, DeleteTopics, Reply, TopicSelector};
use ottla_model::{ErrorCode, Uuid};
use ottla_wire::Text;
use ottla_wire::messages::delete_topics_response::DeletableTopicResult;
use ottla_wire::messages::{DeleteTopicsRequest, DeleteTopicsResponse};

use crate::context::{Answer, Ctx};

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
        let command = Command::DeleteTopics(DeleteTopics {
            topics: topics.clone(),
            ..DeleteTopics::default()
        });
        let responses = match ctx.broker.submit(command).await {
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
