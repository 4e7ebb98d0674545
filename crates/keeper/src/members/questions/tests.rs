use std::collections::{BTreeMap, BTreeSet};

use ottla_model::Uuid;
use ottla_raft::Endpoint;
use proptest::prelude::*;

use super::*;
use crate::members::codec::LISTENER;

fn endpoint() -> Endpoint {
    Endpoint {
        listener: LISTENER.to_owned(),
        host: "zoo4".to_owned(),
        port: 2888,
    }
}

fn join() -> Question {
    Question::Join(JoinQuestion {
        member: Member {
            endpoints: vec![endpoint()],
            directory_id: Uuid([4; 16]),
        },
        wants_vote: true,
    })
}

fn change() -> Question {
    Question::Change(Reconfigured {
        participants: BTreeSet::from([1, 2, 4]),
        observers: BTreeSet::from([3]),
        addresses: BTreeMap::from([(3, Vec::new()), (4, vec![endpoint(), endpoint()])]),
    })
}

#[test]
fn questions_and_answers_are_understood_as_they_were_meant() {
    for question in [join(), change()] {
        assert_eq!(Question::decode(question.encode()), Ok(question));
    }
    let answers = [
        Ok(()),
        Err(JoinRefusal::NotLeader(2)),
        Err(JoinRefusal::Taken("server 4 is there".to_owned())),
        Err(JoinRefusal::NotNow(String::new())),
    ];
    for answer in answers {
        assert_eq!(decode_join_answer(encode_join_answer(&answer)), Ok(answer));
    }
    let answers = [
        Ok(()),
        Err(ChangeError::NotLeader),
        Err(ChangeError::InProgress),
        Err(ChangeError::NewConfigNoQuorum(
            "server 4 is not there".to_owned(),
        )),
        Err(ChangeError::Refused(String::new())),
    ];
    for answer in answers {
        assert_eq!(
            decode_change_answer(encode_change_answer(&answer)),
            Ok(answer)
        );
    }
}

proptest! {
    #[test]
    fn random_bytes_end_in_an_error_or_in_what_they_say(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        at in 0..100_usize,
        value in any::<u8>(),
    ) {
        let mut all = vec![bytes];
        for question in [join(), change()] {
            let mut changed = question.encode().to_vec();
            let at = at % changed.len();
            changed[at] = value;
            all.push(changed);
        }
        for bytes in all {
            if let Ok(question) = Question::decode(bytes.clone().into()) {
                // Ids come in any order, and are put in order.
                let again = Question::decode(question.encode());
                prop_assert_eq!(again, Ok(question));
            }
            if let Ok(answer) = decode_change_answer(bytes.clone().into()) {
                prop_assert_eq!(encode_change_answer(&answer), Bytes::from(bytes.clone()));
            }
            if let Ok(answer) = decode_join_answer(bytes.clone().into()) {
                prop_assert_eq!(encode_join_answer(&answer), Bytes::from(bytes));
            }
        }
    }
}
