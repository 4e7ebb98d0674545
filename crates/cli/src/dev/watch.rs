//! Watches the nodes: their processes, what the cluster says, and what the person wants.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Command;
use std::time::Duration;

use ottla_runtime::{Instant, Runtime, Shutdown, system};
use tokio::sync::mpsc;

use super::events::{events, number};
use super::node::{Node, State};
use super::orders::{HELP, Order, order};
use super::plan::{HOST, Plan, arguments, is_withheld, shown};
use super::screen::{Frame, Row, Screen};
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
/// More are never shown.
const EVENTS_KEPT: usize = 100;

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
            places: places(&plan),
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
            match (self.states.get(&id), state) {
                (Some(before), now) if *before == now => {}
                (_, State::Paused) => news.push(format!("node {id} stands still")),
                (Some(State::Paused), State::Stopping) => {}
                (Some(State::Paused), _) if node.is_alive() => {
                    news.push(format!("node {id} goes on"));
                }
                (Some(State::Fenced), State::Running) => {
                    news.push(format!("node {id} takes part again"));
                }
                _ => {}
            }
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

    /// Does what a line says.
    fn obey(&mut self, line: &str) {
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

    fn told(&mut self, id: i32, done: io::Result<()>) {
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

    fn start(&mut self, index: usize) {
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
    fn end(&mut self) {
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
    fn end_next(&mut self, now: Instant) {
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

    /// Something has happened.
    fn tell(&mut self, text: String) {
        let now = moment::utc_text(self.runtime.clock.now_ms());
        let time = now.get(11..19).unwrap_or_default();
        let line = format!("{time}Z  {text}");
        if self.screen.is_none() {
            self.print(&line);
        }
        if self.events.len() >= EVENTS_KEPT {
            self.events.remove(0);
        }
        self.events.push(line);
    }

    fn print(&mut self, line: &str) {
        let out = &mut self.streams.out;
        let written = writeln!(out, "{line}").and_then(|()| out.flush());
        self.wrote(written);
    }

    /// Whoever watched has gone: nobody could tell the nodes anything any more.
    fn wrote(&mut self, written: io::Result<()>) {
        if let Err(error) = written
            && self.failure.is_none()
        {
            self.failure = Some(Error::stdout(error));
            self.end();
        }
    }

    fn draw(&mut self) {
        let Some(mut screen) = self.screen.take() else {
            return;
        };
        // A terminal that does not tell is as small as the smallest that is in use.
        let size = system::terminal_size().unwrap_or((80, 24));
        let lines = self.frame().lines(size, self.streams.colour);
        let drawn = screen.draw(lines, size, &mut *self.streams.out);
        self.screen = Some(screen);
        self.wrote(drawn);
    }

    fn frame(&self) -> Frame<'_> {
        let count = number(self.nodes.len(), "node");
        let up = self.runtime.clock.instant() - self.began;
        let up = moment::duration_text(Duration::from_secs(up.as_secs()));
        let title = match &self.view {
            _ if self.is_ending => format!("Ottla, {count}: stopping"),
            None => format!("Ottla, {count}: starting"),
            Some(view) => format!("Ottla, {count}: cluster {}, up {up}", view.cluster_id),
        };
        let answered = self.silent_rounds < SILENT_AFTER;
        let view = self.view.as_ref().filter(|_| answered);
        let row = |node: &Node| {
            let id = node.id();
            Row {
                id,
                host: HOST,
                port: node.place.client_port,
                pid: node.pid(),
                state: self.state(node),
                is_controller: view.map(|view| view.controller == Some(id)),
                carries: view.map(|view| (view.leads(id), view.replicas(id), view.behind(id))),
                load: node.load,
            }
        };
        Frame {
            title,
            places: &self.places,
            rows: self.nodes.iter().map(row).collect(),
            events: self.events.clone(),
            help: format!("{HELP}; Ctrl-C stops all"),
        }
    }

    /// The last word.
    fn leave(&mut self) -> Result<(), Error> {
        if let Some(screen) = &mut self.screen {
            let left = screen.leave(&mut *self.streams.out);
            self.wrote(left);
        }
        let folder = shown(&self.plan.folder);
        match self.failure.take() {
            Some(error) => Err(error),
            None => {
                self.print(&format!(
                    "All nodes have ended. The data stays in {folder}: `ottla dev` goes on with it."
                ));
                self.failure.take().map_or(Ok(()), Err)
            }
        }
    }
}

/// Where clients connect, and where data and logs are.
fn places(plan: &Plan) -> Vec<String> {
    /// What a narrow terminal has room for.
    const ROOM: usize = 66;
    let places = plan.places();
    let further = |ports: Vec<u16>| {
        let ports: Vec<String> = ports.iter().skip(1).map(ToString::to_string).collect();
        match ports.is_empty() {
            true => String::new(),
            false => format!(", and {}", ports.join(", ")),
        }
    };
    let mut kafka = plan.bootstrap();
    if kafka.len() > ROOM {
        let others = further(places.iter().map(|p| p.client_port).collect());
        kafka = format!("{HOST}:{}{others}", plan.port);
    }
    let http: Vec<u16> = places.iter().map(|place| place.http_port).collect();
    let first = http.first().copied().unwrap_or_default();
    let folder = shown(&plan.folder);
    vec![
        format!("  Kafka    {kafka}"),
        format!("  HTTP     http://{HOST}:{first}/metrics{}", further(http)),
        format!("  Data     {folder}/node-N/data"),
        format!("  Logs     {folder}/node-N/ottla.log"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_fit_a_narrow_terminal() {
        for nodes in 1..=9 {
            let plan = Plan {
                nodes,
                port: 19092,
                folder: PathBuf::from("ottla-dev"),
                settings: Vec::new(),
            };
            for line in places(&plan) {
                assert!(line.len() < 80, "{line}");
            }
        }
        let plan = Plan {
            nodes: 3,
            port: 9092,
            folder: PathBuf::from("ottla-dev"),
            settings: Vec::new(),
        };
        let expected = [
            "  Kafka    127.0.0.1:9092,127.0.0.1:9094,127.0.0.1:9096",
            "  HTTP     http://127.0.0.1:9644/metrics, and 9645, 9646",
            "  Data     ./ottla-dev/node-N/data",
            "  Logs     ./ottla-dev/node-N/ottla.log",
        ];
        assert_eq!(places(&plan), expected);
    }
}
