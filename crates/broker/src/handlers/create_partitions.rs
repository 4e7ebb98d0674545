//! CreatePartitions (key 37).

use ottla_metadata::{Command, CreatePartitions, NewPartitions, Refusal, Reply};
use ottla_model::{BrokerId, ErrorCode};
use ottla_wire::Text;
use ottla_wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use ottla_wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use crate::context::{Answer, Ctx};

pub(crate) async fn handle(
    ctx: Ctx,
    request: CreatePartitionsRequest,
) -> Answer<CreatePartitionsResponse> {
    Answer::later(async move {
        let names: Vec<String> = request.topics.iter().map(|t| t.name.to_string()).collect();
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
            ..CreatePartitions::default()
        });
        let results = match ctx.broker.submit(command).await {
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
