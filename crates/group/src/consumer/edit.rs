//! Changes of a group on their way to the log.

use std::sync::Arc;

use ottla_model::PartitionIndex;

use super::group::ConsumerGroup;
use super::records::ConsumerRecord;
use crate::effect::Token;
use crate::group::Group;
use crate::records::Record;
use crate::request::Request;
use crate::response::Response;

/// One append's worth of operations of one group: the records, and how to take them back.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    /// What the records replaced, in their order.
    undo: Vec<ConsumerRecord>,
    /// Answers that wait until the records are durable.
    pub(crate) replies: Vec<(Token, Response)>,
    /// The classic group that the group was before.
    pub(crate) was_classic: Option<Box<Group>>,
    pub(crate) after: After,
    /// Committed offsets that go with it.
    pub(crate) deleted: Vec<(Arc<str>, PartitionIndex)>,
    /// A request that goes on once the batch is durable.
    pub(crate) retry: Option<(Token, Request, [u8; 16])>,
}

/// What happens to the group once the batch is durable.
#[derive(Debug, Default)]
pub(crate) enum After {
    /// Nothing: it is as it shall be.
    #[default]
    Nothing,
    /// It is deleted.
    Delete,
    /// It becomes this classic group, which rebalances for this reason, if there is one.
    BecomeClassic(Box<Group>, Option<String>),
}

impl Batch {
    /// Applies a record, and remembers it for the log.
    pub(crate) fn put(&mut self, group: &mut ConsumerGroup, record: ConsumerRecord) {
        self.records
            .push(Record::Consumer(group.id.clone(), record.clone()));
        self.undo.push(group.apply(record));
    }

    /// Puts a record into the log that does not change the group itself.
    pub(crate) fn log_only(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Where the batch is now, for [`Batch::rewind`].
    pub(crate) fn mark(&self) -> (usize, usize) {
        (self.records.len(), self.undo.len())
    }

    /// Takes back everything since the mark: an operation has been refused halfway.
    pub(crate) fn rewind(&mut self, group: &mut ConsumerGroup, mark: (usize, usize)) {
        self.records.truncate(mark.0);
        for record in self.undo.split_off(mark.1).into_iter().rev() {
            group.apply(record);
        }
    }

    pub(crate) fn reply(&mut self, token: Token, response: Response) {
        self.replies.push((token, response));
    }
}

/// An error of an operation, with words for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: ottla_model::ErrorCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(error: ottla_model::ErrorCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Refusal { error, message }
    }
}
