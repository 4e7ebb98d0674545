//! Other processes of this machine: children that end when this one does, and what the system
//! tells about a process.
//!
//! ```text
//! this process ── holds the write end of a pipe ──▶ the child's standard input
//!      │                                                    │
//!      └─ a signal, a crash, kill -9: the pipe closes ──────┴─▶ parent_gone completes
//! ```
//!
//! Nothing has to be sent for it, so that it works however the parent ends.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};

use rustix::process::{Pid, kill_process};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

/// What a child is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// End in order: SIGTERM.
    Terminate,
    /// End at once, whatever is under way: SIGKILL.
    Kill,
    /// Stand still: SIGSTOP.
    Pause,
    /// Go on after a pause: SIGCONT.
    Resume,
}

/// A child process. It is killed, and waited for, when the value is dropped.
#[derive(Debug)]
pub struct Child {
    child: std::process::Child,
    /// The write end of the child's standard input.
    lifeline: Option<ChildStdin>,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts the command. Its standard input is a pipe on which nothing ever comes and that ends
    /// with this process; see [`parent_gone`]. It gets a process group of its own, so that Ctrl-C at the
    /// terminal reaches this process alone.
    pub fn spawn(command: &mut Command) -> io::Result<Child> {
        let mut child = command.stdin(Stdio::piped()).process_group(0).spawn()?;
        let lifeline = child.stdin.take();
        Ok(Child {
            child,
            lifeline,
            ended: None,
        })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did. Does not wait.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended)
    }

    /// Sends a signal; that the process has ended already is no error.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        // Until it is waited for, its id is nobody else's.
        if self.ended()?.is_some() {
            return Ok(());
        }
        let id = i32::try_from(self.id()).ok().and_then(Pid::from_raw);
        let id = id.ok_or(io::ErrorKind::InvalidInput)?;
        let signal = match signal {
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Pause => rustix::process::Signal::STOP,
            Signal::Resume => rustix::process::Signal::CONT,
        };
        match kill_process(id, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Closes the pipe, as the end of this process would.
    pub fn let_go(&mut self) {
        self.lifeline = None;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // Nothing can be done about a failure here.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Completes when the process that started this one by [`Child::spawn`] is gone, or has let it go.
///
/// # Errors
/// Standard input is no pipe: the process was started in another way.
pub fn parent_gone() -> io::Result<impl Future<Output = ()>> {
    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let mut input = pipe::Receiver::from_owned_fd(input)?;
    // A process that stands still would never read the end of the pipe.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::CONT))?;
    Ok(async move {
        let mut ignored = [0; 64];
        while input.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
    })
}

/// What the system tells about a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vitals {
    /// Its resident memory in bytes.
    pub resident_bytes: u64,
    /// The processor seconds that it has used so far (user and system).
    pub processor_seconds: f64,
    /// Whether it stands still after a SIGSTOP.
    pub is_paused: bool,
}

/// Looks at a process; `None` when it is gone, and where there is no `/proc`.
#[must_use]
pub fn vitals(id: u32) -> Option<Vitals> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let statm = std::fs::read_to_string(format!("/proc/{id}/statm")).ok()?;
    Some(Vitals {
        resident_bytes: crate::system::resident_bytes(&statm)?,
        processor_seconds: crate::system::seconds_used(&stat)?,
        is_paused: stat.rsplit_once(')')?.1.trim_start().starts_with('T'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    fn wait(child: &mut Child) -> ExitStatus {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = child.ended().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not end");
            sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_child_that_is_let_go_reads_the_end_of_its_input() {
        let mut child = Child::spawn(Command::new("cat").stdout(Stdio::null())).unwrap();
        assert_eq!(child.ended().unwrap(), None);
        child.let_go();
        assert!(wait(&mut child).success());
        child.signal(Signal::Terminate).unwrap();
    }

    #[test]
    fn a_child_stands_still_goes_on_and_is_killed() {
        let mut child = Child::spawn(Command::new("cat").stdout(Stdio::null())).unwrap();
        let is_paused = |child: &Child| vitals(child.id()).map(|vitals| vitals.is_paused);
        let until = |child: &Child, expected| {
            let limit = Instant::now() + Duration::from_secs(30);
            while is_paused(child) != Some(expected) && vitals(std::process::id()).is_some() {
                assert!(Instant::now() < limit, "not {expected}");
                sleep(Duration::from_millis(5));
            }
        };
        until(&child, false);
        child.signal(Signal::Pause).unwrap();
        until(&child, true);
        child.signal(Signal::Resume).unwrap();
        until(&child, false);
        child.signal(Signal::Kill).unwrap();
        assert_eq!(wait(&mut child).code(), None);
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let child = Child::spawn(Command::new("cat").stdout(Stdio::null())).unwrap();
        let id = child.id();
        drop(child);
        assert_eq!(vitals(id), None);
    }
}
