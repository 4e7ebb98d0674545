//! Quotas of users, clients and addresses (KIP-546).

use ottla_wire::ApiKey;
use ottla_wire::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use ottla_wire::messages::describe_client_quotas_request::ComponentData;
use ottla_wire::messages::{AlterClientQuotasRequest, DescribeClientQuotasRequest};

use crate::admin::only;
use crate::{Broker, Client, Error};

/// Whom a quota concerns: each part's type (`user`, `client-id`, `ip`) and name, `None` for the
/// default of that type.
pub type QuotaEntity = Vec<(String, Option<String>)>;

/// The quotas of an entity.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientQuotas {
    /// Whose.
    pub entity: QuotaEntity,
    /// By name: `producer_byte_rate` and so on.
    pub values: Vec<(String, f64)>,
}

/// The entity's own name is matched.
const EXACT: i8 = 0;
/// The default of the type is matched.
const DEFAULT: i8 = 1;

impl Client {
    /// The quotas of exactly this entity, or all (`None`).
    pub async fn describe_client_quotas(
        &self,
        entity: Option<&QuotaEntity>,
    ) -> Result<Vec<ClientQuotas>, Error> {
        let api = ApiKey::DescribeClientQuotas;
        let component = |(kind, name): &(String, Option<String>)| ComponentData {
            entity_type: kind.as_str().into(),
            match_type: if name.is_some() { EXACT } else { DEFAULT },
            match_: name.as_deref().map(Into::into),
            ..ComponentData::default()
        };
        let request = DescribeClientQuotasRequest {
            components: entity.map_or_else(Vec::new, |e| e.iter().map(component).collect()),
            strict: entity.is_some(),
            ..DescribeClientQuotasRequest::default()
        };
        self.retrying(|| async {
            let build = |_| request.clone().into();
            let answer = self
                .ask(Broker::Any, api, build, only!(DescribeClientQuotas))
                .await?;
            let message = answer.error_message.as_deref();
            Error::check(api, "quotas", answer.error_code, message)?;
            let entries = answer.entries.unwrap_or_default().into_iter();
            let entries = entries.map(|entry| ClientQuotas {
                entity: entry
                    .entity
                    .into_iter()
                    .map(|e| (e.entity_type.to_string(), e.entity_name.map(String::from)))
                    .collect(),
                values: entry
                    .values
                    .into_iter()
                    .map(|v| (v.key.to_string(), v.value))
                    .collect(),
            });
            Ok(entries.collect())
        })
        .await
    }

    /// Sets and removes (`None`) quotas of an entity, or only checks whether that could be done.
    pub async fn alter_client_quotas(
        &self,
        entity: &QuotaEntity,
        changes: &[(String, Option<f64>)],
        validate_only: bool,
    ) -> Result<(), Error> {
        let api = ApiKey::AlterClientQuotas;
        let part = |(kind, name): &(String, Option<String>)| EntityData {
            entity_type: kind.as_str().into(),
            entity_name: name.as_deref().map(Into::into),
            ..EntityData::default()
        };
        let change = |(key, value): &(String, Option<f64>)| OpData {
            key: key.as_str().into(),
            value: value.unwrap_or_default(),
            remove: value.is_none(),
            ..OpData::default()
        };
        let request = AlterClientQuotasRequest {
            entries: vec![EntryData {
                entity: entity.iter().map(part).collect(),
                ops: changes.iter().map(change).collect(),
                ..EntryData::default()
            }],
            validate_only,
            ..AlterClientQuotasRequest::default()
        };
        self.retrying(|| async {
            let build = |_| request.clone().into();
            let answer = self
                .ask(Broker::Controller, api, build, only!(AlterClientQuotas))
                .await?;
            answer.entries.iter().try_for_each(|entry| {
                let message = entry.error_message.as_deref();
                Error::check(api, "quotas", entry.error_code, message)
            })
        })
        .await
    }
}
