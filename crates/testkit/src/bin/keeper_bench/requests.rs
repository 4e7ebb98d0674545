//! What the loads send.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::{Bytes, BytesMut};
use ottla_jute::{Acl, Create, ErrorCode, GetData, Request, SetData, request_frame};
use ottla_testkit::keeper::{Answer, Connection, Source};

const LIMIT: Duration = Duration::from_secs(60);
const ROOT: &str = "/bench";
/// How many znodes each connection of a load writes and reads, in turn.
const OF_A_CONNECTION: usize = 20;
/// How many children a parent of the stored znodes has.
const SIBLINGS: usize = 1000;

/// Creates znodes one after the other; those that are there stay.
pub(crate) fn create_all(
    address: SocketAddr,
    paths: impl Iterator<Item = String>,
    data_bytes: usize,
) -> Result<()> {
    let mut connection = Connection::open(address, 30_000, LIMIT)?;
    for path in paths {
        let request = create(path, data_bytes);
        let answer = connection.call(&request, LIMIT)?;
        let exists = ErrorCode::NodeExists;
        let is_there = match &answer {
            Answer::Done { .. } => true,
            Answer::Failed { error, .. } => *error == exists,
            Answer::Lost => false,
        };
        ensure!(is_there, "a znode cannot be created: {answer:?}");
    }
    connection.call(&Request::CloseSession, LIMIT)?;
    Ok(())
}

/// Creates what [`Prepared`] works on.
pub(crate) fn create_for_loads(
    address: SocketAddr,
    connections: usize,
    data_bytes: usize,
) -> Result<()> {
    let of_all = (0..connections)
        .flat_map(|connection| (0..OF_A_CONNECTION).map(move |at| path(connection, at)));
    create_all(
        address,
        std::iter::once(ROOT.to_owned()).chain(of_all),
        data_bytes,
    )
}

fn path(connection: usize, at: usize) -> String {
    format!("{ROOT}/connection-{connection:02}-{at:02}")
}

fn create(path: String, data_bytes: usize) -> Request {
    Request::Create(Create {
        path,
        data: Some(Bytes::from(vec![b'd'; data_bytes])),
        acl: vec![Acl::open()],
        flags: 0,
    })
}

/// Requests that were made into bytes before: each connection sends its own in turn.
pub(crate) struct Prepared {
    frames: Vec<Vec<BytesMut>>,
    next: Vec<usize>,
}

impl Prepared {
    fn of(connections: usize, request: impl Fn(String) -> Request) -> Prepared {
        let frame = |connection, at| {
            let mut out = BytesMut::new();
            request_frame(&mut out, 0, &request(path(connection, at)));
            out
        };
        let of_one = |connection| {
            (0..OF_A_CONNECTION)
                .map(|at| frame(connection, at))
                .collect()
        };
        Prepared {
            frames: (0..connections).map(of_one).collect(),
            next: vec![0; connections],
        }
    }

    /// `setData`, whatever the version is.
    pub(crate) fn writes(connections: usize, data_bytes: usize) -> Prepared {
        let data = Bytes::from(vec![b'w'; data_bytes]);
        Prepared::of(connections, |path| {
            Request::SetData(SetData {
                path,
                data: Some(data.clone()),
                version: -1,
            })
        })
    }

    /// `getData` without a watch.
    pub(crate) fn reads(connections: usize) -> Prepared {
        Prepared::of(connections, |path| {
            Request::GetData(GetData { path, watch: false })
        })
    }
}

impl Source for Prepared {
    fn request(&mut self, connection: usize, out: &mut Vec<u8>) {
        let frames = &self.frames[connection];
        let next = &mut self.next[connection];
        out.extend_from_slice(&frames[*next]);
        *next = (*next + 1) % frames.len();
    }
}

/// Creates of many znodes: a thousand below each parent.
pub(crate) struct Stored {
    data_bytes: usize,
    next: usize,
}

impl Stored {
    /// The parents of so many znodes.
    pub(crate) fn parents(znodes: usize) -> impl Iterator<Item = String> {
        let parents =
            (0..znodes.div_ceil(SIBLINGS)).map(|parent| format!("{ROOT}/part-{parent:04}"));
        std::iter::once(ROOT.to_owned()).chain(parents)
    }

    pub(crate) fn path(number: usize) -> String {
        format!("{ROOT}/part-{:04}/node-{number:07}", number / SIBLINGS)
    }

    pub(crate) fn of(data_bytes: usize) -> Stored {
        Stored {
            data_bytes,
            next: 0,
        }
    }
}

impl Source for Stored {
    fn request(&mut self, _connection: usize, out: &mut Vec<u8>) {
        let mut frame = BytesMut::new();
        request_frame(
            &mut frame,
            0,
            &create(Stored::path(self.next), self.data_bytes),
        );
        out.extend_from_slice(&frame);
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_sends_its_own_requests_in_turn() {
        let mut writes = Prepared::writes(2, 10);
        let mut sent = Vec::new();
        for _ in 0..=OF_A_CONNECTION {
            let mut out = Vec::new();
            writes.request(1, &mut out);
            sent.push(out);
        }
        assert_eq!(sent[0], sent[OF_A_CONNECTION]);
        assert_ne!(sent[0], sent[1]);
        let text = String::from_utf8_lossy(&sent[3]).into_owned();
        assert!(text.contains("/bench/connection-01-03"), "{text}");
    }

    #[test]
    fn stored_znodes_have_their_parents() {
        let parents: Vec<String> = Stored::parents(2500).collect();
        assert_eq!(parents.len(), 4);
        let last = Stored::path(2499);
        assert!(last.starts_with(&format!("{}/", parents[3])), "{last}");
    }
}
