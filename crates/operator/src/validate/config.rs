//! What a server would say of the configuration that it is given.

use std::collections::BTreeMap;

use ottla_config::{ConfigError, Level, NodeConfig, Notice, Sources};

use super::Findings;

/// The file's name in messages.
const FILE: &str = "config";

/// Whose configuration it is, and where its lines come from.
pub(super) struct Origin<'a> {
    /// The text of a `server.properties`, or of a `zoo.cfg`.
    pub(super) text: String,
    /// Whether it is a `zoo.cfg`.
    pub(super) is_keeper: bool,
    /// The pod's name, from which its id follows.
    pub(super) pod: &'a str,
    /// The fields that have properties, the more special one first.
    pub(super) fields: Vec<(String, &'a BTreeMap<String, String>)>,
    /// The field that listeners come from.
    pub(super) listeners: &'a str,
}

impl Origin<'_> {
    /// The field that says a property.
    fn field(&self, key: &str) -> Option<String> {
        let (field, _) = self
            .fields
            .iter()
            .find(|(_, config)| config.contains_key(key))?;
        Some(format!("{field}[\"{key}\"]"))
    }

    /// The field for what is about several properties.
    fn whole(&self, message: &str) -> String {
        let named = |(_, config): &&(String, &BTreeMap<String, String>)| {
            config.keys().any(|key| message.contains(key.as_str()))
        };
        let found = self.fields.iter().find(named).or(self.fields.last());
        found.map_or_else(|| "spec.config".to_owned(), |(field, _)| field.clone())
    }

    /// Lets the server's own configuration read it.
    pub(super) fn judge(&self, findings: &mut Findings) {
        let file = (FILE.to_owned(), self.text.clone());
        let mut sources = Sources {
            hostname: self.pod.to_owned(),
            ..Sources::default()
        };
        if self.is_keeper {
            sources.keeper_file = Some(file);
            let offset = ("ottla.keeper.myid.ordinal.offset", "1");
            sources.flags = vec![(offset.0.to_owned(), offset.1.to_owned())];
        } else {
            sources.file = Some(file);
        }
        match NodeConfig::load(sources) {
            Ok(loaded) => {
                for notice in &loaded.notices {
                    self.notice(notice, findings);
                }
            }
            Err(errors) => {
                for error in &errors.0 {
                    self.error(error, findings);
                }
            }
        }
    }

    fn notice(&self, notice: &Notice, findings: &mut Findings) {
        let field = self.field(&notice.key);
        let about_replicas = notice.key == "min.insync.replicas";
        if notice.level == Level::Warn && (field.is_some() || about_replicas) {
            let field = field.unwrap_or_else(|| self.whole(&notice.message));
            findings.warn(field, without_line(&notice.message));
        }
    }

    fn error(&self, error: &ConfigError, findings: &mut Findings) {
        match error {
            ConfigError::Invalid {
                key,
                setting,
                reason,
                allowed,
            } => {
                let field = self.field(key).unwrap_or_else(|| self.whole(key));
                let value = &setting.value;
                findings.error(
                    field,
                    format!("{key} is {value}: {reason}; allowed: {allowed}"),
                );
            }
            ConfigError::Refused {
                key,
                setting,
                reason,
            } => {
                let field = self.field(key).unwrap_or_else(|| self.whole(key));
                let value = &setting.value;
                findings.error(
                    field,
                    format!("{key} = {value} is not supported: {reason}; remove it"),
                );
            }
            ConfigError::Listener { entry, reason, .. } => {
                findings.error(self.listeners, format!("{entry}: {reason}"));
            }
            other => {
                let message = without_line(&other.to_string());
                findings.error(self.whole(&message), message);
            }
        }
    }
}

/// The lines of the file are nobody's who wrote a resource.
fn without_line(message: &str) -> String {
    let Some(start) = message.find(" (from config, line ") else {
        return message.to_owned();
    };
    let rest = &message[start..];
    let end = rest.find(')').map_or(rest.len(), |end| end + 1);
    format!("{}{}", &message[..start], &rest[end..])
}
