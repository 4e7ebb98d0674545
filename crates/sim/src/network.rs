//! The network between the hosts: what is cut, held back, or dead with one of its ends.

use std::collections::BTreeMap;

use turmoil::Sim;

/// The number of a host: the nodes first, then the clients.
pub(crate) type HostNumber = usize;

/// How messages between two hosts fare; the first has the lower number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Well,
    Held,
    Cut { forth: bool, back: bool },
}

const CUT: Link = Link::Cut {
    forth: true,
    back: true,
};

/// All links. Turmoil keeps one state for each of them; this keeps the reasons for it.
pub(crate) struct Network {
    hosts: Vec<String>,
    /// Hosts whose power is off.
    off: Vec<bool>,
    /// Until when messages from one host to another are lost.
    cuts: BTreeMap<(HostNumber, HostNumber), u64>,
    /// Until when messages between two hosts wait.
    holds: BTreeMap<(HostNumber, HostNumber), u64>,
    links: BTreeMap<(HostNumber, HostNumber), Link>,
    lossy_until_ms: Option<u64>,
}

impl Network {
    pub(crate) fn new(hosts: Vec<String>) -> Self {
        let count = hosts.len();
        let pairs = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
        Network {
            off: vec![false; count],
            cuts: BTreeMap::new(),
            holds: BTreeMap::new(),
            links: pairs.map(|pair| (pair, Link::Well)).collect(),
            lossy_until_ms: None,
            hosts,
        }
    }

    /// Messages between two hosts wait.
    pub(crate) fn hold(&mut self, sim: &Sim<'_>, (a, b): (HostNumber, HostNumber), until_ms: u64) {
        self.holds.insert((a.min(b), a.max(b)), until_ms);
        self.apply(sim);
    }

    /// Messages that go that way are lost.
    pub(crate) fn cut(&mut self, sim: &Sim<'_>, ways: &[(HostNumber, HostNumber)], until_ms: u64) {
        for way in ways {
            self.cuts.insert(*way, until_ms);
        }
        self.apply(sim);
    }

    /// Now and then all that is under way between two hosts is lost.
    pub(crate) fn lose_some(&mut self, sim: &mut Sim<'_>, rate: f64, until_ms: u64) {
        sim.set_fail_rate(rate);
        self.lossy_until_ms = Some(until_ms);
    }

    /// A host's power is off. Nobody hears from it, nor it from anybody.
    pub(crate) fn switch_off(&mut self, sim: &Sim<'_>, host: HostNumber) {
        self.off[host] = true;
        // The disk has cut the links already, in the middle of the host's work, and turmoil's state
        // is not what it was when it was last applied.
        for ((a, b), link) in &mut self.links {
            if *a == host || *b == host {
                sim.partition(self.hosts[*a].as_str(), self.hosts[*b].as_str());
                *link = CUT;
            }
        }
    }

    /// A host's power is on again.
    pub(crate) fn switch_on(&mut self, sim: &Sim<'_>, host: HostNumber) {
        self.off[host] = false;
        self.apply(sim);
    }

    /// Ends what has lasted long enough.
    pub(crate) fn mend(&mut self, sim: &mut Sim<'_>, now_ms: u64) {
        if self
            .lossy_until_ms
            .take_if(|until| *until <= now_ms)
            .is_some()
        {
            self.end_losses(sim);
        }
        let before = self.cuts.len() + self.holds.len();
        self.cuts.retain(|_, until| *until > now_ms);
        self.holds.retain(|_, until| *until > now_ms);
        if self.cuts.len() + self.holds.len() < before {
            self.apply(sim);
        }
    }

    /// Ends everything but the lack of power.
    pub(crate) fn make_peace(&mut self, sim: &mut Sim<'_>) {
        self.lossy_until_ms = None;
        self.end_losses(sim);
        self.cuts.clear();
        self.holds.clear();
        self.apply(sim);
    }

    fn end_losses(&self, sim: &mut Sim<'_>) {
        sim.set_fail_rate(0.0);
        for ((a, b), link) in &self.links {
            if *link == Link::Well {
                sim.repair(self.hosts[*a].as_str(), self.hosts[*b].as_str());
            }
        }
    }

    fn due(&self, a: HostNumber, b: HostNumber) -> Link {
        let is_cut = |from, to| self.cuts.contains_key(&(from, to));
        if self.off[a] || self.off[b] {
            CUT
        } else if is_cut(a, b) || is_cut(b, a) {
            let (forth, back) = (is_cut(a, b), is_cut(b, a));
            Link::Cut { forth, back }
        } else if self.holds.contains_key(&(a, b)) {
            Link::Held
        } else {
            Link::Well
        }
    }

    /// Tells turmoil what has changed.
    fn apply(&mut self, sim: &Sim<'_>) {
        let pairs: Vec<_> = self.links.keys().copied().collect();
        for (a, b) in pairs {
            let due = self.due(a, b);
            let Some(link) = self.links.get_mut(&(a, b)) else {
                continue;
            };
            let before = std::mem::replace(link, due);
            if before == due {
                continue;
            }
            let (a, b) = (self.hosts[a].as_str(), self.hosts[b].as_str());
            match before {
                Link::Well => {}
                Link::Held => sim.release(a, b),
                Link::Cut { .. } => sim.repair(a, b),
            }
            match due {
                Link::Well => {}
                Link::Held => sim.hold(a, b),
                Link::Cut { forth, back } => {
                    if forth {
                        sim.partition_oneway(a, b);
                    }
                    if back {
                        sim.partition_oneway(b, a);
                    }
                }
            }
        }
    }
}
