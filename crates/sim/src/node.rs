//! A host that runs a node, again and again on the same disk.

use std::sync::Arc;

use ottla::Node;
use ottla_config::NodeConfig;
use ottla_runtime::disk::SimDisk;
use ottla_runtime::{Clock, Runtime, Shutdown};
use parking_lot::Mutex;

use crate::disk::NodeDisk;
use crate::history::{Event, History};

/// What the world has in its hand; clones are the same.
#[derive(Clone)]
pub(crate) struct NodeControl(Arc<Inner>);

struct Inner {
    seed: u64,
    host: String,
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
    node: Option<Arc<Node>>,
}

impl NodeControl {
    pub(crate) fn new(
        seed: u64,
        host: &str,
        config: NodeConfig,
        disk: NodeDisk,
        history: History,
    ) -> Self {
        NodeControl(Arc::new(Inner {
            seed,
            host: host.to_owned(),
            disk,
            config: Arc::new(config),
            history,
            state: Mutex::default(),
        }))
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

    /// The node, from when it has started until it stops.
    pub(crate) fn running(&self) -> Option<Arc<Node>> {
        self.0.state.lock().node.clone()
    }

    /// The node is gone from one moment to the next.
    pub(crate) fn forget(&self) {
        self.0.state.lock().node = None;
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
                what: format!("{} {what}", inner.host),
            });
        };
        note("starts");
        let ended = async {
            let mut starting = std::pin::pin!(Node::start(&runtime, &inner.config, None));
            // Whoever starts may wait for others; that can be ended, too.
            let node = tokio::select! {
                biased;
                started = &mut starting => Arc::new(started?),
                () = stop.announced() => {
                    note("stops before it has started");
                    runtime.shutdown().announce();
                    let Ok(node) = starting.await else {
                        runtime.tasks.stop().await;
                        return Ok(());
                    };
                    return node.stop(&runtime).await;
                }
            };
            note("has started");
            inner.state.lock().node = Some(Arc::clone(&node));
            stop.announced().await;
            note("stops");
            let stopped = node.stop(&runtime).await;
            self.forget();
            stopped
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
