//! DescribeClientQuotas (key 48, KIP-546): the limits of the clients that a filter picks out.

use ottla_metadata::{QuotaFilter, QuotaMatch, Refusal};
use ottla_model::{ClientQuotaEntity, ErrorCode, QuotaKey, QuotaValue};
use ottla_wire::Text;
use ottla_wire::messages::describe_client_quotas_request::ComponentData;
use ottla_wire::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use ottla_wire::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use crate::context::{Answer, Ctx};

/// `MatchType`: this very name.
const EXACT: i8 = 0;
/// `MatchType`: the default.
const DEFAULT: i8 = 1;
/// `MatchType`: whatever the name is.
const ANY: i8 = 2;

pub(crate) async fn handle(
    ctx: Ctx,
    request: DescribeClientQuotasRequest,
) -> Answer<DescribeClientQuotasResponse> {
    Answer::Now(match entries(&ctx, &request) {
        Ok(entries) => DescribeClientQuotasResponse {
            error_message: None,
            entries: Some(entries),
            ..DescribeClientQuotasResponse::default()
        },
        Err(refusal) => DescribeClientQuotasResponse {
            error_code: refusal.code.code(),
            error_message: Some(Text::from(refusal.message.as_str())),
            entries: None,
            ..DescribeClientQuotasResponse::default()
        },
    })
}

fn entries(ctx: &Ctx, request: &DescribeClientQuotasRequest) -> Result<Vec<EntryData>, Refusal> {
    let components: Result<_, Refusal> = request.components.iter().map(component).collect();
    let filter = QuotaFilter {
        components: components?,
        strict: request.strict,
    };
    let image = ctx.broker.image();
    let found = image.client_quotas().matching(&filter)?;
    let entry = |(entity, values)| entry(entity, values);
    Ok(found.map(entry).collect())
}

fn component(asked: &ComponentData) -> Result<(String, QuotaMatch), Refusal> {
    let name = asked.match_.as_deref();
    let wanted = match (asked.match_type, name) {
        (EXACT, Some(name)) => Ok(QuotaMatch::Exact(name.to_owned())),
        (DEFAULT, None) => Ok(QuotaMatch::Default),
        (ANY, None) => Ok(QuotaMatch::Any),
        (EXACT, None) => Err("An exact match (0) needs a name.".to_owned()),
        (DEFAULT | ANY, Some(_)) => {
            Err("A match of the default (1) or of any name (2) takes no name.".to_owned())
        }
        (other, _) => Err(format!("There is no match type {other}.")),
    };
    let wanted = wanted.map_err(|why| Refusal::new(ErrorCode::InvalidRequest, why))?;
    Ok((asked.entity_type.to_string(), wanted))
}

fn entry<'a>(
    entity: &ClientQuotaEntity,
    values: impl IntoIterator<Item = (&'a QuotaKey, &'a QuotaValue)>,
) -> EntryData {
    let part = |(kind, name): (&str, Option<&str>)| EntityData {
        entity_type: Text::from(kind),
        entity_name: name.map(Text::from),
        ..EntityData::default()
    };
    let value = |(key, value): (&QuotaKey, &QuotaValue)| ValueData {
        key: Text::from(key.name()),
        value: value.0,
        ..ValueData::default()
    };
    EntryData {
        entity: entity.parts().map(part).collect(),
        values: values.into_iter().map(value).collect(),
        ..EntryData::default()
    }
}
