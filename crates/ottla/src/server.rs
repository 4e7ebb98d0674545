//! `ottla server`: puts the roles of a node together, and takes them apart again.
//!
//! ```text
//! configuration → data directory (lock, identity) → controller → logs → broker → HTTP says ready
//! SIGTERM, Ctrl-C → others lead → no new connections → requests in work end → logs flushed and
//!                   closed → exit 0
//! end of standard input, with --stop-with-input → the same, but nobody is waited for to lead:
//!                   whoever started the nodes is gone, and they all end
//! ```

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::IsTerminal;
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use ottla_broker::LogLevels;
use ottla_cli::{LogFormat, ServerStart};
use ottla_config::{Level, Loaded, NodeConfig, Sources};
use ottla_runtime::{Runtime, Shutdown, TaskKind, process, system};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, reload};

use crate::log_levels::{self, Filter};
use crate::{Node, banner, http};

/// Starts the log on standard error. What comes back changes what it lets pass.
pub fn start_log(args: &ServerStart) -> anyhow::Result<Arc<dyn LogLevels>> {
    let filter = log_levels::parse(&args.log_filter)
        .with_context(|| format!("{} is no log level", args.log_filter))?;
    let (filter, handle) = reload::Layer::new(filter);
    let log = fmt::layer().with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            let log = log.with_ansi(colours);
            tracing_subscriber::registry().with(filter).with(log).init();
        }
        LogFormat::Json => {
            let log = log.json();
            tracing_subscriber::registry().with(filter).with(log).init();
        }
    }
    let reload = move |filter| handle.reload(filter).map_err(|error| error.to_string());
    Ok(Arc::new(Filter::new(&args.log_filter, Box::new(reload))))
}

/// Reads the configuration, or says everything that is wrong with it.
pub fn configure(args: &ServerStart) -> anyhow::Result<Loaded> {
    let file = match &args.config_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| {
                format!("the configuration file {} cannot be read", path.display())
            })?;
            Some((path.display().to_string(), text))
        }
        None => None,
    };
    let sources = Sources {
        flags: args.settings.clone(),
        env: std::env::vars().collect::<BTreeMap<_, _>>(),
        file,
        hostname: system::hostname(),
    };
    NodeConfig::load(sources).map_err(anyhow::Error::new)
}

/// Runs a node until it is told to stop.
pub async fn run(
    args: &ServerStart,
    loaded: Loaded,
    log_levels: Arc<dyn LogLevels>,
) -> anyhow::Result<()> {
    let Loaded { config, notices } = loaded;
    for notice in &notices {
        match notice.level {
            Level::Info => tracing::info!(key = %notice.key, "{}", notice.message),
            Level::Warn => tracing::warn!(key = %notice.key, "{}", notice.message),
        }
    }
    if let Some(limit) = system::raise_open_files_limit() {
        tracing::debug!(limit, "open files");
    }
    let runtime = Runtime::real();
    let stop = stop_signal()?;
    let abandoned = Shutdown::new();
    if args.stop_with_input {
        watch_input(&runtime, &abandoned)?;
    }
    let config = Arc::new(config);
    let health = match &config.http_listener {
        Some(http) => {
            let listener = runtime.network.listen(&http.host, http.port).await.with_context(|| {
                format!(
                    "cannot listen for HTTP on {}:{}; choose another ottla.http.listener, or leave \
                     it empty for none",
                    http.host, http.port
                )
            })?;
            let address = listener.local_addr()?;
            Some((http::serve(&runtime, listener), address))
        }
        None => None,
    };
    let stop = async {
        tokio::select! {
            biased;
            () = stop => {}
            () = abandoned.announced() => {}
        }
    };
    let mut stop = std::pin::pin!(stop);
    let starting = Node::start(&runtime, &config, Some(log_levels));
    let mut starting = std::pin::pin!(starting);
    let node = tokio::select! {
        biased;
        started = &mut starting => started?,
        () = &mut stop => {
            tracing::info!("stopping before the node was put together");
            runtime.shutdown().announce();
            let Ok(node) = starting.await else {
                runtime.tasks.stop().await;
                return Ok(());
            };
            return stop_node(&node, &runtime, &abandoned).await;
        }
    };
    let node = Arc::new(node);
    banner::print(&node, health.as_ref().map(|(_, address)| *address));
    if let Some((slot, _)) = health {
        set(&slot, Arc::clone(&node));
    }
    stop.await;
    tracing::info!("stopping: no new connections, requests in work end first");
    stop_node(&node, &runtime, &abandoned).await?;
    tracing::info!("stopped");
    Ok(())
}

fn set(slot: &OnceLock<Arc<Node>>, node: Arc<Node>) {
    if slot.set(node).is_err() {
        ottla_runtime::fail_stop("the node was put together twice");
    }
}

/// Ends a node in order. Nobody is left to take over when all nodes were abandoned.
async fn stop_node(node: &Node, runtime: &Runtime, abandoned: &Shutdown) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        () = abandoned.announced() => {}
        () = node.hand_over() => {}
    }
    node.close(runtime).await
}

/// Announces that whoever started this process is gone.
fn watch_input(runtime: &Runtime, abandoned: &Shutdown) -> anyhow::Result<()> {
    let gone = process::parent_gone().context(
        "standard input cannot be watched; --stop-with-input is for a node whose standard input \
         is a pipe",
    )?;
    let (abandoned, shutdown) = (abandoned.clone(), runtime.shutdown().clone());
    let watching = async move {
        tokio::select! {
            biased;
            () = gone => {
                tracing::info!("standard input has ended: stopping without handing over");
                abandoned.announce();
            }
            () = shutdown.announced() => {}
        }
        Ok::<_, Infallible>(())
    };
    let tasks = &runtime.tasks;
    tasks.spawn(TaskKind::Housekeeping, "standard input", watching);
    Ok(())
}

/// Completes at the first Ctrl-C or SIGTERM.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("Ctrl-C cannot be watched")?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
