//! Bytes between servers: the values that their messages are made of.
//!
//! All numbers are big-endian. A decoder takes no more memory than a small multiple of the bytes
//! that are there, and every read may find too few of them.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};
use ottla_model::Uuid;
use ottla_raft::{Endpoint, Member};

/// The listener that the endpoints of servers have in raft's membership: there is only one.
pub(crate) const LISTENER: &str = "quorum";

/// A server has at most so many addresses (separated by `|` in its line).
const ENDPOINTS_MAX: usize = 16;
/// A list of servers' ids has at most so many.
const IDS_MAX: usize = 1024;

pub(crate) type Read<T> = Result<T, String>;

/// Reads values from bytes.
pub(crate) struct Reader(Bytes);

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Reader(bytes)
    }

    fn need(&self, len: usize) -> Read<()> {
        let left = self.0.len();
        if left < len {
            return Err(format!("{len} more bytes are needed where {left} are left"));
        }
        Ok(())
    }

    pub(crate) fn u8(&mut self) -> Read<u8> {
        self.need(1)?;
        Ok(self.0.get_u8())
    }

    pub(crate) fn u16(&mut self) -> Read<u16> {
        self.need(2)?;
        Ok(self.0.get_u16())
    }

    pub(crate) fn u32(&mut self) -> Read<u32> {
        self.need(4)?;
        Ok(self.0.get_u32())
    }

    pub(crate) fn u64(&mut self) -> Read<u64> {
        self.need(8)?;
        Ok(self.0.get_u64())
    }

    pub(crate) fn flag(&mut self) -> Read<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("{other} is neither 0 nor 1")),
        }
    }

    pub(crate) fn uuid(&mut self) -> Read<Uuid> {
        self.need(16)?;
        let mut id = [0; 16];
        self.0.copy_to_slice(&mut id);
        Ok(Uuid(id))
    }

    /// A value that may be missing, behind a flag.
    pub(crate) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Read<T>,
    ) -> Read<Option<T>> {
        self.flag()?.then(|| read(self)).transpose()
    }

    pub(crate) fn text(&mut self) -> Read<String> {
        let len = usize::from(self.u16()?);
        self.need(len)?;
        let bytes = self.0.split_to(len);
        String::from_utf8(bytes.into()).map_err(|error| error.to_string())
    }

    fn count(&mut self, max: usize) -> Read<usize> {
        let count = usize::from(self.u16()?);
        if count > max {
            return Err(format!("{count} values are more than {max}"));
        }
        Ok(count)
    }

    pub(crate) fn ids(&mut self) -> Read<Vec<u64>> {
        let count = self.count(IDS_MAX)?;
        self.need(count * 8)?;
        (0..count).map(|_| self.u64()).collect()
    }

    pub(crate) fn endpoints(&mut self) -> Read<Vec<Endpoint>> {
        let count = self.count(ENDPOINTS_MAX)?;
        let endpoints = (0..count).map(|_| {
            Ok(Endpoint {
                listener: LISTENER.to_owned(),
                host: self.text()?,
                port: self.u16()?,
            })
        });
        endpoints.collect()
    }

    /// Where servers are, by their ids.
    pub(crate) fn places(&mut self) -> Read<BTreeMap<u64, Vec<Endpoint>>> {
        let count = self.count(IDS_MAX)?;
        (0..count)
            .map(|_| Ok((self.u64()?, self.endpoints()?)))
            .collect()
    }

    pub(crate) fn member(&mut self) -> Read<Member> {
        Ok(Member {
            directory_id: self.uuid()?,
            endpoints: self.endpoints()?,
        })
    }

    pub(crate) fn end(&self) -> Read<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(format!("{} bytes are left over", self.0.len()))
        }
    }
}

pub(crate) fn put_flag(out: &mut Vec<u8>, flag: bool) {
    out.put_u8(u8::from(flag));
}

pub(crate) fn put_optional<T>(
    out: &mut Vec<u8>,
    value: Option<&T>,
    put: impl FnOnce(&mut Vec<u8>, &T),
) {
    put_flag(out, value.is_some());
    if let Some(value) = value {
        put(out, value);
    }
}

pub(crate) fn put_uuid(out: &mut Vec<u8>, id: &Uuid) {
    out.put_slice(&id.0);
}

/// Text behind its length. What is longer than its length can say is cut, so that it can be read.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    out.put_u16(text.len() as u16);
    out.put_slice(text.as_bytes());
}

pub(crate) fn put_ids(out: &mut Vec<u8>, ids: &[u64]) {
    let ids = &ids[..ids.len().min(IDS_MAX)];
    out.put_u16(ids.len() as u16);
    for id in ids {
        out.put_u64(*id);
    }
}

pub(crate) fn put_member(out: &mut Vec<u8>, member: &Member) {
    put_uuid(out, &member.directory_id);
    put_endpoints(out, &member.endpoints);
}

pub(crate) fn put_places(out: &mut Vec<u8>, places: &BTreeMap<u64, Vec<Endpoint>>) {
    out.put_u16(places.len().min(IDS_MAX) as u16);
    for (id, endpoints) in places.iter().take(IDS_MAX) {
        out.put_u64(*id);
        put_endpoints(out, endpoints);
    }
}

fn put_endpoints(out: &mut Vec<u8>, endpoints: &[Endpoint]) {
    let endpoints = &endpoints[..endpoints.len().min(ENDPOINTS_MAX)];
    out.put_u16(endpoints.len() as u16);
    for endpoint in endpoints {
        put_text(out, &endpoint.host);
        out.put_u16(endpoint.port);
    }
}
