//! What the person gets to see.

use std::io;
use std::time::Duration;

use super::super::events::number;
use super::super::node::Node;
use super::super::orders::HELP;
use super::super::plan::{HOST, Plan, shown};
use super::super::screen::{Frame, Row};
use super::{SILENT_AFTER, Watch, system};
use crate::{Error, moment};

/// More are never shown.
const EVENTS_KEPT: usize = 100;

impl Watch<'_> {
    /// Something has happened.
    pub(super) fn tell(&mut self, text: String) {
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

    pub(super) fn print(&mut self, line: &str) {
        let out = &mut self.streams.out;
        let written = writeln!(out, "{line}").and_then(|()| out.flush());
        self.wrote(written);
    }

    /// Whoever watched has gone: nobody could tell the nodes anything any more.
    pub(super) fn wrote(&mut self, written: io::Result<()>) {
        if let Err(error) = written
            && self.failure.is_none()
        {
            self.failure = Some(Error::stdout(error));
            self.end();
        }
    }

    pub(super) fn draw(&mut self) {
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
    pub(super) fn leave(&mut self) -> Result<(), Error> {
        if let Some(screen) = &mut self.screen {
            let left = screen.leave(&mut *self.streams.out);
            self.wrote(left);
        }
        let folder = shown(&self.plan.folder);
        match self.failure.take() {
            Some(error) => Err(error),
            None => {
                self.print(&format!(
                    "All nodes have ended. `ottla dev` goes on with the data in {folder}."
                ));
                self.failure.take().map_or(Ok(()), Err)
            }
        }
    }
}

/// Where clients connect, and where data and logs are.
pub(super) fn places(plan: &Plan) -> Vec<String> {
    /// What a narrow terminal has room for.
    const ROOM: usize = 66;
    let places = plan.places();
    let further = |ports: Vec<u16>| match ports.as_slice() {
        [_, second, .., last] if ports.len() > 4 => format!(", and {second} … {last}"),
        [_, others @ ..] if !others.is_empty() => {
            let others: Vec<String> = others.iter().map(ToString::to_string).collect();
            format!(", and {}", others.join(", "))
        }
        _ => String::new(),
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
    use std::path::PathBuf;

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
                assert!(line.chars().count() < 80, "{line}");
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
