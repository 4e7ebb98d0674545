//! The only door to time, randomness, tasks, disk and network.
//!
//! Every other crate reaches the world through a [`Runtime`]. There are two of them: the real one,
//! and (feature `sim`) one that lives inside a seeded turmoil simulation, where time is virtual,
//! the network is turmoil's, and the disk forgets whatever was not flushed when its host crashes.
//!
//! ```text
//!              Runtime
//!   ┌───────┬─────┴──┬───────┬────────┐
//! Clock  Random    Tasks    Disk   Network     + system facts (host name, memory limit), child processes
//! ```
//!
//! It also holds the two shapes in which components talk to each other: a [`mailbox`] (ask, and
//! wait for the reply) and a [`published`] value (one writer, many readers of the newest state).
//!
//! Architecture invariant: no other crate calls the clock, the random source, `std::fs`,
//! `std::net` or spawns a thread or a task by itself; `cargo xtask tidy` checks it.

mod clock;
pub mod disk;
mod fail_stop;
pub mod mailbox;
pub mod net;
pub mod process;
pub mod published;
mod random;
mod shutdown;
pub mod system;
mod tasks;
pub mod watch;
mod workers;

use std::sync::Arc;

pub use clock::{Clock, Instant};
pub use disk::Disk;
pub use fail_stop::{FAIL_STOP_EXIT_CODE, fail_stop};
pub use net::Network;
pub use random::Random;
pub use shutdown::Shutdown;
pub use tasks::{Service, TaskKind, Tasks};
pub use workers::Workers;

/// The doors, as one cheaply cloned value that a component takes when it is made.
#[derive(Clone)]
pub struct Runtime {
    /// Wall-clock and monotonic time.
    pub clock: Clock,
    /// Random numbers.
    pub random: Random,
    /// Files and folders.
    pub disk: Arc<dyn Disk>,
    /// Listening and connecting.
    pub network: Network,
    /// Tasks and blocking work.
    pub tasks: Tasks,
}

impl Runtime {
    /// The real world. Must be called inside a tokio runtime.
    #[must_use]
    pub fn real() -> Self {
        Runtime {
            clock: Clock::real(),
            random: Random::from_system(),
            disk: Arc::new(disk::RealDisk),
            network: Network::real(),
            tasks: Tasks::real(Shutdown::new()),
        }
    }

    /// A world inside a turmoil host. The same `seed` gives the same random numbers; `disk`
    /// outlives the host, so that a restarted host finds what was flushed.
    #[cfg(feature = "sim")]
    #[must_use]
    pub fn simulated(seed: u64, disk: disk::SimDisk) -> Self {
        let random = Random::from_seed(seed);
        Runtime {
            clock: Clock::simulated(),
            tasks: Tasks::simulated(Shutdown::new(), random.clone()),
            random,
            disk: Arc::new(disk),
            network: Network::simulated(),
        }
    }

    /// Where the node's end is announced; everything that runs for long watches it.
    #[must_use]
    pub fn shutdown(&self) -> &Shutdown {
        self.tasks.shutdown()
    }
}
