//! Many connections with many requests under way, from one thread: as little work as possible beside
//! the servers that are measured, which share the machine with it.
//!
//! Requests come as ready bytes, and of answers only the header is looked at. So many requests as were
//! answered at once are sent at once.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::connection::Connection;

const READ_AT_ONCE: usize = 256 * 1024;
/// The length, the request's number, the transaction, the error.
const HEADER_BYTES: usize = 20;
const SESSION_TIMEOUT_MS: i32 = 30_000;
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// A load that gets no answer for so long has failed.
const SILENCE_SECONDS_MAX: i64 = 60;

/// Where requests come from.
pub trait Source {
    /// Appends the frame of one request. Its number is filled in by the load.
    fn request(&mut self, connection: usize, out: &mut Vec<u8>);
}

/// When a load ends.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After this time; what is under way then is waited for, and not counted as done in time.
    Time(Duration),
    /// After so many requests.
    Count(u64),
}

/// What a load was.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// Requests that were answered, all of them.
    pub answered: u64,
    /// Those that were answered before the time was up.
    pub in_time: u64,
    /// How long those took.
    pub wall_s: f64,
    /// How often each error was the answer.
    pub errors: BTreeMap<i32, u64>,
}

impl Ran {
    /// Requests answered each second.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52 requests")]
    pub fn per_second(&self) -> f64 {
        self.in_time as f64 / self.wall_s
    }

    /// An error when a request failed.
    pub fn all_good(&self) -> Result<()> {
        ensure!(self.errors.is_empty(), "requests failed: {:?}", self.errors);
        Ok(())
    }
}

/// Connections with a session each.
#[derive(Debug)]
pub struct Load {
    epoll: OwnedFd,
    lines: Vec<Line>,
    /// How many requests are under way on each connection.
    pipelined: usize,
}

#[derive(Debug)]
struct Line {
    stream: TcpStream,
    received: Vec<u8>,
    sending: Vec<u8>,
    sent: usize,
    /// Whether the kernel tells when there is room to send.
    awaits_room: bool,
    under_way: usize,
    next_xid: i32,
    answered_xid: i32,
}

impl Load {
    /// Opens sessions, on the addresses in turn.
    pub fn connect(addresses: &[SocketAddr], connections: usize, pipelined: usize) -> Result<Load> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut lines = Vec::new();
        for (at, &address) in (0..connections).zip(addresses.iter().cycle()) {
            let connection = Connection::open(address, SESSION_TIMEOUT_MS, CONNECT_LIMIT)?;
            let stream = connection.into_stream();
            stream.set_read_timeout(None)?;
            stream.set_nonblocking(true)?;
            let data = EventData::new_u64(u64::try_from(at)?);
            epoll::add(&epoll, &stream, data, EventFlags::IN)?;
            lines.push(Line {
                stream,
                received: Vec::with_capacity(READ_AT_ONCE),
                sending: Vec::new(),
                sent: 0,
                awaits_room: false,
                under_way: 0,
                next_xid: 1,
                answered_xid: 0,
            });
        }
        ensure!(
            !lines.is_empty(),
            "a load needs an address and a connection"
        );
        Ok(Load {
            epoll,
            lines,
            pipelined,
        })
    }

    /// Sends requests and takes answers until the end, and waits for all that is under way.
    pub fn run(&mut self, until: Until, source: &mut dyn Source) -> Result<Ran> {
        let began = Instant::now();
        let mut ran = Ran::default();
        let (mut left, deadline) = match until {
            Until::Time(time) => (u64::MAX, Some(began + time)),
            Until::Count(count) => (count, None),
        };
        for at in 0..self.lines.len() {
            left = self.fill(at, left, source)?;
        }
        let mut events = Vec::with_capacity(self.lines.len());
        let silence = Timespec {
            tv_sec: SILENCE_SECONDS_MAX,
            tv_nsec: 0,
        };
        while self.lines.iter().any(|line| line.under_way > 0) {
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&silence))?;
            ensure!(
                !events.is_empty(),
                "no answer for {SILENCE_SECONDS_MAX} s to requests that are under way"
            );
            let is_over = left == 0 || deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if is_over && ran.wall_s == 0.0 && deadline.is_some() {
                (ran.wall_s, ran.in_time) = (began.elapsed().as_secs_f64(), ran.answered);
                left = 0;
            }
            for event in events.drain(..) {
                let at = usize::try_from(event.data.u64())?;
                let line = self.lines.get_mut(at).context("an unknown connection")?;
                line.take(&mut ran)?;
                left = self.fill(at, left, source)?;
            }
        }
        if ran.wall_s == 0.0 {
            (ran.wall_s, ran.in_time) = (began.elapsed().as_secs_f64(), ran.answered);
        }
        Ok(ran)
    }

    /// Brings a connection up to what shall be under way; how many requests are left then.
    fn fill(&mut self, at: usize, mut left: u64, source: &mut dyn Source) -> Result<u64> {
        let line = &mut self.lines[at];
        while line.under_way < self.pipelined && left > 0 {
            left -= 1;
            line.under_way += 1;
            let begin = line.sending.len();
            source.request(at, &mut line.sending);
            let number = line.sending.get_mut(begin + 4..begin + 8);
            let number = number.context("a request without a header")?;
            number.copy_from_slice(&line.next_xid.to_be_bytes());
            line.next_xid = following(line.next_xid);
        }
        line.flush()?;
        let awaits_room = line.sent < line.sending.len();
        if awaits_room != line.awaits_room {
            line.awaits_room = awaits_room;
            let flags = if awaits_room {
                EventFlags::IN | EventFlags::OUT
            } else {
                EventFlags::IN
            };
            let data = EventData::new_u64(u64::try_from(at)?);
            epoll::modify(&self.epoll, &line.stream, data, flags)?;
        }
        Ok(left)
    }
}

impl Line {
    /// Sends as much as the kernel takes.
    fn flush(&mut self) -> Result<()> {
        while self.sent < self.sending.len() {
            match self.stream.write(&self.sending[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("a server ended a connection"),
            }
        }
        self.sending.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads once, and counts the answers.
    fn take(&mut self, ran: &mut Ran) -> Result<()> {
        let before = self.received.len();
        self.received.resize(before + READ_AT_ONCE, 0);
        let outcome = self.stream.read(&mut self.received[before..]);
        self.received
            .truncate(before + outcome.as_ref().map_or(0, |count| *count));
        match outcome {
            Ok(0) => bail!("a server closed a connection under load"),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("a server ended a connection"),
        }
        let mut at = 0;
        while let Some(header) = self.received[at..].first_chunk::<HEADER_BYTES>() {
            let int = |from: usize| {
                let bytes = header[from..from + 4].try_into().unwrap_or_default();
                i32::from_be_bytes(bytes)
            };
            let (length, xid, err) = (usize::try_from(int(0))?, int(4), int(16));
            if self.received.len() < at + 4 + length {
                break;
            }
            at += 4 + length;
            let due = following(self.answered_xid);
            ensure!(xid == due, "an answer to request {xid} where {due} is due");
            self.answered_xid = xid;
            self.under_way -= 1;
            ran.answered += 1;
            if err != 0 {
                *ran.errors.entry(err).or_default() += 1;
            }
        }
        self.received.drain(..at);
        Ok(())
    }
}

/// Numbers of requests are positive.
fn following(xid: i32) -> i32 {
    xid.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use bytes::BytesMut;
    use ottla_jute::{ConnectResponse, Record, ReplyHeader, Request, frame, reply, request_frame};

    use super::*;

    struct Pings(u64);

    impl Source for Pings {
        fn request(&mut self, _connection: usize, out: &mut Vec<u8>) {
            let mut frame = BytesMut::new();
            request_frame(&mut frame, 0, &Request::Ping);
            out.extend_from_slice(&frame);
            self.0 += 1;
        }
    }

    fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut rest = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut rest).ok()?;
        Some(rest)
    }

    /// Answers every request; every tenth one with an error. `skips` leaves out one answer.
    fn server(skips: bool) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move |mut stream: TcpStream| {
            read_frame(&mut stream);
            let mut out = BytesMut::new();
            let granted = ConnectResponse {
                protocol_version: 0,
                timeout_ms: 4000,
                session_id: 1,
                password: None,
                read_only: Some(false),
            };
            frame(&mut out, |writer| granted.write(writer));
            stream.write_all(&out).unwrap();
            while let Some(request) = read_frame(&mut stream) {
                let xid = i32::from_be_bytes(request[..4].try_into().unwrap());
                if skips && xid == 5 {
                    continue;
                }
                let err = if xid % 10 == 0 { -101 } else { 0 };
                out.clear();
                reply(&mut out, ReplyHeader { xid, zxid: 1, err }, |_| {});
                if stream.write_all(&out).is_err() {
                    return;
                }
            }
        };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                thread::spawn(move || serve(stream));
            }
        });
        address
    }

    #[test]
    fn every_request_is_answered_and_errors_are_counted() {
        let mut load = Load::connect(&[server(false), server(false)], 3, 7).unwrap();
        let mut source = Pings(0);
        let ran = load.run(Until::Count(300), &mut source).unwrap();
        assert_eq!((ran.answered, ran.in_time, source.0), (300, 300, 300));
        let wrong: u64 = ran.errors.values().sum();
        assert!((28..=30).contains(&wrong), "{ran:?}");
        assert!(ran.all_good().is_err());
    }

    #[test]
    fn a_load_ends_in_time_and_goes_on_with_the_next() {
        let mut load = Load::connect(&[server(false)], 2, 3).unwrap();
        let mut source = Pings(0);
        for _ in 0..2 {
            let time = Duration::from_millis(60);
            let ran = load.run(Until::Time(time), &mut source).unwrap();
            assert!(ran.answered >= ran.in_time && ran.in_time > 0, "{ran:?}");
            assert!(ran.wall_s >= 0.06 && ran.per_second() > 0.0, "{ran:?}");
        }
    }

    #[test]
    fn an_answer_that_is_left_out_is_noticed() {
        let mut load = Load::connect(&[server(true)], 1, 10).unwrap();
        let error = load.run(Until::Count(100), &mut Pings(0)).unwrap_err();
        assert!(format!("{error:#}").contains("where 5 is due"), "{error:#}");
    }
}
