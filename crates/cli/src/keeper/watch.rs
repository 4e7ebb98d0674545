//! `ottla keeper watch`, and the waiting of `--watch`.

use ottla_jute::EventType;
use serde::Serialize;

use super::client::{Event, WatchKind};
use super::data::DataView;
use super::paths::znode;
use super::session::Session;
use crate::moment::utc_text;
use crate::output::{self, OutputFormat, View};
use crate::{Error, Streams};

/// What `ottla keeper watch` takes.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each event is a line: when it was heard of, what happened, where. With -o json \
                  each is an object on a line. A znode that does not exist yet can be watched, too."
)]
pub(crate) struct WatchArgs {
    /// The znodes
    #[arg(required = true, value_name = "PATH", value_parser = znode)]
    paths: Vec<String>,
    /// Also everything below them
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Also read and print what the data are after a change
    #[arg(short, long)]
    data: bool,
    /// End after so many events
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
}

/// One event.
#[derive(Debug, Serialize)]
struct Seen {
    time: String,
    event: String,
    path: String,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    data: Option<DataView>,
    #[serde(skip)]
    text: Option<String>,
}

impl View for Seen {
    fn table(&self, _wide: bool) -> String {
        let (time, event, path) = (&self.time, &self.event, &self.path);
        match &self.text {
            None => format!("{time} {event} {path}\n"),
            Some(text) => format!("{time} {event} {path} {text}\n"),
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.path.clone()]
    }
}

/// ZooKeeper's name of an event's type.
pub(super) fn kind_name(kind: i32) -> String {
    match EventType::try_from(kind) {
        Ok(kind) => kind.name().to_owned(),
        Err(_) => format!("type {kind}"),
    }
}

/// What is told of the connection itself.
pub(super) fn told(event: &Event) -> Option<String> {
    match event {
        Event::Seen { .. } => None,
        Event::Disconnected { reason } => Some(format!(
            "disconnected: {reason}; looking for another server"
        )),
        Event::Reconnected { server } => Some(format!(
            "connected again, to {server}: what happened meanwhile is told only once"
        )),
        Event::Expired { server } => Some(format!(
            "the session has expired, and its ephemeral znodes are gone; a new one is open at \
             {server}"
        )),
    }
}

fn print(seen: &Seen, format: OutputFormat, streams: &mut Streams) -> Result<(), Error> {
    match format {
        OutputFormat::Json => {
            let line = serde_json::to_string(seen).map_err(|e| output::unprintable(&e))?;
            let written = writeln!(streams.out, "{line}").and_then(|()| streams.out.flush());
            written.map_err(Error::stdout)
        }
        OutputFormat::Yaml => {
            let document = format!("---\n{}", output::yaml(seen)?);
            let written = streams.out.write_all(document.as_bytes());
            written
                .and_then(|()| streams.out.flush())
                .map_err(Error::stdout)
        }
        format => output::print(seen, format, streams),
    }
}

pub(super) async fn run(args: &WatchArgs, session: &mut Session<'_>) -> Result<(), Error> {
    let kind = if args.recursive {
        WatchKind::Recursive
    } else {
        WatchKind::One
    };
    for path in &args.paths {
        let adding = session.client.add_watch(path, kind);
        let added = async {
            adding
                .await
                .map_err(|f| f.during(format!("watching {path}")))
        };
        crate::until_interrupted(session.interrupt, added).await?;
    }
    let Some(mut events) = session.events.take() else {
        // A shell goes on, and prints them as they come.
        session
            .streams
            .say("watching; events are printed as they come");
        return Ok(());
    };
    let mut left = args.count;
    while left != Some(0) {
        let event = tokio::select! {
            biased;
            () = session.interrupt.announced() => return Err(Error::Interrupted),
            event = events.recv() => event,
        };
        let Some(seen) = taken(event, session, args.data).await? else {
            continue;
        };
        print(&seen, session.format, session.streams)?;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

/// What is printed of an event. What concerns the connection is told at once.
async fn taken(
    event: Option<Event>,
    session: &mut Session<'_>,
    with_data: bool,
) -> Result<Option<Seen>, Error> {
    let Some(event) = event else {
        return Err(Error::Failed {
            action: "watching".to_owned(),
            reason: "the session has ended".to_owned(),
        });
    };
    let Event::Seen { kind, path } = event else {
        if let Some(text) = told(&event) {
            session.streams.say(&text);
        }
        return Ok(None);
    };
    let path = session.client.own(&path);
    let has_data = [EventType::NodeCreated, EventType::NodeDataChanged];
    let data = if with_data && has_data.iter().any(|known| known.code() == kind) {
        // It may be gone again.
        session.client.get(&path, false).await.ok()
    } else {
        None
    };
    let data = data.map(|(data, _)| data);
    Ok(Some(Seen {
        time: utc_text(session.runtime.clock.now_ms()),
        event: kind_name(kind),
        path,
        text: data.as_ref().map(|data| {
            let bytes = data.as_deref().unwrap_or_default();
            String::from_utf8_lossy(bytes).escape_debug().to_string()
        }),
        data: data.as_ref().map(|data| DataView::of(data.as_ref())),
    }))
}

/// Waits for the one event of a watch that a read has set. A shell does not wait.
pub(super) async fn wait_for_one(path: &str, session: &mut Session<'_>) -> Result<(), Error> {
    let Some(mut events) = session.events.take() else {
        return Ok(());
    };
    session
        .streams
        .say(&format!("waiting for a change of {path}"));
    loop {
        let event = events.recv().await;
        if let Some(seen) = taken(event, session, false).await? {
            return print(&seen, session.format, session.streams);
        }
    }
}
