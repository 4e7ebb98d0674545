//! Plans where replicas should lie. Pure: the same layout gives the same plan.
//!
//! ```text
//!   Layout (brokers with racks, partitions with replicas)
//!      └─▶ State: the same, indexed by broker ─▶ steps ─▶ Plan: moves, and the layout after them
//! ```
//!
//! A step replaces one replica by another or changes which replica comes first, and is taken only
//! when it makes a layout better in the order of these goals: replicas of a partition lie in as
//! many racks as possible; brokers hold equally many replicas, and about equally many bytes; they
//! lead equally many partitions. So planning ends, and a plan's result needs no further plan.

mod assign;
mod drained;
mod evacuate;
mod even;
mod layout;
mod state;
mod throttle;

pub use assign::{Assign, assign};
pub use drained::drained;
pub use evacuate::{drain, evacuate, undrain};
pub use even::{Limits, rebalance};
pub use layout::{BrokerPlace, Layout, Load, Move, Placed, Plan};
pub use throttle::{RATES, THROTTLED_FOLLOWERS, THROTTLED_LEADERS, Throttled, throttled};

#[cfg(test)]
mod tests;
