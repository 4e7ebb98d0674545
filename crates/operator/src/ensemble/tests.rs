//! Reconciliations against an API server in memory.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
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

/// A server's pod that has been waiting for long, as `status` says for what, with its claim.
fn put_lost(fake: &Fake, spec: Value, status: Value) {
    let labels = json!({ "ottla.dev/ensemble": "zk" });
    let metadata =
        |name: &str| json!({ "name": name, "namespace": NAMESPACE, "labels": labels.clone() });
    let pod = json!({ "metadata": metadata("zk-keeper-2"), "spec": spec, "status": status });
    fake.put::<Pod>(&from_value(pod).expect("a pod"));
    let claim = json!({ "metadata": metadata("data-zk-keeper-2") });
    fake.put::<PersistentVolumeClaim>(&from_value(claim).expect("a claim"));
}

const LONG_AGO: &str = "2024-01-01T00:00:00Z";

fn put_without_volume(fake: &Fake) {
    put_unscheduled(fake, LONG_AGO);
}

/// A pod that looks for its volume since then. Its claim stays as it is.
fn put_unscheduled(fake: &Fake, since: &str) {
    let condition = json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 node(s) had volume node affinity conflict.",
        "lastTransitionTime": since,
    });
    let spec = json!({ "containers": [] });
    put_lost(fake, spec, json!({ "conditions": [condition] }));
}

/// A pod that is not ready since long ago, on a node that is ready or not since then.
fn put_on_node(fake: &Fake, is_well: bool, since: &str) {
    let status = if is_well { "True" } else { "Unknown" };
    let node = json!({
        "metadata": { "name": "n3" },
        "status": { "conditions": [
            { "type": "Ready", "status": status, "lastTransitionTime": since },
        ] },
    });
    fake.put::<k8s_openapi::api::core::v1::Node>(&from_value(node).expect("a node"));
    let condition = json!({ "type": "Ready", "status": "False", "lastTransitionTime": LONG_AGO });
    let spec = json!({ "nodeName": "n3", "containers": [] });
    put_lost(fake, spec, json!({ "conditions": [condition] }));
}

/// So many seconds before now.
fn ago(context: &Context, seconds: i64) -> String {
    let then = context.now().as_second() - seconds;
    let then = k8s_openapi::jiff::Timestamp::from_second(then);
    then.expect("a time").to_string()
}

fn claim(fake: &Fake) -> Option<PersistentVolumeClaim> {
    fake.get(NAMESPACE, "data-zk-keeper-2")
}

/// Since when the claim says that its pod is lost.
fn lost_since(fake: &Fake) -> Option<String> {
    let annotations = claim(fake)?.metadata.annotations?;
    annotations.get("ottla.dev/lost-since").cloned()
}

#[tokio::test]
async fn a_server_is_taken_from_a_node_that_does_not_answer() {
    let fake = Fake::default();
    fake.put(&ensemble(json!({})));
    put_on_node(&fake, false, LONG_AGO);
    round(&fake, &fake.context()).await.unwrap();
    assert!(fake.get::<Pod>(NAMESPACE, "zk-keeper-2").is_none());
    assert!(claim(&fake).is_some());
    let notes = fake.notes("zk");
    assert!(
        notes.iter().any(|note| note.contains("taken from there")),
        "{notes:?}"
    );
}

#[tokio::test]
async fn a_lost_node_is_waited_for_once_whichever_pod_and_operator_comes() {
    let fake = Fake::default();
    let resource = ensemble(json!({ "rolling": { "rebuildAfterSeconds": 600 } }));
    // Five sixths of the time are not over yet.
    let context = fake.context();
    let since = ago(&context, 490);
    put_on_node(&fake, false, &since);
    let mut round = observing(&resource, &context, 1).await;
    lost::rebuild(&mut round).await.unwrap();
    assert_eq!(lost_since(&fake), Some(since.clone()));
    assert!(fake.get::<Pod>(NAMESPACE, "zk-keeper-2").is_some());
    assert_eq!(round.wrong.len(), 1);
    // Now they are: the pod goes, and the next one looks for its volume somewhere else.
    for (waited, is_given_up) in [(550, false), (601, true)] {
        let context = fake.context();
        let since = ago(&context, waited);
        put_on_node(&fake, false, &since);
        let mut round = observing(&resource, &context, 1).await;
        lost::rebuild(&mut round).await.unwrap();
        assert!(fake.get::<Pod>(NAMESPACE, "zk-keeper-2").is_none());
        assert_eq!(lost_since(&fake), Some(since.clone()));
        let kept = claim(&fake).expect("the claim");
        // A new pod, and a new operator.
        let context = fake.context();
        put_unscheduled(&fake, &ago(&context, 1));
        fake.put(&kept);
        let mut round = observing(&resource, &context, 1).await;
        lost::rebuild(&mut round).await.unwrap();
        assert_eq!(claim(&fake).is_none(), is_given_up, "{waited}");
    }
}

#[tokio::test]
async fn a_node_that_came_back_is_waited_for_anew_the_next_time() {
    let fake = Fake::default();
    let resource = ensemble(json!({}));
    put_on_node(&fake, false, &ago(&fake.context(), 60));
    let look = async || {
        let context = fake.context();
        let mut round = observing(&resource, &context, 1).await;
        lost::rebuild(&mut round).await.unwrap();
    };
    look().await;
    let kept = claim(&fake).expect("the claim");
    assert!(lost_since(&fake).is_some());
    put_on_node(&fake, true, &ago(&fake.context(), 1));
    fake.put(&kept);
    look().await;
    assert_eq!(lost_since(&fake), None);
    fake.changes();
    look().await;
    assert_eq!(fake.changes(), [""; 0]);
}

#[tokio::test]
async fn a_lost_volume_is_kept_while_the_ensemble_does_not_answer() {
    let fake = Fake::default();
    fake.put(&ensemble(json!({})));
    put_without_volume(&fake);
    round(&fake, &fake.context()).await.unwrap();
    let claim = fake.get::<PersistentVolumeClaim>(NAMESPACE, "data-zk-keeper-2");
    assert!(claim.is_some());
    assert_eq!(reason(&fake, "Degraded"), "PodLost");
}

/// A reconciliation while server 1 leads, and so many others of three are in step.
async fn observing<'a>(
    ensemble: &'a KeeperEnsemble,
    context: &'a Context,
    synced: usize,
) -> Round<'a> {
    let selector = observed::of_ensemble("zk");
    let observed = Observed::of(context, NAMESPACE, &selector, "zone").await;
    let mode = |id, mode: &str| (id, mode.to_owned());
    let mut progress = Progress::new(context, ensemble.object_ref(&()), observed.unwrap());
    progress.nodes = keeper::nodes(ensemble, &keeper::sizes(ensemble));
    Round {
        progress,
        ensemble,
        servers: Servers {
            modes: [mode(1, "leader"), mode(2, "follower")].into(),
            synced,
            voters: Some([1, 2, 3].into()),
        },
        password: None,
    }
}

#[tokio::test]
async fn a_lost_volume_is_given_up_when_it_was_waited_for_and_the_others_are_a_majority() {
    for (wait, is_given_up) in [(60, true), (0, false)] {
        let fake = Fake::default();
        let context = fake.context();
        let resource = ensemble(json!({ "rolling": { "rebuildAfterSeconds": wait } }));
        put_without_volume(&fake);
        let mut round = observing(&resource, &context, 1).await;
        lost::rebuild(&mut round).await.unwrap();
        let claim = fake.get::<PersistentVolumeClaim>(NAMESPACE, "data-zk-keeper-2");
        assert_eq!(claim.is_none(), is_given_up);
        let pod = fake.get::<Pod>(NAMESPACE, "zk-keeper-2");
        assert_eq!(pod.is_none(), is_given_up);
        let is = |all: &[(Reason, String)], reason| all.iter().any(|(known, _)| *known == reason);
        assert_eq!(is(&round.doing, Reason::Rebuilding), is_given_up);
        assert_eq!(is(&round.wrong, Reason::PodLost), !is_given_up);
    }
}

#[tokio::test]
async fn the_pod_that_comes_with_the_next_volume_has_its_own_time() {
    let fake = Fake::default();
    let context = fake.context();
    let resource = ensemble(json!({}));
    put_unscheduled(&fake, &ago(&context, 1));
    // The volume that was given up is not quite gone.
    let mut going = claim(&fake).expect("the claim");
    let since = ("ottla.dev/lost-since".to_owned(), LONG_AGO.to_owned());
    going.metadata.annotations = Some([since].into());
    let now = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(context.now());
    going.metadata.deletion_timestamp = Some(now);
    fake.put(&going);
    let mut round = observing(&resource, &context, 1).await;
    lost::rebuild(&mut round).await.unwrap();
    assert!(fake.get::<Pod>(NAMESPACE, "zk-keeper-2").is_some());
    assert_eq!(round.wrong.len(), 1);
}

fn evictions(fake: &Fake) -> Option<IntOrString> {
    let budget: PodDisruptionBudget = fake.get(NAMESPACE, "zk-keeper").expect("a budget");
    budget.spec?.max_unavailable
}

#[tokio::test]
async fn no_server_is_evicted_while_one_is_behind_nor_while_nobody_answers_after_that() {
    let fake = Fake::default();
    let context = fake.context();
    let resource = ensemble(json!({}));
    fake.put(&resource);
    round(&fake, &context).await.unwrap();
    let resource: KeeperEnsemble = fake.get(NAMESPACE, "zk").unwrap();
    let sizes = keeper::sizes(&resource);
    for (synced, expected) in [(2, 1), (1, 0), (2, 0)] {
        let mut round = observing(&resource, &context, synced).await;
        round.apply(&sizes, None).await.unwrap();
        assert_eq!(evictions(&fake), Some(IntOrString::Int(expected)));
        assert_eq!(round.holds_pods, expected == 0);
    }
    // A new operator that nobody answers does not know, and leaves the budget as it is.
    let context = fake.context();
    round(&fake, &context).await.unwrap();
    assert_eq!(evictions(&fake), Some(IntOrString::Int(0)));
    fake.changes();
    round(&fake, &context).await.unwrap();
    assert_eq!(fake.changes(), [""; 0]);
    // One that knows that all are in step does.
    let context = fake.context();
    let mut round = observing(&resource, &context, 2).await;
    round.apply(&sizes, None).await.unwrap();
    assert_eq!(evictions(&fake), Some(IntOrString::Int(1)));
}

#[tokio::test]
async fn what_is_not_so_any_more_goes_from_the_status() {
    let fake = Fake::default();
    let mut known = ensemble(json!({}));
    known.status = Some(crate::api::KeeperEnsembleStatus {
        leader: Some("zk-keeper-1".to_owned()),
        ..Default::default()
    });
    fake.put(&known);
    round(&fake, &fake.context()).await.unwrap();
    let now: KeeperEnsemble = fake.get(NAMESPACE, "zk").unwrap();
    let status = now.status.unwrap();
    assert_eq!(status.leader, None);
    assert_eq!(status.servers.len(), 3);
}
