//! What the resources' own rules (CEL) cannot say: whether the parts of a resource fit together, and
//! whether servers would start with it.
//!
//! Errors keep a resource from being carried out: what runs is left as it is, so that a mistake in
//! a resource is no outage. Warnings are told, and carried out.

mod bounds;
mod config;
mod kafka;
mod keeper;
mod rules;
mod topic;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::EnvVar;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::quantity;

pub use kafka::kafka_cluster;
pub use keeper::keeper_ensemble;
pub use rules::rules;
pub use topic::kafka_topic;

/// Something to say about a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The field, such as `spec.pools[0].firstId`; empty for the resource as a whole.
    pub field: String,
    /// What is wrong with it, and what to change.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.message),
            field => write!(f, "{field}: {}", self.message),
        }
    }
}

/// Everything that there is to say about a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What keeps it from being carried out.
    pub errors: Vec<Finding>,
    /// What is probably not meant so.
    pub warnings: Vec<Finding>,
}

impl Findings {
    /// All errors in one line, if there are any.
    pub(crate) fn error_text(&self) -> Option<String> {
        let errors: Vec<String> = self.errors.iter().map(ToString::to_string).collect();
        (!errors.is_empty()).then(|| errors.join("; "))
    }

    fn error(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.errors.push(Finding {
            field: field.into(),
            message: message.into(),
        });
    }

    fn warn(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.warnings.push(Finding {
            field: field.into(),
            message: message.into(),
        });
    }
}

/// What is there already, and bounds what may be changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Existing {
    /// The size of each pool's largest volume claim.
    pub volumes: BTreeMap<String, Quantity>,
}

/// A volume can grow, and not shrink.
fn size(field: &str, pool: &str, wanted: &Quantity, existing: &Existing, findings: &mut Findings) {
    let Some(bytes) = quantity::bytes(wanted) else {
        let message = format!("{} is no size: write one such as 100Gi", wanted.0);
        return findings.error(format!("{field}.size"), message);
    };
    if bytes < 1.0 {
        findings.error(format!("{field}.size"), "a volume needs a size above 0");
    }
    let Some(now) = existing.volumes.get(pool) else {
        return;
    };
    if quantity::bytes(now).is_some_and(|now| now > bytes) {
        findings.error(
            format!("{field}.size"),
            format!(
                "volumes cannot shrink, and those of {pool} have {}: give {} or more; for smaller \
                 ones add a pool, and remove this one when its data has moved",
                now.0, now.0
            ),
        );
    }
}

/// Variables that the operator sets itself.
const OWN_VARIABLES: [&str; 5] = [
    "POD_NAME",
    "POD_NAMESPACE",
    "MY_POD_NAME",
    "MY_POD_IP",
    "MY_HOST_IP",
];

/// Variables would go around all that is checked here.
fn variables(field: &str, env: &[EnvVar], findings: &mut Findings) {
    for (at, variable) in env.iter().enumerate() {
        let name = variable.name.as_str();
        let field = format!("{field}.env[{at}]");
        if OWN_VARIABLES.contains(&name) {
            findings.error(
                field,
                format!("{name} is set by the operator: use another name"),
            );
        } else if ["KAFKA_CFG_", "OTTLA_", "ZOO_", "ZK_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
        {
            findings.warn(
                field,
                format!("{name} sets a property behind the operator's back: use config"),
            );
        }
    }
}

#[cfg(test)]
mod tests;
