//! A node's process: started, told to end, and how it ended.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use ottla_runtime::Instant;
use ottla_runtime::process::{self, Child, Signal};

use super::plan::{Place, shown};

/// The number of SIGKILL, the same on all systems.
const SIGKILL: i32 = 9;
/// Over less time, the share of a processor is only noise.
const LOAD_WINDOW_SECONDS: f64 = 0.9;
/// The last line of a log is at most so long.
const LAST_LINE_BYTES: u64 = 4096;

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its process runs, and it does not take part yet.
    Starting,
    Running,
    /// It took part, and the controller does not hear it any more.
    Fenced,
    /// It took part, and no node answers any more.
    Silent,
    Paused,
    Stopping,
    /// It was told to end, and did.
    Stopped,
    /// SIGKILL ended it.
    Killed,
    /// It ended by itself, or could not start.
    Failed,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Running => "running",
            State::Fenced => "fenced",
            State::Silent => "silent",
            State::Paused => "paused",
            State::Stopping => "stopping",
            State::Stopped => "stopped",
            State::Killed => "killed",
            State::Failed => "failed",
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) state: State,
    /// Whether somebody here asked for it.
    pub(super) asked_for: bool,
    /// For the person: `node 2 was killed`.
    pub(super) words: String,
}

/// What was asked of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Stop,
    Kill,
}

/// What a process takes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Load {
    pub(super) resident_bytes: Option<u64>,
    pub(super) cpu_percent: Option<f64>,
}

/// A node and its process.
pub(super) struct Node {
    pub(super) place: Place,
    child: Option<Child>,
    asked: Asked,
    asked_at: Option<Instant>,
    is_paused: bool,
    /// How the last process ended.
    ended: Option<State>,
    /// Whether this process was seen to take part.
    pub(super) took_part: bool,
    /// When it is started again by itself.
    pub(super) start_at: Option<Instant>,
    /// Ends in a row without having taken part.
    pub(super) failures: u32,
    pub(super) load: Load,
    measured: Option<(Instant, f64)>,
    /// How long the log was when this process began.
    log_began: u64,
}

impl Node {
    pub(super) fn new(place: Place) -> Node {
        Node {
            place,
            child: None,
            asked: Asked::Nothing,
            asked_at: None,
            is_paused: false,
            ended: None,
            took_part: false,
            start_at: None,
            failures: 0,
            load: Load::default(),
            measured: None,
            log_began: 0,
        }
    }

    pub(super) fn id(&self) -> i32 {
        self.place.id
    }

    /// The process id, while there is a process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub(super) fn is_alive(&self) -> bool {
        self.child.is_some()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn is_asked_to_end(&self) -> bool {
        self.is_alive() && self.asked != Asked::Nothing
    }

    /// Since when it has been asked to end.
    pub(super) fn asked_at(&self) -> Option<Instant> {
        self.asked_at.filter(|_| self.is_asked_to_end())
    }

    /// Starts the process; both its outputs are appended to its log.
    pub(super) fn start(&mut self, command: &mut Command) -> io::Result<u32> {
        if let Some(folder) = self.place.log.parent() {
            fs::create_dir_all(folder)?;
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(&self.place.log)?;
        self.log_began = log.metadata()?.len();
        let child = Child::spawn(command.stdout(log.try_clone()?).stderr(log))?;
        let id = child.id();
        self.child = Some(child);
        self.asked = Asked::Nothing;
        self.asked_at = None;
        self.is_paused = false;
        self.ended = None;
        self.took_part = false;
        self.start_at = None;
        self.measured = None;
        Ok(id)
    }

    /// Notices the end of the process, once.
    pub(super) fn reap(&mut self) -> io::Result<Option<Ended>> {
        let Some(child) = &mut self.child else {
            return Ok(None);
        };
        let Some(status) = child.ended()? else {
            return Ok(None);
        };
        self.child = None;
        self.load = Load::default();
        self.is_paused = false;
        let last_line = last_line(&self.place.log, self.log_began);
        let ended = judge(self.id(), status, self.asked, last_line, &self.place.log);
        self.failures = if self.took_part { 0 } else { self.failures + 1 };
        self.ended = Some(ended.state);
        Ok(Some(ended))
    }

    /// Asks it to end in order. Where nobody can take over from it, it need not look for somebody.
    pub(super) fn stop(&mut self, somebody_takes_over: bool, now: Instant) -> io::Result<()> {
        let Some(child) = &mut self.child else {
            return Ok(());
        };
        if somebody_takes_over {
            child.signal(Signal::Terminate)?;
        } else {
            child.let_go();
        }
        if self.is_paused {
            child.signal(Signal::Resume)?;
        }
        if self.asked == Asked::Nothing {
            self.asked = Asked::Stop;
        }
        self.asked_at.get_or_insert(now);
        Ok(())
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self, now: Instant) -> io::Result<()> {
        self.asked = Asked::Kill;
        self.asked_at = Some(now);
        self.signal(Signal::Kill)
    }

    /// Lets it stand still, or go on.
    pub(super) fn pause(&mut self, pause: bool) -> io::Result<()> {
        let signal = if pause { Signal::Pause } else { Signal::Resume };
        self.signal(signal)?;
        self.is_paused = pause;
        Ok(())
    }

    /// A process that could not even be made.
    pub(super) fn could_not_start(&mut self) {
        self.ended = Some(State::Failed);
        self.failures += 1;
    }

    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        match &mut self.child {
            Some(child) => child.signal(signal),
            None => Ok(()),
        }
    }

    /// Looks at what the process takes, and whether it stands still.
    pub(super) fn measure(&mut self, now: Instant) {
        let Some(vitals) = self.pid().and_then(process::vitals) else {
            return;
        };
        self.is_paused = vitals.is_paused;
        self.load.resident_bytes = Some(vitals.resident_bytes);
        let used = vitals.processor_seconds;
        match self.measured {
            None => self.measured = Some((now, used)),
            Some((at, before)) => {
                let seconds = (now - at).as_secs_f64();
                if seconds >= LOAD_WINDOW_SECONDS {
                    self.load.cpu_percent = Some((used - before).max(0.0) / seconds * 100.0);
                    self.measured = Some((now, used));
                }
            }
        }
    }

    /// How it is. `fenced` is what the cluster says of its broker, if a node answered.
    pub(super) fn state(&self, answered: bool, fenced: Option<bool>) -> State {
        if !self.is_alive() {
            return self.ended.unwrap_or(State::Stopped);
        }
        match (self.asked, self.is_paused) {
            (Asked::Stop | Asked::Kill, _) => State::Stopping,
            (Asked::Nothing, true) => State::Paused,
            (Asked::Nothing, false) => match (self.took_part, answered, fenced) {
                (false, _, _) => State::Starting,
                (true, false, _) => State::Silent,
                (true, true, Some(true)) => State::Fenced,
                (true, true, _) => State::Running,
            },
        }
    }
}

/// What the end of a process means.
fn judge(id: i32, status: ExitStatus, asked: Asked, last_line: String, log: &Path) -> Ended {
    let killed = status.signal() == Some(SIGKILL);
    let (state, words) = match (asked, killed) {
        (Asked::Kill, true) => (State::Killed, format!("node {id} was killed")),
        (_, true) => (
            State::Killed,
            format!("node {id} was killed from outside (SIGKILL)"),
        ),
        (Asked::Stop | Asked::Kill, false) if status.success() => {
            (State::Stopped, format!("node {id} stopped"))
        }
        (Asked::Nothing, false) if status.success() => (
            State::Stopped,
            format!("node {id} was stopped from outside"),
        ),
        _ => {
            let how = match (status.code(), status.signal()) {
                (Some(code), _) => format!("with exit code {code}"),
                (None, Some(signal)) => format!("by signal {signal}"),
                (None, None) => "in an unknown way".to_owned(),
            };
            let last = if last_line.is_empty() {
                String::new()
            } else {
                format!(": {last_line}")
            };
            let log = shown(log);
            (
                State::Failed,
                format!("node {id} ended {how} (see {log}){last}"),
            )
        }
    };
    Ended {
        state,
        asked_for: asked != Asked::Nothing,
        words,
    }
}

/// The last line of a log that is not empty, behind `from`.
fn last_line(log: &Path, from: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let len = file.metadata()?.len();
        let start = from.max(len.saturating_sub(LAST_LINE_BYTES));
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(LAST_LINE_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // Without it the end is told all the same.
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.next_back().unwrap_or_default().to_owned()
}

/// The program of this process, to start nodes with.
pub(super) fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(raw: i32, asked: Asked) -> Ended {
        let log = Path::new("dev/node-2/ottla.log");
        judge(
            2,
            ExitStatus::from_raw(raw),
            asked,
            "no room".to_owned(),
            log,
        )
    }

    #[test]
    fn an_end_is_told_by_who_wanted_it() {
        let cases = [
            (9, Asked::Kill, State::Killed, "node 2 was killed"),
            (
                9,
                Asked::Nothing,
                State::Killed,
                "node 2 was killed from outside (SIGKILL)",
            ),
            (0, Asked::Stop, State::Stopped, "node 2 stopped"),
            (
                0,
                Asked::Nothing,
                State::Stopped,
                "node 2 was stopped from outside",
            ),
            (
                1 << 8,
                Asked::Nothing,
                State::Failed,
                "node 2 ended with exit code 1 (see ./dev/node-2/ottla.log): no room",
            ),
            (
                11,
                Asked::Stop,
                State::Failed,
                "node 2 ended by signal 11 (see ./dev/node-2/ottla.log): no room",
            ),
        ];
        for (raw, asked, state, words) in cases {
            let ended = judged(raw, asked);
            assert_eq!((ended.state, ended.words.as_str()), (state, words));
            assert_eq!(ended.asked_for, asked != Asked::Nothing);
        }
    }

    #[test]
    fn the_last_line_is_of_this_run_and_not_empty() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert_eq!(last_line(&log, 0), "");
        fs::write(&log, "an old line\n").unwrap();
        let began = fs::metadata(&log).unwrap().len();
        assert_eq!(last_line(&log, began), "");
        fs::write(&log, "an old line\nfirst\n  last \n\n").unwrap();
        assert_eq!(last_line(&log, began), "last");
        fs::write(&log, "x".repeat(100_000)).unwrap();
        assert_eq!(last_line(&log, 0).len(), 4096);
    }

    fn node(folder: &Path) -> Node {
        Node::new(Place {
            id: 2,
            client_port: 1,
            controller_port: 2,
            http_port: 3,
            data: PathBuf::new(),
            log: folder.join("node-2/ottla.log"),
        })
    }

    #[tokio::test]
    async fn a_process_goes_through_its_states() {
        let clock = ottla_runtime::Runtime::real().clock;
        let folder = tempfile::tempdir().unwrap();
        let mut node = node(folder.path());
        assert_eq!(node.state(false, None), State::Stopped);
        node.start(&mut Command::new("cat")).unwrap();
        assert_eq!(node.state(true, None), State::Starting);
        node.took_part = true;
        assert_eq!(node.state(true, Some(false)), State::Running);
        assert_eq!(node.state(true, Some(true)), State::Fenced);
        assert_eq!(node.state(false, None), State::Silent);
        node.pause(true).unwrap();
        assert_eq!(node.state(true, Some(false)), State::Paused);
        // Also when it stands still.
        node.stop(false, clock.instant()).unwrap();
        assert_eq!(node.state(true, Some(false)), State::Stopping);
        let ended = until_ended(&mut node).await;
        assert_eq!((ended.state, node.pid()), (State::Stopped, None));
        node.start(&mut Command::new("cat")).unwrap();
        node.kill(clock.instant()).unwrap();
        assert_eq!(until_ended(&mut node).await.state, State::Killed);
        assert_eq!(node.state(true, Some(false)), State::Killed);
    }

    async fn until_ended(node: &mut Node) -> Ended {
        for _ in 0..3000 {
            if let Some(ended) = node.reap().unwrap() {
                return ended;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("it does not end");
    }
}
