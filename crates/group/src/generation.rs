//! A group as its record: one generation with its members and their assignments.

use std::sync::Arc;

use bytes::Bytes;

use crate::group::Group;
use crate::member::Member;
use crate::records::{GroupValue, MemberValue, Record};
use crate::request::Protocol;
use crate::state::GroupState;

impl Group {
    /// The group that a record describes.
    pub(crate) fn from_record(id: Arc<str>, value: GroupValue) -> Self {
        let mut group = Group::new(id, value.state_timestamp_ms);
        group.generation_id = value.generation_id;
        group.protocol_type = Some(value.protocol_type).filter(|t| !t.is_empty());
        group.protocol_name = value.protocol_name.clone();
        if !value.members.is_empty() {
            group.state = GroupState::Stable;
        }
        for member in value.members {
            let name = value.protocol_name.clone().unwrap_or_else(|| "".into());
            group.insert(Member {
                id: member.member_id,
                instance_id: member.group_instance_id,
                client_id: member.client_id,
                client_host: member.client_host,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                session_timeout_ms: member.session_timeout_ms,
                protocols: vec![Protocol {
                    name,
                    metadata: member.subscription,
                }],
                assignment: member.assignment,
                awaiting_join: None,
                awaiting_sync: None,
                is_new: false,
            });
        }
        if let Some(leader) = value.leader
            && group.members.contains_key(&leader)
        {
            group.leader = Some(leader);
        }
        group.subscribed_topics = group.compute_subscribed_topics();
        group
    }

    /// The group's record with these assignments; a member without one gets an empty one.
    pub(crate) fn to_record(&self, assignment_of: impl Fn(&Member) -> Bytes) -> Record {
        let protocol = self.protocol_name.as_deref().unwrap_or("");
        let members = self.members.values().map(|m| MemberValue {
            member_id: m.id.clone(),
            group_instance_id: m.instance_id.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            rebalance_timeout_ms: m.rebalance_timeout_ms,
            session_timeout_ms: m.session_timeout_ms,
            subscription: m.metadata(protocol).cloned().unwrap_or_default(),
            assignment: assignment_of(m),
        });
        Record::Group {
            group_id: self.id.clone(),
            value: Some(GroupValue {
                protocol_type: self.protocol_type.clone().unwrap_or_else(|| "".into()),
                generation_id: self.generation_id,
                protocol_name: self.protocol_name.clone(),
                leader: self.leader.clone(),
                state_timestamp_ms: self.state_timestamp_ms,
                members: members.collect(),
            }),
        }
    }
}
