//! Templates in values, so that the nodes of a StatefulSet can share one configuration.
//!
//! | template | is |
//! |---|---|
//! | `{ordinal}` | the number at the end of the hostname: 2 on `kafka-2` |
//! | `{port}`, `{port+ordinal}` | in `advertised.listeners`: the listener's port, and that plus the ordinal |
//! | `{31980+ordinal}` | a number plus the ordinal: 31982 on `kafka-2` |
//! | `{hostname}` | the name of this host |
//! | `{env:NAME}`, `$(NAME)` | an environment variable; `$$(NAME)` is the text `$(NAME)` |

use std::collections::BTreeMap;

use crate::error::ConfigError;

/// What templates are filled in with.
pub(crate) struct Context<'a> {
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) hostname: &'a str,
}

/// The number at the end of a hostname, by `(.*)-([0-9]+)$` on its first label.
///
/// # Errors
/// [`ConfigError::NoOrdinal`] for a hostname that ends in none, or in one beyond 32 bits.
pub(crate) fn ordinal(hostname: &str) -> Result<i32, ConfigError> {
    let label = hostname.split('.').next().unwrap_or(hostname);
    label
        .rsplit_once('-')
        .map(|(_, digits)| digits)
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| ConfigError::NoOrdinal {
            hostname: label.to_owned(),
        })
}

impl Context<'_> {
    /// Fills in the templates of `text`, which is the value of `key`. `port` is the listener's,
    /// where there is one.
    pub(crate) fn expand(
        &self,
        key: &str,
        text: &str,
        port: Option<u16>,
    ) -> Result<String, ConfigError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '$']) {
            let (before, template) = rest.split_at(at);
            out.push_str(before);
            rest = if let Some(literal) = template.strip_prefix("$$(") {
                out.push_str("$(");
                literal
            } else if let Some(inside) = template.strip_prefix("$(") {
                let (name, tail) = closed(key, template, inside, ')')?;
                out.push_str(self.variable(key, name)?);
                tail
            } else if let Some(inside) = template.strip_prefix('{') {
                let (name, tail) = closed(key, template, inside, '}')?;
                out.push_str(&self.fill(key, name, port)?);
                tail
            } else {
                out.push('$');
                template.strip_prefix('$').unwrap_or("")
            };
        }
        out.push_str(rest);
        Ok(out)
    }

    fn fill(&self, key: &str, name: &str, port: Option<u16>) -> Result<String, ConfigError> {
        let refused = |reason: String| ConfigError::Template {
            key: key.to_owned(),
            reason,
        };
        match name {
            "ordinal" => Ok(ordinal(self.hostname)?.to_string()),
            "hostname" => Ok(self.hostname.to_owned()),
            "port" | "port+ordinal" => {
                let port = port.filter(|&port| port != 0).ok_or_else(|| {
                    refused(format!(
                        "{{{name}}} needs a listener with a fixed port; it can stand in \
                         advertised.listeners only"
                    ))
                })?;
                let added = match name {
                    "port" => 0,
                    _ => ordinal(self.hostname)?,
                };
                let sum = i64::from(port) + i64::from(added);
                if sum > i64::from(u16::MAX) {
                    return Err(refused(format!(
                        "{{{name}}} is {sum}, and the highest port is 65535"
                    )));
                }
                Ok(sum.to_string())
            }
            _ => {
                if let Some(variable) = name.strip_prefix("env:") {
                    return Ok(self.variable(key, variable)?.to_owned());
                }
                // A NodePort is not the listener's port, and still one for each pod.
                let first = name.strip_suffix("+ordinal");
                match first.and_then(|first| first.parse::<u32>().ok()) {
                    Some(first) => {
                        Ok((i64::from(first) + i64::from(ordinal(self.hostname)?)).to_string())
                    }
                    None => Err(refused(format!(
                        "{{{name}}} is no template; there are {{ordinal}}, {{port}}, \
                         {{port+ordinal}}, {{NUMBER+ordinal}}, {{hostname}}, {{env:NAME}} and $(NAME)"
                    ))),
                }
            }
        }
    }

    fn variable(&self, key: &str, name: &str) -> Result<&str, ConfigError> {
        self.env
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| ConfigError::Template {
                key: key.to_owned(),
                reason: format!("the environment variable {name} is not set"),
            })
    }
}

fn closed<'a>(
    key: &str,
    template: &str,
    inside: &'a str,
    end: char,
) -> Result<(&'a str, &'a str), ConfigError> {
    inside.split_once(end).ok_or_else(|| ConfigError::Template {
        key: key.to_owned(),
        reason: format!("{template} has no closing {end}"),
    })
}

#[cfg(test)]
mod tests;
