//! One file an API key, and the one table that knows them all.
//!
//! A handler is `async fn handle(Ctx, Request) -> Answer<Response>`; see [`Answer`] for its two
//! stages. An API that has no line here is not advertised and closes the connection, as in Kafka.

mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod add_raft_voter;
mod alter_client_quotas;
mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod commit_plan;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod elect_leaders;
mod end_txn;
mod fetch;
mod find_coordinator;
mod get_telemetry_subscriptions;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod push_telemetry;
mod remove_raft_voter;
mod sync_group;
mod txn_offset_commit;
mod unregister_broker;
mod update_features;
mod write_txn_markers;

use std::ops::RangeInclusive;
use std::sync::Arc;

use ottla_net::{Outcome, Reply};
use ottla_wire::{ApiKey, Request, Response, encode_response};

use crate::Broker;
use crate::context::{Answer, Ctx};
use crate::quotas::Charge;

/// Declares the table: the API and the module that handles it.
macro_rules! registry {
    ($($api:ident => $module:ident,)*) => {
        /// The APIs of this node.
        pub(crate) fn advertised() -> impl Iterator<Item = ApiKey> {
            [$(ApiKey::$api,)*].into_iter()
        }

        /// Hands a request to its handler and encodes the answer.
        pub(crate) async fn handle(ctx: Ctx, correlation_id: i32, request: Request) -> Outcome {
            let version = ctx.version;
            let encoder = Encoder { correlation_id, version, charge: ctx.charge.clone() };
            match request {
                $(Request::$api(body) => {
                    encoder.outcome(ApiKey::$api, $module::handle(ctx, body).await, Response::$api)
                })*
                other => Reply::Close(format!("{} has no handler", other.api())).into(),
            }
        }
    };
}

registry! {
    Produce => produce,
    Fetch => fetch,
    ListOffsets => list_offsets,
    Metadata => metadata,
    OffsetCommit => offset_commit,
    OffsetFetch => offset_fetch,
    FindCoordinator => find_coordinator,
    JoinGroup => join_group,
    Heartbeat => heartbeat,
    LeaveGroup => leave_group,
    SyncGroup => sync_group,
    DescribeGroups => describe_groups,
    ListGroups => list_groups,
    ApiVersions => api_versions,
    CreateTopics => create_topics,
    DeleteTopics => delete_topics,
    InitProducerId => init_producer_id,
    AddPartitionsToTxn => add_partitions_to_txn,
    AddOffsetsToTxn => add_offsets_to_txn,
    EndTxn => end_txn,
    WriteTxnMarkers => write_txn_markers,
    DescribeTransactions => describe_transactions,
    ListTransactions => list_transactions,
    DescribeConfigs => describe_configs,
    AlterConfigs => alter_configs,
    CreatePartitions => create_partitions,
    DeleteGroups => delete_groups,
    IncrementalAlterConfigs => incremental_alter_configs,
    TxnOffsetCommit => txn_offset_commit,
    OffsetDelete => offset_delete,
    DeleteRecords => delete_records,
    OffsetForLeaderEpoch => offset_for_leader_epoch,
    AlterReplicaLogDirs => alter_replica_log_dirs,
    DescribeLogDirs => describe_log_dirs,
    ElectLeaders => elect_leaders,
    AlterPartitionReassignments => alter_partition_reassignments,
    ListPartitionReassignments => list_partition_reassignments,
    UpdateFeatures => update_features,
    UnregisterBroker => unregister_broker,
    DescribeProducers => describe_producers,
    DescribeQuorum => describe_quorum,
    DescribeClientQuotas => describe_client_quotas,
    AlterClientQuotas => alter_client_quotas,
    DescribeCluster => describe_cluster,
    ListConfigResources => list_config_resources,
    ConsumerGroupHeartbeat => consumer_group_heartbeat,
    ConsumerGroupDescribe => consumer_group_describe,
    GetTelemetrySubscriptions => get_telemetry_subscriptions,
    PushTelemetry => push_telemetry,
    DescribeTopicPartitions => describe_topic_partitions,
    AddRaftVoter => add_raft_voter,
    RemoveRaftVoter => remove_raft_voter,
}

/// The versions that are advertised, or `None` for an API that this node does not have.
///
/// Produce is advertised from version 0 although 0 to 2 are refused: librdkafka takes a broker
/// without them for one that cannot produce at all.
pub(crate) fn advertised_range(api: ApiKey) -> Option<RangeInclusive<i16>> {
    let range = api.stable_versions();
    match api {
        ApiKey::Produce => Some(0..=*range.end()),
        _ => advertised().any(|known| known == api).then_some(range),
    }
}

/// Whether the node, as it is configured, has a use for an API. Without `/metrics` nobody would see
/// what clients push, so they are not asked to.
pub(crate) fn is_offered(broker: &Broker, api: ApiKey) -> bool {
    match api {
        ApiKey::GetTelemetrySubscriptions | ApiKey::PushTelemetry => {
            broker.config().http_listener.is_some()
        }
        _ => true,
    }
}

/// The versions that are served, or `None` for an API that this node does not have.
pub(crate) fn served_range(api: ApiKey) -> Option<RangeInclusive<i16>> {
    advertised()
        .any(|known| known == api)
        .then(|| api.stable_versions())
}

/// The frame for an ApiVersions request whose version is unknown.
pub(crate) fn unsupported_api_versions(correlation_id: i32) -> Reply {
    let encoder = Encoder {
        correlation_id,
        version: 0,
        charge: None,
    };
    encoder.reply(
        ApiKey::ApiVersions,
        Response::ApiVersions(api_versions::unsupported()),
    )
}

struct Encoder {
    correlation_id: i32,
    version: i16,
    charge: Option<Arc<Charge>>,
}

impl Encoder {
    fn outcome<R: Send + 'static>(
        self,
        api: ApiKey,
        answer: Answer<R>,
        wrap: fn(R) -> Response,
    ) -> Outcome {
        match answer {
            Answer::Now(response) => self.reply(api, wrap(response)).into(),
            Answer::Later(future) => {
                let charge = self.charge.clone();
                later(charge, async move { self.reply(api, wrap(future.await)) })
            }
            Answer::Silent(future) => later(self.charge, async move {
                match future.await {
                    Ok(()) => Reply::Nothing,
                    Err(reason) => Reply::Close(reason),
                }
            }),
            Answer::Close(reason) => Reply::Close(reason).into(),
        }
    }

    /// A response that its own version cannot carry is a fault of this program. The client must
    /// not wait for ever for it, nor be told something else.
    fn reply(self, api: ApiKey, mut response: Response) -> Reply {
        if let Some(charge) = &self.charge {
            charge.settle(&mut response);
        }
        match encode_response(self.correlation_id, api, self.version, &response) {
            Ok(frame) => Reply::Frame(frame),
            Err(error) => {
                tracing::error!(%api, version = self.version, %error, "an answer cannot be encoded");
                Reply::Close(format!("the answer cannot be encoded: {error}"))
            }
        }
    }
}

/// An awaiting stage whose work is charged, when anybody has a quota.
fn later(
    charge: Option<Arc<Charge>>,
    reply: impl Future<Output = Reply> + Send + 'static,
) -> Outcome {
    match charge {
        None => Outcome::later(reply),
        Some(charge) => Outcome::Later(Box::pin(charge.timed(Box::pin(reply)))),
    }
}
