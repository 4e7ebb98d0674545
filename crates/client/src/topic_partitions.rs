//! Partitions with their eligible leaders (KIP-966), page by page.

use ottla_wire::ApiKey;
use ottla_wire::messages::DescribeTopicPartitionsRequest;
use ottla_wire::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use ottla_wire::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic;

use crate::admin::only;
use crate::{Broker, Client, Error};

impl Client {
    /// These topics, or all of them (no names), with their partitions in order. A topic's own error
    /// is in its `error_code`.
    pub async fn describe_topic_partitions(
        &self,
        topics: &[&str],
    ) -> Result<Vec<DescribeTopicPartitionsResponseTopic>, Error> {
        let api = ApiKey::DescribeTopicPartitions;
        let mut wanted: Vec<&str> = topics.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let topic = |name: &&str| TopicRequest {
            name: (*name).into(),
            ..TopicRequest::default()
        };
        let mut request = DescribeTopicPartitionsRequest {
            topics: wanted.iter().map(topic).collect(),
            ..DescribeTopicPartitionsRequest::default()
        };
        let mut described: Vec<DescribeTopicPartitionsResponseTopic> = Vec::new();
        loop {
            let answer = self.retrying(|| async {
                let build = |_| request.clone().into();
                let pick = only!(DescribeTopicPartitions);
                self.ask(Broker::Any, api, build, pick).await
            });
            let answer = answer.await?;
            for topic in answer.topics {
                // A page may end within a topic; the next one goes on there.
                match described.last_mut() {
                    Some(last) if last.name == topic.name => {
                        last.partitions.extend(topic.partitions);
                    }
                    _ => described.push(topic),
                }
            }
            let Some(next) = answer.next_cursor else {
                return Ok(described);
            };
            let cursor = Cursor {
                topic_name: next.topic_name,
                partition_index: next.partition_index,
                ..Cursor::default()
            };
            let before = request.cursor.as_ref();
            if before.is_some_and(|before| !is_behind(&cursor, before)) {
                let reason = "it does not move on from page to page";
                return Err(Error::bad_response("that was asked", api, reason));
            }
            request
                .topics
                .retain(|topic| topic.name >= cursor.topic_name);
            request.cursor = Some(cursor);
        }
    }
}

/// Whether a cursor stands further behind, so that asking comes to an end.
fn is_behind(cursor: &Cursor, before: &Cursor) -> bool {
    let place = |c: &Cursor| (c.topic_name.to_string(), c.partition_index);
    place(cursor) > place(before)
}
