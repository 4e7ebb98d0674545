//! What a case wants to know of a pod.

use serde_json::Value;

/// A pod at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Empty until it has a place.
    pub(crate) node: String,
    pub(crate) host_ip: String,
    pub(crate) ip: String,
    pub(crate) is_ready: bool,
    pub(crate) is_deleted: bool,
    pub(crate) restarts: u64,
    /// Of the run before, if the container was started again, or else of one that has ended.
    pub(crate) exit_code: Option<i64>,
}

impl Pod {
    pub(crate) fn of(value: &Value) -> Pod {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let conditions = value["status"]["conditions"].as_array();
        let is_ready = conditions.is_some_and(|conditions| {
            let ready = conditions.iter().find(|c| c["type"] == "Ready");
            ready.is_some_and(|c| c["status"] == "True")
        });
        let container = &value["status"]["containerStatuses"][0];
        let ended = ["lastState", "state"]
            .iter()
            .find_map(|state| container[*state]["terminated"]["exitCode"].as_i64());
        Pod {
            name: text(&value["metadata"]["name"]),
            uid: text(&value["metadata"]["uid"]),
            node: text(&value["spec"]["nodeName"]),
            host_ip: text(&value["status"]["hostIP"]),
            ip: text(&value["status"]["podIP"]),
            is_ready,
            is_deleted: !value["metadata"]["deletionTimestamp"].is_null(),
            restarts: container["restartCount"].as_u64().unwrap_or_default(),
            exit_code: ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_read_from_the_api_servers_answer() {
        let value = serde_json::json!({
            "metadata": {"name": "kafka-1", "uid": "u"},
            "spec": {"nodeName": "n2"},
            "status": {
                "hostIP": "10.0.0.2", "podIP": "10.1.0.7",
                "conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "False"}],
                "containerStatuses": [{"restartCount": 2, "state": {"waiting": {}},
                    "lastState": {"terminated": {"exitCode": 1}}}],
            },
        });
        let expected = Pod {
            name: "kafka-1".into(),
            uid: "u".into(),
            node: "n2".into(),
            host_ip: "10.0.0.2".into(),
            ip: "10.1.0.7".into(),
            restarts: 2,
            exit_code: Some(1),
            ..Pod::default()
        };
        assert_eq!(Pod::of(&value), expected);
        assert_eq!(Pod::of(&Value::Null), Pod::default());
    }
}
