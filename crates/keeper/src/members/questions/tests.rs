use ottla_model::Uuid;
use ottla_raft::Endpoint;
use proptest::prelude::*;

use super::*;
use crate::members::codec::LISTENER;

fn question() -> JoinQuestion {
    let endpoint = Endpoint {
        listener: LISTENER.to_owned(),
        host: "zoo4".to_owned(),
        port: 2888,
    };
    JoinQuestion {
        member: Member {
            endpoints: vec![endpoint],
            directory_id: Uuid([4; 16]),
        },
        wants_vote: true,
    }
}

#[test]
fn questions_and_answers_are_understood_as_they_were_meant() {
    assert_eq!(JoinQuestion::decode(question().encode()), Ok(question()));
    let answers = [
        Ok(()),
        Err(JoinRefusal::NotLeader(2)),
        Err(JoinRefusal::Taken("server 4 is there".to_owned())),
        Err(JoinRefusal::NotNow(String::new())),
    ];
    for answer in answers {
        assert_eq!(decode_join_answer(encode_join_answer(&answer)), Ok(answer));
    }
}

proptest! {
    #[test]
    fn random_bytes_end_in_an_error_or_in_what_they_say(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        at in 0..100_usize,
        value in any::<u8>(),
    ) {
        let mut changed = question().encode().to_vec();
        let at = at % changed.len();
        changed[at] = value;
        for bytes in [bytes, changed] {
            if let Ok(question) = JoinQuestion::decode(bytes.clone().into()) {
                prop_assert_eq!(question.encode(), Bytes::from(bytes.clone()));
            }
            if let Ok(answer) = decode_join_answer(bytes.clone().into()) {
                prop_assert_eq!(encode_join_answer(&answer), Bytes::from(bytes));
            }
        }
    }
}
