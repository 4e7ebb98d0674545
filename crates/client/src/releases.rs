//! Which release of Kafka first served an API, for people whose broker does not.

use ottla_wire::ApiKey;

/// The release that first served this version of an API to everybody; `None` where nobody would
/// ask, for all that are in use have it.
pub(crate) fn since(api: ApiKey, version: i16) -> Option<&'static str> {
    let releases: &[(i16, &'static str)] = match api {
        ApiKey::Produce => &[(3, "0.11"), (9, "2.8"), (13, "4.1")],
        ApiKey::Fetch => &[(4, "0.11"), (12, "2.7"), (13, "3.1")],
        ApiKey::ListOffsets => &[(1, "0.10.1"), (7, "3.0"), (8, "3.6"), (9, "3.9")],
        ApiKey::Metadata => &[(0, "0.8"), (4, "0.11"), (10, "2.8"), (12, "3.1")],
        ApiKey::OffsetCommit => &[(2, "0.9"), (10, "4.1")],
        ApiKey::OffsetFetch => &[(1, "0.8.2"), (2, "0.10.2"), (8, "3.0"), (10, "4.1")],
        ApiKey::FindCoordinator => &[(0, "0.9"), (1, "0.11"), (4, "3.0")],
        ApiKey::DescribeGroups | ApiKey::JoinGroup | ApiKey::SyncGroup => &[(0, "0.9")],
        ApiKey::ListGroups => &[(0, "0.9"), (4, "2.6"), (5, "3.8")],
        ApiKey::CreateTopics | ApiKey::DeleteTopics => &[(0, "0.10.1")],
        ApiKey::DeleteRecords
        | ApiKey::InitProducerId
        | ApiKey::WriteTxnMarkers
        | ApiKey::DescribeConfigs
        | ApiKey::AlterConfigs => &[(0, "0.11")],
        ApiKey::DescribeLogDirs => &[(0, "1.0"), (4, "3.3")],
        ApiKey::CreatePartitions => &[(0, "1.0")],
        ApiKey::DeleteGroups => &[(0, "1.1")],
        ApiKey::IncrementalAlterConfigs => &[(0, "2.3")],
        ApiKey::OffsetDelete => &[(0, "2.4")],
        ApiKey::DescribeClientQuotas | ApiKey::AlterClientQuotas => &[(0, "2.6")],
        ApiKey::DescribeCluster | ApiKey::DescribeProducers => &[(0, "2.8"), (1, "3.7")],
        ApiKey::DescribeTransactions => &[(0, "3.0")],
        ApiKey::ListTransactions => &[(0, "3.0"), (1, "3.8"), (2, "4.1")],
        ApiKey::ElectLeaders => &[(0, "2.2"), (1, "2.4")],
        ApiKey::AlterPartitionReassignments => &[(0, "2.4"), (1, "4.1")],
        ApiKey::ListPartitionReassignments => &[(0, "2.4")],
        ApiKey::UpdateFeatures => &[(0, "2.7"), (1, "3.3"), (2, "4.0")],
        ApiKey::UnregisterBroker => &[(0, "2.8")],
        ApiKey::DescribeTopicPartitions => &[(0, "3.8")],
        ApiKey::AddRaftVoter | ApiKey::RemoveRaftVoter => &[(0, "3.9")],
        ApiKey::DescribeQuorum => &[(0, "3.3"), (1, "3.3"), (2, "3.9")],
        ApiKey::ListConfigResources => &[(0, "3.7"), (1, "4.1")],
        ApiKey::ConsumerGroupDescribe | ApiKey::ConsumerGroupHeartbeat => &[(0, "4.0")],
        ApiKey::ShareGroupDescribe => &[(0, "4.1"), (1, "4.1")],
        ApiKey::StreamsGroupDescribe => &[(0, "4.1")],
        _ => &[],
    };
    let first = releases.iter().find(|(known, _)| *known >= version);
    first.map(|(_, release)| *release)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_rise_with_the_versions() {
        let number = |release: &str| -> Vec<u32> {
            release
                .split('.')
                .map(|part| part.parse().unwrap())
                .collect()
        };
        for api in ApiKey::all() {
            let mut before: Vec<u32> = Vec::new();
            for release in api
                .stable_versions()
                .filter_map(|version| since(api, version))
            {
                assert!(number(release) >= before, "{api}: {release}");
                before = number(release);
            }
        }
        assert_eq!(since(ApiKey::DescribeTransactions, 0), Some("3.0"));
        assert_eq!(since(ApiKey::ListTransactions, 1), Some("3.8"));
        assert_eq!(since(ApiKey::Vote, 0), None);
    }
}
