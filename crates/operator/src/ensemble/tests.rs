//! Reconciliations against an API server in memory.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{from_value, json};

use super::*;
use crate::testing::Fake;

const NAMESPACE: &str = "zoo";

fn ensemble(spec: Value) -> KeeperEnsemble {
    let mut ensemble = KeeperEnsemble::new("zk", from_value(spec).expect("the spec is right"));
    ensemble.metadata.namespace = Some(NAMESPACE.to_owned());
    ensemble
}

async fn round(fake: &Fake, context: &Arc<Context>) -> Result<Action, Error> {
    let now = fake.get::<KeeperEnsemble>(NAMESPACE, "zk");
    reconcile(Arc::new(now.expect("it is there")), Arc::clone(context)).await
}

fn reason(fake: &Fake, kind: &str) -> String {
    let now: KeeperEnsemble = fake.get(NAMESPACE, "zk").expect("it is there");
    let conditions = now.status.expect("a status").conditions;
    let found = conditions.into_iter().find(|known| known.type_ == kind);
    found.expect("the condition").reason
}

#[tokio::test]
async fn an_ensemble_is_made_from_nothing_and_a_second_look_changes_nothing() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&ensemble(json!({})));
    round(&fake, &context).await.unwrap();
    insta::assert_snapshot!(fake.changes().join("\n"), @r"
    POST secrets/
    PATCH serviceaccounts/zk-keeper
    PATCH services/zk-servers
    PATCH services/zk
    PATCH configmaps/zk-keeper-config
    PATCH statefulsets/zk-keeper
    PATCH poddisruptionbudgets/zk-keeper
    ");
    let secret: Secret = fake.get(NAMESPACE, "zk-keeper-admin").unwrap();
    assert_eq!(secret.metadata.owner_references.unwrap().len(), 1);
    round(&fake, &context).await.unwrap();
    assert_eq!(fake.changes(), [""; 0]);
}

#[tokio::test]
async fn without_secrets_an_ensemble_runs_all_the_same() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&ensemble(json!({})));
    fake.fail("GET secrets/", 403);
    round(&fake, &context).await.unwrap();
    assert!(fake.get::<StatefulSet>(NAMESPACE, "zk-keeper").is_some());
    assert!(fake.get::<Secret>(NAMESPACE, "zk-keeper-admin").is_none());
}

#[tokio::test]
async fn servers_stay_while_the_ensemble_does_not_answer() {
    let fake = Fake::default();
    let context = fake.context();
    fake.put(&ensemble(json!({ "replicas": 5 })));
    round(&fake, &context).await.unwrap();
    let now: KeeperEnsemble = fake.get(NAMESPACE, "zk").unwrap();
    let spec = ensemble(json!({ "replicas": 3 })).spec;
    fake.put(&KeeperEnsemble { spec, ..now });
    round(&fake, &context).await.unwrap();
    let set: StatefulSet = fake.get(NAMESPACE, "zk-keeper").unwrap();
    assert_eq!(set.spec.unwrap().replicas, Some(5));
    assert_eq!(reason(&fake, "Progressing"), "ScalingIn");
}

#[tokio::test]
async fn what_is_paused_or_invalid_is_left_alone() {
    for (spec, expected) in [
        (json!({ "paused": true }), "Paused"),
        (json!({ "config": { "tickTime": "often" } }), "Invalid"),
    ] {
        let fake = Fake::default();
        fake.put(&ensemble(spec));
        round(&fake, &fake.context()).await.unwrap();
        assert_eq!(fake.changes(), [""; 0]);
        assert_eq!(reason(&fake, "Progressing"), expected);
    }
}
