//! What all connections share: how many there may be, and how much memory their requests take.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::options::{ConnectionLimits, Options};
use crate::probe::Refused;

/// Counts the open connections.
pub(crate) struct Connections {
    open: Mutex<Open>,
    none_left: Notify,
}

struct Open {
    limits: ConnectionLimits,
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// The place of one connection; dropping it gives it back.
pub(crate) struct Place {
    connections: Arc<Connections>,
    ip: IpAddr,
}

impl Connections {
    pub(crate) fn new(options: &Options) -> Self {
        Connections {
            open: Mutex::new(Open {
                limits: options.connection_limits(),
                total: 0,
                by_ip: HashMap::new(),
            }),
            none_left: Notify::new(),
        }
    }

    /// From now on these count. Connections that are open stay, also where they are too many now.
    pub(crate) fn set_limits(&self, limits: ConnectionLimits) {
        self.open.lock().limits = limits;
    }

    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Result<Place, Refused> {
        let mut open = self.open.lock();
        if open.total >= open.limits.max {
            return Err(Refused::Total);
        }
        let limits = &open.limits;
        let limit = limits.overrides.get(&ip).copied();
        let limit = limit.unwrap_or(limits.max_per_ip);
        let from_ip = open.by_ip.get(&ip).copied().unwrap_or(0);
        if from_ip >= limit {
            return Err(Refused::PerIp);
        }
        open.by_ip.insert(ip, from_ip + 1);
        open.total += 1;
        Ok(Place {
            connections: Arc::clone(self),
            ip,
        })
    }

    /// Waits until no connection is open.
    pub(crate) async fn all_gone(&self) {
        loop {
            let gone = self.none_left.notified();
            if self.open.lock().total == 0 {
                return;
            }
            gone.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock();
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.by_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.by_ip.remove(&self.ip);
            }
        }
        if open.total == 0 {
            self.connections.none_left.notify_waiters();
        }
    }
}

/// Bytes of requests that may be in memory.
///
/// A request takes its room as its bytes arrive, not when it announces them: a peer that promises
/// 100 MiB and sends nothing holds next to nothing. When no room is left, requests wait in the order
/// in which they ask. One of them at a time may go on beyond the budget, so that begun requests,
/// each waiting for the room that the others hold, cannot stop each other for ever.
pub(crate) struct MemoryBudget {
    total: usize,
    left: Arc<Semaphore>,
    overdraft: Arc<Semaphore>,
}

/// Room that a request takes; dropping it gives it back.
#[derive(Default)]
pub(crate) struct Memory {
    room: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
}

impl MemoryBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        let total = bytes.min(Semaphore::MAX_PERMITS);
        MemoryBudget {
            total,
            left: Arc::new(Semaphore::new(total)),
            overdraft: Arc::new(Semaphore::new(1)),
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn used(&self) -> usize {
        self.total - self.left.available_permits()
    }

    /// Takes room for `bytes` more of a request, waiting for it if there is none.
    pub(crate) async fn grow(&self, memory: &mut Memory, bytes: u32) {
        if memory.overdraft.is_some() {
            return;
        }
        // Neither semaphore is ever closed, so that each wait ends with a permit.
        tokio::select! {
            biased;
            room = Arc::clone(&self.left).acquire_many_owned(bytes) => {
                match (&mut memory.room, room.ok()) {
                    (Some(held), Some(more)) => held.merge(more),
                    (held, more) => *held = more,
                }
            }
            overdraft = Arc::clone(&self.overdraft).acquire_owned() => {
                memory.overdraft = overdraft.ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn limits_count_per_address_and_overall_and_places_come_back() {
        let connections = Arc::new(Connections::new(&Options {
            max_connections: 4,
            max_connections_per_ip: 1,
            max_connections_per_ip_overrides: HashMap::from([(ip(9), 3)]),
            ..Options::default()
        }));
        let first = connections.enter(ip(1)).unwrap();
        assert_eq!(connections.enter(ip(1)).err(), Some(Refused::PerIp));
        let _three: Vec<_> = (0..3).map(|_| connections.enter(ip(9)).unwrap()).collect();
        assert_eq!(connections.enter(ip(2)).err(), Some(Refused::Total));
        drop(first);
        let again = connections.enter(ip(1)).unwrap();
        assert_eq!(connections.enter(ip(9)).err(), Some(Refused::Total));
        drop(again);
        assert_eq!(connections.enter(ip(9)).err(), Some(Refused::PerIp));
    }

    #[tokio::test]
    async fn one_request_at_a_time_goes_on_beyond_the_budget() {
        let budget = MemoryBudget::new(100);
        let mut first = Memory::default();
        let mut second = Memory::default();
        let mut third = Memory::default();
        budget.grow(&mut first, 60).await;
        budget.grow(&mut second, 60).await;
        assert!(second.overdraft.is_some(), "there was no room for it");
        budget.grow(&mut second, 1000).await;
        assert_eq!(budget.used(), 60);
        {
            let mut waiting = std::pin::pin!(budget.grow(&mut third, 60));
            assert!(futures_util::FutureExt::now_or_never(waiting.as_mut()).is_none());
            drop(second);
            waiting.await;
        }
        assert!(third.overdraft.is_some());
        drop((first, third));
        assert_eq!(budget.used(), 0);
    }
}
