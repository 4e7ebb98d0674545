//! DescribeGroups and ListGroups.

use std::sync::Arc;

use ottla_model::ErrorCode;

use crate::consumer::embedded;
use crate::coordinator::Coordinator;
use crate::group::Group;
use crate::request::{DescribeRequest, ListRequest};
use crate::response::{DescribedGroup, DescribedMember, ListedGroup};
use crate::state::GroupState;

/// Kafka's name of this kind of group (KIP-848).
const CLASSIC: &str = "Classic";
/// And of the other.
const CONSUMER: &str = "Consumer";

impl Coordinator {
    pub(crate) fn describe(&self, request: &DescribeRequest) -> DescribedGroup {
        let group_id = &request.group_id;
        match self.groups.get(group_id) {
            Some(group) => group.describe(),
            None if self.consumers.contains_key(group_id) && request.reports_unknown_group => {
                DescribedGroup {
                    error: ErrorCode::GroupIdNotFound,
                    error_message: Some(format!("Group {group_id} is not a classic group.")),
                    ..unknown(group_id)
                }
            }
            None if request.reports_unknown_group => DescribedGroup {
                error: ErrorCode::GroupIdNotFound,
                error_message: Some(format!("Group {group_id} not found.")),
                ..unknown(group_id)
            },
            None => unknown(group_id),
        }
    }

    pub(crate) fn list(&self, request: &ListRequest) -> Vec<ListedGroup> {
        let matches = |filter: &[String], name: &str| {
            filter.is_empty() || filter.iter().any(|f| f.trim().eq_ignore_ascii_case(name))
        };
        let classic = self.groups.values();
        let classic = classic
            .filter(|_| matches(&request.types, CLASSIC))
            .filter(|group| matches(&request.states, group.state.name()))
            .map(|group| ListedGroup {
                group_id: group.id.clone(),
                protocol_type: group.protocol_type.clone().unwrap_or_else(|| "".into()),
                state: group.state.name(),
                group_type: CLASSIC,
            });
        let consumers = self.consumers.values();
        let consumers = consumers
            .filter(|_| matches(&request.types, CONSUMER))
            .filter(|group| matches(&request.states, group.state().name()))
            .map(|group| ListedGroup {
                group_id: group.id.clone(),
                protocol_type: embedded::CONSUMER.into(),
                state: group.state().name(),
                group_type: CONSUMER,
            });
        classic.chain(consumers).collect()
    }
}

pub(crate) fn unknown(group_id: &Arc<str>) -> DescribedGroup {
    DescribedGroup {
        error: ErrorCode::None,
        error_message: None,
        group_id: group_id.clone(),
        state: GroupState::Dead.name(),
        protocol_type: "".into(),
        protocol_data: "".into(),
        members: Vec::new(),
    }
}

impl Group {
    fn describe(&self) -> DescribedGroup {
        // Before the group is stable, no protocol is in force and the metadata would mislead.
        let protocol = self
            .protocol_name
            .clone()
            .filter(|_| self.is_in(GroupState::Stable));
        let members = self.members.values().map(|m| DescribedMember {
            member_id: m.id.clone(),
            group_instance_id: m.instance_id.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            metadata: protocol
                .as_deref()
                .and_then(|protocol| m.metadata(protocol).cloned())
                .unwrap_or_default(),
            assignment: m.assignment.clone(),
        });
        DescribedGroup {
            error: ErrorCode::None,
            error_message: None,
            group_id: self.id.clone(),
            state: self.state.name(),
            protocol_type: self.protocol_type.clone().unwrap_or_else(|| "".into()),
            protocol_data: protocol.clone().unwrap_or_else(|| "".into()),
            members: members.collect(),
        }
    }
}
