//! Which limit holds for a user and a client id.

use std::collections::BTreeMap;

use ottla_model::{ClientQuotaEntity, EntityName, QuotaKey, QuotaValue};

/// The limits of users and client ids, for lookups. Limits of addresses are not in here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QuotaRules {
    by_key: BTreeMap<QuotaKey, Levels>,
}

/// The limits of one key, in the order in which they are asked:
///
/// ```text
/// 1 user 'u', client-id 'c'    4 default user, client-id 'c'    7 client-id 'c'
/// 2 user 'u', default id       5 default user, default id       8 default id
/// 3 user 'u'                   6 default user
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
struct Levels {
    users: BTreeMap<String, Level>,
    default_user: Level,
    any_user: Level,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Level {
    client_ids: BTreeMap<String, f64>,
    default_client_id: Option<f64>,
    all_client_ids: Option<f64>,
}

/// A limit and who has it together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit<'a> {
    /// In the unit of its key, a second.
    pub bound: f64,
    /// Who uses it up.
    pub share: Share<'a>,
}

/// The clients that use up one limit together: those of a user, of a client id, or of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share<'a> {
    /// The user, or none when the limit is for a client id whoever the user is.
    pub user: Option<&'a str>,
    /// The client id, or none when the limit is for all of a user.
    pub client_id: Option<&'a str>,
}

impl QuotaRules {
    /// The rules that these limits make.
    pub fn new<'a>(
        quotas: impl IntoIterator<Item = (&'a ClientQuotaEntity, QuotaKey, QuotaValue)>,
    ) -> Self {
        let mut rules = QuotaRules::default();
        for (entity, key, value) in quotas {
            let (user, client_id) = match entity {
                ClientQuotaEntity::User(user) => (Some(user), None),
                ClientQuotaEntity::ClientId(id) => (None, Some(id)),
                ClientQuotaEntity::UserClientId(user, id) => (Some(user), Some(id)),
                ClientQuotaEntity::Ip(_) => continue,
            };
            let levels = rules.by_key.entry(key).or_default();
            levels.level(user).set(client_id, value.0);
        }
        rules
    }

    /// Whether a limit of that key is set for anyone.
    #[must_use]
    pub fn has(&self, key: QuotaKey) -> bool {
        self.by_key.contains_key(&key)
    }

    /// The limit that holds for a client, if there is one. As in Kafka, a client without an id is
    /// none that the limits of client ids mean, the default ones included.
    #[must_use]
    pub fn limit<'a>(&self, key: QuotaKey, user: &'a str, client_id: &'a str) -> Option<Limit<'a>> {
        let levels = self.by_key.get(&key)?;
        let of_user = [levels.users.get(user), Some(&levels.default_user)];
        for level in of_user.into_iter().flatten() {
            if let Some(bound) = level.of_client_id(client_id) {
                let (user, client_id) = (Some(user), Some(client_id));
                return Some(Limit {
                    bound,
                    share: Share { user, client_id },
                });
            }
            if let Some(bound) = level.all_client_ids {
                let (user, client_id) = (Some(user), None);
                return Some(Limit {
                    bound,
                    share: Share { user, client_id },
                });
            }
        }
        let bound = levels.any_user.of_client_id(client_id)?;
        let (user, client_id) = (None, Some(client_id));
        Some(Limit {
            bound,
            share: Share { user, client_id },
        })
    }
}

impl Levels {
    fn level(&mut self, user: Option<&EntityName>) -> &mut Level {
        match user {
            Some(EntityName::Named(user)) => self.users.entry(user.clone()).or_default(),
            Some(EntityName::Default) => &mut self.default_user,
            None => &mut self.any_user,
        }
    }
}

impl Level {
    fn set(&mut self, client_id: Option<&EntityName>, bound: f64) {
        match client_id {
            Some(EntityName::Named(id)) => {
                self.client_ids.insert(id.clone(), bound);
            }
            Some(EntityName::Default) => self.default_client_id = Some(bound),
            None => self.all_client_ids = Some(bound),
        }
    }

    fn of_client_id(&self, client_id: &str) -> Option<f64> {
        if client_id.is_empty() {
            return None;
        }
        let own = self.client_ids.get(client_id).copied();
        own.or(self.default_client_id)
    }
}

#[cfg(test)]
mod tests;
