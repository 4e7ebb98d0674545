use ottla_raft::Endpoint;
use proptest::prelude::*;

use super::*;
use crate::members::codec::LISTENER;

fn member(host: &str) -> Member {
    let endpoint = |host: &str, port| Endpoint {
        listener: LISTENER.to_owned(),
        host: host.to_owned(),
        port,
    };
    Member {
        endpoints: vec![endpoint(host, 2888), endpoint("10.0.0.1", 1)],
        directory_id: Uuid([7; 16]),
    }
}

fn hello() -> Hello {
    Hello {
        purpose: Purpose::Forward,
        ensemble_id: Some(Uuid([1; 16])),
        from: 1,
        from_directory: Uuid([2; 16]),
        to: u64::MAX,
    }
}

fn introduction() -> Introduction {
    Introduction {
        id: 3,
        ensemble_id: Some(Uuid([1; 16])),
        is_founded: true,
        term: 9,
        leader: Some((2, member("zoo2"))),
        member: member("zoo3"),
        participants: vec![1, 2, 3],
    }
}

#[test]
fn what_is_said_is_what_is_understood() {
    for purpose in [Purpose::Meet, Purpose::Raft, Purpose::Forward] {
        for ensemble_id in [None, Some(Uuid([9; 16]))] {
            let said = Hello {
                purpose,
                ensemble_id,
                ..hello()
            };
            let bytes = said.encode();
            assert!(bytes.len() <= HELLO_BYTES_MAX);
            assert_eq!(Hello::decode(bytes), Ok(said));
        }
    }
    let answers = [
        HelloAnswer::Refused("server 1 is not server 2: größer".to_owned()),
        HelloAnswer::Accepted(Box::new(introduction())),
        HelloAnswer::Accepted(Box::default()),
    ];
    for said in answers {
        assert_eq!(HelloAnswer::decode(said.encode()), Ok(said));
    }
}

#[test]
fn a_long_refusal_is_cut_and_still_understood() {
    let said = HelloAnswer::Refused("ö".repeat(60_000));
    let Ok(HelloAnswer::Refused(reason)) = HelloAnswer::decode(said.encode()) else {
        panic!("it was a refusal");
    };
    assert_eq!(reason, "ö".repeat(32_767));
}

#[test]
fn the_first_frames_of_other_protocols_are_told_apart() {
    // A client of ZooKeeper, and a browser.
    for bytes in [
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        b"GET / HTTP/1.1\r\n",
    ] {
        let error = Hello::decode(Bytes::copy_from_slice(bytes)).unwrap_err();
        assert!(error.contains("another protocol"), "{error}");
    }
    let mut newer = hello().encode().to_vec();
    newer[4] = 2;
    let error = Hello::decode(newer.into()).unwrap_err();
    assert!(error.contains("version 2"), "{error}");
}

#[test]
fn every_cut_of_a_message_is_an_error() {
    let whole = hello().encode();
    for len in 0..whole.len() {
        assert!(Hello::decode(whole.slice(..len)).is_err(), "{len}");
    }
    let whole = HelloAnswer::Accepted(Box::new(introduction())).encode();
    for len in 0..whole.len() {
        assert!(HelloAnswer::decode(whole.slice(..len)).is_err(), "{len}");
    }
}

proptest! {
    #[test]
    fn random_bytes_end_in_an_error_or_in_what_they_say(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0..400_usize,
        value in any::<u8>(),
    ) {
        // Pure noise hardly ever has the magic number; with it the rest is reached.
        let mut with_magic = MAGIC.to_be_bytes().to_vec();
        with_magic.push(VERSION);
        with_magic.extend(&bytes);
        let mut changed = HelloAnswer::Accepted(Box::new(introduction())).encode().to_vec();
        let at = at % changed.len();
        changed[at] = value;
        for bytes in [bytes, with_magic, changed] {
            if let Ok(hello) = Hello::decode(bytes.clone().into()) {
                prop_assert_eq!(hello.encode(), Bytes::from(bytes.clone()));
            }
            if let Ok(answer) = HelloAnswer::decode(bytes.clone().into()) {
                prop_assert_eq!(answer.encode(), Bytes::from(bytes));
            }
        }
    }
}
