//! One member of a classic group.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;

use crate::effect::Token;
use crate::request::{JoinRequest, Protocol};

/// A member and what it is waiting for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client_id: Arc<str>,
    pub(crate) client_host: Arc<str>,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// The strategies it knows, most wanted first, each name once.
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) assignment: Bytes,
    /// The JoinGroup that is parked until the group has joined. The group counts these: change it
    /// through [`Group`](crate::group::Group) only.
    pub(crate) awaiting_join: Option<Token>,
    /// The SyncGroup that is parked until the leader's assignment is durable.
    pub(crate) awaiting_sync: Option<Token>,
    /// Whether the member has not yet got its first JoinGroup answer.
    pub(crate) is_new: bool,
}

impl Member {
    pub(crate) fn new(id: Arc<str>, request: &JoinRequest) -> Self {
        Member {
            id,
            instance_id: request.group_instance_id.clone(),
            client_id: request.client_id.clone(),
            client_host: request.client_host.clone(),
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            session_timeout_ms: request.session_timeout_ms,
            protocols: request.protocols.clone(),
            assignment: Bytes::new(),
            awaiting_join: None,
            awaiting_sync: None,
            is_new: true,
        }
    }

    pub(crate) fn is_static(&self) -> bool {
        self.instance_id.is_some()
    }

    /// A parked request stands for a heartbeat, except for a new member's first JoinGroup: its
    /// client may have gone without a trace.
    pub(crate) fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// The metadata for a protocol, or `None` when the member does not know it.
    pub(crate) fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols
            .iter()
            .find(|p| &*p.name == protocol)
            .map(|p| &p.metadata)
    }

    /// The most wanted protocol among the candidates.
    pub(crate) fn vote(&self, candidates: &BTreeSet<Arc<str>>) -> Option<Arc<str>> {
        self.protocols
            .iter()
            .find(|p| candidates.contains(&p.name))
            .map(|p| p.name.clone())
    }
}

/// Takes a request's protocols for keeping: the first of each name, with metadata of its own
/// memory, since a slice of the request would keep the whole frame alive for as long as the member
/// lives.
pub(crate) fn own_protocols(protocols: &[Protocol]) -> Vec<Protocol> {
    let mut seen = BTreeSet::new();
    protocols
        .iter()
        .filter(|p| seen.insert(p.name.clone()))
        .map(|p| Protocol {
            name: p.name.clone(),
            metadata: Bytes::copy_from_slice(&p.metadata),
        })
        .collect()
}

/// What [`new_member_id`] adds to a name: a dash and a UUID.
pub(crate) const MEMBER_ID_SUFFIX_LEN: usize = 37;

/// A member id in Kafka's form: the static member's name or else the client's id, a dash, and a
/// random UUID in hexadecimal.
pub(crate) fn new_member_id(
    client_id: &str,
    instance_id: Option<&str>,
    mut random: [u8; 16],
) -> Arc<str> {
    random[6] = (random[6] & 0x0f) | 0x40;
    random[8] = (random[8] & 0x3f) | 0x80;
    let mut id =
        String::with_capacity(instance_id.unwrap_or(client_id).len() + MEMBER_ID_SUFFIX_LEN);
    id.push_str(instance_id.unwrap_or(client_id));
    for (i, byte) in random.iter().enumerate() {
        if matches!(i, 0 | 4 | 6 | 8 | 10) {
            id.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_ids_have_kafkas_form() {
        assert_eq!(
            &*new_member_id("client", None, [0xff; 16]),
            "client-ffffffff-ffff-4fff-bfff-ffffffffffff"
        );
        assert_eq!(
            &*new_member_id("client", Some("pod-1"), [0; 16]),
            "pod-1-00000000-0000-4000-8000-000000000000"
        );
    }

    #[test]
    fn the_first_protocol_of_a_name_is_kept() {
        let of = |name: &str, metadata: &'static [u8]| Protocol {
            name: name.into(),
            metadata: Bytes::from_static(metadata),
        };
        let kept = own_protocols(&[of("a", b"1"), of("b", b"2"), of("a", b"3")]);
        assert_eq!(kept, vec![of("a", b"1"), of("b", b"2")]);
    }
}
