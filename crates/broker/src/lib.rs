//! The data-plane node: partitions, groups, and a handler for each API of Kafka's protocol.
//!
//! A produce passes these places, in this order:
//!
//! ```text
//! net::connection → broker (dispatch) → handlers/produce → partitions
//!   → record::validate → log::append → (durable) → reply
//! ```
//!
//! | part | role |
//! |---|---|
//! | `handlers` | one file an API key, and the table of all |
//! | `partitions` | the table of partitions that handlers look things up in |
//! | `reconcile` | the backend: brings that table in line with the metadata |
//! | `lifecycle` | registration, heartbeats, controlled shutdown |
//! | `coordinators` | what the drivers of coordinators have in common |
//! | `groups`, `transactions` | the drivers of the coordinators |
//! | `authorized_operations` | what a client may do, as responses tell it |
//! | `live_config` | properties that change while the node runs |
//! | `telemetry` | the metrics that clients push |
//! | `log_levels` | the levels of the log's parts |
//! | `config_resources` | topics, brokers, groups and more, as requests for configurations name them |
//! | `distinct` | lists of a request without repetitions |
//! | `fetch_sessions`, `producer_ids` | what those APIs remember |
//! | `read_budget` | the memory for records on their way to clients |
//! | `quotas` | what clients may use, and their pauses |
//! | `errors` | the mapping of lower layers' errors to Kafka's codes |
//! | `probe` | what is counted |
//!
//! Architecture invariant: the broker never imports the controller. It asks it through a mailbox
//! and sees its decisions in a published image.

mod authorized_operations;
mod broker;
mod config_resources;
mod contact;
mod context;
mod coordinators;
mod distinct;
mod errors;
mod fetch_sessions;
mod gone;
mod groups;
mod handlers;
mod lifecycle;
mod live_config;
mod log_levels;
mod partitions;
mod peers;
mod probe;
mod producer_ids;
mod quotas;
mod read_budget;
mod reconcile;
mod replication;
mod start;
mod telemetry;
mod transactions;

pub use broker::{Broker, MetadataAccess};
pub use log_levels::{LogLevels, ROOT_LOGGER};
pub use probe::Probe;
pub use replication::ReplicationCounts;
pub use start::{Error, Handle, Options, start};
pub use telemetry::{ClientMetricFamily, ClientSeries, TelemetryCounts};
