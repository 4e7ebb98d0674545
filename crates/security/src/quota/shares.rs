//! The meters of all shares: made on use, dropped when they say nothing any more, bounded.

use std::collections::BTreeMap;

use super::rules::Share;
use super::{Limit, Window};

/// The most meters of one kind: client ids are free to invent, memory is not.
pub const MAX_SHARES: usize = 10_000;

/// What is measured of a share.
pub trait Meter: Default {
    /// Whether a fresh meter would say the same from now on.
    fn is_at_rest(&self, window: Window, bound: f64, now_ms: i64) -> bool;
}

/// The meters of one kind, by share.
#[derive(Debug)]
pub struct Shares<M> {
    window: Window,
    /// By user, then by client id; empty where the share names none.
    meters: BTreeMap<Box<str>, BTreeMap<Box<str>, Used<M>>>,
    len: usize,
    next_sweep_ms: i64,
}

#[derive(Debug)]
struct Used<M> {
    meter: M,
    bound: f64,
    used_ms: i64,
}

impl<M: Meter> Shares<M> {
    /// No meters yet.
    #[must_use]
    pub fn new(window: Window) -> Self {
        Shares {
            window,
            meters: BTreeMap::new(),
            len: 0,
            next_sweep_ms: i64::MIN,
        }
    }

    /// How many meters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no meter.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The window over which the meters measure.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    /// The meter of the limit's share.
    pub fn meter(&mut self, limit: Limit<'_>, now_ms: i64) -> &mut M {
        self.sweep(now_ms);
        let Share { user, client_id } = limit.share;
        let (user, client_id) = (user.unwrap_or_default(), client_id.unwrap_or_default());
        let known = self
            .meters
            .get(user)
            .is_some_and(|ids| ids.contains_key(client_id));
        if !known {
            if self.len >= MAX_SHARES {
                self.evict();
            }
            self.len += 1;
        }
        if !self.meters.contains_key(user) {
            self.meters.insert(user.into(), BTreeMap::new());
        }
        let ids = self.meters.get_mut(user).expect("it was just inserted");
        if !known {
            let fresh = Used {
                meter: M::default(),
                bound: limit.bound,
                used_ms: now_ms,
            };
            ids.insert(client_id.into(), fresh);
        }
        let used = ids.get_mut(client_id).expect("it was just inserted");
        used.bound = limit.bound;
        used.used_ms = now_ms;
        &mut used.meter
    }

    /// Drops the meters that are at rest, once in the time that a meter needs to come to rest.
    fn sweep(&mut self, now_ms: i64) {
        if now_ms < self.next_sweep_ms {
            return;
        }
        let window = self.window;
        self.next_sweep_ms = now_ms.saturating_add(window.span_ms());
        self.retain(|used| !used.meter.is_at_rest(window, used.bound, now_ms));
    }

    /// Makes room: the eighth that was not used for longest goes, so that it is not done each time.
    fn evict(&mut self) {
        let all = self.meters.values().flat_map(BTreeMap::values);
        let mut times: Vec<i64> = all.map(|used| used.used_ms).collect();
        let nth = times.len() / 8;
        let (_, newest_to_go, _) = times.select_nth_unstable(nth);
        let newest_to_go = *newest_to_go;
        let mut to_go = nth + 1;
        self.retain(|used| {
            let goes = used.used_ms <= newest_to_go && to_go > 0;
            to_go -= usize::from(goes);
            !goes
        });
    }

    fn retain(&mut self, mut keep: impl FnMut(&Used<M>) -> bool) {
        let mut len = 0;
        self.meters.retain(|_, ids| {
            ids.retain(|_, used| keep(used));
            len += ids.len();
            !ids.is_empty()
        });
        self.len = len;
    }
}

#[cfg(test)]
mod tests;
