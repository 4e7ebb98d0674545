//! The handshake, and the headers of all other frames.

use bytes::Bytes;

use crate::error::Error;
use crate::reader::Reader;
use crate::record::{Record, records};
use crate::writer::Writer;

/// Request numbers with a meaning of their own (`ClientCnxn`).
pub mod xid {
    /// In the header of an event.
    pub const NOTIFICATION: i32 = -1;
    /// Of a ping.
    pub const PING: i32 = -2;
    /// Of an `auth` packet.
    pub const AUTH: i32 = -4;
    /// Of `setWatches` and `setWatches2`.
    pub const SET_WATCHES: i32 = -8;
}

/// A client's first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// 0.
    pub protocol_version: i32,
    /// The newest transaction that the client has seen anywhere.
    pub last_zxid_seen: i64,
    /// The session timeout that it asks for, in ms.
    pub timeout_ms: i32,
    /// Its session; 0 asks for a new one.
    pub session_id: i64,
    /// The session's password: 16 bytes.
    pub password: Option<Bytes>,
    /// Whether a server without a majority will do. `None` if the client is older than 3.4 and
    /// leaves the byte out; the response must leave it out, too (`ProtocolManager`).
    pub read_only: Option<bool>,
}

impl Record for ConnectRequest {
    const BYTES_MIN: usize = 28;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(ConnectRequest {
            protocol_version: reader.int()?,
            last_zxid_seen: reader.long()?,
            timeout_ms: reader.int()?,
            session_id: reader.long()?,
            password: reader.buffer_or_null()?,
            read_only: reader.boolean().ok(),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.int(self.protocol_version);
        writer.long(self.last_zxid_seen);
        writer.int(self.timeout_ms);
        writer.long(self.session_id);
        writer.buffer_or_null(self.password.as_deref());
        if let Some(read_only) = self.read_only {
            writer.boolean(read_only);
        }
    }
}

/// The server's first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectResponse {
    /// 0.
    pub protocol_version: i32,
    /// The session timeout that holds, in ms; 0 or less if the session has expired.
    pub timeout_ms: i32,
    /// The session; 0 if it has expired.
    pub session_id: i64,
    /// The session's password: 16 bytes.
    pub password: Option<Bytes>,
    /// Whether the server is without a majority. `None` leaves the byte out, for clients that do.
    pub read_only: Option<bool>,
}

impl Record for ConnectResponse {
    const BYTES_MIN: usize = 20;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(ConnectResponse {
            protocol_version: reader.int()?,
            timeout_ms: reader.int()?,
            session_id: reader.long()?,
            password: reader.buffer_or_null()?,
            read_only: reader.boolean().ok(),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) {
        writer.int(self.protocol_version);
        writer.int(self.timeout_ms);
        writer.long(self.session_id);
        writer.buffer_or_null(self.password.as_deref());
        if let Some(read_only) = self.read_only {
            writer.boolean(read_only);
        }
    }
}

records! {
    /// In front of every request.
    #[derive(Copy)]
    RequestHeader {
        /// The client's number of the request; see [`xid`].
        xid: i32,
        /// The operation; see [`crate::OpCode`].
        op: i32,
    }

    /// In front of every reply and event.
    #[derive(Copy)]
    ReplyHeader {
        /// The number of the request.
        xid: i32,
        /// The newest transaction that the server has applied; that of the change in events.
        zxid: i64,
        /// 0, or an [`crate::ErrorCode`].
        err: i32,
    }

    /// The body of an `auth` request.
    AuthPacket {
        /// 0.
        kind: i32,
        /// The scheme.
        scheme: Option<String>,
        /// The credentials.
        auth: Option<Bytes>,
    }
}
