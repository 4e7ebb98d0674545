//! Which packets a node takes and gives: what is cut and what is lost, and the rules that say so.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::Ipv4Addr;

/// One end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// A node by its place in the cluster, from 0 on.
    Node(usize),
    /// All clients: they are on this machine itself.
    Clients,
}

/// The state of all links. A new one lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// What is sent from the first end never reaches the second.
    blocked: BTreeSet<(End, End)>,
    /// Of a hundred packets to and from a node, so many get lost each way.
    lost_percent: BTreeMap<usize, u8>,
}

impl Links {
    /// Nothing that `from` sends reaches `to`; the other way stays open.
    pub fn block(&mut self, from: End, to: End) {
        self.blocked.insert((from, to));
    }

    /// Neither hears the other.
    pub fn cut(&mut self, a: End, b: End) {
        self.block(a, b);
        self.block(b, a);
    }

    /// A node loses this part of what it sends, and of what it is sent.
    pub fn lose(&mut self, node: usize, percent: u8) {
        self.lost_percent.insert(node, percent);
    }

    /// The nftables rules of one node's namespace. Everything is refused where it arrives, so that a
    /// node's own kernel sees what a broken network would show: packets that nobody answers.
    pub(super) fn rules(&self, node: usize, address: impl Fn(End) -> Ipv4Addr) -> String {
        let mut input = String::from("    iif lo accept\n");
        let mut output = String::from("    oif lo accept\n");
        let lists = |ends: Vec<End>| {
            let addresses: Vec<String> = ends
                .into_iter()
                .map(|end| address(end).to_string())
                .collect();
            addresses.join(", ")
        };
        let here = End::Node(node);
        let deaf_to: Vec<End> = self
            .blocked
            .iter()
            .filter(|(_, to)| *to == here)
            .map(|(from, _)| *from)
            .collect();
        if !deaf_to.is_empty() {
            let _ = writeln!(input, "    ip saddr {{ {} }} drop", lists(deaf_to));
        }
        // Clients have no rules of their own: what must not reach them is dropped on its way out.
        if self.blocked.contains(&(here, End::Clients)) {
            let clients = lists(vec![End::Clients]);
            let _ = writeln!(output, "    ip daddr {{ {clients} }} drop");
        }
        if let Some(percent) = self.lost_percent.get(&node) {
            let rule = format!("    numgen random mod 100 < {percent} drop\n");
            input.push_str(&rule);
            output.push_str(&rule);
        }
        // The first line makes the second one good when there is no table yet.
        format!(
            "table inet faults\ndelete table inet faults\ntable inet faults {{\n  \
             chain in {{\n    type filter hook input priority 0; policy accept;\n{input}  }}\n  \
             chain out {{\n    type filter hook output priority 0; policy accept;\n{output}  }}\n}}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(end: End) -> Ipv4Addr {
        match end {
            End::Node(node) => Ipv4Addr::new(10, 0, 0, u8::try_from(node).unwrap() + 1),
            End::Clients => Ipv4Addr::new(10, 0, 0, 254),
        }
    }

    #[test]
    fn a_cut_is_refused_on_both_sides_and_one_way_on_one() {
        let mut links = Links::default();
        links.cut(End::Node(0), End::Node(1));
        links.block(End::Node(2), End::Node(0));
        let rules = links.rules(0, address);
        assert!(
            rules.contains("ip saddr { 10.0.0.2, 10.0.0.3 } drop"),
            "{rules}"
        );
        let rules = links.rules(1, address);
        assert!(rules.contains("ip saddr { 10.0.0.1 } drop"), "{rules}");
        assert!(!links.rules(2, address).contains("addr"));
    }

    #[test]
    fn what_must_not_reach_clients_is_dropped_on_its_way_out() {
        let mut links = Links::default();
        links.block(End::Node(1), End::Clients);
        let rules = links.rules(1, address);
        assert!(rules.contains("ip daddr { 10.0.0.254 } drop"), "{rules}");
        assert!(!rules.contains("saddr"), "{rules}");
    }

    #[test]
    fn losses_are_of_one_node_and_both_ways() {
        let mut links = Links::default();
        links.lose(1, 20);
        let rules = links.rules(1, address);
        assert_eq!(rules.matches("numgen random mod 100 < 20 drop").count(), 2);
        assert!(!links.rules(0, address).contains("numgen"));
    }
}
