//! Histories with one thing wrong, and who notices.

use super::*;
use crate::history::{Event, Place, Reader, RecordId, Replica, StoredBatch, value};

/// Builds histories whose verdict is known.
#[derive(Default)]
struct Story(Vec<Entry>);

impl Story {
    fn then(mut self, event: Event) -> Self {
        let at_ms = self.0.len() as u64;
        self.0.push(Entry { at_ms, event });
        self
    }

    fn sent(self, number: u64) -> Self {
        let id = RecordId { writer: 0, number };
        let value = value(id, 30);
        let place = place();
        self.then(Event::Sent { id, place, value })
    }

    fn acknowledged(self, number: u64, offset: i64) -> Self {
        let id = RecordId { writer: 0, number };
        let offset = Some(offset);
        self.then(Event::Acknowledged { id, offset })
    }

    fn read(self, reader: Reader, number: u64, offset: i64) -> Self {
        let id = RecordId { writer: 0, number };
        self.then(Event::Read {
            reader,
            place: place(),
            offset,
            value: value(id, 30),
        })
    }

    /// The checkers that complain.
    fn complaints(self) -> Vec<&'static str> {
        let entries = self.then(Event::AuditEnded).0;
        let mut names: Vec<_> = check(&entries).into_iter().map(|v| v.checker).collect();
        names.dedup();
        names
    }
}

fn place() -> Place {
    Place {
        topic: "records".to_owned(),
        partition: 0,
    }
}

#[test]
fn a_good_history_has_no_violation() {
    let story = Story::default().sent(0).sent(1).acknowledged(0, 0);
    let story = story.read(Reader::Tail, 0, 0).acknowledged(1, 1);
    let story = story.read(Reader::Audit, 0, 0).read(Reader::Audit, 1, 1);
    assert_eq!(story.complaints(), Vec::<&str>::new());
}

#[test]
fn an_acknowledged_record_that_is_missing_is_noticed() {
    let story = Story::default().sent(0).sent(1).acknowledged(0, 0);
    let story = story.acknowledged(1, 1).read(Reader::Audit, 0, 0);
    assert_eq!(story.complaints(), ["acknowledged"]);
}

#[test]
fn an_acknowledged_record_at_another_offset_is_noticed() {
    let story = Story::default().sent(0).acknowledged(0, 4);
    let story = story.read(Reader::Audit, 0, 0);
    assert_eq!(story.complaints(), ["acknowledged"]);
}

#[test]
fn a_record_that_is_there_twice_is_noticed() {
    let story = Story::default().sent(0).acknowledged(0, 0);
    let story = story.read(Reader::Audit, 0, 0).read(Reader::Audit, 0, 1);
    assert_eq!(story.complaints(), ["once-in-order"]);
}

#[test]
fn acknowledged_records_in_another_order_are_noticed() {
    let story = Story::default().sent(0).sent(1);
    let story = story.acknowledged(0, 1).acknowledged(1, 0);
    let story = story.read(Reader::Audit, 1, 0).read(Reader::Audit, 0, 1);
    assert_eq!(story.complaints(), ["once-in-order"]);
}

#[test]
fn a_record_that_nobody_sent_is_noticed() {
    let story = Story::default().read(Reader::Audit, 7, 0);
    assert_eq!(story.complaints(), ["only-sent"]);
    let id = RecordId {
        writer: 0,
        number: 0,
    };
    let mut torn = value(id, 30).to_vec();
    torn[20] ^= 1;
    let story = Story::default().sent(0).then(Event::Read {
        reader: Reader::Tail,
        place: place(),
        offset: 0,
        value: torn.into(),
    });
    assert!(story.complaints().contains(&"only-sent"));
}

#[test]
fn an_offset_with_another_record_than_before_is_noticed() {
    let story = Story::default().sent(0).sent(1);
    let story = story.read(Reader::Tail, 0, 0).read(Reader::Audit, 1, 0);
    assert_eq!(story.complaints(), ["stable-offsets"]);
}

#[test]
fn an_offset_that_was_read_and_is_gone_is_noticed() {
    let story = Story::default().sent(0).read(Reader::Tail, 0, 0);
    assert_eq!(story.complaints(), ["stable-offsets"]);
}

#[test]
fn a_gap_between_offsets_is_noticed() {
    let story = Story::default().sent(0).sent(1);
    let story = story.read(Reader::Audit, 0, 0).read(Reader::Audit, 1, 2);
    assert_eq!(story.complaints(), ["stable-offsets"]);
}

#[test]
fn a_commit_that_is_lost_or_made_up_is_noticed() {
    let asked = |offset| Event::CommitAsked {
        place: place(),
        offset,
    };
    let done = |offset| Event::CommitAcknowledged {
        place: place(),
        offset,
    };
    let seen = |offset| Event::CommitSeen {
        place: place(),
        offset,
    };
    let story = |last| {
        let story = Story::default().then(asked(3)).then(done(3));
        story.then(asked(5)).then(done(5)).then(seen(last))
    };
    assert_eq!(story(Some(5)).complaints(), Vec::<&str>::new());
    assert_eq!(story(Some(3)).complaints(), ["commits"]);
    assert_eq!(story(None).complaints(), ["commits"]);
    assert_eq!(story(Some(6)).complaints(), ["commits"]);
}

#[test]
fn a_commit_without_an_answer_may_be_there_or_not() {
    let asked = |offset| Event::CommitAsked {
        place: place(),
        offset,
    };
    let seen = |offset| Event::CommitSeen {
        place: place(),
        offset,
    };
    let good = Story::default()
        .then(asked(3))
        .then(seen(None))
        .then(asked(4));
    assert_eq!(good.then(seen(Some(3))).complaints(), Vec::<&str>::new());
}

#[test]
fn a_created_topic_that_is_missing_is_noticed() {
    let name = || "topic-0".to_owned();
    let created = Event::TopicAcknowledged { name: name() };
    let seen = |topics| Event::TopicsSeen { topics };
    let asked = Story::default().then(Event::TopicAsked { name: name() });
    let lost = asked.then(created).then(seen(vec![]));
    assert_eq!(lost.complaints(), ["topics"]);
    let strange = Story::default().then(seen(vec![(name(), 1)]));
    assert_eq!(strange.complaints(), ["topics"]);
}

#[test]
fn a_deleted_topic_that_is_back_is_noticed() {
    let name = || "topic-0".to_owned();
    let story = Story::default().then(Event::TopicAsked { name: name() });
    let story = story.then(Event::TopicAcknowledged { name: name() });
    let story = story.then(Event::DeleteAsked { name: name() });
    let story = story.then(Event::DeleteAcknowledged { name: name() });
    let topics = vec![(name(), 1)];
    let story = story.then(Event::TopicsSeen { topics });
    assert_eq!(story.complaints(), ["topics"]);
}

#[test]
fn an_end_that_goes_back_is_noticed() {
    let end = |offset| Event::EndSeen {
        place: place(),
        offset,
    };
    let story = Story::default().then(end(4)).then(end(3));
    assert_eq!(story.complaints(), ["watermark"]);
    let start = Event::StartSeen {
        place: place(),
        offset: 1,
    };
    assert_eq!(Story::default().then(start).complaints(), ["watermark"]);
}

#[test]
fn an_error_for_good_is_noticed_and_an_audit_without_an_end() {
    let refused = Event::Refused {
        who: "tail",
        error: "corrupt".to_owned(),
    };
    assert_eq!(Story::default().then(refused).complaints(), ["answers"]);
    assert_eq!(check(&[]).len(), 1);
}

fn acknowledged_of(writer: u32, number: u64, offset: i64) -> [Event; 2] {
    let id = RecordId { writer, number };
    let value = value(id, 30);
    let sent = Event::Sent {
        id,
        place: place(),
        value,
    };
    let offset = Some(offset);
    [sent, Event::Acknowledged { id, offset }]
}

#[test]
fn an_offset_that_two_records_were_acknowledged_for_is_noticed() {
    let events = [acknowledged_of(0, 0, 5), acknowledged_of(1, 0, 5)];
    let story = events.into_iter().flatten();
    let story = story.fold(Story::default(), Story::then);
    assert!(story.complaints().contains(&"offsets"));
}

#[test]
fn an_acknowledged_offset_at_which_another_record_is_read_is_noticed() {
    let story = Story::default().sent(0).sent(1).acknowledged(0, 0);
    let story = story.read(Reader::Tail, 1, 0).read(Reader::Audit, 1, 0);
    assert!(story.complaints().contains(&"offsets"));
    let story = Story::default().sent(0).sent(1).read(Reader::Tail, 1, 0);
    let story = story.acknowledged(0, 0);
    assert!(story.complaints().contains(&"offsets"));
}

#[test]
fn a_reader_that_skips_or_repeats_is_noticed() {
    let at = |offset| Event::Positioned {
        place: place(),
        offset,
    };
    let story = |offsets: &[i64]| {
        let story = Story::default().sent(0).sent(1).then(at(0));
        let story = (0..).zip(offsets).fold(story, |story, (number, offset)| {
            story.read(Reader::Tail, number, *offset)
        });
        let complaints = story.complaints();
        complaints.contains(&"positions")
    };
    assert!(!story(&[0, 1]));
    assert!(story(&[1]));
    assert!(story(&[0, 2]));
    assert!(story(&[0, 0]));
}

#[test]
fn two_leaders_of_one_term_are_noticed() {
    let seen = |node, offset, leader_epoch, leader| Event::LeaderSeen {
        node,
        offset,
        topic_id: [7; 16],
        partition: 0,
        leader_epoch,
        leader,
    };
    let first = || Story::default().then(seen(1, 9, 4, Some(1)));
    let good = first().then(seen(2, 9, 4, Some(1)));
    let good = good.then(seen(1, 10, 5, Some(2)));
    // A node that has begun anew shows older metadata.
    let good = good.then(seen(1, 9, 4, Some(1)));
    assert_eq!(good.complaints(), Vec::<&str>::new());
    let two_leaders = first().then(seen(2, 9, 4, Some(2)));
    assert_eq!(two_leaders.complaints(), ["one-leader"]);
    let backwards = first().then(seen(1, 10, 3, Some(2)));
    assert_eq!(backwards.complaints(), ["one-leader"]);
}

#[test]
fn two_controllers_of_one_term_are_noticed() {
    let seen = |node, term, leader| Event::ControllerSeen { node, term, leader };
    let good = Story::default().then(seen(1, 4, 1)).then(seen(2, 4, 1));
    assert_eq!(good.then(seen(2, 5, 3)).complaints(), Vec::<&str>::new());
    let bad = Story::default().then(seen(1, 4, 1)).then(seen(2, 4, 2));
    assert_eq!(bad.complaints(), ["one-leader"]);
}

#[test]
fn metadata_that_differs_between_nodes_is_noticed() {
    let seen = |node, offset, digest| Event::ImageSeen {
        node,
        offset,
        digest,
    };
    let rest = Event::AtRest { nodes: 2 };
    let good = Story::default().then(seen(1, 4, 9)).then(seen(2, 4, 9));
    assert_eq!(good.then(rest.clone()).complaints(), Vec::<&str>::new());
    let bad = Story::default().then(seen(1, 4, 9)).then(seen(2, 4, 8));
    assert_eq!(bad.complaints(), ["one-image"]);
    let behind = Story::default().then(seen(1, 5, 9)).then(seen(2, 4, 8));
    assert_eq!(behind.then(rest.clone()).complaints(), ["one-image"]);
    let silent = Story::default().then(seen(1, 5, 9));
    assert_eq!(silent.then(rest).complaints(), ["one-image"]);
}

#[test]
fn replicas_that_differ_are_noticed() {
    let batch = |base_offset, digest| StoredBatch {
        base_offset,
        leader_epoch: 1,
        digest,
    };
    let seen = |node, start, high_watermark, batches| Event::ReplicaSeen {
        place: place(),
        replica: Replica {
            node,
            start,
            high_watermark,
            batches,
        },
    };
    let whole = || vec![batch(0, 5), batch(3, 6)];
    let story = |other| {
        let story = Story::default().then(seen(1, 0, 5, whole())).then(other);
        story.complaints()
    };
    assert_eq!(story(seen(2, 0, 5, whole())), Vec::<&str>::new());
    // A replica that is behind, or whose old records are gone, says less.
    assert_eq!(story(seen(2, 0, 3, vec![batch(0, 5)])), Vec::<&str>::new());
    assert_eq!(story(seen(2, 3, 5, vec![batch(3, 6)])), Vec::<&str>::new());
    assert_eq!(
        story(seen(2, 0, 5, vec![batch(0, 5), batch(3, 7)])),
        ["replicas"]
    );
    assert_eq!(story(seen(2, 0, 5, vec![batch(0, 5)])), ["replicas"]);
    assert_eq!(story(seen(2, 0, 5, vec![batch(3, 6)])), ["replicas"]);
}

#[test]
fn terms_that_go_back_inside_of_a_log_are_noticed() {
    let batch = |base_offset, leader_epoch| StoredBatch {
        base_offset,
        leader_epoch,
        digest: 0,
    };
    let seen = Event::ReplicaSeen {
        place: place(),
        replica: Replica {
            node: 1,
            start: 0,
            high_watermark: 2,
            batches: vec![batch(0, 5), batch(1, 4)],
        },
    };
    assert_eq!(Story::default().then(seen).complaints(), ["replicas"]);
}

#[test]
fn a_broker_epoch_of_two_lives_is_noticed() {
    let seen = |node, offset, broker_epoch, life| Event::BrokerSeen {
        node,
        offset,
        broker: 3,
        broker_epoch,
        incarnation: [life; 16],
    };
    let good = Story::default().then(seen(1, 7, 7, 1));
    let good = good.then(seen(2, 8, 7, 1)).then(seen(1, 9, 9, 2));
    // A node that has begun anew, or is behind, shows older metadata.
    let good = good.then(seen(1, 7, 7, 1)).then(seen(2, 9, 9, 2));
    assert_eq!(good.complaints(), Vec::<&str>::new());
    let two_lives = Story::default().then(seen(1, 7, 7, 1));
    let two_lives = two_lives.then(seen(2, 7, 7, 2));
    assert_eq!(two_lives.complaints(), ["one-life"]);
    let backwards = Story::default().then(seen(1, 7, 7, 1));
    let backwards = backwards.then(seen(1, 8, 6, 2));
    assert_eq!(backwards.complaints(), ["one-life"]);
    let late = Story::default().then(seen(1, 8, 8, 1));
    assert_eq!(late.then(seen(2, 7, 9, 2)).complaints(), ["one-life"]);
}
