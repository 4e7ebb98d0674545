//! DescribeLogDirs (key 35): what lies in the data folder, and how much room there is (KIP-113,
//! KIP-827).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use ottla_log::{Error, LogDir};
use ottla_model::{ErrorCode, PartitionIndex};
use ottla_wire::Text;
use ottla_wire::messages::describe_log_dirs_request::DescribableLogDirTopic;
use ottla_wire::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use ottla_wire::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};

use crate::context::{Answer, Ctx};
use crate::errors;
use crate::partitions::Partition;

/// The partitions asked for; `None` for all.
type Filter = Option<BTreeMap<Text, BTreeSet<PartitionIndex>>>;

pub(crate) async fn handle(
    ctx: Ctx,
    request: DescribeLogDirsRequest,
) -> Answer<DescribeLogDirsResponse> {
    let filter = request.topics.map(filter);
    Answer::later(async move {
        let (dir, partitions) = (ctx.broker.log_dir.clone(), ctx.broker.partitions.all());
        let path = absolute(dir.path());
        let look = move || describe(&dir, &partitions, &filter);
        let described = ctx.broker.runtime.tasks.blocking(look).await;
        let result = described.unwrap_or_else(|error| {
            tracing::error!(%error, "the data folder cannot be described");
            DescribeLogDirsResult {
                error_code: errors::of_read(&error).code(),
                ..DescribeLogDirsResult::default()
            }
        });
        DescribeLogDirsResponse {
            results: vec![DescribeLogDirsResult {
                log_dir: Text::from(path.as_str()),
                ..result
            }],
            ..DescribeLogDirsResponse::default()
        }
    })
}

fn filter(topics: Vec<DescribableLogDirTopic>) -> BTreeMap<Text, BTreeSet<PartitionIndex>> {
    let mut wanted: BTreeMap<Text, BTreeSet<PartitionIndex>> = BTreeMap::new();
    for topic in topics {
        wanted
            .entry(topic.topic)
            .or_default()
            .extend(topic.partitions);
    }
    wanted
}

/// Clients compare the folder's name with what they know, so it is always the whole one.
fn absolute(path: &Path) -> String {
    let whole = std::path::absolute(path);
    whole.as_deref().unwrap_or(path).display().to_string()
}

/// Sizes are on the disk, so that this blocks.
fn describe(
    dir: &LogDir,
    partitions: &[Arc<Partition>],
    filter: &Filter,
) -> Result<DescribeLogDirsResult, Error> {
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for partition in partitions {
        let name = partition.topic.as_str();
        let wanted = filter.as_ref().is_none_or(|topics| {
            let wanted = topics.get(name);
            wanted.is_some_and(|indexes| indexes.contains(&partition.index))
        });
        // A log that is still being recovered has no size yet.
        let Some(log) = partition.log().filter(|_| wanted) else {
            continue;
        };
        let bytes = match log.size_bytes() {
            Ok(bytes) => bytes,
            // Its topic was deleted a moment ago.
            Err(Error::Closed { .. }) => continue,
            Err(error) => return Err(error),
        };
        let described = DescribeLogDirsPartition {
            partition_index: partition.index,
            partition_size: clamp(bytes),
            // What a leader has never lags behind, and no log moves to another folder.
            offset_lag: 0,
            is_future_key: false,
            ..DescribeLogDirsPartition::default()
        };
        topics.entry(name).or_default().push(described);
    }
    let topics = topics
        .into_iter()
        .map(|(name, partitions)| DescribeLogDirsTopic {
            name: Text::from(name),
            partitions,
            ..DescribeLogDirsTopic::default()
        });
    Ok(DescribeLogDirsResult {
        error_code: ErrorCode::None.code(),
        topics: topics.collect(),
        total_bytes: clamp(dir.total_bytes()?),
        usable_bytes: clamp(dir.free_bytes()?),
        ..DescribeLogDirsResult::default()
    })
}

fn clamp(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
