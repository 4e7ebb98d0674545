//! A node: its roles put together, and taken apart again.
//!
//! ```text
//! keeper (its own folder with a lock, its own ensemble, its own port)
//! data directory (lock) → controller (identity, quorum) → broker (registers, opens its logs, serves)
//! stop: others lead what this broker led → another controller and another keeper lead → no new
//!       connections → requests in work end → logs flushed and closed
//! ```

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use ottla_broker::LogLevels;
use ottla_config::{KeeperConfig, NodeConfig};
use ottla_runtime::Runtime;
use ottla_runtime::disk::Lock;

use crate::kafka::Kafka;
use crate::own;

/// A running node.
pub struct Node {
    /// Controller and broker; none in a process that is a keeper alone.
    pub kafka: Option<Kafka>,
    /// The keeper, if the process has that role.
    pub keeper: Option<ottla_keeper::Handle>,
    /// What keeps others out of the keeper's folder.
    _keeper_lock: Option<Box<dyn Lock>>,
}

impl Node {
    /// Puts the roles together. Partitions may still be recovering when this returns.
    ///
    /// `log_levels` is whoever writes the log, if clients may change its levels.
    pub async fn start(
        runtime: &Runtime,
        config: &Arc<NodeConfig>,
        log_levels: Option<Arc<dyn LogLevels>>,
    ) -> anyhow::Result<Node> {
        let roles = config.roles;
        if !(roles.broker || roles.controller || roles.keeper) {
            bail!("process.roles is empty; name broker, controller, keeper, or several of them");
        }
        let (keeper, keeper_lock) = match &config.keeper {
            Some(config) => {
                let folder = Path::new(&config.storage.data_dir);
                let lock = own::keeper_folder(runtime, folder).await?;
                let keeper = Box::pin(start_keeper(runtime, config)).await?;
                (Some(keeper), Some(lock))
            }
            None => (None, None),
        };
        let kafka = if roles.broker || roles.controller {
            let started = Box::pin(Kafka::start(runtime, config, log_levels)).await;
            if started.is_err() {
                runtime.tasks.stop().await;
            }
            Some(started?)
        } else {
            None
        };
        Ok(Node {
            kafka,
            keeper,
            _keeper_lock: keeper_lock,
        })
    }

    /// Ends everything in order; after this the next start scans nothing.
    pub async fn stop(&self, runtime: &Runtime) -> anyhow::Result<()> {
        self.hand_over().await;
        self.close(runtime).await
    }

    /// Lets others lead what this node leads, while it still answers: clients find the new leaders
    /// before this one is gone.
    pub async fn hand_over(&self) {
        if let Some(kafka) = &self.kafka {
            kafka.hand_over().await;
        }
        if let Some(keeper) = &self.keeper {
            keeper.resign().await;
        }
    }

    /// Ends everything without handing it over.
    pub async fn close(&self, runtime: &Runtime) -> anyhow::Result<()> {
        runtime.tasks.stop().await;
        match &self.kafka {
            Some(kafka) => kafka.close().await,
            None => Ok(()),
        }
    }

    /// The broker, if the process has that role.
    #[must_use]
    pub fn broker(&self) -> Option<&ottla_broker::Handle> {
        self.kafka.as_ref()?.broker.as_ref()
    }
}

/// Starts the keeper; its configuration has its number by now.
async fn start_keeper(
    runtime: &Runtime,
    config: &KeeperConfig,
) -> anyhow::Result<ottla_keeper::Handle> {
    let options = ottla_keeper::Options {
        id: config.my_id(None)?,
        config: Arc::new(config.clone()),
    };
    let starting = ottla_keeper::start(runtime, options, runtime.shutdown());
    Ok(starting.await?)
}
