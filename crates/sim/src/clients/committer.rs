//! Commits a group's offsets, always further ones, and reads them back.

use std::time::Duration;

use ottla_client::{Client, CommittedOffset};

use super::{Desk, GROUP, TOPIC};
use crate::history::{Event, Place};

/// Commits until the faults are over.
pub(super) async fn commit(desk: Desk) {
    let deadline = Duration::from_millis(2_000 + desk.random.below(4_000));
    let Some(client) = desk.client("committer", deadline).await else {
        return;
    };
    let mut next = 1;
    while desk.pause(120).await {
        next += 1 + desk.random.below(5) as i64;
        let partition = desk.random.below(desk.partitions.unsigned_abs().into()) as i32;
        let place = Place {
            topic: TOPIC.to_owned(),
            partition,
        };
        desk.note(Event::CommitAsked {
            place: place.clone(),
            offset: next,
        });
        let offset = CommittedOffset {
            topic: TOPIC.to_owned(),
            partition,
            offset: next,
            leader_epoch: -1,
            metadata: format!("at {next}"),
        };
        match client.commit_offsets(GROUP, &[offset]).await {
            Ok(()) => desk.note(Event::CommitAcknowledged {
                place,
                offset: next,
            }),
            Err(error) => desk.failed("committer", &error),
        }
        if desk.random.below(4) == 0 {
            look_at_commits(&desk, &client).await;
        }
    }
}

/// Asks for what is committed.
pub(super) async fn look_at_commits(desk: &Desk, client: &Client) {
    let committed = match client.committed_offsets(GROUP).await {
        Ok(committed) => committed,
        Err(error) => return desk.failed("looking at commits", &error),
    };
    for partition in 0..desk.partitions {
        let mut of_place = committed.iter();
        let found = of_place.find(|c| c.topic == TOPIC && c.partition == partition);
        desk.note(Event::CommitSeen {
            place: Place {
                topic: TOPIC.to_owned(),
                partition,
            },
            offset: found.map(|c| c.offset),
        });
    }
}
