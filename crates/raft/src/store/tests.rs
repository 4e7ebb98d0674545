use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use openraft::StorageError;
use openraft::async_runtime::AsyncRuntime;
use openraft::testing::log::{StoreBuilder, Suite};
use ottla_runtime::disk::SimDisk;

use super::*;
use crate::async_runtime::SeededRuntime;
use crate::machine::Machine;
use crate::snapshot::Snapshots;
use crate::state_machine::{Chunks, StateMachine, View};

/// A state machine that only counts.
struct Counter(u64);

impl StateMachine for Counter {
    fn apply(&mut self, _at: Position, _entry: &[u8]) -> Result<Bytes, String> {
        self.0 += 1;
        Ok(Bytes::new())
    }

    fn snapshot(&self) -> View {
        let count = Bytes::copy_from_slice(&self.0.to_be_bytes());
        Box::new(move || Box::new(std::iter::once(Ok(count.clone()))))
    }

    fn restore(&mut self, _at: Position, chunks: &mut Chunks<'_>) -> Result<(), String> {
        let chunk = chunks.next().ok_or("empty")??;
        self.0 = u64::from_be_bytes(chunk[..].try_into().map_err(|_| "not a number")?);
        Ok(())
    }

    fn applied(&mut self, _at: Position) {}
}

fn dir() -> PathBuf {
    PathBuf::from("/data/raft")
}

/// openraft's tests begin some logs behind entry 0, which never happens in a group. To our store
/// that looks like a log of which the first entries are gone.
struct FromOne {
    store: Store,
    gone: Option<Position>,
}

impl RaftLogStorage<Types> for FromOne {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let mut state = self.store.get_log_state().await?;
        if state.last_purged_log_id == self.gone.map(Position::log_id) {
            state.last_purged_log_id = None;
        }
        Ok(state)
    }

    async fn get_log_reader(&mut self) -> Store {
        self.store.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.store.save_vote(vote).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.store.save_committed(committed).await
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        self.store.read_committed().await
    }

    async fn append<I>(&mut self, entries: I, done: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let is_empty = self.store.get_log_state().await?.last_log_id.is_none();
        let before = entries
            .first()
            .and_then(|first| first.log_id.index.checked_sub(1));
        if is_empty && let Some(index) = before {
            let gone = Position { term: 0, index };
            self.gone = Some(gone);
            self.store.purge(gone.log_id()).await?;
        }
        self.store.append(entries, done).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        self.store.truncate_after(last).await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        self.store.purge(upto).await
    }
}

struct Builder;

impl StoreBuilder<Types, FromOne, Machine> for Builder {
    async fn build(&self) -> Result<((), FromOne, Machine), StorageError<Types>> {
        let disk = SimDisk::new(7);
        let runtime = Runtime::simulated(7, disk);
        runtime.disk.create_dir_all(&dir()).unwrap();
        let store = Store::open(&runtime, &dir(), None, 1 << 10, None).unwrap();
        let snapshots = Snapshots {
            disk: Arc::clone(&runtime.disk),
            dir: dir(),
        };
        let growth = Arc::new(AtomicU64::new(0));
        let machine = Machine::new(runtime, snapshots, Box::new(Counter(0)), None, growth, None);
        let store = FromOne { store, gone: None };
        Ok(((), store, machine))
    }
}

#[test]
fn it_is_a_store_as_openraft_wants_it() {
    SeededRuntime::run(async { Suite::test_all(Builder).await }).unwrap();
}
