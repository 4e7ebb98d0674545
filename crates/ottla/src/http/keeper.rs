//! The keeper over HTTP: AdminServer's commands, and its metrics on a port of their own.
//!
//! ```text
//! ottla.http.listener  ─▶ /health/*, /metrics, admin.commandURL/*
//! admin.serverPort     ─▶ admin.commandURL/*
//! metricsProvider.*    ─▶ /metrics
//! ```

mod backup;

use std::sync::{Arc, OnceLock};

use anyhow::Context;
use axum::Router;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use ottla_config::{KeeperConfig, KeeperListener};
use ottla_keeper::admin::{self, AdminAnswer};
use ottla_keeper::backup::{RESTORE, SNAPSHOT};
use ottla_keeper::monitor::Dialect;
use ottla_runtime::Runtime;

use super::accept::Peer;
use super::run;
use crate::Node;

/// The keeper, once the node is put together.
#[derive(Clone)]
pub(super) struct Keeper {
    pub(super) runtime: Runtime,
    pub(super) node: Arc<OnceLock<Arc<Node>>>,
    /// Where AdminServer's commands are, such as `/commands`.
    pub(super) command_url: Arc<str>,
}

impl Keeper {
    fn handle(&self) -> Option<ottla_keeper::Handle> {
        self.node.get()?.keeper.clone()
    }
}

/// Opens the ports that the keeper's configuration wants for itself.
pub(crate) async fn open_ports(
    runtime: &Runtime,
    config: &KeeperConfig,
    node: &Arc<OnceLock<Arc<Node>>>,
) -> anyhow::Result<()> {
    let keeper = Keeper {
        runtime: runtime.clone(),
        node: Arc::clone(node),
        command_url: config.admin.command_url.clone().into(),
    };
    if let Some(listener) = &config.admin.listener {
        let listening = listen(runtime, listener, "admin.serverPort").await?;
        let router = Router::new().fallback(commands).with_state(keeper.clone());
        run(runtime, "AdminServer", listening, router);
    }
    if let Some(listener) = &config.metrics_listener {
        let listening = listen(runtime, listener, "metricsProvider.httpPort").await?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .with_state(keeper);
        run(runtime, "the keeper's metrics", listening, router);
    }
    Ok(())
}

async fn listen(
    runtime: &Runtime,
    at: &KeeperListener,
    property: &str,
) -> anyhow::Result<ottla_runtime::net::Listener> {
    let KeeperListener { host, port } = at;
    let listening = runtime.network.listen(host, *port).await;
    listening.with_context(|| {
        let host = if host.is_empty() { "*" } else { host };
        format!("cannot listen on {host}:{port}; choose another {property}")
    })
}

/// AdminServer's commands below its path, and nothing else.
pub(super) async fn commands(
    State(keeper): State<Keeper>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response {
    let (uri, method) = (request.uri().clone(), request.method().clone());
    let below = uri.path().strip_prefix(&*keeper.command_url);
    let Some(below) = below.filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let command = below.trim_start_matches('/');
    let is_restore = RESTORE.contains(&command);
    let takes: &[Method] = match is_restore {
        true => &[Method::POST],
        false => &[Method::GET, Method::HEAD],
    };
    if !takes.contains(&method) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Some(handle) = keeper.handle() else {
        return missing();
    };
    if command.is_empty() {
        return Html(admin::index(&keeper.command_url)).into_response();
    }
    let Ok(Query(query)) = Query::<admin::Query>::try_from_uri(&uri) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if is_restore {
        return backup::restore(handle, &peer, request, &query).await;
    }
    if SNAPSHOT.contains(&command) {
        let headers = request.headers();
        return backup::snapshot(&keeper.runtime, handle, &peer, headers, &query).await;
    }
    let command = command.to_owned();
    let running = keeper
        .runtime
        .tasks
        .blocking(move || handle.admin(&command, &query));
    json(running.await)
}

fn json(answer: AdminAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        answer.json,
    )
        .into_response()
}

/// The keeper's metrics alone, as ZooKeeper's own provider serves them.
async fn metrics(State(keeper): State<Keeper>) -> Response {
    let Some(handle) = keeper.handle() else {
        return missing();
    };
    let dialect = Dialect::Text;
    let reading = keeper
        .runtime
        .tasks
        .blocking(move || handle.reading().prometheus(dialect));
    (
        [(header::CONTENT_TYPE, dialect.content_type())],
        reading.await,
    )
        .into_response()
}

fn missing() -> Response {
    let reason = "the node is being put together, or has no keeper\n";
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

#[cfg(test)]
mod tests;
