//! What a cluster says about itself: features, its metadata quorum, its disks.

use ottla_wire::ApiKey;
use ottla_wire::messages::describe_log_dirs_response::DescribeLogDirsResult;
use ottla_wire::messages::describe_quorum_request::{PartitionData, TopicData};
use ottla_wire::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DescribeLogDirsRequest, DescribeQuorumRequest,
    DescribeQuorumResponse, describe_quorum_response,
};

use crate::admin::only;
use crate::{Broker, Client, Error};

/// The topic of the metadata quorum.
const CLUSTER_METADATA: &str = "__cluster_metadata";

impl Client {
    /// The APIs of one broker, and the cluster's features (KIP-584).
    pub async fn api_versions(&self, broker: Broker) -> Result<ApiVersionsResponse, Error> {
        let api = ApiKey::ApiVersions;
        self.retrying(|| async {
            let build = |version| {
                let mut request = ApiVersionsRequest::default();
                if version >= 3 {
                    request.client_software_name = "ottla".into();
                    request.client_software_version = env!("CARGO_PKG_VERSION").into();
                }
                request.into()
            };
            let answer = self.ask(broker, api, build, only!(ApiVersions)).await?;
            Error::check(api, "a broker", answer.error_code, None)?;
            Ok(answer)
        })
        .await
    }

    /// The metadata quorum: its leader, voters and observers (KIP-595).
    pub async fn describe_quorum(
        &self,
    ) -> Result<Option<describe_quorum_response::PartitionData>, Error> {
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
            let partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
            let Some(quorum) = partitions.into_iter().next() else {
                return Ok(None);
            };
            let message = quorum.error_message.as_deref();
            Error::check(api, "the metadata quorum", quorum.error_code, message)?;
            Ok(Some(quorum))
        })
        .await
    }

    /// The folders of a broker with the partitions in them.
    pub async fn describe_log_dirs(
        &self,
        broker: i32,
    ) -> Result<Vec<DescribeLogDirsResult>, Error> {
        let api = ApiKey::DescribeLogDirs;
        self.retrying(|| async {
            let build = |_| {
                DescribeLogDirsRequest {
                    topics: None,
                    ..DescribeLogDirsRequest::default()
                }
                .into()
            };
            let to = Broker::Id(broker);
            let answer = self.ask(to, api, build, only!(DescribeLogDirs)).await?;
            let subject = format!("the folders of broker {broker}");
            Error::check(api, subject, answer.error_code, None)?;
            Ok(answer.results)
        })
        .await
    }
}
