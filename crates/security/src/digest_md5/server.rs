//! The server's side.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};
use ottla_model::Secret;

use super::directives::Directives;
use super::{Proof, SaslError, ZOOKEEPER_REALM, ZOOKEEPER_SERVICE, hashed_text, is_equal};

/// Users by name, with their passwords.
pub type Users = BTreeMap<String, Secret>;

/// One exchange with one client.
#[derive(Debug, Default)]
pub struct DigestMd5Server {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    /// Nothing has come.
    #[default]
    Start,
    /// The question was asked; with its nonce.
    Asked(String),
    /// It is over, well or badly.
    Over,
}

/// What the server does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerStep {
    /// Send this, and wait for more.
    Continue(Vec<u8>),
    /// Send this: the client is who it says to be.
    Done {
        /// What is sent.
        token: Vec<u8>,
        /// The user: the id of ZooKeeper's scheme `sasl`.
        user: String,
    },
}

impl DigestMd5Server {
    /// An exchange that nothing has come to yet.
    #[must_use]
    pub fn new() -> Self {
        DigestMd5Server::default()
    }

    /// Takes what the client has sent. `random` is for the question: fresh random bytes, of which
    /// each exchange must have its own.
    ///
    /// # Errors
    /// Why the client is not let in; the exchange is over then.
    pub fn step(
        &mut self,
        token: &[u8],
        users: &Users,
        random: &[u8; 24],
    ) -> Result<ServerStep, SaslError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start if token.is_empty() => {
                let nonce = Base64::encode_string(random);
                let question = format!(
                    "realm=\"{ZOOKEEPER_REALM}\",nonce=\"{nonce}\",qop=\"auth\",charset=utf-8,\
                     algorithm=md5-sess"
                );
                self.state = State::Asked(nonce);
                Ok(ServerStep::Continue(question.into_bytes()))
            }
            State::Start => Err(SaslError::OutOfTurn {
                what: "an answer before the question",
            }),
            State::Asked(nonce) => judge(&nonce, token, users),
            State::Over => Err(SaslError::OutOfTurn {
                what: "a message after the end",
            }),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a directive says what was sent to the client.
fn expect(name: &'static str, value: &[u8], expected: &str) -> Result<(), SaslError> {
    match is_equal(value, expected.as_bytes()) {
        true => Ok(()),
        false => Err(SaslError::Mismatch { name }),
    }
}

pub(super) fn judge(nonce: &str, token: &[u8], users: &Users) -> Result<ServerStep, SaslError> {
    let answer = Directives::parse(token)?;
    let is_utf8 = match answer.once("charset")? {
        None => false,
        Some(b"utf-8") => true,
        Some(other) => {
            return Err(SaslError::Unsupported {
                name: "charset",
                value: text(other),
            });
        }
    };
    let qop = answer.once("qop")?.unwrap_or(b"auth");
    if qop != b"auth" {
        return Err(SaslError::Unsupported {
            name: "qop",
            value: text(qop),
        });
    }
    expect("nonce", answer.needed("nonce")?, nonce)?;
    let realm = answer.once("realm")?.unwrap_or_default();
    expect("realm", realm, ZOOKEEPER_REALM)?;
    // Each nonce is good for one answer, so this is always the first one.
    let count = answer.needed("nc")?;
    expect("nc", count, "00000001")?;
    let uri = answer.needed("digest-uri")?;
    let own_uri = format!("{ZOOKEEPER_SERVICE}/{ZOOKEEPER_REALM}");
    expect("digest-uri", &uri.to_ascii_lowercase(), &own_uri)?;
    let user = answer.needed("username")?;
    let name = match (std::str::from_utf8(user), is_utf8) {
        (Ok(name), _) => name.to_owned(),
        (Err(_), false) => user.iter().copied().map(char::from).collect(),
        (Err(_), true) => {
            return Err(SaslError::Malformed {
                reason: "the user's name is not in the charset that it is said to be in".into(),
            });
        }
    };
    let denied = || SaslError::Denied { user: name.clone() };
    let cnonce = answer.needed("cnonce")?;
    let response = answer.needed("response")?;
    let password = users.get(&name).ok_or_else(denied)?.expose();
    // With a charset, both are hashed in ISO 8859-1 where that is possible. Without one, or with a
    // client that does not know of that, they are hashed as they were typed.
    let hashed = (hashed_text(&name), hashed_text(password));
    let typed = (user.to_vec(), password.as_bytes().to_vec());
    for (user, password) in [hashed, typed] {
        let proof = Proof {
            user: &user,
            realm,
            password: &password,
            nonce: nonce.as_bytes(),
            cnonce,
            count,
            qop,
            uri,
            authzid: answer.once("authzid")?,
        };
        if is_equal(response, proof.of_client().as_bytes()) {
            let token = format!("rspauth={}", proof.of_server()).into_bytes();
            return Ok(ServerStep::Done { token, user: name });
        }
    }
    Err(denied())
}
