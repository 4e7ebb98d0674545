//! The HTTP port: health for Kubernetes' probes, metrics for Prometheus.

mod accept;
pub(crate) mod keeper;
pub mod operator;

use std::sync::{Arc, OnceLock};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use ottla_runtime::net::Listener;
use ottla_runtime::{Runtime, TaskKind};
use serde::Serialize;

use self::accept::{Accept, Peer};
use crate::{Node, metrics};

/// What the probes are told. The node is missing until it is put together.
#[derive(Clone)]
pub(crate) struct Http {
    runtime: Runtime,
    node: Arc<OnceLock<Arc<Node>>>,
}

/// The body of every health answer.
#[derive(Serialize)]
struct Health {
    status: &'static str,
    reason: String,
    /// Partitions that this node holds, and those whose log is recovered.
    partitions_total: usize,
    partitions_ready: usize,
    recovery: Option<Recovery>,
}

/// How far the recovery of the logs has come.
#[derive(Serialize)]
struct Recovery {
    logs_total: u64,
    logs_done: u64,
    bytes_scanned: u64,
}

/// Serves in the background. The node is handed in later, so that the startup probe has an answer
/// while large logs are recovered.
///
/// `command_url` is where AdminServer's commands are, if they are served.
pub(crate) fn serve(
    runtime: &Runtime,
    listener: Listener,
    node: &Arc<OnceLock<Arc<Node>>>,
    command_url: Option<&str>,
) {
    let http = Http {
        runtime: runtime.clone(),
        node: Arc::clone(node),
    };
    let mut router = Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/health/startup", get(startup))
        .route("/metrics", get(metrics_text))
        .with_state(http);
    if let Some(command_url) = command_url {
        let keeper = keeper::Keeper {
            runtime: runtime.clone(),
            node: Arc::clone(node),
            command_url: command_url.into(),
        };
        router = router.merge(Router::new().fallback(keeper::commands).with_state(keeper));
    }
    run(runtime, "http", listener, router);
}

/// Serves in the background until the node stops.
fn run(runtime: &Runtime, name: &'static str, listener: Listener, router: Router) {
    let shutdown = runtime.shutdown().clone();
    let clock = runtime.clock.clone();
    let served = async move {
        let service = router.into_make_service_with_connect_info::<Peer>();
        let server = axum::serve(Accept::new(listener, clock), service);
        // Open connections of scrapers are no reason to stay.
        tokio::select! {
            biased;
            () = shutdown.announced() => Ok(()),
            result = server => result,
        }
    };
    runtime.tasks.spawn(TaskKind::Service, name, served);
}

/// Alive means that the process answers: only a restart helps when it does not.
async fn live() -> Response {
    answer(StatusCode::OK, "alive", String::new(), None)
}

/// Ready means that clients are served: every partition's log is recovered, and the keeper has a
/// leader. So a rolling restart waits for a keeper's vote before it takes the next one.
async fn ready(State(http): State<Http>) -> Response {
    let node = http.node.get().map(|n| &**n);
    if http.runtime.shutdown().is_announced() {
        let reason = "the node is stopping".to_owned();
        return answer(StatusCode::SERVICE_UNAVAILABLE, "stopping", reason, node);
    }
    let keeper = node.and_then(|n| n.keeper.as_ref());
    if keeper.is_some_and(|k| !k.is_serving() && !k.serves_readers_alone()) {
        let reason = "the keeper has no leader: most of its servers are not there".to_owned();
        return answer(StatusCode::SERVICE_UNAVAILABLE, "leaderless", reason, node);
    }
    started(node, "ready")
}

/// Started means that, but for the keeper's leader, which comes with other servers that start: it is
/// asked while the node recovers, and tells how far it has come.
async fn startup(State(http): State<Http>) -> Response {
    started(http.node.get().map(|n| &**n), "started")
}

fn started(node: Option<&Node>, word: &'static str) -> Response {
    let Some(node) = node else {
        let reason = "the node is being put together".to_owned();
        return answer(StatusCode::SERVICE_UNAVAILABLE, "starting", reason, None);
    };
    let (total, ready) = partitions(node);
    if node.broker().is_some_and(|b| b.is_fenced()) {
        let reason = "the broker is fenced: the controller does not hear it".to_owned();
        return answer(
            StatusCode::SERVICE_UNAVAILABLE,
            "fenced",
            reason,
            Some(node),
        );
    }
    if ready < total {
        let reason = format!("{ready} of {total} partitions are recovered");
        return answer(
            StatusCode::SERVICE_UNAVAILABLE,
            "recovering",
            reason,
            Some(node),
        );
    }
    answer(StatusCode::OK, word, String::new(), Some(node))
}

/// How many partitions the node holds, and how many of them can be used already.
fn partitions(node: &Node) -> (usize, usize) {
    node.broker().map_or((0, 0), |b| b.partitions())
}

fn answer(code: StatusCode, status: &'static str, reason: String, node: Option<&Node>) -> Response {
    let (partitions_total, partitions_ready) = node.map_or((0, 0), partitions);
    let recovery = node.and_then(|n| n.kafka.as_ref()).map(|kafka| {
        let progress = kafka.log_dir.recovery_progress();
        Recovery {
            logs_total: progress.logs_total(),
            logs_done: progress.logs_done(),
            bytes_scanned: progress.bytes_scanned(),
        }
    });
    let health = Health {
        status,
        reason,
        partitions_total,
        partitions_ready,
        recovery,
    };
    (code, Json(health)).into_response()
}

async fn metrics_text(State(http): State<Http>) -> Response {
    let Some(node) = http.node.get() else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the node is being put together\n",
        )
            .into_response();
    };
    let node = Arc::clone(node);
    match http
        .runtime
        .tasks
        .blocking(move || metrics::text(&node))
        .await
    {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
