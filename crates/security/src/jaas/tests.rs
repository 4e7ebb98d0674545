#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

const FILE: &str = r#"
/* ZooKeeper's
   server */
Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required   // who may log in
    user_super="admin\"secret"
    user_bob=bobsecret
    user_kafka = "a b;{}=//" ;
};
Client { org.apache.zookeeper.server.auth.DigestLoginModule required username="bob" password="x"; };
Empty { };
Kerberos { com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true; };
"#;

fn line_of(text: &str) -> (usize, String) {
    match LoginFile::parse(text) {
        Err(JaasError::Syntax { line, reason }) => (line, reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_users_of_a_section_are_found_with_their_passwords() {
    let file = LoginFile::parse(FILE).unwrap();
    let users = file.digest_users("Server").unwrap();
    let users: Vec<(&str, &str)> = users
        .iter()
        .map(|(user, password)| (user.as_str(), password.expose()))
        .collect();
    let expected = [
        ("bob", "bobsecret"),
        ("kafka", "a b;{}=//"),
        ("super", "admin\"secret"),
    ];
    assert_eq!(users, expected);
    let client = &file.section("Client").unwrap()[0];
    assert_eq!(client.options["username"].expose(), "bob");
}

#[test]
fn a_section_that_lets_nobody_in_says_why() {
    let file = LoginFile::parse(FILE).unwrap();
    let refused = file.digest_users("Servre").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there is no section Servre; there is Client, Empty, Kerberos, Server"
    );
    let refused = file.digest_users("Client").unwrap_err();
    assert!(matches!(refused, JaasError::NoUsers { .. }));
    assert!(file.digest_users("Empty").is_err());
    let refused = file.digest_users("Kerberos").unwrap_err();
    assert!(refused.to_string().contains("Krb5LoginModule"));
}

#[test]
fn a_mistake_is_told_with_its_line() {
    let (line, reason) = line_of("Server {\n  a.B required\n  user_bob=\"x\"\n};\n");
    assert_eq!(
        (line, reason.as_str()),
        (4, "} stands where an option should be")
    );
    assert_eq!(line_of("Server {\n a.B user_bob=\"x\"; };").0, 2);
    assert_eq!(line_of("Server {\n a.B required user_bob=\"x\n\"; };").0, 2);
    assert_eq!(line_of("\n\n/* Server").0, 3);
    assert_eq!(line_of("Server { };\nServer { };").0, 2);
    assert_eq!(line_of("Server { a.B required x=1 x=2; };").0, 1);
    assert_eq!(line_of("Server { a.B required;").0, 1);
    assert_eq!(line_of("Server { a.B required; }").0, 1);
    let long = " ".repeat(JAAS_BYTES_MAX + 1);
    assert!(matches!(
        LoginFile::parse(&long),
        Err(JaasError::TooLong { .. })
    ));
}

#[test]
fn a_file_that_is_printed_keeps_its_secrets() {
    let file = LoginFile::parse(FILE).unwrap();
    assert!(!format!("{file:?}").contains("bobsecret"));
}

proptest! {
    #[test]
    fn any_text_ends_in_a_file_or_an_error(text in "[a-c{};=\"\\\\/* \n]{0,80}") {
        let _ = LoginFile::parse(&text);
    }

    #[test]
    fn a_cut_file_ends_in_a_file_or_an_error(at in any::<prop::sample::Index>()) {
        let at = at.index(FILE.len() + 1);
        let _ = LoginFile::parse(&FILE[..at]);
    }
}
