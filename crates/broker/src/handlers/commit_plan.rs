//! What OffsetCommit and TxnOffsetCommit have in common: the partitions that exist go to the
//! group's coordinator, and all come back in the order of the request.

use std::sync::Arc;

use ottla_group::{CommitPartition, CommitTopic, OffsetCommitResponse};
use ottla_metadata::Image;
use ottla_model::{ErrorCode, TopicId};
use ottla_wire::Text;

/// The topics of the answer, and which of their partitions the coordinator decides about.
#[derive(Default)]
pub(crate) struct CommitPlan {
    commits: Vec<CommitTopic>,
    topics: Vec<Planned>,
}

struct Planned {
    name: Text,
    topic_id: TopicId,
    /// The partition, and its error when it is known already.
    partitions: Vec<(i32, Option<ErrorCode>)>,
}

/// A topic of the answer.
pub(crate) struct Answered {
    /// Empty when the request names topics by id.
    pub(crate) name: Text,
    /// As in the request.
    pub(crate) topic_id: TopicId,
    /// Each partition and its error.
    pub(crate) partitions: Vec<(i32, ErrorCode)>,
}

impl CommitPlan {
    /// Adds a topic of the request, which has a name, or an id and no name.
    pub(crate) fn add(
        &mut self,
        image: &Image,
        name: Option<Text>,
        topic_id: TopicId,
        wanted: Vec<CommitPartition>,
    ) {
        let (known, missing) = match &name {
            None => (image.topic_by_id(topic_id), ErrorCode::UnknownTopicId),
            Some(name) => (image.topic(name), ErrorCode::UnknownTopicOrPartition),
        };
        let mut partitions = Vec::with_capacity(wanted.len());
        let mut commits = Vec::new();
        for wanted in wanted {
            let error = match known {
                None => Some(missing),
                Some(topic) if topic.partition(wanted.partition).is_none() => {
                    Some(ErrorCode::UnknownTopicOrPartition)
                }
                Some(_) => None,
            };
            partitions.push((wanted.partition, error));
            if error.is_none() {
                commits.push(wanted);
            }
        }
        if let Some(known) = known.filter(|_| !commits.is_empty()) {
            self.commits.push(CommitTopic {
                topic: Arc::from(known.name.as_str()),
                topic_id: known.id,
                partitions: commits,
            });
        }
        self.topics.push(Planned {
            name: name.unwrap_or_default(),
            topic_id,
            partitions,
        });
    }

    /// What the coordinator is asked to commit.
    pub(crate) fn take_commits(&mut self) -> Vec<CommitTopic> {
        std::mem::take(&mut self.commits)
    }

    /// Puts the coordinator's answer into its places.
    pub(crate) fn answer(
        self,
        outcome: Result<OffsetCommitResponse, ErrorCode>,
    ) -> impl Iterator<Item = Answered> {
        let refused = outcome.as_ref().err().copied();
        let committed = outcome.into_iter().flat_map(|committed| committed.topics);
        // The coordinator answers in the order in which it was asked.
        let mut decided = committed.flat_map(|t| t.partitions).map(|(_, code)| code);
        self.topics.into_iter().map(move |topic| {
            let partitions = topic.partitions.into_iter().map(|(partition, known)| {
                let code = known.or(refused).or_else(|| decided.next());
                (partition, code.unwrap_or(ErrorCode::UnknownServerError))
            });
            Answered {
                partitions: partitions.collect(),
                name: topic.name,
                topic_id: topic.topic_id,
            }
        })
    }
}
