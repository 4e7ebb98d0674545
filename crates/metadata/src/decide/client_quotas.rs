//! Limits of clients.

use ottla_model::{ClientQuotaEntity, ErrorCode, InvalidEntity, QuotaKey};

use crate::command::{AlterClientQuota, AlterClientQuotas, Refusal, Reply};
use crate::image::Image;
use crate::record::{ClientQuotaRecord, Record};

/// The most records that one command may lead to; Kafka's own bound.
const MAX_RECORDS: usize = 10_000;

pub(super) fn decide(
    image: &Image,
    command: &AlterClientQuotas,
) -> Result<(Vec<Record>, Reply), Refusal> {
    let entities: Vec<_> = command.entries.iter().map(entity).collect();
    let twice = super::duplicates(entities.iter().flatten());
    let mut records = Vec::new();
    let mut results = Vec::with_capacity(entities.len());
    for (entry, entity) in command.entries.iter().zip(&entities) {
        let outcome = match entity {
            Err(error) => Err(invalid(error.to_string())),
            Ok(entity) if twice.contains(entity) => Err(invalid(format!(
                "The request names {entity} more than once; none of it is carried out."
            ))),
            Ok(entity) => alter(image, entity, entry).map(|mut new| records.append(&mut new)),
        };
        results.push(outcome);
    }
    if records.len() > MAX_RECORDS {
        let message = format!("The request changes more than {MAX_RECORDS} limits.");
        return Err(Refusal::new(ErrorCode::PolicyViolation, message));
    }
    if command.validate_only {
        records.clear();
    }
    Ok((records, Reply::AlterClientQuotas(results)))
}

fn entity(entry: &AlterClientQuota) -> Result<ClientQuotaEntity, InvalidEntity> {
    let parts = entry.entity.iter();
    ClientQuotaEntity::from_parts(parts.map(|(kind, name)| (kind.as_str(), name.as_deref())))
}

fn alter(
    image: &Image,
    entity: &ClientQuotaEntity,
    entry: &AlterClientQuota,
) -> Result<Vec<Record>, Refusal> {
    let names = entry.ops.iter().map(|(name, _)| name.as_str());
    if let Some(name) = super::duplicates(names).first() {
        return Err(invalid(format!(
            "The request changes {name} of {entity} more than once."
        )));
    }
    let mut records = Vec::new();
    for (name, value) in &entry.ops {
        let key = QuotaKey::parse(name).filter(|key| key.applies_to(entity));
        let Some(key) = key else {
            // Like Kafka: what cannot be there is gone already.
            if value.is_none() {
                continue;
            }
            return Err(invalid(format!("{entity} cannot have the quota '{name}'.")));
        };
        if let Some(value) = value {
            key.check(*value).map_err(invalid)?;
        }
        // A value that stays as it is needs no record.
        if image.client_quotas().get(entity, key) != *value {
            records.push(Record::ClientQuota(ClientQuotaRecord {
                entity: entity.clone(),
                key,
                value: *value,
            }));
        }
    }
    Ok(records)
}

fn invalid(message: String) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, message)
}

#[cfg(test)]
mod tests;
