//! The limits of clients in the image, and the questions that one may ask of them.

use std::collections::BTreeMap;

use ottla_model::{ClientQuotaEntity, ErrorCode, QuotaKey, QuotaValue};

use crate::command::Refusal;

/// One entity's limits.
pub type QuotaLimits = BTreeMap<QuotaKey, QuotaValue>;

/// All limits of clients, by whom they are for. An entity without a limit is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientQuotas {
    entities: BTreeMap<ClientQuotaEntity, QuotaLimits>,
}

/// Which entities are asked for (DescribeClientQuotas, KIP-546).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuotaFilter {
    /// Types of entities, as the client wrote them, each with what its name has to be.
    pub components: Vec<(String, QuotaMatch)>,
    /// Only entities that have no other types than these.
    pub strict: bool,
}

/// What the name of an entity has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuotaMatch {
    /// This very name.
    Exact(String),
    /// The default.
    Default,
    /// Whatever it is.
    Any,
}

impl QuotaMatch {
    fn accepts(&self, name: Option<&str>) -> bool {
        match self {
            QuotaMatch::Exact(wanted) => name == Some(wanted),
            QuotaMatch::Default => name.is_none(),
            QuotaMatch::Any => true,
        }
    }
}

impl ClientQuotas {
    /// Every entity with its limits, which are at least one.
    pub fn iter(&self) -> impl Iterator<Item = (&ClientQuotaEntity, &QuotaLimits)> {
        self.entities.iter()
    }

    /// One entity's limit.
    #[must_use]
    pub fn get(&self, entity: &ClientQuotaEntity, key: QuotaKey) -> Option<QuotaValue> {
        self.entities.get(entity)?.get(&key).copied()
    }

    /// The entities that match all components, or why the filter cannot be understood: Kafka's
    /// codes, which tell an unknown type (`UNSUPPORTED_VERSION`) from a broken filter.
    pub fn matching<'a>(
        &'a self,
        filter: &'a QuotaFilter,
    ) -> Result<impl Iterator<Item = (&'a ClientQuotaEntity, &'a QuotaLimits)>, Refusal> {
        filter.check()?;
        Ok(self.iter().filter(|(entity, _)| filter.accepts(entity)))
    }

    pub(crate) fn set(
        &mut self,
        entity: &ClientQuotaEntity,
        key: QuotaKey,
        value: Option<QuotaValue>,
    ) {
        if let Some(value) = value {
            let values = self.entities.entry(entity.clone()).or_default();
            values.insert(key, value);
        } else if let Some(values) = self.entities.get_mut(entity) {
            values.remove(&key);
            // No limit and no entry are the same image, so that snapshots compare equal.
            if values.is_empty() {
                self.entities.remove(entity);
            }
        }
    }
}

impl QuotaFilter {
    fn check(&self) -> Result<(), Refusal> {
        let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
        for (i, (kind, _)) in self.components.iter().enumerate() {
            if kind.is_empty() {
                return invalid("The filter has an entity type without letters.".to_owned());
            }
            if self.components[..i].iter().any(|(other, _)| other == kind) {
                return invalid(format!("The filter names '{kind}' more than once."));
            }
            if !ClientQuotaEntity::is_type(kind) {
                let message = format!(
                    "'{kind}' is no type of quota entity: there are user, client-id and ip."
                );
                return Err(Refusal::new(ErrorCode::UnsupportedVersion, message));
            }
        }
        let mut types = self.components.iter().map(|(kind, _)| kind.as_str());
        if self.components.len() > 1 && types.any(ClientQuotaEntity::is_ip_type) {
            return invalid("The filter combines ip with user or client-id.".to_owned());
        }
        Ok(())
    }

    fn accepts(&self, entity: &ClientQuotaEntity) -> bool {
        let has = |kind: &str, wanted: &QuotaMatch| {
            let mut parts = entity.parts();
            parts.any(|(of_entity, name)| of_entity == kind && wanted.accepts(name))
        };
        self.components
            .iter()
            .all(|(kind, wanted)| has(kind, wanted))
            && (!self.strict || entity.parts().count() == self.components.len())
    }
}

#[cfg(test)]
mod tests;
