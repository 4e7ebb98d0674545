//! The operator's own port: its health, and what it measures.

use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ottla_operator::Metrics;
use ottla_runtime::Runtime;

/// Serves in the background until the end is announced.
///
/// # Errors
/// The port is taken.
pub async fn serve(runtime: &Runtime, port: u16, metrics: &Arc<Metrics>) -> anyhow::Result<()> {
    let listening = runtime.network.listen("", port).await;
    let listener = listening
        .with_context(|| format!("cannot listen for HTTP on port {port}; choose another --port"))?;
    let router = Router::new()
        .route("/health/live", get(|| async { "alive" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(text))
        .with_state(Arc::clone(metrics));
    super::run(runtime, "http", listener, router);
    Ok(())
}

/// Ready means that the API server was found; whether it is this operator's turn is another thing.
async fn ready(State(metrics): State<Arc<Metrics>>) -> Response {
    if metrics.is_ready() {
        (StatusCode::OK, "ready").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting").into_response()
    }
}

async fn text(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.text() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
