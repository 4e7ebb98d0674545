//! The metadata quorum: who is in it, and changes of its voters (KIP-595, KIP-853).

use ottla_model::Uuid;
use ottla_wire::ApiKey;
use ottla_wire::messages::describe_quorum_request::{PartitionData, TopicData};
use ottla_wire::messages::{
    AddRaftVoterRequest, DescribeQuorumRequest, DescribeQuorumResponse, RemoveRaftVoterRequest,
    add_raft_voter_request, describe_quorum_response,
};

use crate::admin::only;
use crate::{Broker, Client, Error};

/// The topic of the metadata quorum.
const CLUSTER_METADATA: &str = "__cluster_metadata";

/// The metadata quorum, as its leader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Quorum {
    /// Its leader, epoch and high watermark, its voters and observers.
    pub state: describe_quorum_response::PartitionData,
    /// Where its members listen; Kafka tells it of voters since 3.9.
    pub nodes: Vec<describe_quorum_response::Node>,
}

/// Where a voter listens for the other voters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoterEndpoint {
    /// The listener's name, such as `CONTROLLER`.
    pub listener: String,
    /// The host that other voters connect to.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Client {
    /// The metadata quorum: its leader, voters and observers. `None` where the broker names none.
    pub async fn describe_quorum(&self) -> Result<Option<Quorum>, Error> {
        let api = ApiKey::DescribeQuorum;
        let request = DescribeQuorumRequest {
            topics: vec![TopicData {
                topic_name: CLUSTER_METADATA.into(),
                partitions: vec![PartitionData::default()],
                ..TopicData::default()
            }],
            ..DescribeQuorumRequest::default()
        };
        self.retrying(|| async {
            let build = |_| request.clone().into();
            let asked = self.ask(Broker::Any, api, build, only!(DescribeQuorum));
            let answer: DescribeQuorumResponse = asked.await?;
            let message = answer.error_message.as_deref();
            Error::check(api, "the metadata quorum", answer.error_code, message)?;
            let nodes = answer.nodes;
            let partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
            let Some(state) = partitions.into_iter().next() else {
                return Ok(None);
            };
            let message = state.error_message.as_deref();
            Error::check(api, "the metadata quorum", state.error_code, message)?;
            Ok(Some(Quorum { state, nodes }))
        })
        .await
    }

    /// Makes an observer a voter. The call returns once the change is committed, and is not
    /// repeated when its answer is lost.
    pub async fn add_raft_voter(
        &self,
        cluster_id: Option<&str>,
        voter: i32,
        directory: Uuid,
        endpoints: &[VoterEndpoint],
    ) -> Result<(), Error> {
        let api = ApiKey::AddRaftVoter;
        let listener = |endpoint: &VoterEndpoint| add_raft_voter_request::Listener {
            name: endpoint.listener.as_str().into(),
            host: endpoint.host.as_str().into(),
            port: endpoint.port,
            ..add_raft_voter_request::Listener::default()
        };
        let request = AddRaftVoterRequest {
            cluster_id: cluster_id.map(Into::into),
            timeout_ms: self.request_timeout_ms(),
            voter_id: voter,
            voter_directory_id: directory,
            listeners: endpoints.iter().map(listener).collect(),
            ack_when_committed: true,
            ..AddRaftVoterRequest::default()
        };
        let answer = self.change(api, |_| request.clone().into(), only!(AddRaftVoter));
        let answer = answer.await?;
        let message = answer.error_message.as_deref();
        Error::check(api, format!("voter {voter}"), answer.error_code, message)
    }

    /// Takes a voter out of the quorum. The call returns once the change is committed.
    pub async fn remove_raft_voter(
        &self,
        cluster_id: Option<&str>,
        voter: i32,
        directory: Uuid,
    ) -> Result<(), Error> {
        let api = ApiKey::RemoveRaftVoter;
        let request = RemoveRaftVoterRequest {
            cluster_id: cluster_id.map(Into::into),
            voter_id: voter,
            voter_directory_id: directory,
            ..RemoveRaftVoterRequest::default()
        };
        let answer = self.change(api, |_| request.clone().into(), only!(RemoveRaftVoter));
        let answer = answer.await?;
        let message = answer.error_message.as_deref();
        Error::check(api, format!("voter {voter}"), answer.error_code, message)
    }
}
