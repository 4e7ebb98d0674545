//! What a cluster says about itself: features and disks.

use ottla_wire::ApiKey;
use ottla_wire::messages::describe_log_dirs_response::DescribeLogDirsResult;
use ottla_wire::messages::{ApiVersionsRequest, ApiVersionsResponse, DescribeLogDirsRequest};

use crate::admin::only;
use crate::{Broker, Client, Error};

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
