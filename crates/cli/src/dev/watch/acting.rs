//! What is done to the nodes: by order of the person, and at the end.

use std::io;
use std::process::Command;

use ottla_runtime::{Instant, system};

use super::super::node::Node;
use super::super::orders::{HELP, Order, order};
use super::super::plan::arguments;
use super::Watch;

impl Watch<'_> {
    /// Does what a line says.
    pub(super) fn obey(&mut self, line: &str) {
        if let Some(screen) = &mut self.screen {
            let cleared = screen.entered(line.trim_end(), &mut *self.streams.out);
            self.wrote(cleared);
        }
        let order = match order(line) {
            None => return,
            Some(Err(wrong)) => return self.tell(wrong),
            Some(Ok(order)) => order,
        };
        let now = self.runtime.clock.instant();
        match order {
            Order::Quit => self.end(),
            Order::Help => self.tell(HELP.to_owned()),
            Order::Start(id) => {
                if let Some(index) = self.known(id) {
                    if self.nodes.get(index).is_some_and(Node::is_alive) {
                        self.tell(format!("node {id} runs already"));
                    } else if !self.is_ending {
                        self.start(index);
                    }
                }
            }
            Order::Stop(id) => {
                let takes_over = self.somebody_takes_over(id);
                self.order(id, |node| node.stop(takes_over, now), "is told to stop");
            }
            Order::Kill(id) => self.order(id, |node| node.kill(now), ""),
            Order::Pause(id) => self.order(id, |node| node.pause(true), ""),
            Order::Resume(id) => self.order(id, |node| node.pause(false), ""),
        }
    }

    /// Lets a node that runs do something.
    fn order(&mut self, id: i32, act: impl FnOnce(&mut Node) -> io::Result<()>, news: &str) {
        let Some(index) = self.known(id) else { return };
        match self.nodes.get_mut(index) {
            Some(node) if node.is_alive() => {
                let done = act(node);
                if done.is_ok() && !news.is_empty() {
                    self.tell(format!("node {id} {news}"));
                }
                self.told(id, done);
            }
            _ => self.tell(format!("node {id} does not run; start {id} starts it")),
        }
    }

    pub(super) fn told(&mut self, id: i32, done: io::Result<()>) {
        if let Err(error) = done {
            self.tell(format!("node {id} cannot be told: {error}"));
        }
    }

    fn known(&mut self, id: i32) -> Option<usize> {
        let found = self.nodes.iter().position(|node| node.id() == id);
        if found.is_none() {
            let last = self.nodes.len();
            self.tell(format!("there is no node {id}: they are 1 to {last}"));
        }
        found
    }

    pub(super) fn start(&mut self, index: usize) {
        let memory = system::memory_limit_bytes();
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        let id = node.id();
        let settings = self.plan.settings_of(&node.place, memory);
        let mut command = Command::new(&self.program);
        command.args(arguments(&settings));
        for variable in &self.withheld {
            command.env_remove(variable);
        }
        node.start_at = None;
        let news = match node.start(&mut command) {
            Ok(pid) => format!("node {id} is started, pid {pid}"),
            Err(error) => {
                node.could_not_start();
                let program = self.program.display();
                format!("node {id} cannot be started as {program}: {error}")
            }
        };
        self.tell(news);
    }

    /// Whether the quorum works and somebody is there to lead what a node hands over.
    fn somebody_takes_over(&self, id: i32) -> bool {
        let awake = |node: &&Node| node.is_alive() && !node.is_paused();
        let awake: Vec<&Node> = self.nodes.iter().filter(awake).collect();
        let others = awake
            .iter()
            .filter(|n| n.id() != id && !n.is_asked_to_end());
        awake.len() >= self.plan.majority() && others.count() > 0
    }

    /// Begins to stop all nodes.
    pub(super) fn end(&mut self) {
        if self.is_ending {
            return;
        }
        self.is_ending = true;
        if self.nodes.iter().any(Node::is_alive) {
            self.tell("stopping all nodes; Ctrl-C again does not wait for them".to_owned());
        }
        for index in 0..self.nodes.len() {
            if let Some(node) = self.nodes.get_mut(index) {
                node.start_at = None;
                if node.is_paused() {
                    let (id, done) = (node.id(), node.pause(false));
                    self.told(id, done);
                }
            }
        }
    }

    /// Stops the next node, the leader of the quorum last: each hands over what it leads while
    /// others can take it, and the rest end together.
    pub(super) fn end_next(&mut self, now: Instant) {
        if self.nodes.iter().any(Node::is_asked_to_end) {
            return;
        }
        let controller = self.view.as_ref().and_then(|view| view.controller);
        let alive = self.nodes.iter().filter(|node| node.is_alive());
        let mut alive: Vec<i32> = alive.map(Node::id).collect();
        alive.sort_by_key(|id| Some(*id) == controller);
        for id in alive {
            let takes_over = self.somebody_takes_over(id);
            self.order(id, |node| node.stop(takes_over, now), "");
            if takes_over {
                return;
            }
        }
    }
}
