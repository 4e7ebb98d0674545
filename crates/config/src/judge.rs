//! What holds for each setting by itself: is its name known, does it have an effect, is its value of
//! its type and within its bounds? Kafka's properties and ZooKeeper's are judged alike.

use std::collections::BTreeMap;

use crate::error::ConfigError;
use crate::found::Found;
use crate::property::{Bounds, Effect, Property};
use crate::sources::{Level, Setting};
use crate::suggest::nearest;

pub(crate) type Settings = BTreeMap<String, Setting>;

/// Properties that stand in one namespace.
pub(crate) struct Catalogue {
    /// What one of them is called in a message, such as `a known property`.
    pub(crate) what: &'static str,
    /// The declaration of a name.
    pub(crate) find: fn(&str) -> Option<&'static Property>,
    /// The effect of a name that is known by its beginning only.
    pub(crate) family: fn(&str) -> Option<Effect>,
    /// All names that somebody may have meant.
    pub(crate) names: fn() -> Vec<&'static str>,
}

impl Catalogue {
    /// Names what is unknown or has no effect, refuses what is not supported, and leaves only
    /// declared properties in the settings.
    pub(crate) fn judge(&self, settings: &mut Settings, found: &mut Found) {
        settings.retain(|key, setting| {
            let property = (self.find)(key);
            let effect = property.map(|property| property.effect);
            let origin = &setting.origin;
            match effect.or_else(|| (self.family)(key)) {
                None => {
                    let message = format!(
                        "{key} ({origin}) is not {} and has no effect.{}",
                        self.what,
                        self.hint(key)
                    );
                    found.note(Level::Warn, key, message);
                }
                Some(Effect::Works) => {}
                Some(Effect::NoEffect(reason)) => {
                    let message = format!("{key} ({origin}) has no effect: {reason}.");
                    found.note(Level::Info, key, message);
                }
                Some(Effect::Refused(reason)) => {
                    if !states_default(property, &setting.value) {
                        found.errors.push(ConfigError::Refused {
                            setting: Box::new(shown(property, setting)),
                            reason: reason.to_owned(),
                            key: key.clone(),
                        });
                        return false;
                    }
                }
            }
            property.is_some()
        });
    }

    fn hint(&self, key: &str) -> String {
        nearest(key, (self.names)().into_iter())
            .map(|name| format!(" Did you mean {name}?"))
            .unwrap_or_default()
    }

    /// Checks types and bounds. A value that fails is taken out, so that the rest can be checked.
    pub(crate) fn check(&self, settings: &mut Settings, found: &mut Found) {
        settings.retain(|key, setting| {
            let Some(property) = (self.find)(key) else {
                return false;
            };
            match property.check(&setting.value) {
                Ok(()) => true,
                Err(reason) => {
                    found.errors.push(ConfigError::Invalid {
                        key: key.clone(),
                        setting: Box::new(shown(Some(property), setting)),
                        reason: reason.trim_end_matches('.').to_owned(),
                        allowed: allowed(property),
                    });
                    false
                }
            }
        });
    }
}

fn states_default(property: Option<&'static Property>, value: &str) -> bool {
    match property {
        Some(property) => property.is_default(value),
        None => value.trim().is_empty(),
    }
}

/// A setting as it may be printed.
pub(crate) fn shown(property: Option<&'static Property>, setting: &Setting) -> Setting {
    let mut shown = setting.clone();
    if property.is_some_and(Property::is_sensitive) {
        "[hidden]".clone_into(&mut shown.value);
    }
    shown
}

/// The type and the bounds, in words.
fn allowed(property: &Property) -> String {
    let kind = property.value_type.name().to_lowercase();
    match property.bounds {
        Bounds::Any => kind,
        bounds => format!("{kind}, {bounds}"),
    }
}

/// The text of a property: as set, or its default.
pub(crate) fn text_of<'a>(property: &Property, settings: &'a Settings) -> Option<&'a str> {
    settings
        .get(property.name)
        .map(|setting| setting.value.as_str())
        .or(property.default)
}
