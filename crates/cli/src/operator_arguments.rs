//! The arguments of `ottla operator`. This crate knows no Kubernetes: the binary hands them on.

use std::collections::BTreeMap;

use crate::Error;

/// What `ottla operator` can do.
#[derive(Debug, Clone, clap::Subcommand)]
pub enum OperatorCommand {
    /// Keep clusters, ensembles and topics on Kubernetes as their resources say
    Run(OperatorArgs),
    /// Print the manifests that resources become, without a Kubernetes cluster
    Render(RenderArgs),
    /// Print the definitions of the resources, for `kubectl apply -f -`
    Crds,
}

/// What pods are made of, beyond what their resource says.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Pods")]
pub struct PodArgs {
    /// The image of pods whose resource names none [default: ottla:VERSION] [env: OTTLA_IMAGE]
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// When images are pulled, where the resource does not say it: Always, IfNotPresent or Never
    /// [env: OTTLA_IMAGE_PULL_POLICY]
    #[arg(long, value_name = "POLICY", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub image_pull_policy: Option<String>,
    /// The domain of the Kubernetes cluster's names [default: cluster.local] [env:
    /// OTTLA_CLUSTER_DOMAIN]
    #[arg(long, value_name = "DOMAIN")]
    pub cluster_domain: Option<String>,
}

/// [`PodArgs`] with the environment and the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSettings {
    /// The image of pods whose resource names none.
    pub image: String,
    /// When it is pulled.
    pub image_pull_policy: Option<String>,
    /// The domain of the Kubernetes cluster's names.
    pub cluster_domain: String,
}

/// A variable that is set to something.
fn variable(env: &BTreeMap<String, String>, name: &str) -> Option<String> {
    env.get(name).filter(|value| !value.is_empty()).cloned()
}

impl PodArgs {
    /// Fills in what the environment says: a flag wins over a variable.
    #[must_use]
    pub fn resolve(&self, env: &BTreeMap<String, String>) -> PodSettings {
        let or = |flag: &Option<String>, name: &str| flag.clone().or_else(|| variable(env, name));
        let image = or(&self.image, "OTTLA_IMAGE");
        PodSettings {
            image: image.unwrap_or_else(|| format!("ottla:{}", env!("CARGO_PKG_VERSION"))),
            image_pull_policy: or(&self.image_pull_policy, "OTTLA_IMAGE_PULL_POLICY"),
            cluster_domain: or(&self.cluster_domain, "OTTLA_CLUSTER_DOMAIN")
                .unwrap_or_else(|| "cluster.local".to_owned()),
        }
    }
}

/// What `ottla operator render` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct RenderArgs {
    /// The file with the resources; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: String,
    /// The namespace of resources that name none
    #[arg(short, long, value_name = "NAME", default_value = "default")]
    pub namespace: String,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it as help")]
    pub pods: PodArgs,
}

/// What `ottla operator run` takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct OperatorArgs {
    /// Look after resources in this namespace, and no others; may be repeated [default: all] [env:
    /// OTTLA_WATCH_NAMESPACES, separated by commas]
    #[arg(long, value_name = "NAME")]
    pub watch_namespace: Vec<String>,
    /// The operator's own namespace, for its lease [default: that of its pod] [env: POD_NAMESPACE]
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Work without asking whether another operator does, as on a laptop
    #[arg(long)]
    pub no_leader_election: bool,
    /// The port of the operator's own health checks and metrics [default: 9645] [env:
    /// OTTLA_OPERATOR_PORT]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap would print it as help")]
    pub pods: PodArgs,
    /// How the log is written [default: text] [env: OTTLA_LOG_FORMAT]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<crate::LogFormat>,
    /// What is logged: error, warn, info, debug, trace [default: info] [env: OTTLA_LOG]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// [`OperatorArgs`] with the environment and the defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorStart {
    /// The namespaces to look after; none is all.
    pub watch_namespaces: Vec<String>,
    /// The operator's own namespace, if it is known.
    pub namespace: Option<String>,
    /// Who the operator is: its pod's name, if it is known.
    pub identity: Option<String>,
    /// Whether only one of several operators works.
    pub leader_election: bool,
    /// The port of health checks and metrics.
    pub port: u16,
    /// What pods are made of.
    pub pods: PodSettings,
    /// How the log is written.
    pub log_format: crate::LogFormat,
    /// What is logged.
    pub log_filter: String,
}

/// The port of the operator's own health checks and metrics: beside that of a node.
const DEFAULT_PORT: u16 = 9645;

impl OperatorArgs {
    /// Fills in what the environment says: a flag wins over a variable.
    ///
    /// # Errors
    /// A variable whose value is not in its syntax.
    pub fn resolve(&self, env: &BTreeMap<String, String>) -> Result<OperatorStart, Error> {
        let mut watch_namespaces = self.watch_namespace.clone();
        if watch_namespaces.is_empty() {
            let text = variable(env, "OTTLA_WATCH_NAMESPACES").unwrap_or_default();
            let names = text.split(',').map(str::trim);
            watch_namespaces = names
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect();
        }
        let port = match (self.port, variable(env, "OTTLA_OPERATOR_PORT")) {
            (Some(port), _) => port,
            (None, None) => DEFAULT_PORT,
            (None, Some(text)) => text.parse().map_err(|_| {
                Error::Usage(format!("OTTLA_OPERATOR_PORT is {text}; it can be a port"))
            })?,
        };
        let server = crate::ServerArgs {
            log_format: self.log_format,
            log_level: self.log_level.clone(),
            ..crate::ServerArgs::default()
        };
        // Both programs write their log alike.
        let log = server.resolve(env)?;
        Ok(OperatorStart {
            watch_namespaces,
            namespace: self
                .namespace
                .clone()
                .or_else(|| variable(env, "POD_NAMESPACE")),
            identity: variable(env, "POD_NAME"),
            leader_election: !self.no_leader_election,
            port,
            pods: self.pods.resolve(env),
            log_format: log.log_format,
            log_filter: log.log_filter,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_environment() {
        let env = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
            pairs.iter().map(owned).collect()
        };
        let variables = env(&[
            ("OTTLA_WATCH_NAMESPACES", "a, b,"),
            ("OTTLA_IMAGE", "from-env"),
            ("OTTLA_OPERATOR_PORT", "1"),
            ("POD_NAMESPACE", "own"),
        ]);
        let start = OperatorArgs::default().resolve(&variables).unwrap();
        assert_eq!(start.watch_namespaces, ["a", "b"]);
        assert_eq!((start.pods.image.as_str(), start.port), ("from-env", 1));
        assert_eq!(start.namespace.as_deref(), Some("own"));
        assert!(start.leader_election);
        let args = OperatorArgs {
            watch_namespace: vec!["c".to_owned()],
            no_leader_election: true,
            port: Some(2),
            pods: PodArgs {
                image: Some("flag".to_owned()),
                ..PodArgs::default()
            },
            ..OperatorArgs::default()
        };
        let start = args.resolve(&variables).unwrap();
        assert_eq!(start.watch_namespaces, ["c"]);
        assert_eq!((start.pods.image.as_str(), start.port), ("flag", 2));
        assert!(!start.leader_election);
        let wrong = OperatorArgs::default().resolve(&env(&[("OTTLA_OPERATOR_PORT", "x")]));
        assert!(
            wrong
                .unwrap_err()
                .to_string()
                .contains("OTTLA_OPERATOR_PORT is x")
        );
    }
}
