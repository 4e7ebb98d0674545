//! Servers for tests that need no group.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_model::Uuid;
use ottla_raft::{Endpoint, Member, NodeId};
use ottla_runtime::Runtime;

use super::codec::LISTENER;
use super::here::{Here, Parts};
use super::stream::Wrap;
use super::{ForwardSink, Host, Limits};

/// A server that has no group.
pub(crate) struct NoGroup;

impl Host for NoGroup {
    fn raft(&self) -> Option<ottla_raft::Handle> {
        None
    }

    fn forwarded(&self, _: NodeId, _: u64) -> Result<Box<dyn ForwardSink>, String> {
        Err("it has no group".to_owned())
    }
}

/// Limits that make tests short.
pub(crate) fn quick() -> Limits {
    Limits {
        hello_ms: 500,
        silence_ms: 400,
        ..Limits::default()
    }
}

pub(crate) fn directory(id: NodeId) -> Uuid {
    Uuid([id as u8; 16])
}

pub(crate) fn local(port: u16) -> Endpoint {
    Endpoint {
        listener: LISTENER.to_owned(),
        host: "127.0.0.1".to_owned(),
        port,
    }
}

/// A server without a port.
pub(crate) async fn here(runtime: &Runtime, id: NodeId, ensemble_id: Option<Uuid>) -> Arc<Here> {
    let parts = Parts {
        limits: quick(),
        wrap: Wrap::load(runtime, None).await.unwrap(),
        host: Arc::new(NoGroup),
        id,
        member: Member {
            endpoints: vec![local(1)],
            directory_id: directory(id),
        },
        participants: vec![1, 2, 3],
        others: BTreeMap::new(),
        ensemble_id,
    };
    Arc::new(Here::new(runtime, parts))
}
