//! What strangers say about themselves before they are let in: the name in a certificate, and the
//! messages of DIGEST-MD5; and the files that say who is let in. All of it ends in a value or an
//! error.

use ottla_model::{Secret, StoreFormat};
use ottla_security::digest_md5::{DigestMd5Client, DigestMd5Server, ServerStep, Users};
use ottla_security::jaas::LoginFile;
use ottla_security::{distinguished_name, keys};

pub(crate) fn body(data: &[u8]) {
    let _ = distinguished_name::subject(data);
    let _ = keys::own_keys(StoreFormat::Pem, data, None);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = LoginFile::parse(text);
    }
    let users = Users::from([("bob".to_owned(), Secret::new("bobsecret"))]);
    let random = [7; 24];
    let mut server = DigestMd5Server::new();
    let question = server.step(&[], &users, &random);
    assert!(matches!(question, Ok(ServerStep::Continue(_))));
    // Nobody who does not know the password comes in, whatever is sent.
    if let Ok(step) = server.step(data, &users, &random) {
        let (answer, token) = (String::from_utf8_lossy(data), step);
        assert!(answer.contains("bob"), "{token:?} for {answer}");
    }
    let mut client = DigestMd5Client::new("bob", Secret::new("bobsecret"));
    if let Ok(Some(answer)) = client.step(data, &random) {
        assert!(client.step(data, &random).is_err(), "{answer:?}");
    }
}
