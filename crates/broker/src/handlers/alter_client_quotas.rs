//! AlterClientQuotas (key 49, KIP-546): sets and takes away limits of clients.

use ottla_metadata::{AlterClientQuota, AlterClientQuotas, Command, Refusal, Reply};
use ottla_model::{ErrorCode, QuotaValue};
use ottla_wire::Text;
use ottla_wire::messages::alter_client_quotas_request as asked;
use ottla_wire::messages::alter_client_quotas_response::{EntityData, EntryData};
use ottla_wire::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};

use crate::context::{Answer, Ctx};

pub(crate) async fn handle(
    ctx: Ctx,
    request: AlterClientQuotasRequest,
) -> Answer<AlterClientQuotasResponse> {
    Answer::later(async move {
        let command = Command::AlterClientQuotas(AlterClientQuotas {
            entries: request.entries.iter().map(alteration).collect(),
            validate_only: request.validate_only,
        });
        let count = request.entries.len();
        let outcomes = match ctx.broker.submit(command).await {
            Ok(Reply::AlterClientQuotas(outcomes)) => outcomes,
            Ok(_) => vec![Err(Refusal::new(ErrorCode::UnknownServerError, "")); count],
            Err(refusal) => vec![Err(refusal); count],
        };
        let entries = request.entries.into_iter().zip(outcomes);
        AlterClientQuotasResponse {
            entries: entries
                .map(|(entry, outcome)| result(entry, outcome))
                .collect(),
            ..AlterClientQuotasResponse::default()
        }
    })
}

fn alteration(entry: &asked::EntryData) -> AlterClientQuota {
    let part = |part: &asked::EntityData| {
        let name = part.entity_name.as_ref().map(Text::to_string);
        (part.entity_type.to_string(), name)
    };
    let op = |op: &asked::OpData| {
        (
            op.key.to_string(),
            (!op.remove).then_some(QuotaValue(op.value)),
        )
    };
    AlterClientQuota {
        entity: entry.entity.iter().map(part).collect(),
        ops: entry.ops.iter().map(op).collect(),
    }
}

fn result(entry: asked::EntryData, outcome: Result<(), Refusal>) -> EntryData {
    let (error_code, error_message) = match outcome {
        Ok(()) => (ErrorCode::None, None),
        Err(refusal) => (refusal.code, Some(Text::from(refusal.message.as_str()))),
    };
    let part = |part: asked::EntityData| EntityData {
        entity_type: part.entity_type,
        entity_name: part.entity_name,
        ..EntityData::default()
    };
    EntryData {
        error_code: error_code.code(),
        error_message,
        entity: entry.entity.into_iter().map(part).collect(),
        ..EntryData::default()
    }
}
