//! CreatePartitions (key 37).

use ottla_metadata::{Command, CreatePartitions, NewPartitions, Refusal, Reply};
use ottla_model::{BrokerId, ErrorCode};
use ottla_wire::Text;
use ottla_wire::messages::create_partitions_request::CreatePartitionsTopic;
use ottla_wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use ottla_wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use crate::context::{Answer, Ctx};
use crate::quotas::{MutationQuota, is_exceeded};

/// Older clients do not know `THROTTLING_QUOTA_EXCEEDED` (KIP-599).
const STRICT_SINCE: i16 = 3;

pub(crate) async fn handle(
    ctx: Ctx,
    request: CreatePartitionsRequest,
) -> Answer<CreatePartitionsResponse> {
    Answer::later(async move {
        let names: Vec<String> = request.topics.iter().map(|t| t.name.to_string()).collect();
        let image = ctx.broker.image();
        let added = |t: &CreatePartitionsTopic| {
            let existing = image.topic(&t.name).map(|topic| topic.partition_count());
            existing.map_or(0, |existing| {
                usize::try_from(t.count - existing).unwrap_or(0)
            })
        };
        let asked: Vec<usize> = request.topics.iter().map(added).collect();
        let quota = MutationQuota::take(&ctx, STRICT_SINCE, asked.iter().sum());
        let topics = request.topics.into_iter().map(|t| NewPartitions {
            name: t.name.to_string(),
            count: t.count,
            assignments: t.assignments.map(|all| {
                all.into_iter()
                    .map(|a| a.broker_ids.into_iter().map(BrokerId).collect())
                    .collect()
            }),
        });
        let command = Command::CreatePartitions(CreatePartitions {
            topics: topics.collect(),
            validate_only: request.validate_only,
            allowance: quota.allowance(),
        });
        let outcome = ctx.broker.submit(command).await;
        let (used, is_over) = match &outcome {
            Ok(Reply::CreatePartitions(results)) => {
                let grown = results.iter().filter(|r| r.outcome.is_ok());
                let asked_of = |name: &str| names.iter().position(|n| n == name).map(|i| asked[i]);
                let used = grown.filter_map(|r| asked_of(&r.name));
                (used.sum(), results.iter().any(|r| is_exceeded(&r.outcome)))
            }
            _ => (0, false),
        };
        quota.settle(used, is_over);
        let results = match outcome {
            Ok(Reply::CreatePartitions(results)) => results
                .into_iter()
                .map(|r| result(&r.name, r.outcome))
                .collect(),
            Ok(_) => {
                let refusal = Refusal::new(ErrorCode::UnknownServerError, "");
                names
                    .iter()
                    .map(|n| result(n, Err(refusal.clone())))
                    .collect()
            }
            Err(refusal) => names
                .iter()
                .map(|n| result(n, Err(refusal.clone())))
                .collect(),
        };
        CreatePartitionsResponse {
            results,
            ..CreatePartitionsResponse::default()
        }
    })
}

fn result(name: &str, outcome: Result<(), Refusal>) -> CreatePartitionsTopicResult {
    let (code, message) = match outcome {
        Ok(()) => (ErrorCode::None, None),
        Err(refusal) => (refusal.code, Some(Text::from(refusal.message.as_str()))),
    };
    CreatePartitionsTopicResult {
        name: Text::from(name),
        error_code: code.code(),
        error_message: message,
        ..CreatePartitionsTopicResult::default()
    }
}
