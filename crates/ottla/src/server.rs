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
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::Context;
use ottla_broker::LogLevels;
use ottla_cli::{LogFormat, ServerStart};
use ottla_config::{KeeperConfig, Level, Loaded, NodeConfig, Notice, Sources};
use ottla_runtime::{Runtime, Shutdown, TaskKind, process, system};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{fmt, reload};

use crate::log_levels::{self, Filter};
use crate::{Node, banner, http};

/// Starts the log on standard error. What comes back changes what it lets pass.
pub fn start_log(format: LogFormat, levels: &str) -> anyhow::Result<Arc<dyn LogLevels>> {
    let filter = log_levels::parse(levels).with_context(|| format!("{levels} is no log level"))?;
    let (filter, handle) = reload::Layer::new(filter);
    let log = fmt::layer().with_writer(std::io::stderr);
    match format {
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
    Ok(Arc::new(Filter::new(levels, Box::new(reload))))
}

/// Reads the configuration, or says everything that is wrong with it.
/// `late_file` is what [`late_config`](crate::late_config) waited for.
pub fn configure(
    args: &ServerStart,
    late_file: Option<(String, String)>,
) -> anyhow::Result<Loaded> {
    let read = |path: &Option<PathBuf>| match path {
        Some(path) => read_text(path).map(|text| Some((path.display().to_string(), text))),
        None => Ok(None),
    };
    let hostname = system::hostname();
    let sources = Sources {
        flags: args.settings.clone(),
        env: std::env::vars().collect::<BTreeMap<_, _>>(),
        file: read(&args.config_file)?,
        late_file,
        keeper_file: read(&args.keeper_config_file)?,
        domain: system::domain(&hostname),
        hostname,
    };
    let mut loaded = NodeConfig::load(sources).map_err(anyhow::Error::new)?;
    if let Some(keeper) = &mut loaded.config.keeper {
        settle_keeper(keeper)?;
    }
    for (flag, reason) in &args.without_effect {
        loaded.notices.push(Notice {
            level: Level::Info,
            key: (*flag).to_owned(),
            message: format!("{flag} has no effect: {reason}."),
        });
    }
    Ok(loaded)
}

pub(crate) fn read_text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("the configuration file {} cannot be read", path.display()))
}

/// Reads what the keeper's configuration only names: the list of its servers, and which of them this
/// is. Afterwards `my_id_given` has the number.
fn settle_keeper(keeper: &mut KeeperConfig) -> anyhow::Result<()> {
    if let Some(path) = keeper.dynamic_config_file.clone() {
        let text = read_text(Path::new(&path))?;
        keeper.read_dynamic_config(&path, &text)?;
    }
    let path = Path::new(&keeper.storage.data_dir).join("myid");
    let file = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", path.display()));
        }
    };
    keeper.my_id_given = Some(keeper.my_id(file.as_deref())?);
    Ok(())
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
    let slot = Arc::new(OnceLock::new());
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
            let admin = config.keeper.as_ref().map(|keeper| &keeper.admin);
            let admin = admin.filter(|admin| admin.enabled);
            let command_url = admin.map(|admin| admin.command_url.as_str());
            http::serve(&runtime, listener, &slot, command_url);
            Some(address)
        }
        None => None,
    };
    if let Some(keeper) = &config.keeper {
        http::keeper::open_ports(&runtime, keeper, &slot).await?;
    }
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
    let data = data_of(&config);
    banner::print(&node, &data, health);
    set(&slot, Arc::clone(&node));
    stop.await;
    tracing::info!("stopping: no new connections, requests in work end first");
    stop_node(&node, &runtime, &abandoned).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Where the node's data is.
fn data_of(config: &NodeConfig) -> PathBuf {
    let of_keeper = config.keeper.as_ref().map(|k| k.storage.data_dir.clone());
    let of_kafka = config.log_dirs.first().cloned();
    let is_kafka = config.roles.broker || config.roles.controller;
    let data = if is_kafka { of_kafka } else { of_keeper };
    PathBuf::from(data.unwrap_or_default())
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
pub fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
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
