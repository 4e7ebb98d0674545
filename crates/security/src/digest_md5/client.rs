//! The client's side.

use base64ct::{Base64, Encoding};
use ottla_model::Secret;

use super::directives::{Directives, quoted};
use super::{Proof, SaslError, ZOOKEEPER_REALM, ZOOKEEPER_SERVICE, hashed_text, is_equal};

/// One exchange with one server. It begins with an empty message to the server.
#[derive(Debug)]
pub struct DigestMd5Client {
    user: String,
    password: Secret,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The server is asked for its question.
    Start,
    /// The answer is given; with what the server has to show.
    Answered(String),
    /// It is over, well or badly.
    Over,
}

const FIRST: &[u8] = b"00000001";

impl DigestMd5Client {
    /// An exchange for this user.
    #[must_use]
    pub fn new(user: impl Into<String>, password: Secret) -> Self {
        DigestMd5Client {
            user: user.into(),
            password,
            state: State::Start,
        }
    }

    /// Takes what the server has sent, and says what to send next; nothing once the server has shown
    /// that it knows the password, too. `random` is for the answer: fresh random bytes.
    ///
    /// # Errors
    /// Why the server is not trusted; the exchange is over then.
    pub fn step(&mut self, token: &[u8], random: &[u8; 24]) -> Result<Option<Vec<u8>>, SaslError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Start => {
                let (answer, expected) = self.answer(token, random)?;
                self.state = State::Answered(expected);
                Ok(Some(answer))
            }
            State::Answered(expected) => {
                let shown = Directives::parse(token)?;
                match is_equal(shown.needed("rspauth")?, expected.as_bytes()) {
                    true => Ok(None),
                    false => Err(SaslError::ServerUnproved),
                }
            }
            State::Over => Err(SaslError::OutOfTurn {
                what: "a message after the end",
            }),
        }
    }

    /// The answer to the server's question, and what the server has to show then.
    fn answer(&self, token: &[u8], random: &[u8; 24]) -> Result<(Vec<u8>, String), SaslError> {
        let question = Directives::parse(token)?;
        let nonce = question.needed("nonce")?;
        let algorithm = question.needed("algorithm")?;
        if algorithm != b"md5-sess" {
            return Err(SaslError::Unsupported {
                name: "algorithm",
                value: String::from_utf8_lossy(algorithm).into_owned(),
            });
        }
        let offered = question.first("qop").unwrap_or(b"auth");
        let mut offers = offered.split(|&byte| byte == b',');
        if !offers.any(|offer| offer.trim_ascii() == b"auth") {
            return Err(SaslError::Unsupported {
                name: "qop",
                value: String::from_utf8_lossy(offered).into_owned(),
            });
        }
        let is_utf8 = question.once("charset")?.is_some();
        let realm = question
            .first("realm")
            .unwrap_or(ZOOKEEPER_REALM.as_bytes());
        let cnonce = Base64::encode_string(random);
        let uri = format!("{ZOOKEEPER_SERVICE}/{ZOOKEEPER_REALM}");
        let (user, password) = match is_utf8 {
            true => (hashed_text(&self.user), hashed_text(self.password.expose())),
            false => (
                self.user.as_bytes().to_vec(),
                self.password.expose().as_bytes().to_vec(),
            ),
        };
        let proof = Proof {
            user: &user,
            realm,
            password: &password,
            nonce,
            cnonce: cnonce.as_bytes(),
            count: FIRST,
            qop: b"auth",
            uri: uri.as_bytes(),
            authzid: None,
        };
        let mut answer = Vec::new();
        if is_utf8 {
            answer.extend_from_slice(b"charset=utf-8,");
        }
        let texts = [
            ("username", self.user.as_bytes()),
            ("realm", realm),
            ("nonce", nonce),
            ("cnonce", cnonce.as_bytes()),
            ("digest-uri", uri.as_bytes()),
        ];
        for (name, value) in texts {
            answer.extend_from_slice(name.as_bytes());
            answer.push(b'=');
            answer.extend(quoted(value));
            answer.push(b',');
        }
        let response = proof.of_client();
        answer.extend_from_slice(format!("nc=00000001,qop=auth,response={response}").as_bytes());
        Ok((answer, proof.of_server()))
    }
}
