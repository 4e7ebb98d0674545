//! CreateTopics (key 19): the controller decides; the answer comes when the topics can be used.

use ottla_metadata::{Command, CreateTopicResult, CreateTopics, ManualAssignment, NewTopic, Reply};
use ottla_model::{BrokerId, ErrorCode};
use ottla_wire::Text;
use ottla_wire::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use ottla_wire::messages::{CreateTopicsRequest, CreateTopicsResponse};

use crate::context::{Answer, Ctx};
use crate::quotas::{MutationQuota, is_exceeded};

/// Older clients do not know `THROTTLING_QUOTA_EXCEEDED` (KIP-599).
const STRICT_SINCE: i16 = 6;

pub(crate) async fn handle(ctx: Ctx, request: CreateTopicsRequest) -> Answer<CreateTopicsResponse> {
    Answer::later(async move {
        let validate_only = request.validate_only;
        let names: Vec<Text> = request.topics.iter().map(|t| t.name.clone()).collect();
        let topics: Vec<NewTopic> = request.topics.into_iter().map(new_topic).collect();
        let asked = topics.iter().map(|t| partitions(&ctx, t)).sum();
        let quota = MutationQuota::take(&ctx, STRICT_SINCE, asked);
        let command = Command::CreateTopics(CreateTopics {
            topics,
            validate_only,
            allowance: quota.allowance(),
        });
        let outcome = ctx.broker.submit(command).await;
        let (used, is_over) = match &outcome {
            Ok(Reply::CreateTopics(results)) => {
                let created = results.iter().filter_map(|r| r.outcome.as_ref().ok());
                let used = created.map(|c| usize::try_from(c.num_partitions).unwrap_or(0));
                (used.sum(), results.iter().any(|r| is_exceeded(&r.outcome)))
            }
            _ => (0, false),
        };
        quota.settle(used, is_over);
        let topics = match outcome {
            Ok(Reply::CreateTopics(results)) => {
                results.into_iter().map(|r| result(&ctx, r)).collect()
            }
            Ok(_) => names
                .into_iter()
                .map(|n| failed(n, ErrorCode::UnknownServerError, None))
                .collect(),
            Err(refusal) => names
                .into_iter()
                .map(|n| failed(n, refusal.code, Some(&refusal.message)))
                .collect(),
        };
        CreateTopicsResponse {
            topics,
            ..CreateTopicsResponse::default()
        }
    })
}

/// How many partitions the topic would have.
fn partitions(ctx: &Ctx, topic: &NewTopic) -> usize {
    let count = match topic.num_partitions {
        _ if !topic.assignments.is_empty() => return topic.assignments.len(),
        -1 => ctx.broker.config().broker.num_partitions,
        count => count,
    };
    usize::try_from(count).unwrap_or(0)
}

fn new_topic(topic: ottla_wire::messages::create_topics_request::CreatableTopic) -> NewTopic {
    NewTopic {
        name: topic.name.to_string(),
        num_partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .into_iter()
            .map(|a| ManualAssignment {
                partition: a.partition_index,
                broker_ids: a.broker_ids.into_iter().map(BrokerId).collect(),
            })
            .collect(),
        configs: topic
            .configs
            .into_iter()
            .map(|c| (c.name.to_string(), c.value.map(|v| v.to_string())))
            .collect(),
    }
}

fn failed(name: Text, code: ErrorCode, message: Option<&str>) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: code.code(),
        error_message: message.map(Text::from),
        ..CreatableTopicResult::default()
    }
}

fn result(ctx: &Ctx, result: CreateTopicResult) -> CreatableTopicResult {
    let name = Text::from(result.name.as_str());
    let created = match result.outcome {
        Ok(created) => created,
        Err(refusal) => return failed(name, refusal.code, Some(&refusal.message)),
    };
    let entries = ottla_config::describe_topic(&ctx.broker.config(), &created.configs);
    let configs = entries.into_iter().map(|entry| CreatableTopicConfigs {
        name: Text::from(entry.name),
        value: entry.value.as_deref().map(Text::from),
        read_only: entry.read_only,
        config_source: entry.source.id(),
        is_sensitive: entry.sensitive,
        ..CreatableTopicConfigs::default()
    });
    CreatableTopicResult {
        name,
        topic_id: created.topic_id,
        error_code: ErrorCode::None.code(),
        error_message: None,
        num_partitions: created.num_partitions,
        replication_factor: created.replication_factor,
        configs: Some(configs.collect()),
        ..CreatableTopicResult::default()
    }
}
