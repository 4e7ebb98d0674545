//! What a cluster's own tools tell of it.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{CHANGE_LIMIT, Cluster};
use crate::kube::space::within;

/// A partition of a topic.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) leader: Option<i64>,
    pub(super) replicas: Vec<i64>,
}

impl Cluster<'_> {
    /// What `ottla` says in a pod of a broker.
    pub(super) fn ottla(&self, ordinal: usize, arguments: &[&str]) -> Result<Value> {
        let connection = ["-b", "localhost:9091", "-o", "json"];
        let program = [&["/ottla"], arguments, &connection].concat();
        let text = self.space.exec(&self.pod(ordinal), &program)?;
        serde_json::from_str(&text).with_context(|| format!("{text:?} is no JSON"))
    }

    pub(super) fn partitions(&self, topic: &str) -> Result<Vec<Partition>> {
        let described = self.ottla(0, &["topic", "describe", topic])?;
        let partitions = list(&described["topics"][0]["partitions"]).iter();
        Ok(partitions
            .map(|partition| Partition {
                leader: partition["leader"].as_i64(),
                replicas: list(&partition["replicas"])
                    .iter()
                    .filter_map(Value::as_i64)
                    .collect(),
            })
            .collect())
    }

    /// Waits until no replica is behind.
    pub(super) fn in_sync(&self) -> Result<()> {
        within(CHANGE_LIMIT, "all replicas are in sync", || {
            let behind = self.ottla(0, &["topic", "describe", "--under-replicated"])?;
            Ok(behind["partitions"].as_array().is_some_and(Vec::is_empty))
        })
    }

    pub(super) fn quorum_leader(&self) -> Result<i64> {
        let described = self.ottla(0, &["quorum", "describe"])?;
        let leader = described["leader"].as_i64();
        leader.with_context(|| format!("nobody leads the quorum: {described}"))
    }

    /// The nodes that vote in the quorum.
    pub(super) fn voters(&self) -> Result<BTreeSet<i64>> {
        let described = self.ottla(0, &["quorum", "describe"])?;
        let members = list(&described["members"]).iter();
        let voters = members.filter(|member| member["role"] != "observer");
        Ok(voters.filter_map(|member| member["id"].as_i64()).collect())
    }

    /// The brokers that the cluster knows.
    pub(super) fn brokers(&self) -> Result<BTreeSet<i64>> {
        let listed = self.ottla(0, &["broker", "list"])?;
        let brokers = list(&listed["brokers"]).iter();
        Ok(brokers.filter_map(|broker| broker["id"].as_i64()).collect())
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
