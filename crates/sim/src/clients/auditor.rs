//! Reads everything back when the faults are over.

use std::time::Duration;

use ottla_client::{Consumer, ConsumerOptions, Start};

use super::committer::look_at_commits;
use super::tail::{look_at_ends, note_read};
use super::{Brief, Desk, TOPIC};
use crate::history::{Event, Reader};

/// The nodes are well again: what does not work within this time does not work.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks at every record, offset and topic.
pub(crate) async fn audit(brief: Brief) {
    let desk = Desk::new(brief);
    let Some(client) = desk.client("audit", PATIENCE).await else {
        return;
    };
    look_at_ends(&desk, &client).await;
    let mut consumer = Consumer::new(client.clone(), ConsumerOptions::default());
    let mut ended = true;
    if let Err(error) = consumer.assign(TOPIC, None, Start::Earliest).await {
        desk.failed("audit", &error);
        ended = false;
    }
    while ended && !consumer.is_at_end() {
        match consumer.next(Duration::from_millis(500)).await {
            Ok(Some(read)) => note_read(&desk, Reader::Audit, read),
            Ok(None) => {}
            Err(error) => {
                desk.failed("audit", &error);
                ended = false;
            }
        }
    }
    look_at_commits(&desk, &client).await;
    match client.metadata(None).await {
        Ok(metadata) => {
            let mut topics: Vec<_> = metadata
                .topics
                .iter()
                .map(|t| {
                    (
                        t.name.as_deref().unwrap_or_default().to_owned(),
                        t.partitions.len(),
                    )
                })
                .collect();
            topics.sort();
            desk.note(Event::TopicsSeen { topics });
        }
        Err(error) => {
            desk.failed("audit", &error);
            ended = false;
        }
    }
    if ended {
        desk.note(Event::AuditEnded);
    }
}
