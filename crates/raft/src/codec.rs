//! Bytes on disk and on the wire: little helpers, and the values that both have in common.
//!
//! All numbers are big-endian. A decoder takes no more memory than a small multiple of the bytes
//! that are there.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes};
use openraft::EntryPayload;
use openraft::vote::RaftLeaderId;
use ottla_model::Uuid;

use crate::member::{Endpoint, Member, NodeId, Position};
use crate::openraft_config::{
    Command, Entry, LeaderId, LogId, Membership, Payload, StoredMembership, Vote,
};

/// CRC-32C.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    // The polynomial has 32 bits; so has the result.
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// Reads values from bytes; every read may find too few of them.
pub(crate) struct Reader(Bytes);

type Read<T> = Result<T, String>;

impl Reader {
    pub(crate) fn new(bytes: Bytes) -> Self {
        Reader(bytes)
    }

    fn need(&self, len: usize) -> Read<()> {
        if self.0.len() < len {
            return Err(format!(
                "{len} more bytes are needed where {} are left",
                self.0.len()
            ));
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

    pub(crate) fn take(&mut self, len: usize) -> Read<Bytes> {
        self.need(len)?;
        Ok(self.0.split_to(len))
    }

    /// Bytes behind their length.
    pub(crate) fn bytes(&mut self) -> Read<Bytes> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    fn text(&mut self) -> Read<String> {
        let len = usize::from(self.u16()?);
        let bytes = self.take(len)?;
        String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())
    }

    pub(crate) fn uuid(&mut self) -> Read<Uuid> {
        let bytes = self.take(16)?;
        let mut id = [0; 16];
        id.copy_from_slice(&bytes);
        Ok(Uuid(id))
    }

    /// A number of values of which each has at least `least` bytes.
    pub(crate) fn count(&mut self, least: usize) -> Read<usize> {
        let count = self.u32()? as usize;
        self.need(count.saturating_mul(least))?;
        Ok(count)
    }

    /// All bytes that are left.
    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn end(&self) -> Read<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(format!("{} bytes are left over", self.0.len()))
        }
    }

    pub(crate) fn log_id(&mut self) -> Read<Option<LogId>> {
        if !self.flag()? {
            return Ok(None);
        }
        let (term, index) = (self.u64()?, self.u64()?);
        if index == u64::MAX {
            return Err("an index is out of range".to_owned());
        }
        Ok(Some(Position { term, index }.log_id()))
    }

    pub(crate) fn vote(&mut self) -> Read<Vote> {
        Ok(Vote {
            leader_id: LeaderId::new(self.u64()?, self.u64()?),
            committed: self.flag()?,
        })
    }

    fn member(&mut self) -> Read<Member> {
        let directory_id = self.uuid()?;
        let count = self.count(6)?;
        let mut endpoints = Vec::with_capacity(count);
        for _ in 0..count {
            endpoints.push(Endpoint {
                listener: self.text()?,
                host: self.text()?,
                port: self.u16()?,
            });
        }
        Ok(Member {
            endpoints,
            directory_id,
        })
    }

    /// Ids ascend, so that there is one encoding of a membership.
    fn ascending(&mut self, last: Option<NodeId>) -> Read<NodeId> {
        let id = self.u64()?;
        if last.is_some_and(|last| last >= id) {
            return Err(format!("member {id} is out of order"));
        }
        Ok(id)
    }

    fn membership(&mut self) -> Read<Membership> {
        let configs_len = self.count(4)?;
        if configs_len > 2 {
            return Err(format!("{configs_len} sets of voters are too many"));
        }
        let mut configs = Vec::with_capacity(configs_len);
        for _ in 0..configs_len {
            let mut config = BTreeSet::new();
            for _ in 0..self.count(8)? {
                let id = self.ascending(config.last().copied())?;
                config.insert(id);
            }
            configs.push(config);
        }
        let mut nodes = BTreeMap::new();
        for _ in 0..self.count(28)? {
            let id = self.ascending(nodes.last_key_value().map(|(id, _)| *id))?;
            nodes.insert(id, self.member()?);
        }
        if configs.is_empty() && nodes.is_empty() {
            return Ok(Membership::default());
        }
        Membership::new(configs, nodes).map_err(|error| error.to_string())
    }

    pub(crate) fn stored_membership(&mut self) -> Read<StoredMembership> {
        let log_id = self.log_id()?;
        Ok(StoredMembership::new(log_id, self.membership()?))
    }

    /// An entry, whose length is known from around it.
    pub(crate) fn entry(bytes: Bytes) -> Read<Entry> {
        let mut reader = Reader(bytes);
        let (term, index) = (reader.u64()?, reader.u64()?);
        if index == u64::MAX {
            return Err("an index is out of range".to_owned());
        }
        let payload = match reader.u8()? {
            BLANK => Payload::Blank,
            NORMAL => Payload::Normal(Command(reader.rest())),
            MEMBERSHIP => Payload::Membership(reader.membership()?),
            other => return Err(format!("{other} is no kind of entry")),
        };
        reader.end()?;
        Ok(Entry {
            log_id: Position { term, index }.log_id(),
            payload,
        })
    }
}

const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;

pub(crate) fn put_log_id(out: &mut Vec<u8>, log_id: Option<&LogId>) {
    match log_id {
        None => out.put_u8(0),
        Some(log_id) => {
            out.put_u8(1);
            out.put_u64(log_id.leader_id.term);
            out.put_u64(log_id.index);
        }
    }
}

pub(crate) fn put_vote(out: &mut Vec<u8>, vote: &Vote) {
    out.put_u64(vote.leader_id.term);
    out.put_u64(vote.leader_id.voted_for);
    out.put_u8(u8::from(vote.committed));
}

/// Bytes behind their length. All that this crate writes is far below 4 GiB.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

/// Text behind its length. Host names and listener names are far below 64 KiB; anything longer is
/// cut, so that what is written can be read again.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut len = text.len().min(usize::from(u16::MAX));
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    out.put_u16(len as u16);
    out.put_slice(&text.as_bytes()[..len]);
}

fn put_member(out: &mut Vec<u8>, member: &Member) {
    out.put_slice(&member.directory_id.0);
    out.put_u32(member.endpoints.len() as u32);
    for endpoint in &member.endpoints {
        put_text(out, &endpoint.listener);
        put_text(out, &endpoint.host);
        out.put_u16(endpoint.port);
    }
}

fn put_membership(out: &mut Vec<u8>, membership: &Membership) {
    let configs = membership.get_joint_config();
    out.put_u32(configs.len() as u32);
    for config in configs {
        out.put_u32(config.len() as u32);
        for id in config {
            out.put_u64(*id);
        }
    }
    out.put_u32(membership.nodes().count() as u32);
    for (id, member) in membership.nodes() {
        out.put_u64(*id);
        put_member(out, member);
    }
}

pub(crate) fn put_stored_membership(out: &mut Vec<u8>, membership: &StoredMembership) {
    put_log_id(out, membership.log_id().as_ref());
    put_membership(out, membership.membership());
}

pub(crate) fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    out.put_u64(entry.log_id.leader_id.term);
    out.put_u64(entry.log_id.index);
    match &entry.payload {
        EntryPayload::Blank => out.put_u8(BLANK),
        EntryPayload::Normal(command) => {
            out.put_u8(NORMAL);
            out.put_slice(&command.0);
        }
        EntryPayload::Membership(membership) => {
            out.put_u8(MEMBERSHIP);
            put_membership(out, membership);
        }
    }
}

#[cfg(test)]
mod tests;
