//! Reconciliations against an API server in memory, without a cluster that answers.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, from_value};

use super::*;
use crate::testing::Fake;

const NAMESPACE: &str = "kafka";

fn topic(spec: Value) -> KafkaTopic {
    let mut topic = KafkaTopic::new("orders", from_value(spec).expect("the spec is right"));
    topic.metadata.namespace = Some(NAMESPACE.to_owned());
    topic
}

fn cluster() -> KafkaCluster {
    let spec = from_value(json!({})).expect("the spec is right");
    let mut cluster = KafkaCluster::new("shop", spec);
    cluster.metadata.namespace = Some(NAMESPACE.to_owned());
    cluster
}

async fn round(fake: &Fake, context: &Arc<Context>) -> Result<Action, Error> {
    let now = fake.get::<KafkaTopic>(NAMESPACE, "orders");
    reconcile(Arc::new(now.expect("it is there")), Arc::clone(context)).await
}

fn ready(fake: &Fake) -> (String, String) {
    let now: KafkaTopic = fake.get(NAMESPACE, "orders").expect("it is there");
    let conditions = now.status.expect("a status").conditions;
    let found = conditions.into_iter().next().expect("a condition");
    (found.reason, found.message)
}

#[tokio::test]
async fn a_topic_without_a_cluster_says_so() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&topic(
        json!({ "cluster": "shop", "deletionPolicy": "Delete" }),
    ));
    let action = round(&fake, &context).await.unwrap();
    assert_eq!(action, Action::requeue(LATER));
    let (reason, message) = ready(&fake);
    assert_eq!(reason, "Unreachable");
    assert_eq!(message, "there is no KafkaCluster shop in namespace kafka");
    // Nothing is there to be deleted with it.
    assert_eq!(fake.changes(), [""; 0]);
    fake.put(&cluster());
    round(&fake, &context).await.unwrap();
    assert_eq!(ready(&fake).1, "no broker of KafkaCluster shop is ready");
}

#[tokio::test]
async fn only_a_topic_that_goes_with_its_resource_holds_it() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&cluster());
    fake.put(&topic(
        json!({ "cluster": "shop", "deletionPolicy": "Delete" }),
    ));
    let held = || {
        let now: KafkaTopic = fake.get(NAMESPACE, "orders").expect("it is there");
        !now.finalizers().is_empty()
    };
    round(&fake, &context).await.unwrap();
    assert!(held());
    let mut now: KafkaTopic = fake.get(NAMESPACE, "orders").unwrap();
    now.spec.deletion_policy = DeletionPolicy::Retain;
    fake.put(&now);
    round(&fake, &context).await.unwrap();
    assert!(!held());
}

#[tokio::test]
async fn a_topic_waits_for_its_cluster_to_be_deleted_and_goes_without_one() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&cluster());
    let mut gone = topic(json!({ "cluster": "shop", "deletionPolicy": "Delete" }));
    gone.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    gone.metadata.deletion_timestamp = Some(Time(context.now()));
    fake.put(&gone);
    round(&fake, &context).await.unwrap();
    assert_eq!(ready(&fake).0, "Deleting");
    let other = Fake::default();
    other.put(&gone);
    round(&other, &other.context()).await.unwrap();
    assert!(other.get::<KafkaTopic>(NAMESPACE, "orders").is_none());
}

#[tokio::test]
async fn an_invalid_topic_says_why() {
    let fake = Fake::default();
    fake.put(&cluster());
    fake.put(&topic(json!({ "cluster": "shop", "replicas": 5 })));
    round(&fake, &fake.context()).await.unwrap();
    let (reason, message) = ready(&fake);
    assert_eq!(reason, "Invalid");
    assert!(
        message.starts_with("spec.replicas: 5 replicas"),
        "{message}"
    );
}
