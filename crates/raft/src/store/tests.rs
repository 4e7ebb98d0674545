//! openraft's own tests of a store run against ours, on a disk in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use openraft::storage::RaftLogReader;
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::type_config::TypeConfigExt;
use openraft::{Entry as _, StorageError};
use ottla_runtime::disk::SimDisk;

use super::*;
use crate::machine::Machine;
use crate::snapshot::Snapshots;
use crate::state_machine::{Chunks, StateMachine, View};
