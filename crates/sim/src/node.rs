//! The host that runs the node, again and again on the same disk.

use std::sync::Arc;

use anyhow::Context;
use ottla::Node;
use ottla_config::{NodeConfig, Sources};
use ottla_runtime::disk::SimDisk;
use ottla_runtime::{Clock, Random, Runtime, Shutdown};
use parking_lot::Mutex;

use crate::disk::NodeDisk;
use crate::history::{Event, History};

/// The host's name.
pub(crate) const NODE: &str = "node";
/// Where clients find it.
pub(crate) const ADDRESS: &str = "node:9092";

/// What the world has in its hand; clones are the same.
#[derive(Clone)]
pub(crate) struct NodeControl(Arc<Inner>);

struct Inner {
    seed: u64,
    disk: NodeDisk,
    config: Arc<NodeConfig>,
    history: History,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    life: u64,
    skew_ms: i64,
    clock: Option<Clock>,
    stop: Shutdown,
    failed: Option<String>,
}

impl NodeControl {
    pub(crate) fn new(seed: u64, disk: NodeDisk, history: History) -> anyhow::Result<Self> {
        Ok(NodeControl(Arc::new(Inner {
            seed,
            disk,
            config: Arc::new(config(seed)?),
            history,
            state: Mutex::default(),
        })))
    }

    /// Asks the node to end in order.
    pub(crate) fn stop(&self) {
        self.0.state.lock().stop.announce();
    }

    /// Puts the node's wall clock that far from the true time.
    pub(crate) fn set_skew_ms(&self, skew_ms: i64) {
        let mut state = self.0.state.lock();
        let by_ms = skew_ms - state.skew_ms;
        state.skew_ms = skew_ms;
        if let Some(clock) = &state.clock {
            clock.jump_ms(by_ms);
        }
    }

    /// Why the node did not start or did not stop in order, since the last call.
    pub(crate) fn take_failure(&self) -> Option<String> {
        self.0.state.lock().failed.take()
    }

    /// One life of the node: from its start to its end in order.
    pub(crate) async fn live(self) -> turmoil::Result {
        let inner = &self.0;
        let (runtime, stop) = {
            let mut state = inner.state.lock();
            state.life += 1;
            // The disk inside is not used: the node gets the one with a switch.
            let seed = inner.seed.wrapping_mul(1_000_003).wrapping_add(state.life);
            let runtime = Runtime {
                disk: Arc::new(inner.disk.clone()),
                ..Runtime::simulated(seed, SimDisk::new(seed))
            };
            runtime.clock.jump_ms(state.skew_ms);
            state.clock = Some(runtime.clock.clone());
            state.stop = Shutdown::new();
            (runtime, state.stop.clone())
        };
        let note = |what: &str| {
            inner.history.note(Event::Node {
                what: what.to_owned(),
            });
        };
        note("starts");
        let ended = async {
            let node = Node::start(&runtime, &inner.config, None).await?;
            note("has started");
            stop.announced().await;
            note("stops");
            node.stop(&runtime).await
        };
        match ended.await {
            Ok(()) => note("has stopped"),
            Err(error) => {
                let text = format!("{error:#}");
                note(&format!("failed: {text}"));
                inner.state.lock().failed = Some(text);
            }
        }
        Ok(())
    }
}

/// Small and lively: few partitions, checkpoints every second or so.
fn config(seed: u64) -> anyhow::Result<NodeConfig> {
    let random = Random::from_seed(seed ^ 0x636f_6e66_6967);
    let checkpoint_ms = (300 + random.below(3000)).to_string();
    // With little memory consumers read from the disk, else what was just written.
    let memory_bytes = ["2097152", "67108864"][random.below(2) as usize];
    let flags = [
        ("node.id", "1"),
        ("listeners", "PLAINTEXT://:9092"),
        ("advertised.listeners", "PLAINTEXT://node:9092"),
        ("log.dirs", "/data"),
        ("log.flush.offset.checkpoint.interval.ms", &checkpoint_ms),
        ("log.retention.ms", "-1"),
        ("auto.create.topics.enable", "false"),
        ("offsets.topic.num.partitions", "2"),
        ("offsets.topic.replication.factor", "1"),
        ("ottla.memory.budget.bytes", memory_bytes),
    ];
    let flags = flags.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let sources = Sources {
        flags: flags.to_vec(),
        hostname: NODE.to_owned(),
        ..Sources::default()
    };
    let loaded = NodeConfig::load(sources).context("the simulated node's configuration")?;
    Ok(loaded.config)
}
