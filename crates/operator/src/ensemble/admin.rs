//! Asks a server for the members of its ensemble, and to change them: one session of a few requests
//! in ZooKeeper's protocol.
//!
//! Sources: the pages "ZooKeeper Dynamic Reconfiguration" and "ZooKeeper Programmer's Guide" of
//! ZooKeeper 3.9.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use ottla_jute::{
    AuthPacket, ConnectRequest, ConnectResponse, ErrorCode, GetData, OpCode, Reader, Reconfig,
    Record, ReplyHeader, Request, Response, xid,
};
use ottla_runtime::Runtime;
use ottla_runtime::net::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::error::Error;
use crate::render::keeper::CLIENT_PORT;

/// How long all of it may take: the members that come have to catch up meanwhile.
const LIMIT: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(2);
const SESSION_MS: i32 = 10_000;
const FRAME_BYTES_MAX: usize = 4 << 20;
const LENGTH_LEN: usize = 4;
/// Where the members are written down.
const CONFIG_PATH: &str = "/zookeeper/config";

/// The numbers of the members that vote.
pub(super) async fn members(runtime: &Runtime, ip: &str) -> Result<BTreeSet<i32>, Error> {
    let request = Request::GetData(GetData {
        path: CONFIG_PATH.to_owned(),
        watch: false,
    });
    let text = ask(runtime, ip, None, request).await;
    text.map(|text| voters(&text))
        .map_err(|reason| Error::Keeper {
            action: format!("asking {ip} for the members"),
            reason,
        })
}

/// Adds a server that runs, as a line of `zoo.cfg`.
pub(super) async fn add(
    runtime: &Runtime,
    ip: &str,
    password: &str,
    line: String,
) -> Result<(), Error> {
    let action = format!("adding {line}");
    let request = Reconfig {
        joining_servers: Some(line),
        leaving_servers: None,
        new_members: None,
        current_config_id: -1,
    };
    change(runtime, ip, password, request, action).await
}

/// Removes a server.
pub(super) async fn remove(
    runtime: &Runtime,
    ip: &str,
    password: &str,
    id: i32,
) -> Result<(), Error> {
    let request = Reconfig {
        joining_servers: None,
        leaving_servers: Some(id.to_string()),
        new_members: None,
        current_config_id: -1,
    };
    change(
        runtime,
        ip,
        password,
        request,
        format!("removing server {id}"),
    )
    .await
}

async fn change(
    runtime: &Runtime,
    ip: &str,
    password: &str,
    request: Reconfig,
    action: String,
) -> Result<(), Error> {
    let changed = ask(runtime, ip, Some(password), Request::Reconfig(request)).await;
    changed
        .map(|_| ())
        .map_err(|reason| Error::Keeper { action, reason })
}

/// The numbers in `server.N=…` lines, without those of observers.
fn voters(text: &str) -> BTreeSet<i32> {
    let lines = text.lines().filter(|line| !line.contains(":observer"));
    lines
        .filter_map(|line| {
            let (id, _) = line.strip_prefix("server.")?.split_once('=')?;
            id.trim().parse().ok()
        })
        .collect()
}

/// Opens a session, asks, and takes the data of the answer.
async fn ask(
    runtime: &Runtime,
    ip: &str,
    password: Option<&str>,
    request: Request,
) -> Result<String, String> {
    let asking = async {
        let port = u16::try_from(CLIENT_PORT).unwrap_or_default();
        let stream = runtime.network.connect(ip, port, CONNECT).await;
        let mut link = Link {
            stream: stream.map_err(|error| error.to_string())?,
            buffer: BytesMut::new(),
        };
        link.open().await?;
        if let Some(password) = password {
            let auth = AuthPacket {
                kind: 0,
                scheme: Some("digest".to_owned()),
                auth: Some(Bytes::from(format!("super:{password}"))),
            };
            link.send(xid::AUTH, &Request::Auth(auth)).await?;
            link.answer(xid::AUTH).await?;
        }
        let op = request.op_code();
        link.send(1, &request).await?;
        let body = link.answer(1).await?;
        // The session would end by itself, later.
        let _ = link.send(2, &Request::CloseSession).await;
        data(op, &body)
    };
    match runtime.clock.timeout(LIMIT, asking).await {
        Some(answer) => answer,
        None => Err(format!("no answer in {} s", LIMIT.as_secs())),
    }
}

fn data(op: OpCode, body: &Bytes) -> Result<String, String> {
    match Response::decode(op, body).map_err(|error| error.to_string())? {
        Response::GetData { data, .. } => {
            Ok(String::from_utf8_lossy(&data.unwrap_or_default()).into_owned())
        }
        other => Err(format!("the server answered something else: {other:?}")),
    }
}

struct Link {
    stream: Stream,
    buffer: BytesMut,
}

impl Link {
    async fn open(&mut self) -> Result<(), String> {
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: SESSION_MS,
            session_id: 0,
            password: Some(Bytes::from_static(&[0; 16])),
            read_only: Some(false),
        };
        let mut out = BytesMut::new();
        ottla_jute::frame(&mut out, |writer| request.write(writer));
        self.write(&out).await?;
        let frame = self.next().await?;
        let response = ConnectResponse::decode(&frame).map_err(|error| error.to_string())?;
        if response.session_id == 0 {
            return Err("it opens no sessions".to_owned());
        }
        Ok(())
    }

    async fn send(&mut self, xid: i32, request: &Request) -> Result<(), String> {
        let mut out = BytesMut::new();
        ottla_jute::request_frame(&mut out, xid, request);
        self.write(&out).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let written = self.stream.write_all(bytes).await;
        written.map_err(|error| error.to_string())?;
        self.stream.flush().await.map_err(|error| error.to_string())
    }

    /// What follows the header of an answer.
    async fn answer(&mut self, xid: i32) -> Result<Bytes, String> {
        loop {
            let mut frame = self.next().await?;
            let whole = frame.len();
            let mut reader = Reader::shared(&frame);
            let header = ReplyHeader::read(&mut reader).map_err(|error| error.to_string())?;
            let read = whole - reader.remaining();
            if header.xid != xid {
                continue;
            }
            if header.err != 0 {
                let code = ErrorCode::try_from(header.err);
                return Err(match code {
                    Ok(code) => code.name().to_owned(),
                    Err(_) => format!("error {}", header.err),
                });
            }
            frame.advance(read);
            return Ok(frame);
        }
    }

    async fn next(&mut self) -> Result<Bytes, String> {
        loop {
            if let Some(length) = self.buffer.first_chunk::<LENGTH_LEN>() {
                let length = usize::try_from(i32::from_be_bytes(*length)).ok();
                let Some(length) = length.filter(|length| *length <= FRAME_BYTES_MAX) else {
                    return Err("it does not speak ZooKeeper's protocol".to_owned());
                };
                if self.buffer.len() >= LENGTH_LEN + length {
                    self.buffer.advance(LENGTH_LEN);
                    return Ok(self.buffer.split_to(length).freeze());
                }
            }
            let read = self.stream.read_buf(&mut self.buffer).await;
            if read.map_err(|error| error.to_string())? == 0 {
                return Err("the server has ended the connection".to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_vote_are_read() {
        let text = "server.1=a:2888:3888:participant\nserver.2=b:2888:3888:observer\n\
                    server.3=c:2888:3888;0.0.0.0:2181\nversion=100000003";
        assert_eq!(voters(text), BTreeSet::from([1, 3]));
        assert_eq!(voters(""), BTreeSet::new());
    }
}
