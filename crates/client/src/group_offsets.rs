//! Offsets that groups have committed.

use ottla_model::{ErrorCode, Uuid};
use ottla_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use ottla_wire::messages::{OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest};
use ottla_wire::{ApiKey, Response};

use crate::admin::only;
use crate::client::other_response;
use crate::coordinator::Coordinated;
use crate::offsets::{OFFSET_COMMIT_BY_ID, by_name_or_id};
use crate::{Broker, Client, Error};

/// An offset that a group has committed, or is to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset of the next record that the group reads.
    pub offset: i64,
    /// The leader epoch of the last record that it has read, or -1.
    pub leader_epoch: i32,
    /// A note.
    pub metadata: String,
}

/// From this version on, groups are asked for in a list, and from the next one on with topic ids.
const OFFSET_FETCH_OF_GROUPS: i16 = 8;
/// The first version that can ask for all topics.
const OFFSET_FETCH_OF_ALL: i16 = 2;
/// The last version with the names of topics.
const OFFSET_FETCH_BY_NAME: i16 = 9;

impl Client {
    /// Commits offsets of a group that has no members.
    pub async fn commit_offsets(
        &self,
        group: &str,
        offsets: &[CommittedOffset],
    ) -> Result<(), Error> {
        self.retrying(|| self.commit_offsets_once(group, offsets))
            .await
    }

    async fn commit_offsets_once(
        &self,
        group: &str,
        offsets: &[CommittedOffset],
    ) -> Result<(), Error> {
        let api = ApiKey::OffsetCommit;
        // With ids, an offset cannot land in a topic that was deleted and made anew meanwhile.
        // A topic without one makes all go by name.
        let mut ids = Vec::new();
        for offset in offsets {
            self.leaders_of(&offset.topic).await?;
            ids.push(self.topic_id(&offset.topic));
        }
        let all_known = ids.iter().all(Option::is_some);
        let topic = |(o, id): (&CommittedOffset, &Option<Uuid>)| OffsetCommitRequestTopic {
            name: o.topic.as_str().into(),
            topic_id: id.unwrap_or_default(),
            partitions: vec![OffsetCommitRequestPartition {
                partition_index: o.partition,
                committed_offset: o.offset,
                committed_leader_epoch: o.leader_epoch,
                committed_metadata: Some(o.metadata.as_str().into()),
                ..OffsetCommitRequestPartition::default()
            }],
            ..OffsetCommitRequestTopic::default()
        };
        let request = OffsetCommitRequest {
            group_id: group.into(),
            topics: offsets.iter().zip(&ids).map(topic).collect(),
            ..OffsetCommitRequest::default()
        };
        let coordinator = self.coordinator(Coordinated::Group(group)).await?;
        let link = self.link(Broker::Id(coordinator)).await?;
        let versions = by_name_or_id(api, OFFSET_COMMIT_BY_ID, all_known);
        let version = link.version_within(api, versions)?;
        let Response::OffsetCommit(answer) = link.call(version, &request.into()).await? else {
            return Err(other_response(&link, api));
        };
        for topic in &answer.topics {
            let name = offsets.iter().zip(&ids);
            let name = name
                .filter(|(_, id)| version >= OFFSET_COMMIT_BY_ID && **id == Some(topic.topic_id));
            let name = name.map(|(o, _)| o.topic.as_str()).next();
            let name = name.unwrap_or(&topic.name);
            for p in &topic.partitions {
                let checked = Error::check(
                    api,
                    format!("{name}-{}", p.partition_index),
                    p.error_code,
                    None,
                );
                if checked.is_err() {
                    self.forget(name);
                }
                checked?;
            }
        }
        Ok(())
    }

    /// All offsets that a group has committed, in the order of topics and partitions.
    ///
    /// They are asked for by the names of topics: asked by id, brokers leave out the offsets of
    /// topics that are deleted, which an administrator wants to see.
    pub async fn committed_offsets(&self, group: &str) -> Result<Vec<CommittedOffset>, Error> {
        self.retrying(|| self.committed_offsets_once(group)).await
    }

    async fn committed_offsets_once(&self, group: &str) -> Result<Vec<CommittedOffset>, Error> {
        let api = ApiKey::OffsetFetch;
        let coordinator = self.coordinator(Coordinated::Group(group)).await?;
        let link = self.link(Broker::Id(coordinator)).await?;
        let version = link.version_within(api, OFFSET_FETCH_OF_ALL..=OFFSET_FETCH_BY_NAME)?;
        let mut request = OffsetFetchRequest::default();
        if version >= OFFSET_FETCH_OF_GROUPS {
            request.groups = vec![OffsetFetchRequestGroup {
                group_id: group.into(),
                topics: None,
                ..OffsetFetchRequestGroup::default()
            }];
        } else {
            request.group_id = group.into();
            request.topics = None;
        }
        let Response::OffsetFetch(answer) = link.call(version, &request.into()).await? else {
            return Err(other_response(&link, api));
        };
        let subject = || format!("group {group}");
        Error::check(api, subject(), answer.error_code, None)?;
        let mut offsets = Vec::new();
        let mut add = |topic: &str, partition, code, offset, leader_epoch, metadata: Option<_>| {
            Error::check(api, format!("{topic}-{partition}"), code, None)?;
            if offset >= 0 {
                offsets.push(CommittedOffset {
                    topic: topic.to_owned(),
                    partition,
                    offset,
                    leader_epoch,
                    metadata: metadata.map(String::from).unwrap_or_default(),
                });
            }
            Ok::<_, Error>(())
        };
        for t in answer.topics {
            for p in t.partitions {
                let (at, epoch) = (p.committed_offset, p.committed_leader_epoch);
                add(
                    &t.name,
                    p.partition_index,
                    p.error_code,
                    at,
                    epoch,
                    p.metadata,
                )?;
            }
        }
        for group in answer.groups {
            Error::check(api, subject(), group.error_code, None)?;
            for t in group.topics {
                for p in t.partitions {
                    let (at, epoch) = (p.committed_offset, p.committed_leader_epoch);
                    add(
                        &t.name,
                        p.partition_index,
                        p.error_code,
                        at,
                        epoch,
                        p.metadata,
                    )?;
                }
            }
        }
        offsets.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        Ok(offsets)
    }

    /// Deletes the offsets that a group has committed for partitions of a topic. No member of the
    /// group may be subscribed to it (KIP-496).
    pub async fn delete_offsets(
        &self,
        group: &str,
        topic: &str,
        partitions: &[i32],
    ) -> Result<(), Error> {
        let api = ApiKey::OffsetDelete;
        let partition = |index: &i32| OffsetDeleteRequestPartition {
            partition_index: *index,
        };
        let request = OffsetDeleteRequest {
            group_id: group.into(),
            topics: vec![OffsetDeleteRequestTopic {
                name: topic.into(),
                partitions: partitions.iter().map(partition).collect(),
            }],
        };
        self.retrying(|| async {
            let coordinator = self.coordinator(Coordinated::Group(group)).await?;
            let (to, build) = (Broker::Id(coordinator), |_| request.clone().into());
            let answer = self.ask(to, api, build, only!(OffsetDelete)).await?;
            Error::check(api, format!("group {group}"), answer.error_code, None)?;
            for topic in &answer.topics {
                for p in &topic.partitions {
                    // What is not there any more is what was wanted.
                    if ErrorCode::from_code(p.error_code)
                        == Some(ErrorCode::UnknownTopicOrPartition)
                    {
                        continue;
                    }
                    let subject = format!("group {group}, {}-{}", topic.name, p.partition_index);
                    Error::check(api, subject, p.error_code, None)?;
                }
            }
            Ok(())
        })
        .await
    }
}
