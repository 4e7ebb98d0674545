//! Watches the nodes: their processes, what the cluster says, and what the person wants.

mod acting;
mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use ottla_runtime::{Instant, Runtime, Shutdown, system};
use tokio::sync::mpsc;

use super::events::{events, number};
use super::node::{Node, State};
use super::plan::{Plan, is_withheld};
use super::screen::Screen;
use super::view::{Asker, View};
use crate::{Error, Streams, moment};

const TICK: Duration = Duration::from_millis(100);
const ASK_EVERY: Duration = Duration::from_millis(500);
/// A node that hands over may wait for others for a quarter of a minute.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// How soon a node is started again with `--restart`; it doubles while the node fails at its start.
const RESTART: Duration = Duration::from_secs(1);
const RESTART_MAX: Duration = Duration::from_secs(30);
/// One silence may be a hiccup.
const SILENT_AFTER: u32 = 3;

/// What one round of questions has brought.
struct Answer {
    view: Option<View>,
    /// Nodes on whose ports something listens.
    listening: BTreeSet<i32>,
}

type Asking = Pin<Box<dyn Future<Output = (Asker, Answer)> + Send>>;

/// The nodes and all that is known of them.
pub(super) struct Watch<'a> {
    plan: Plan,
    nodes: Vec<Node>,
    program: PathBuf,
    restart: bool,
    /// Variables that nodes do not get.
    withheld: Vec<String>,
    runtime: Runtime,
    streams: &'a mut Streams,
    /// The live table; without a terminal, events are lines.
    screen: Option<Screen>,
    places: Vec<String>,
    began: Instant,
    events: Vec<String>,
    view: Option<View>,
    silent_rounds: u32,
    states: BTreeMap<i32, State>,
    all_running: bool,
    /// Whether any node has ever taken part.
    has_run: bool,
    is_ending: bool,
    /// Why it ends before the person wants it to.
    failure: Option<Error>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        plan: Plan,
        program: PathBuf,
        restart: bool,
        env: &BTreeMap<String, String>,
        runtime: &Runtime,
        streams: &'a mut Streams,
    ) -> Watch<'a> {
        // In the background of a shell a table would be drawn over the work of others.
        let is_live = streams.out_is_terminal
            && system::terminal_size().is_some()
            && (!streams.input_is_terminal || system::owns_terminal());
        Watch {
            nodes: plan.places().into_iter().map(Node::new).collect(),
            program,
            restart,
            withheld: env.keys().filter(|n| is_withheld(n)).cloned().collect(),
            screen: is_live.then(Screen::default),
            places: telling::places(&plan),
            began: runtime.clock.instant(),
            events: Vec::new(),
            view: None,
            silent_rounds: 0,
            states: BTreeMap::new(),
            all_running: false,
            has_run: false,
            is_ending: false,
            failure: None,
            plan,
            runtime: runtime.clone(),
            streams,
        }
    }

    /// Runs until all nodes have ended, because the person wants it or nothing is left to watch.
    pub(super) async fn run(&mut self, interrupt: &Shutdown) -> Result<(), Error> {
        let mut input = self.input();
        if self.screen.is_none() {
            let title = number(usize::from(self.plan.nodes), "node");
            for line in std::iter::once(title).chain(self.places.clone()) {
                self.print(&line);
            }
        }
        if let Some(hint) = self.plan.hint() {
            self.tell(hint);
        }
        for index in 0..self.nodes.len() {
            self.start(index);
        }
        let clock = self.runtime.clock.clone();
        let mut asker = Some(Asker::new(&self.runtime, &self.plan.places()));
        let mut asking: Option<Asking> = None;
        let mut ask_at = clock.instant();
        while !self.is_over(input.is_some()) {
            let answering = async {
                match &mut asking {
                    Some(asking) => asking.await,
                    None => pending().await,
                }
            };
            let reading = async {
                match &mut input {
                    Some(input) => input.recv().await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                () = interrupt.announced(), if !self.is_ending => self.end(),
                line = reading => match line {
                    Some(line) => self.obey(&line),
                    None => input = None,
                },
                (back, answer) = answering => {
                    asking = None;
                    asker = Some(back);
                    ask_at = clock.instant() + ASK_EVERY;
                    // A node is gone first, and fenced then.
                    self.tick();
                    self.learn(answer);
                }
                () = clock.sleep(TICK) => {}
            }
            self.tick();
            if clock.instant() >= ask_at
                && let Some(asker) = asker.take()
            {
                asking = Some(self.ask(asker));
            }
            self.draw();
        }
        self.draw();
        self.leave()
    }

    /// Lines of standard input, unless reading it would stop a process in the background.
    fn input(&mut self) -> Option<mpsc::Receiver<String>> {
        if self.streams.input_is_terminal && !system::owns_terminal() {
            return None;
        }
        let mut input = self.streams.input.take()?;
        let (lines, receiver) = mpsc::channel(16);
        let reader = self.runtime.tasks.workers("input", 1);
        reader.submit(move || {
            let mut line = String::new();
            while input.read_line(&mut line).is_ok_and(|read| read > 0) {
                if lines.blocking_send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        reader.close();
        Some(receiver)
    }

    /// Whether there is nothing more to watch. `can_order`: whether a person could start a node
    /// again.
    fn is_over(&mut self, can_order: bool) -> bool {
        let is_at_work = |node: &Node| node.is_alive() || node.start_at.is_some();
        if self.nodes.iter().any(is_at_work) {
            return false;
        }
        if self.is_ending {
            return true;
        }
        let all_failed = self.states.values().all(|state| *state == State::Failed);
        let reason = if all_failed && !self.has_run {
            "no node could start; the lines above and the logs say why"
        } else if !can_order {
            "all nodes have ended; the lines above and the logs say why"
        } else {
            return false;
        };
        self.failure.get_or_insert_with(|| Error::Failed {
            action: "running the nodes".to_owned(),
            reason: reason.to_owned(),
        });
        true
    }

    /// Begins to ask the nodes that could answer.
    fn ask(&self, mut asker: Asker) -> Asking {
        let awake = |node: &&Node| node.is_alive() && !node.is_paused();
        let asked: Vec<i32> = self.nodes.iter().filter(awake).map(Node::id).collect();
        let absent = |node: &&Node| node.is_alive() && !node.took_part;
        let absent = self.nodes.iter().filter(absent);
        let knocked_at: Vec<(i32, u16)> = absent.map(|n| (n.id(), n.place.client_port)).collect();
        Box::pin(async move {
            let mut listening = BTreeSet::new();
            for (id, port) in knocked_at {
                if asker.listens(port).await {
                    listening.insert(id);
                }
            }
            let view = asker.ask(asked).await;
            (asker, Answer { view, listening })
        })
    }

    /// Takes in what the cluster has said.
    fn learn(&mut self, answer: Answer) {
        let Some(view) = answer.view else {
            self.silent_rounds = self.silent_rounds.saturating_add(1);
            let is_awaited = |node: &Node| node.took_part && !node.is_asked_to_end();
            let awaited = self.nodes.iter().any(|n| n.is_alive() && is_awaited(n));
            if self.silent_rounds == SILENT_AFTER && awaited && !self.is_ending {
                self.tell("no node answers".to_owned());
            }
            return;
        };
        self.silent_rounds = 0;
        let mut news = Vec::new();
        for node in self
            .nodes
            .iter_mut()
            .filter(|n| n.is_alive() && !n.took_part)
        {
            let id = node.id();
            if view.fenced.get(&id) == Some(&false) && answer.listening.contains(&id) {
                node.took_part = true;
                self.has_run = true;
                news.push(format!("node {id} is running"));
            }
        }
        // What was there before the nodes were started is no news.
        let first = || View {
            partitions: view.partitions.clone(),
            ..View::default()
        };
        let before = self.view.take().unwrap_or_else(first);
        news.extend(events(&before, &view));
        self.view = Some(view);
        if !self.is_ending {
            for text in news {
                self.tell(text);
            }
        }
    }

    /// Notices what has become of the processes, and does what is due.
    fn tick(&mut self) {
        let now = self.runtime.clock.instant();
        for index in 0..self.nodes.len() {
            self.look_after(index, now);
        }
        if self.is_ending {
            self.end_next(now);
        }
        self.compare_states();
    }

    fn look_after(&mut self, index: usize, now: Instant) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        node.measure(now);
        let id = node.id();
        let was_late = node.asked_at().is_some_and(|at| now - at >= STOP_LIMIT);
        match node.reap() {
            Ok(None) => {}
            Ok(Some(ended)) => {
                let mut words = ended.words;
                if self.restart && !self.is_ending && !ended.asked_for {
                    let wait =
                        RESTART * 2_u32.saturating_pow(node.failures.saturating_sub(1).min(8));
                    let wait = wait.min(RESTART_MAX);
                    node.start_at = Some(now + wait);
                    let wait = moment::duration_text(wait);
                    words = format!("{words}; it is started again in {wait}");
                }
                self.tell(words);
                return;
            }
            Err(error) => {
                self.tell(format!("node {id} cannot be waited for: {error}"));
                return;
            }
        }
        if was_late {
            let killed = node.kill(now);
            let limit = moment::duration_text(STOP_LIMIT);
            self.tell(format!(
                "node {id} did not end within {limit}: it is killed"
            ));
            self.told(id, killed);
        } else if node.start_at.is_some_and(|at| now >= at) {
            self.start(index);
        }
    }

    /// Tells what has changed about nodes that nobody ordered.
    fn compare_states(&mut self) {
        let mut news = Vec::new();
        let mut states = BTreeMap::new();
        for node in &self.nodes {
            let id = node.id();
            let state = self.state(node);
            news.extend(change(id, self.states.get(&id).copied(), state));
            states.insert(id, state);
        }
        let all_running = states.values().all(|state| *state == State::Running);
        if all_running && !self.all_running {
            news.push(match self.nodes.len() {
                1 => "the node is running".to_owned(),
                count => format!("all {count} nodes are running"),
            });
        }
        self.all_running = all_running;
        self.states = states;
        for text in news {
            self.tell(text);
        }
    }

    fn state(&self, node: &Node) -> State {
        let answered = self.silent_rounds < SILENT_AFTER;
        let fenced = self
            .view
            .as_ref()
            .and_then(|view| view.fenced.get(&node.id()));
        node.state(answered, fenced.copied())
    }
}

/// What is to be told about a node whose state has changed without a word about it yet: ends of
/// processes, first answers and fences are told where they are noticed.
fn change(id: i32, before: Option<State>, now: State) -> Option<String> {
    let has_ended = matches!(now, State::Stopped | State::Killed | State::Failed);
    match (before, now) {
        (Some(before), now) if before == now => None,
        (_, State::Paused) => Some(format!("node {id} stands still")),
        (Some(State::Paused), State::Stopping) => None,
        (Some(State::Paused), _) if !has_ended => Some(format!("node {id} goes on")),
        (Some(State::Fenced | State::Silent), State::Running) => {
            Some(format!("node {id} takes part again"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_and_a_return_are_told_and_an_end_only_once() {
        let told = |before, now| change(2, before, now).unwrap_or_default();
        assert_eq!(
            told(Some(State::Running), State::Paused),
            "node 2 stands still"
        );
        assert_eq!(told(Some(State::Paused), State::Fenced), "node 2 goes on");
        assert_eq!(
            told(Some(State::Fenced), State::Running),
            "node 2 takes part again"
        );
        assert_eq!(
            told(Some(State::Silent), State::Running),
            "node 2 takes part again"
        );
        let silent = [
            (None, State::Starting),
            (Some(State::Running), State::Running),
            (Some(State::Running), State::Fenced),
            (Some(State::Running), State::Killed),
            (Some(State::Paused), State::Killed),
            (Some(State::Paused), State::Stopping),
            (Some(State::Starting), State::Running),
        ];
        for (before, now) in silent {
            assert_eq!(change(2, before, now), None, "{before:?} {now:?}");
        }
    }
}
