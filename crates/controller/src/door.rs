//! The controller's listener: other nodes of the quorum, and tools that ask it about itself.

mod describe_cluster;
mod describe_quorum;
mod exchange_raft;
mod join_quorum;
mod meet_controller;
mod submit_command;
mod voters;

use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

use ottla_metadata::{Command, Image};
use ottla_model::{BrokerId, ClusterId, ErrorCode, Uuid};
use ottla_net::{ClientSoftware, Dispatch, Incoming, Outcome, Peer, Reply};
use ottla_raft::{Member, State};
use ottla_runtime::mailbox::Caller;
use ottla_runtime::published::Published;
use ottla_runtime::{Runtime, TaskKind};
use ottla_wire::messages::api_versions_response::ApiVersion;
use ottla_wire::messages::{ApiVersionsRequest, ApiVersionsResponse, RequestHeader};
use ottla_wire::{ApiKey, Request, Response, encode_response};
use tokio::sync::oneshot;

use crate::decider::Decided;
use crate::identity::Identity;
use crate::membership::Membership;

/// What is served here.
const SERVED: &[ApiKey] = &[
    ApiKey::ApiVersions,
    ApiKey::DescribeQuorum,
    ApiKey::DescribeCluster,
    ApiKey::AddRaftVoter,
    ApiKey::RemoveRaftVoter,
    ApiKey::ExchangeRaft,
    ApiKey::SubmitCommand,
    ApiKey::MeetController,
    ApiKey::JoinQuorum,
];

/// What is known of the node before it has a cluster.
pub(crate) struct Host {
    pub(crate) runtime: Runtime,
    pub(crate) node_id: BrokerId,
    pub(crate) directory_id: Uuid,
    pub(crate) is_controller: bool,
    /// The node as a member of the quorum: its endpoints are known once its listener is bound.
    pub(crate) member: OnceLock<Member>,
    /// Set when it has a cluster.
    pub(crate) joined: OnceLock<Joined>,
}

/// What there is once the node has a cluster.
pub(crate) struct Joined {
    pub(crate) identity: Identity,
    pub(crate) raft: ottla_raft::Handle,
    pub(crate) state: Published<State>,
    pub(crate) image: Published<Image>,
    pub(crate) decider: Caller<Command, Decided>,
    pub(crate) membership: Membership,
}

impl Host {
    /// Whether somebody speaks of another cluster than this node's.
    pub(crate) fn check_cluster(&self, theirs: Option<&str>) -> Result<(), String> {
        match (self.joined.get(), theirs) {
            (Some(joined), Some(theirs)) if joined.identity.cluster_id.0 != theirs => {
                Err(foreign(self.node_id, &joined.identity.cluster_id, theirs))
            }
            _ => Ok(()),
        }
    }
}

fn foreign(node_id: BrokerId, own: &ClusterId, theirs: &str) -> String {
    format!(
        "Node {node_id} belongs to cluster.id {own}, and the one who asks to cluster.id {theirs}: \
         correct controller.quorum.bootstrap.servers or controller.quorum.voters, or mount the \
         right volume."
    )
}

/// What the connections hand their requests to.
pub(crate) struct Door(pub(crate) Arc<Host>);

impl Dispatch for Door {
    fn versions(&self, _peer: &Peer, api: ApiKey) -> Option<RangeInclusive<i16>> {
        SERVED.contains(&api).then(|| api.stable_versions())
    }

    fn unsupported_api_versions(&self, _peer: &Peer, header: &RequestHeader) -> Reply {
        let answer = ApiVersionsResponse {
            error_code: ErrorCode::UnsupportedVersion.code(),
            api_keys: vec![entry(ApiKey::ApiVersions)],
            ..ApiVersionsResponse::default()
        };
        let to = Address {
            correlation_id: header.correlation_id,
            api: ApiKey::ApiVersions,
            version: 0,
        };
        to.reply(answer.into())
    }

    async fn dispatch(&self, peer: &Arc<Peer>, incoming: Incoming) -> Outcome {
        let to = Address {
            correlation_id: incoming.header.correlation_id,
            api: incoming.api,
            version: incoming.header.request_api_version,
        };
        let host = &self.0;
        match incoming.body {
            Request::ApiVersions(request) => to.now(api_versions(peer, request, to.version).into()),
            Request::MeetController(request) => {
                to.now(meet_controller::handle(host, &request).into())
            }
            Request::DescribeCluster(request) => {
                to.now(describe_cluster::handle(host, &request).into())
            }
            Request::DescribeQuorum(request) => {
                to.now(describe_quorum::handle(host, request, to.version).into())
            }
            Request::ExchangeRaft(request) => {
                // Begun at once: a vote need not wait until what came before it is on disk.
                let host = Arc::clone(host);
                let (runtime, work) = (host.runtime.clone(), exchange_raft::handle(host, request));
                to.begun(&runtime, work)
            }
            Request::SubmitCommand(request) => match submit_command::begin(host, request).await {
                Ok(pending) => to.later(submit_command::finish(pending)),
                Err(refused) => to.now((*refused).into()),
            },
            Request::JoinQuorum(request) => {
                let host = Arc::clone(host);
                to.later(async move { join_quorum::handle(&host, request).await.into() })
            }
            Request::AddRaftVoter(request) => {
                let host = Arc::clone(host);
                to.later(async move { voters::add(&host, request).await.into() })
            }
            Request::RemoveRaftVoter(request) => {
                let host = Arc::clone(host);
                to.later(async move { voters::remove(&host, request).await.into() })
            }
            other => Reply::Close(format!("{} is not served here", other.api())).into(),
        }
    }
}

/// Answers a question about the quorum that came through a broker of this node, which is the
/// leader's; none when it is no such question.
pub(crate) async fn answer_question(host: &Arc<Host>, request: Request) -> Option<Response> {
    match request {
        Request::DescribeQuorum(request) => {
            let version = *ApiKey::DescribeQuorum.stable_versions().end();
            Some(describe_quorum::handle(host, request, version).into())
        }
        Request::AddRaftVoter(request) => Some(voters::add(host, request).await.into()),
        Request::RemoveRaftVoter(request) => Some(voters::remove(host, request).await.into()),
        _ => None,
    }
}

fn entry(api: ApiKey) -> ApiVersion {
    let range = api.stable_versions();
    ApiVersion {
        api_key: api.to_i16(),
        min_version: *range.start(),
        max_version: *range.end(),
        ..ApiVersion::default()
    }
}

fn api_versions(peer: &Peer, request: ApiVersionsRequest, version: i16) -> ApiVersionsResponse {
    if version >= 3 {
        peer.set_software(ClientSoftware {
            name: request.client_software_name.to_string(),
            version: request.client_software_version.to_string(),
        });
    }
    ApiVersionsResponse {
        api_keys: SERVED.iter().copied().map(entry).collect(),
        ..ApiVersionsResponse::default()
    }
}

/// Which request a response belongs to.
#[derive(Clone, Copy)]
struct Address {
    correlation_id: i32,
    api: ApiKey,
    version: i16,
}

impl Address {
    fn reply(self, response: Response) -> Reply {
        match encode_response(self.correlation_id, self.api, self.version, &response) {
            Ok(frame) => Reply::Frame(frame),
            Err(error) => {
                tracing::error!(api = %self.api, version = self.version, %error, "an answer cannot be encoded");
                Reply::Close(format!("the answer cannot be encoded: {error}"))
            }
        }
    }

    fn now(self, response: Response) -> Outcome {
        self.reply(response).into()
    }

    fn later(self, response: impl Future<Output = Response> + Send + 'static) -> Outcome {
        Outcome::later(async move { self.reply(response.await) })
    }

    /// Work that begins now, and not when the replies before it are out.
    fn begun(
        self,
        runtime: &Runtime,
        work: impl Future<Output = Response> + Send + 'static,
    ) -> Outcome {
        let (tx, rx) = oneshot::channel();
        let working = async move {
            // The peer may be gone.
            drop(tx.send(work.await));
            Ok::<(), std::convert::Infallible>(())
        };
        let tasks = &runtime.tasks;
        tasks.spawn(TaskKind::Connection, "a message of the quorum", working);
        Outcome::later(async move {
            match rx.await {
                Ok(response) => self.reply(response),
                Err(_) => Reply::Close("the node is stopping".to_owned()),
            }
        })
    }
}
