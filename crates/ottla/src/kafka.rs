//! The Kafka side of a node: controller and broker on their data directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ottla_broker::{LogLevels, MetadataAccess};
use ottla_config::NodeConfig;
use ottla_controller::Identity;
use ottla_log::{Housekeeping, LogDir, LogDirOptions};
use ottla_runtime::{Runtime, system};

use crate::own;

/// A log waits for one flush at a time; more threads than this only stand in each other's way.
const DISK_THREADS_MAX: usize = 16;

/// Controller and broker, or one of them.
pub struct Kafka {
    /// The broker; none in a process that is a controller alone.
    pub broker: Option<ottla_broker::Handle>,
    /// The node's part in the metadata quorum.
    pub controller: ottla_controller::Handle,
    /// The logs.
    pub log_dir: LogDir,
    /// Who the node is.
    pub identity: Identity,
    /// Where its data is.
    pub data: PathBuf,
}

impl Kafka {
    /// Puts the roles together. Partitions may still be recovering when this returns.
    ///
    /// `log_levels` is whoever writes the log, if clients may change its levels.
    pub(crate) async fn start(
        runtime: &Runtime,
        config: &Arc<NodeConfig>,
        log_levels: Option<Arc<dyn LogLevels>>,
    ) -> anyhow::Result<Kafka> {
        let data = data_dir(config)?;
        let budget = memory_budget_bytes(config);
        runtime
            .disk
            .create_dir_all(&data)
            .with_context(|| format!("the data directory {} cannot be made", data.display()))?;
        let log_options = log_dir_options(config, budget);
        let open = async || {
            let (doors, path, options) = (runtime.clone(), data.clone(), log_options.clone());
            let open = move || LogDir::open(&doors, options, &path);
            runtime.tasks.blocking(open).await
        };
        let is_taken = |error: &ottla_log::Error| matches!(error, ottla_log::Error::Locked { .. });
        let (log_dir, report) = own::patiently(runtime, &data, open, is_taken).await?;
        let partitions = report.partitions.len();
        if report.clean_shutdown {
            tracing::info!(data = %data.display(), partitions, "the last stop was clean");
        } else if partitions > 0 {
            tracing::info!(
                data = %data.display(),
                partitions,
                "the last run did not end cleanly: reading again what lies behind the checkpoints"
            );
        }
        let opened = Opened {
            data,
            budget,
            log_dir: log_dir.clone(),
            data_may_be_lost: partitions > 0
                && !report.clean_shutdown
                && !config.broker.acks_wait_for_disk,
        };
        let started = Kafka::start_on(runtime, config, log_levels, opened).await;
        if started.is_err() {
            // A start that is refused leaves the data as it found it: cleanly shut down.
            runtime.tasks.stop().await;
            log_dir.close().await?;
        }
        started
    }

    /// Starts the roles on the data directory, which is ours by now.
    async fn start_on(
        runtime: &Runtime,
        config: &Arc<NodeConfig>,
        log_levels: Option<Arc<dyn LogLevels>>,
        opened: Opened,
    ) -> anyhow::Result<Kafka> {
        let Opened {
            data,
            budget,
            log_dir,
            data_may_be_lost,
        } = opened;
        runtime
            .tasks
            .run("log housekeeping", Housekeeping::new(&log_dir));
        let options = ottla_controller::Options::of_node(config);
        let controller = ottla_controller::start(runtime, options, runtime.shutdown()).await?;
        let identity = controller.identity().clone();
        let broker = if config.roles.broker {
            let opened = Opened {
                data: data.clone(),
                budget,
                log_dir: log_dir.clone(),
                data_may_be_lost,
            };
            Some(start_broker(runtime, config, log_levels, opened, &controller).await?)
        } else {
            None
        };
        Ok(Kafka {
            broker,
            controller,
            log_dir,
            identity,
            data,
        })
    }

    /// Lets others lead what this node leads, while it still answers: clients find the new leaders
    /// before this one is gone.
    pub(crate) async fn hand_over(&self) {
        if let Some(broker) = &self.broker {
            broker.hand_over().await;
        }
        self.controller.resign().await;
    }

    /// Closes the logs, when all tasks have ended.
    pub(crate) async fn close(&self) -> anyhow::Result<()> {
        self.log_dir
            .close()
            .await
            .context("the logs could not be closed cleanly")
    }
}

/// Starts the broker, and waits until it takes part in the cluster.
async fn start_broker(
    runtime: &Runtime,
    config: &Arc<NodeConfig>,
    log_levels: Option<Arc<dyn LogLevels>>,
    opened: Opened,
    controller: &ottla_controller::Handle,
) -> anyhow::Result<ottla_broker::Handle> {
    let Opened {
        budget,
        log_dir,
        data_may_be_lost,
        ..
    } = opened;
    let identity = controller.identity();
    let broker = ottla_broker::start(ottla_broker::Options {
        runtime: runtime.clone(),
        config: Arc::clone(config),
        node_id: identity.node_id,
        cluster_id: identity.cluster_id.clone(),
        log_dir,
        log_levels,
        directory_id: identity.directory_id,
        is_alone: !config.quorum.is_configured(),
        data_may_be_lost,
        metadata: MetadataAccess {
            commands: controller.caller(),
            image: controller.published(),
            quorum: controller.quorum(),
            questions: controller.questions(),
        },
        request_budget_bytes: request_budget_bytes(config, budget),
        read_budget_bytes: budget / 4,
        connections_max: connections_max(),
        dedupe_buffer_bytes_max: budget as u64 / 4,
    })
    .await?;
    broker.active().await?;
    Ok(broker)
}

/// The data directory, opened.
struct Opened {
    data: PathBuf,
    budget: usize,
    log_dir: LogDir,
    data_may_be_lost: bool,
}

fn data_dir(config: &NodeConfig) -> anyhow::Result<PathBuf> {
    match config.log_dirs.as_slice() {
        [one] => Ok(PathBuf::from(one)),
        several => bail!(
            "log.dirs names {} directories, but a node keeps its data in one; name a single one",
            several.len()
        ),
    }
}

/// The memory that the node plans with: as configured, or half of what its cgroup allows. The other
/// half is the page cache's, which serves what consumers catch up with.
fn memory_budget_bytes(config: &NodeConfig) -> usize {
    let configured = u64::try_from(config.broker.memory_budget_bytes).unwrap_or(0);
    let automatic = system::memory_limit_bytes() / 2;
    let budget = if configured > 0 {
        configured
    } else {
        automatic
    };
    usize::try_from(budget).unwrap_or(usize::MAX)
}

/// What requests may take of it: as `queued.max.request.bytes` says, or a quarter.
fn request_budget_bytes(config: &NodeConfig, budget: usize) -> usize {
    match usize::try_from(config.broker.queued_max_request_bytes) {
        Ok(bytes) if bytes > 0 => bytes,
        _ => budget / 4,
    }
}

/// Three quarters of the files that the process may have open. The rest is for the logs: a flood of
/// connections must not keep them from beginning a segment.
fn connections_max() -> usize {
    let limit = system::open_files_limit().unwrap_or(u64::MAX);
    usize::try_from(limit / 4 * 3).unwrap_or(usize::MAX)
}

/// Half of what connections leave: the other half is for files that are open for a moment.
fn open_files_of_logs(most: usize) -> usize {
    let limit = system::open_files_limit().unwrap_or(u64::MAX);
    usize::try_from(limit / 8).unwrap_or(usize::MAX).min(most)
}

fn log_dir_options(config: &NodeConfig, budget_bytes: usize) -> LogDirOptions {
    let broker = &config.broker;
    let ms = |n: i64| Duration::from_millis(u64::try_from(n).unwrap_or(u64::MAX / 4));
    let defaults = LogDirOptions::default();
    let scheduler_ms = broker.log_flush_scheduler_interval_ms;
    LogDirOptions {
        disk_threads: usize::try_from(broker.num_io_threads)
            .unwrap_or(1)
            .min(DISK_THREADS_MAX),
        cache_bytes: defaults.cache_bytes.min(budget_bytes as u64 / 8),
        open_files: open_files_of_logs(defaults.open_files),
        retention_interval: ms(broker.log_retention_check_interval_ms),
        checkpoint_interval: ms(broker.log_flush_offset_checkpoint_interval_ms.into()),
        flush_check_interval: defaults.flush_check_interval.min(ms(scheduler_ms)),
        producer_id_expiration_ms: i64::from(broker.producer_id_expiration_ms),
        producer_id_check_interval: ms(broker.producer_id_expiration_check_interval_ms.into()),
        verify_transactions: broker.transaction_partition_verification_enable,
        transaction_max_timeout_ms: broker.transaction_max_timeout_ms.into(),
        reserve_bytes: u64::try_from(broker.disk_reserve_bytes).unwrap_or(0),
        ..defaults
    }
}
