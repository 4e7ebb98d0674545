#![allow(clippy::unwrap_used, reason = "tests")]

use ottla_model::Secret;
use proptest::prelude::*;

use super::*;

/// The two examples of RFC 2831, section 4.
#[test]
fn the_proofs_are_those_of_the_rfc() {
    let examples = [
        (
            "OA6MG9tEQGm2hh",
            "OA6MHXh6VqTrRk",
            "imap/elwood.innosoft.com",
            "d388dad90d4bbd760a152321f2143af7",
            "ea40f60335c427b5527b84dbabcdfffd",
        ),
        (
            "OA9BSXrbuRhWay",
            "OA9BSuZWMSpW8m",
            "acap/elwood.innosoft.com",
            "6084c6db3fede7352c551284490fd0fc",
            "2f0b3d7c3c2e486600ef710726aa2eae",
        ),
    ];
    for (nonce, cnonce, uri, response, rspauth) in examples {
        let proof = Proof {
            user: b"chris",
            realm: b"elwood.innosoft.com",
            password: b"secret",
            nonce: nonce.as_bytes(),
            cnonce: cnonce.as_bytes(),
            count: b"00000001",
            qop: b"auth",
            uri: uri.as_bytes(),
            authzid: None,
        };
        assert_eq!(proof.of_client(), response);
        assert_eq!(proof.of_server(), rspauth);
    }
}

fn users(pairs: &[(&str, &str)]) -> Users {
    pairs
        .iter()
        .map(|(user, password)| ((*user).to_owned(), Secret::new(*password)))
        .collect()
}

fn all_users() -> Users {
    users(&[
        ("bob", "bobsecret"),
        ("jürgen", "pässword"),
        ("東京", "秘密"),
        ("a\"b\\c", "x\"y\\z"),
    ])
}

const RANDOM: &[u8; 24] = b"twenty-four random bytes";

/// What clients sent, each in an exchange of its own: the class `Sasl` of OpenJDK 17 as ZooKeeper's
/// client uses it, and pure-sasl 0.6 as kazoo does; with the nonce, the answer, the user, and what
/// OpenJDK's server showed then.
const RECORDED: &[(&str, &str, &str, Option<&str>)] = &[
    (
        "3XG67llBbjk+J9c4KizSVncj969gSBkY/SwHOGms",
        r#"charset=utf-8,username="bob",realm="zk-sasl-md5",nonce="3XG67llBbjk+J9c4KizSVncj969gSBkY/SwHOGms",nc=00000001,cnonce="ZQuyZjOP3YhE5wQ7tiqt9g7F00UQmmzhcTvb2e83",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=f2dfdae322abeb06b737553638c46045,qop=auth,authzid="bob""#,
        "bob",
        Some("b643ed51a1c85815715d4de8e28c0eed"),
    ),
    (
        "vn5s0sehN3DhzW2sbvJ4OdfqO5JmDg58T7tRHnWg",
        r#"charset=utf-8,username="jürgen",realm="zk-sasl-md5",nonce="vn5s0sehN3DhzW2sbvJ4OdfqO5JmDg58T7tRHnWg",nc=00000001,cnonce="fJz2nj2aIUk/gVPGghHT2LLoaoxtaM7tEc8Ob0db",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=67c16d6c66f5291028ba7368f02a6294,qop=auth"#,
        "jürgen",
        Some("e4e922d7989e247b6bdc7510433ea084"),
    ),
    (
        "xPHIFXqVHIIZAjarrC5hq6YbQQw0LOlumg3+I7yb",
        r#"charset=utf-8,username="東京",realm="zk-sasl-md5",nonce="xPHIFXqVHIIZAjarrC5hq6YbQQw0LOlumg3+I7yb",nc=00000001,cnonce="2HnQgthfpGDTZXu9BlKP1ekmQD8xsM2kY7E7eRd3",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=6ae43494c08a3bbf9467174e461888bf,qop=auth"#,
        "東京",
        Some("260c39a4a7fda3c5c4447dc3bb8e151f"),
    ),
    (
        "oU5gupH0JilED9vxo09hCmKtsJmUbeWctsYDvjrm",
        r#"charset=utf-8,username="a\"b\\c",realm="zk-sasl-md5",nonce="oU5gupH0JilED9vxo09hCmKtsJmUbeWctsYDvjrm",nc=00000001,cnonce="fXuEPywddlNxj0YiCTaDV7IlHAdcOh642/vjNpon",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=247add638b88d09c0792ad2968127b36,qop=auth"#,
        r#"a"b\c"#,
        Some("fa8552de06548db930da49cdf7d24960"),
    ),
    (
        "AAECAwQFBgcICQoLDA0ODw==",
        r#"charset=utf-8,username="bob",realm="zk-sasl-md5",nonce="AAECAwQFBgcICQoLDA0ODw==",nc=00000001,cnonce="DdQ8NRP0BntY0ioVY5Xf1w8XoIj+DmllTl6d2OUj",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=5ee9aa1df3476e6178b6c6fca178aaa1,qop=auth,authzid="bob""#,
        "bob",
        None,
    ),
    (
        "AAECAwQFBgcICQoLDA0ODw==",
        r#"qop=auth,realm="zk-sasl-md5",username="bob",nonce="AAECAwQFBgcICQoLDA0ODw==",cnonce="1739703181236978",nc=00000001,digest-uri="zookeeper/zk-sasl-md5",response=63ce8d441f8de0778327d22b40b044b4"#,
        "bob",
        None,
    ),
];

#[test]
fn recorded_answers_of_java_and_kazoo_are_taken() {
    for (nonce, answer, name, shown) in RECORDED {
        let step = server::judge(nonce, answer.as_bytes(), &all_users()).unwrap();
        let ServerStep::Done { token, user } = step else {
            panic!("{name} has to go on");
        };
        assert_eq!(user, *name);
        if let Some(shown) = shown {
            assert_eq!(token, format!("rspauth={shown}").into_bytes());
        }
    }
}

#[test]
fn nobody_comes_in_with_a_wrong_password_or_an_unknown_name() {
    for (nonce, answer, name, _) in RECORDED {
        for users in [users(&[(name, "wrong")]), users(&[("alice", "bobsecret")])] {
            let denied = server::judge(nonce, answer.as_bytes(), &users).unwrap_err();
            let user = (*name).to_owned();
            assert_eq!(denied, SaslError::Denied { user });
        }
    }
}

#[test]
fn an_answer_to_another_question_is_refused() {
    let (_, answer, ..) = RECORDED[0];
    let other = server::judge("another nonce", answer.as_bytes(), &all_users());
    assert_eq!(other.unwrap_err(), SaslError::Mismatch { name: "nonce" });
    let (nonce, answer, ..) = RECORDED[0];
    let changes = [
        ("realm=\"zk-sasl-md5\"", "realm=\"elsewhere\"", "realm"),
        ("nc=00000001", "nc=00000002", "nc"),
        ("zookeeper/zk-sasl-md5", "kafka/zk-sasl-md5", "digest-uri"),
    ];
    for (from, to, name) in changes {
        let answer = answer.replace(from, to);
        let refused = server::judge(nonce, answer.as_bytes(), &all_users());
        assert_eq!(refused.unwrap_err(), SaslError::Mismatch { name });
    }
    let answer = answer.replace("qop=auth", "qop=auth-conf");
    let refused = server::judge(nonce, answer.as_bytes(), &all_users());
    assert!(matches!(refused, Err(SaslError::Unsupported { .. })));
}

/// Both sides, from the empty message on.
fn exchange(user: &str, password: &str, users: &Users) -> Result<String, SaslError> {
    let mut server = DigestMd5Server::new();
    let mut client = DigestMd5Client::new(user, Secret::new(password));
    let ServerStep::Continue(question) = server.step(&[], users, RANDOM)? else {
        panic!("a question must be answered");
    };
    let answer = client.step(&question, RANDOM)?.unwrap();
    let ServerStep::Done { token, user } = server.step(&answer, users, RANDOM)? else {
        panic!("one answer is enough");
    };
    assert_eq!(client.step(&token, RANDOM)?, None);
    Ok(user)
}

#[test]
fn client_and_server_understand_each_other() {
    for (user, password) in all_users() {
        let known = exchange(&user, password.expose(), &all_users());
        assert_eq!(known, Ok(user.clone()));
        assert!(exchange(&user, "wrong", &all_users()).is_err());
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_noticed() {
    let mut client = DigestMd5Client::new("bob", Secret::new("bobsecret"));
    let question = b"realm=\"zk-sasl-md5\",nonce=\"n\",qop=\"auth\",algorithm=md5-sess";
    client.step(question, RANDOM).unwrap().unwrap();
    let shown = b"rspauth=00000000000000000000000000000000";
    assert_eq!(client.step(shown, RANDOM), Err(SaslError::ServerUnproved));
    let over = client.step(shown, RANDOM);
    assert!(matches!(over, Err(SaslError::OutOfTurn { .. })));
}

#[test]
fn a_client_goes_along_with_nothing_weaker() {
    for question in [
        &b"nonce=\"n\",algorithm=md5"[..],
        b"nonce=\"n\",qop=\"auth-conf\",algorithm=md5-sess",
        b"nonce=\"n\"",
        b"algorithm=md5-sess",
        b"nonce=\"n\",nonce=\"m\",algorithm=md5-sess",
    ] {
        let mut client = DigestMd5Client::new("bob", Secret::new("bobsecret"));
        assert!(client.step(question, RANDOM).is_err());
    }
}

#[test]
fn messages_out_of_turn_end_the_exchange() {
    let users = all_users();
    let mut early = DigestMd5Server::new();
    let (_, answer, ..) = RECORDED[0];
    assert!(early.step(answer.as_bytes(), &users, RANDOM).is_err());
    let over = early.step(&[], &users, RANDOM);
    assert!(matches!(over, Err(SaslError::OutOfTurn { .. })));

    // A wrong answer is no second try at the same question.
    let mut twice = DigestMd5Server::new();
    twice.step(&[], &users, RANDOM).unwrap();
    assert!(twice.step(b"username=\"bob\"", &users, RANDOM).is_err());
    let over = twice.step(answer.as_bytes(), &users, RANDOM);
    assert!(matches!(over, Err(SaslError::OutOfTurn { .. })));
}

#[test]
fn what_is_printed_has_no_password() {
    let client = DigestMd5Client::new("bob", Secret::new("bobsecret"));
    assert!(!format!("{client:?}").contains("bobsecret"));
}

proptest! {
    #[test]
    fn any_answer_ends_in_a_denial(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut server = DigestMd5Server::new();
        server.step(&[], &all_users(), RANDOM).unwrap();
        prop_assert!(server.step(&noise, &all_users(), RANDOM).is_err());
    }

    #[test]
    fn a_changed_answer_is_denied_or_says_the_same(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let (nonce, answer, name, _) = RECORDED[0];
        let mut bytes = answer.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(ServerStep::Done { user, .. }) = server::judge(nonce, &bytes, &all_users()) {
            // Only what is no part of the proof (maxbuf, the case of a name) may change.
            prop_assert_eq!(user, name);
        }
    }

    #[test]
    fn any_user_and_password_come_in(user in "\\PC{1,20}", password in "\\PC{0,20}") {
        let users = users(&[(&user, &password)]);
        prop_assert_eq!(exchange(&user, &password, &users), Ok(user.clone()));
    }
}
