//! A group on real disks and threads, without a network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_model::Uuid;
use ottla_raft::{Handle, Member, NodeId, Options, Raft, Transport, TransportError};
use ottla_runtime::Runtime;
use parking_lot::Mutex;

use crate::journal::{Journal, Recorder};

/// Members that call each other by name.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<BTreeMap<NodeId, Handle>>>);

impl Transport for Room {
    async fn call(
        &self,
        to: NodeId,
        _member: &Member,
        request: Bytes,
    ) -> Result<Bytes, TransportError> {
        let handle = self.0.lock().get(&to).cloned();
        let Some(handle) = handle else {
            return Err(TransportError::Refused("nobody is there".to_owned()));
        };
        let answer = handle.receive(request).await;
        answer.map_err(|error| TransportError::Other(error.to_string()))
    }
}

fn member(id: NodeId) -> Member {
    Member {
        endpoints: Vec::new(),
        directory_id: Uuid([id as u8; 16]),
    }
}

async fn start(id: NodeId, dir: &std::path::Path, room: &Room, journal: &Journal) -> Runtime {
    let runtime = Runtime::real();
    let options = Options {
        snapshot_after_entries: 500,
        ..Options::new(
            id,
            member(id).directory_id,
            Bytes::from_static(b"group"),
            dir.join(id.to_string()),
        )
    };
    let recorder = Recorder {
        id,
        journal: journal.clone(),
        entries: Vec::new(),
        published: Arc::default(),
    };
    let (service, handle) = Raft::open(&runtime, options, recorder, room.clone())
        .await
        .expect("the folder is good");
    runtime.tasks.run("raft", service);
    room.0.lock().insert(id, handle);
    runtime
}

async fn leader(room: &Room) -> Handle {
    loop {
        let handles: Vec<Handle> = room.0.lock().values().cloned().collect();
        let ready = handles
            .into_iter()
            .find(|handle| handle.state().get().ready);
        if let Some(handle) = ready {
            return handle;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn a_group_on_real_disks_commits_and_comes_back() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let work = async {
        let (room, journal) = (Room::default(), Journal::default());
        for life in 0..2 {
            let mut runtimes = Vec::new();
            for id in 1..=3 {
                runtimes.push(start(id, dir.path(), &room, &journal).await);
            }
            if life == 0 {
                let founder = room.0.lock()[&1].clone();
                let voters = (1..=3).map(|id| (id, member(id))).collect();
                founder.initialize(voters).await.unwrap();
            }
            let handle = leader(&room).await;
            let term = handle.state().get().term;
            let mut proposals = Vec::new();
            for number in 0..1_000 {
                let entry = Bytes::from(format!("{life}/{number}"));
                proposals.push((entry.clone(), handle.propose(term, entry).await.unwrap()));
            }
            for (entry, proposal) in proposals {
                let (at, reply) = proposal.wait().await.unwrap();
                assert_eq!(reply, entry);
                journal.acknowledged(at, entry);
            }
            room.0.lock().clear();
            for runtime in runtimes {
                runtime.tasks.stop().await;
            }
        }
        assert_eq!(journal.acknowledged_count(), 2_000);
        assert_eq!(journal.violations(), [""; 0]);
    };
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(120), work)
            .await
            .expect("it ends in time");
    });
}
