//! What the tests of this crate share.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_metadata::{
    Command, ConfigResource, ConfigRules, CreateTopics, Image, NewTopic, Overrides, Refusal,
    RegisterBroker,
};
use ottla_model::{BrokerId, ClusterId, Uuid};
use ottla_runtime::Disk;
use ottla_runtime::Runtime;

use crate::{IdentityOptions, Options};

/// Allows every override.
pub(crate) struct AnyConfig;

impl ConfigRules for AnyConfig {
    fn check(&self, _: &Image, _: &ConfigResource, _: &Overrides) -> Result<(), Refusal> {
        Ok(())
    }

    fn list_default(&self, _: &ConfigResource, _: &str) -> Option<&'static str> {
        None
    }
}

pub(crate) fn log_dir() -> PathBuf {
    PathBuf::from("/data")
}

pub(crate) fn partition_dir() -> PathBuf {
    log_dir().join("__cluster_metadata-0")
}

pub(crate) fn options() -> Options {
    let identity = IdentityOptions {
        node_id: Some(BrokerId(1)),
        cluster_id: Some(ClusterId("test".into())),
    };
    Options::alone(log_dir(), identity, Arc::new(AnyConfig))
}

pub(crate) fn register() -> Command {
    Command::RegisterBroker(RegisterBroker {
        broker_id: BrokerId(1),
        cluster_id: ClusterId("test".into()),
        incarnation_id: Uuid([1; 16]),
        directory_id: Uuid([2; 16]),
        rack: None,
        endpoints: Vec::new(),
        features: ottla_metadata::supported_features(),
        fenced: false,
        data_may_be_lost: false,
    })
}

pub(crate) fn create(name: &str) -> Command {
    let topics = vec![NewTopic {
        num_partitions: 3,
        ..NewTopic::with_defaults(name)
    }];
    Command::CreateTopics(CreateTopics {
        topics,
        ..CreateTopics::default()
    })
}

/// The real doors, but for the disk.
pub(crate) fn runtime(disk: impl Disk + 'static) -> Runtime {
    Runtime {
        disk: Arc::new(disk),
        ..Runtime::real()
    }
}
