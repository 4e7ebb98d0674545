//! What keeps a service mesh's proxy beside a broker from being in its way.
//!
//! A broker that stops hands its partitions over first, over the network. A proxy that stops at the
//! same SIGTERM would cut it off, and one that starts late would make its first connections fail. A
//! *native sidecar* (an init container that restarts) starts before the broker and stops after it,
//! so that is what both meshes are asked for. Istio also gets what serves the same end where its
//! version or the Kubernetes below it knows no native sidecars; Linkerd's substitute
//! (`proxy-wait-before-exit-seconds`) must not be given together with one.
//!
//! Sources: Istio's "Resource Annotations" and `ProxyConfig`, Linkerd's "Proxy Configuration".

use serde_json::json;

use super::metadata::Labels;
use crate::api::Mesh;

/// Labels of pods.
pub(crate) fn pod_labels(mesh: Option<Mesh>) -> Labels {
    match mesh {
        Some(Mesh::Istio) => pairs([("sidecar.istio.io/inject", "true".to_owned())]),
        Some(Mesh::Linkerd) | None => Labels::new(),
    }
}

/// Annotations of pods.
pub(crate) fn pod_annotations(mesh: Option<Mesh>, ports: &[i32], grace_seconds: i64) -> Labels {
    match mesh {
        None => Labels::new(),
        Some(Mesh::Istio) => {
            // Without native sidecars the proxy leaves when no connection is left, and so after the
            // broker; where it does not know that either, after the grace period.
            let config = json!({
                "holdApplicationUntilProxyStarts": true,
                "proxyMetadata": { "EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true" },
                "terminationDrainDuration": format!("{grace_seconds}s"),
            });
            pairs([
                ("proxy.istio.io/config", config.to_string()),
                ("sidecar.istio.io/nativeSidecar", "true".to_owned()),
            ])
        }
        Some(Mesh::Linkerd) => pairs([
            (
                "config.alpha.linkerd.io/proxy-enable-native-sidecar",
                "true".to_owned(),
            ),
            (
                "config.beta.linkerd.io/proxy-enable-native-sidecar",
                "true".to_owned(),
            ),
            ("config.linkerd.io/opaque-ports", opaque(ports)),
            ("config.linkerd.io/proxy-await", "enabled".to_owned()),
            ("linkerd.io/inject", "enabled".to_owned()),
        ]),
    }
}

/// Annotations of Services: a client's proxy looks there for what the ports speak.
pub(crate) fn service_annotations(mesh: Option<Mesh>, ports: &[i32]) -> Labels {
    match mesh {
        Some(Mesh::Linkerd) => pairs([("config.linkerd.io/opaque-ports", opaque(ports))]),
        Some(Mesh::Istio) | None => Labels::new(),
    }
}

/// Ports on which Linkerd must not wait for the client to speak HTTP.
fn opaque(ports: &[i32]) -> String {
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    ports.join(",")
}

fn pairs<const N: usize>(pairs: [(&str, String); N]) -> Labels {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
