//! Journals as files: written line by line, and read again after the client's end.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};

use super::{Entry, Event, Place};

/// The time of journals, in microseconds since the epoch.
pub fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
}

/// A journal that is being written; threads may share it.
#[derive(Debug)]
pub struct Journal {
    file: Mutex<File>,
}

impl Journal {
    /// A new journal; an older one at this path is an error.
    pub fn create(path: &Path) -> Result<Journal> {
        let file = File::create_new(path)
            .with_context(|| format!("cannot create the journal {}", path.display()))?;
        Ok(Journal {
            file: Mutex::new(file),
        })
    }

    /// Writes a line with the time of now.
    pub fn say(&self, event: &Event) -> Result<()> {
        let line = format!("{} {}\n", now_us(), words(event));
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(file.write_all(line.as_bytes())?)
    }

    /// Reads a journal from its file. A last line without its end was being written when the client
    /// was killed, and does not count; a file that is not there is a client that never began.
    pub fn read(path: &Path) -> Result<Vec<Entry>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse_line = |(number, line): (usize, &str)| {
            parse(line).ok_or_else(|| {
                anyhow!(
                    "{}, line {}: {line:?} is no event",
                    path.display(),
                    number + 1
                )
            })
        };
        whole.lines().enumerate().map(parse_line).collect()
    }
}

fn words(event: &Event) -> String {
    let one_line = |why: &String| why.replace(['\n', '\r'], " ");
    let spot = |at: &Place| format!("{} {}", at.topic, at.partition);
    match event {
        Event::Begin { number } => format!("begin {number}"),
        Event::Commit { number } => format!("commit {number}"),
        Event::Committed { number } => format!("committed {number}"),
        Event::Abort { number } => format!("abort {number}"),
        Event::Aborted { number } => format!("aborted {number}"),
        Event::Error { number, why } => format!("error {number} {}", one_line(why)),
        Event::Send { number, at, value } => format!("send {number} {} {value}", spot(at)),
        Event::Acked {
            number,
            at,
            value,
            offset,
        } => {
            format!("acked {number} {} {value} {offset}", spot(at))
        }
        Event::Refused {
            number,
            at,
            value,
            why,
        } => {
            format!("refused {number} {} {value} {}", spot(at), one_line(why))
        }
        Event::Position { at, offset } => format!("position {} {offset}", spot(at)),
        Event::Revoked { at } => format!("revoked {}", spot(at)),
        Event::Read { at, offset, value } => format!("read {} {offset} {value}", spot(at)),
        Event::CommitOffset { at, offset } => format!("commit-offset {} {offset}", spot(at)),
        Event::OffsetCommitted { at, offset } => format!("offset-committed {} {offset}", spot(at)),
        Event::AskOffset { at } => format!("ask-offset {}", spot(at)),
        Event::OffsetTold { at, offset } => format!("offset-told {} {offset}", spot(at)),
    }
}

fn parse(line: &str) -> Option<Entry> {
    let (at_us, rest) = line.split_once(' ')?;
    let (word, rest) = rest.split_once(' ')?;
    let mut fields = rest.split(' ');
    let mut next = || fields.next();
    let event = match word {
        "begin" | "commit" | "committed" | "abort" | "aborted" => {
            let number = next()?.parse().ok()?;
            match word {
                "begin" => Event::Begin { number },
                "commit" => Event::Commit { number },
                "committed" => Event::Committed { number },
                "abort" => Event::Abort { number },
                _ => Event::Aborted { number },
            }
        }
        "error" => Event::Error {
            number: next()?.parse().ok()?,
            why: fields.collect::<Vec<_>>().join(" "),
        },
        "send" | "acked" | "refused" => {
            let number = next()?.parse().ok()?;
            let at = Place::of(next()?, next()?.parse().ok()?);
            let value = next()?.to_owned();
            match word {
                "send" => Event::Send { number, at, value },
                "acked" => {
                    let offset = next()?.parse().ok()?;
                    Event::Acked {
                        number,
                        at,
                        value,
                        offset,
                    }
                }
                _ => {
                    let why = fields.collect::<Vec<_>>().join(" ");
                    Event::Refused {
                        number,
                        at,
                        value,
                        why,
                    }
                }
            }
        }
        _ => {
            let at = Place::of(next()?, next()?.parse().ok()?);
            match word {
                "revoked" => Event::Revoked { at },
                "ask-offset" => Event::AskOffset { at },
                _ => {
                    let offset = next()?.parse().ok()?;
                    match word {
                        "position" => Event::Position { at, offset },
                        "read" => Event::Read {
                            at,
                            offset,
                            value: next()?.to_owned(),
                        },
                        "commit-offset" => Event::CommitOffset { at, offset },
                        "offset-committed" => Event::OffsetCommitted { at, offset },
                        "offset-told" => Event::OffsetTold { at, offset },
                        _ => return None,
                    }
                }
            }
        }
    };
    Some(Entry {
        at_us: at_us.parse().ok()?,
        event,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let at = || Place::of("orders", 2);
        let value = || "p/1/7".to_owned();
        let why = || "timed out: really".to_owned();
        let events = [
            Event::Begin { number: 1 },
            Event::Send {
                number: 1,
                at: at(),
                value: value(),
            },
            Event::Acked {
                number: 1,
                at: at(),
                value: value(),
                offset: 9,
            },
            Event::Refused {
                number: 1,
                at: at(),
                value: value(),
                why: why(),
            },
            Event::Error {
                number: 1,
                why: why(),
            },
            Event::Commit { number: 1 },
            Event::Committed { number: 1 },
            Event::Abort { number: 2 },
            Event::Aborted { number: 2 },
            Event::Position {
                at: at(),
                offset: -1,
            },
            Event::Read {
                at: at(),
                offset: 3,
                value: value(),
            },
            Event::Revoked { at: at() },
            Event::CommitOffset {
                at: at(),
                offset: 4,
            },
            Event::OffsetCommitted {
                at: at(),
                offset: 4,
            },
            Event::AskOffset { at: at() },
            Event::OffsetTold {
                at: at(),
                offset: 4,
            },
        ];
        let journal = Journal::create(&path).unwrap();
        for event in &events {
            journal.say(event).unwrap();
        }
        let read = Journal::read(&path).unwrap();
        assert!(read.iter().map(|entry| &entry.event).eq(&events));
        assert!(read.iter().all(|entry| entry.at_us > 1_600_000_000_000_000));
    }

    #[test]
    fn a_torn_last_line_does_not_count_and_a_wrong_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        assert!(Journal::read(&path).unwrap().is_empty());
        fs::write(&path, "5 begin 1\n6 commit").unwrap();
        assert_eq!(Journal::read(&path).unwrap().len(), 1);
        fs::write(&path, "5 begin 1\n6 bygone 1\n").unwrap();
        let error = Journal::read(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
