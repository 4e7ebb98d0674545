//! Reconciliations against an API server in memory.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use serde_json::from_value;

use super::*;
use crate::api::condition;
use crate::testing::Fake;

const NAMESPACE: &str = "kafka";

fn cluster(spec: Value) -> KafkaCluster {
    let mut cluster = KafkaCluster::new("shop", from_value(spec).expect("the spec is right"));
    cluster.metadata.namespace = Some(NAMESPACE.to_owned());
    cluster
}

/// One reconciliation of the cluster as it is now.
async fn round(fake: &Fake, context: &Arc<Context>) -> Result<Action, Error> {
    let now = fake.get::<KafkaCluster>(NAMESPACE, "shop");
    reconcile(
        Arc::new(now.expect("the cluster is there")),
        Arc::clone(context),
    )
    .await
}

fn condition_of(fake: &Fake, kind: &str) -> (String, String, String) {
    let now: KafkaCluster = fake.get(NAMESPACE, "shop").expect("the cluster is there");
    let conditions = now.status.expect("a status").conditions;
    let found = conditions.into_iter().find(|known| known.type_ == kind);
    let found = found.expect("the condition");
    (found.status, found.reason, found.message)
}

fn scheduled_pod(name: &str) -> Pod {
    from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": NAMESPACE,
            "labels": { "ottla.dev/cluster": "shop", "ottla.dev/pool": "broker" },
        },
        "spec": { "nodeName": "n1", "containers": [{ "name": "ottla", "image": "ottla:1" }] },
        "status": { "podIP": "10.0.0.1", "hostIP": "192.0.2.1" },
    }))
    .expect("a pod")
}

#[tokio::test]
async fn a_cluster_is_made_from_nothing_and_a_second_look_changes_nothing() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&cluster(json!({})));
    round(&fake, &context).await.unwrap();
    let made = fake.changes();
    insta::assert_snapshot!(made.join("\n"), @r"
    PATCH serviceaccounts/shop
    PATCH services/shop-nodes
    PATCH services/shop-internal
    PATCH configmaps/shop-broker-config
    PATCH statefulsets/shop-broker
    PATCH poddisruptionbudgets/shop-broker
    ");
    assert_eq!(fake.notes("shop").len(), 1);
    let (status, reason, _) = condition_of(&fake, condition::READY);
    assert_eq!((status.as_str(), reason.as_str()), ("False", "Creating"));
    round(&fake, &context).await.unwrap();
    assert_eq!(fake.changes(), [""; 0]);
    // An operator that has just begun knows nothing of what was applied, and changes nothing either.
    let version = |fake: &Fake| {
        let set: StatefulSet = fake.get(NAMESPACE, "shop-broker").expect("the set");
        set.metadata.resource_version
    };
    let before = version(&fake);
    round(&fake, &fake.context()).await.unwrap();
    assert_eq!(version(&fake), before);
}

#[tokio::test]
async fn a_pod_is_told_what_it_is_once_it_has_a_node() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&cluster(json!({})));
    round(&fake, &context).await.unwrap();
    fake.changes();
    fake.put(&scheduled_pod("shop-broker-0"));
    round(&fake, &context).await.unwrap();
    let changes = fake.changes();
    assert!(
        changes.contains(&"PATCH pods/shop-broker-0".to_owned()),
        "{changes:?}"
    );
    let pod: Pod = fake.get(NAMESPACE, "shop-broker-0").unwrap();
    let told = pod.metadata.annotations.unwrap();
    assert!(
        told["ottla.dev/config"].contains("advertised.listeners="),
        "{told:?}"
    );
    round(&fake, &context).await.unwrap();
    let again = fake.changes();
    assert!(
        !again.iter().any(|line| line.contains("pods/")),
        "{again:?}"
    );
}

#[tokio::test]
async fn an_invalid_resource_changes_nothing() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&cluster(json!({ "config": { "num.io.threads": "many" } })));
    round(&fake, &context).await.unwrap();
    assert_eq!(fake.changes(), [""; 0]);
    let (status, reason, message) = condition_of(&fake, condition::READY);
    assert_eq!((status.as_str(), reason.as_str()), ("False", "Invalid"));
    assert!(message.contains("num.io.threads"), "{message}");
}

#[tokio::test]
async fn a_paused_cluster_is_left_alone() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&cluster(json!({ "paused": true })));
    round(&fake, &context).await.unwrap();
    assert_eq!(fake.changes(), [""; 0]);
    assert_eq!(condition_of(&fake, condition::PROGRESSING).1, "Paused");
}

#[tokio::test]
async fn conflicts_and_failures_of_the_api_server_are_survived() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&cluster(json!({})));
    for (line, code) in [
        ("GET pods/", 500),
        ("PATCH services/shop-nodes", 409),
        ("PATCH statefulsets/shop-broker", 500),
        ("PATCH kafkaclusters/shop/status", 409),
    ] {
        fake.fail(line, code);
        let error = round(&fake, &context).await.unwrap_err();
        assert_eq!(error.is_conflict(), code == 409, "{line}: {error}");
    }
    round(&fake, &context).await.unwrap();
    let set: Option<StatefulSet> = fake.get(NAMESPACE, "shop-broker");
    assert!(set.is_some());
    // A pod that goes while it is told something.
    fake.put(&scheduled_pod("shop-broker-0"));
    fake.fail("PATCH pods/shop-broker-0", 404);
    round(&fake, &context).await.unwrap();
    // A resource that goes while its status is written.
    fake.fail("PATCH kafkaclusters/shop/status", 404);
    round(&fake, &context).await.unwrap();
}

#[tokio::test]
async fn brokers_stay_while_the_cluster_does_not_answer() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&cluster(json!({ "replicas": 5 })));
    round(&fake, &context).await.unwrap();
    let now: KafkaCluster = fake.get(NAMESPACE, "shop").unwrap();
    let fewer = KafkaCluster {
        spec: cluster(json!({ "replicas": 3 })).spec,
        ..now
    };
    fake.put(&fewer);
    round(&fake, &context).await.unwrap();
    let set: StatefulSet = fake.get(NAMESPACE, "shop-broker").unwrap();
    assert_eq!(set.spec.unwrap().replicas, Some(5));
    assert_eq!(condition_of(&fake, condition::PROGRESSING).1, "ScalingIn");
}

#[tokio::test]
async fn a_cluster_that_is_being_deleted_is_let_go() {
    let fake = Fake::default();
    let context = fake.context();
    let mut gone = cluster(json!({}));
    let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(context.now());
    gone.metadata.deletion_timestamp = Some(time);
    fake.put(&gone);
    let action = round(&fake, &context).await.unwrap();
    assert_eq!(action, Action::await_change());
    assert_eq!(fake.changes(), [""; 0]);
}

#[tokio::test]
async fn a_lead_that_is_owed_outlives_the_operator() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&cluster(json!({})));
    self::round(&fake, &context).await.unwrap();
    let now: KafkaCluster = fake.get(NAMESPACE, "shop").unwrap();
    let selector = observed::of_cluster("shop");
    let observed = Observed::of(&context, NAMESPACE, &selector, "zone").await;
    let mut round = Round {
        progress: Progress::new(&context, now.object_ref(&()), observed.unwrap()),
        cluster: &now,
        view: None,
        owed: Owed::default(),
        set_properties: BTreeSet::new(),
        throttled: BTreeSet::new(),
    };
    status::owe_leaders(&mut round, 1).await.unwrap();
    for _ in 0..2 {
        let now: KafkaCluster = fake.get(NAMESPACE, "shop").unwrap();
        assert_eq!(now.status.unwrap().restarted, [1]);
        self::round(&fake, &fake.context()).await.unwrap();
    }
}

/// A broker's pod that cannot get to its volume since a moment ago, with a claim that knows since when
/// it is lost.
fn put_lost(fake: &Fake, lost_since: &str, pod_since: &str) {
    let labels = json!({ "ottla.dev/cluster": "shop", "ottla.dev/pool": "broker" });
    let pod = json!({
        "metadata": { "name": "shop-broker-2", "namespace": NAMESPACE, "labels": labels.clone() },
        "spec": { "containers": [{ "name": "ottla", "image": "ottla:1" }] },
        "status": { "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 node(s) had volume node affinity conflict.",
            "lastTransitionTime": pod_since,
        }] },
    });
    fake.put::<Pod>(&from_value(pod).expect("a pod"));
    let claim = json!({
        "metadata": {
            "name": "data-shop-broker-2", "namespace": NAMESPACE, "labels": labels,
            "annotations": { "ottla.dev/lost-since": lost_since },
        },
    });
    fake.put::<PersistentVolumeClaim>(&from_value(claim).expect("a claim"));
}

#[tokio::test]
async fn what_was_waited_for_is_not_waited_for_again() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&cluster(json!({})));
    let now = context.now().to_string();
    put_lost(&fake, &now, &now);
    round(&fake, &context).await.unwrap();
    let (_, reason, message) = condition_of(&fake, condition::DEGRADED);
    assert_eq!(reason, "PodLost");
    assert!(message.contains("s more"), "{message}");
    put_lost(&fake, "2024-01-01T00:00:00Z", &now);
    round(&fake, &context).await.unwrap();
    let (_, _, message) = condition_of(&fake, condition::DEGRADED);
    // Nobody can say what the others have.
    assert!(message.contains("nothing is given up"), "{message}");
    // With a place it is not lost any more.
    fake.put(&scheduled_pod("shop-broker-2"));
    round(&fake, &context).await.unwrap();
    let claim: PersistentVolumeClaim = fake.get(NAMESPACE, "data-shop-broker-2").unwrap();
    let annotations = claim.metadata.annotations.unwrap_or_default();
    assert!(annotations.is_empty(), "{annotations:?}");
}
