//! What must hold of every history, one property a file.

mod acknowledged;
mod answers;
mod commits;
mod once_in_order;
mod only_sent;
mod stable_offsets;
mod topics;
mod watermark;

use crate::history::Entry;

/// A property that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which: the name of a checker, or `node` for one that ended by itself.
    pub checker: &'static str,
    /// What was seen, and what should have been.
    pub message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.checker, self.message)
    }
}

type Check = fn(&[Entry]) -> Vec<String>;

const ALL: [(&str, Check); 8] = [
    ("acknowledged", acknowledged::check),
    ("answers", answers::check),
    ("commits", commits::check),
    ("once-in-order", once_in_order::check),
    ("only-sent", only_sent::check),
    ("stable-offsets", stable_offsets::check),
    ("topics", topics::check),
    ("watermark", watermark::check),
];

/// The checkers' names.
pub const CHECKERS: [&str; 8] = {
    let mut names = [""; 8];
    let mut n = 0;
    while n < names.len() {
        names[n] = ALL[n].0;
        n += 1;
    }
    names
};

/// All violations, the first ones of each checker.
pub(crate) fn check(entries: &[Entry]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (checker, check) in ALL {
        let messages = check(entries);
        let all = messages.len();
        let shown = messages.into_iter().take(3).enumerate();
        found.extend(shown.map(|(n, message)| Violation {
            checker,
            message: match (n, all) {
                (2, 4..) => format!("{message} (and {} more)", all - 3),
                _ => message,
            },
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Event, Place, Reader, RecordId, value};

    /// Builds histories whose verdict is known.
    #[derive(Default)]
    pub(super) struct Story(Vec<Entry>);

    impl Story {
        pub(super) fn then(mut self, event: Event) -> Self {
            let at_ms = self.0.len() as u64;
            self.0.push(Entry { at_ms, event });
            self
        }

        pub(super) fn sent(self, number: u64) -> Self {
            let id = RecordId { writer: 0, number };
            let value = value(id, 30);
            let place = place();
            self.then(Event::Sent { id, place, value })
        }

        pub(super) fn acknowledged(self, number: u64, offset: i64) -> Self {
            let id = RecordId { writer: 0, number };
            let offset = Some(offset);
            self.then(Event::Acknowledged { id, offset })
        }

        pub(super) fn read(self, reader: Reader, number: u64, offset: i64) -> Self {
            let id = RecordId { writer: 0, number };
            self.then(Event::Read {
                reader,
                place: place(),
                offset,
                value: value(id, 30),
            })
        }

        /// The checkers that complain.
        pub(super) fn complaints(self) -> Vec<&'static str> {
            let entries = self.then(Event::AuditEnded).0;
            let mut names: Vec<_> = check(&entries).into_iter().map(|v| v.checker).collect();
            names.dedup();
            names
        }
    }

    pub(super) fn place() -> Place {
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
}
