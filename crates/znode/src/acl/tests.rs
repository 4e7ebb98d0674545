use super::*;

fn rules() -> Rules {
    Rules {
        sasl: true,
        x509: true,
        ..Rules::default()
    }
}

fn id(text: &str) -> Id {
    let (scheme, id) = text.split_once(':').expect("scheme:id");
    Id::new(scheme, id)
}

fn ids(texts: &[&str]) -> Vec<Id> {
    texts.iter().map(|text| id(text)).collect()
}

fn acl(entries: &[(i32, &str)]) -> Vec<Acl> {
    entries
        .iter()
        .map(|(perms, text)| Acl::new(*perms, id(text)))
        .collect()
}

#[test]
fn an_entry_gives_its_permissions_to_whom_it_means() {
    let cases: [(&str, &str, bool); 16] = [
        ("world:anyone", "ip:1.2.3.4", true),
        ("world:someone", "world:someone", false),
        ("digest:u:h", "digest:u:h", true),
        ("digest:u:h", "digest:u:i", false),
        ("digest:u:h", "sasl:u:h", false),
        ("sasl:kafka", "sasl:kafka", true),
        ("sasl:kafka", "sasl:super", true),
        ("x509:CN=a", "x509:CN=a", true),
        ("x509:CN=a", "x509:CN=b", false),
        ("ip:10.1.2.3", "ip:10.1.2.3", true),
        ("ip:10.1.0.0/16", "ip:10.1.255.3", true),
        ("ip:10.1.0.0/16", "ip:10.2.0.1", false),
        ("ip:0.0.0.0/0", "ip:10.2.0.1", true),
        ("ip:0.0.0.0/0", "ip:::1", false),
        ("ip:fe80::/10", "ip:febf:0:0:0:0:0:0:1", true),
        ("ip:fe80::/10", "ip:fec0:0:0:0:0:0:0:1", false),
    ];
    for (entry, identity, allowed) in cases {
        let acl = acl(&[(perms::READ, entry)]);
        let identities = ids(&[identity]);
        assert_eq!(
            allows(&acl, perms::READ, &identities, rules()),
            allowed,
            "{entry} {identity}"
        );
        assert!(!allows(&acl, perms::WRITE, &identities, rules()));
        assert!(allows(&acl, perms::READ | perms::ADMIN, &identities, rules()) == allowed);
    }
}

#[test]
fn super_empty_acls_and_skipped_acls_allow_everything() {
    let nobody = acl(&[(0, "world:anyone")]);
    assert!(!allows(
        &nobody,
        perms::READ,
        &ids(&["ip:1.1.1.1"]),
        rules()
    ));
    assert!(allows(
        &nobody,
        perms::READ,
        &ids(&["ip:1.1.1.1", "super:"]),
        rules()
    ));
    assert!(allows(&[], perms::ADMIN, &[], rules()));
    let skip = Rules {
        skip_acl: true,
        ..rules()
    };
    assert!(allows(&nobody, perms::ALL, &[], skip));
}

#[test]
fn a_scheme_that_is_switched_off_matches_nobody_and_is_invalid() {
    let entry = acl(&[(31, "sasl:kafka")]);
    let off = Rules {
        digest: false,
        ..Rules::default()
    };
    assert!(!allows(&entry, perms::READ, &ids(&["sasl:kafka"]), off));
    for entry in ["sasl:kafka", "x509:CN=a", "digest:a:b", "other:x", ":"] {
        let fixed = fix(&acl(&[(31, entry)]), &[], off);
        assert_eq!(fixed, Err(ErrorCode::InvalidAcl), "{entry}");
    }
}

#[test]
fn what_can_stand_in_an_acl() {
    let valid = [
        "world:anyone",
        "digest:a:b",
        "digest::b",
        "digest:a:b:",
        "ip:1.2.3.4",
        "ip:001.2.3.4/32",
        "ip:1.2.3.4/0",
        "ip:::1",
        "ip:2001:db8::/128",
        "sasl:kafka",
        "sasl:kafka/host@REALM",
        "sasl:kafka@REALM",
        "x509:CN=a, O=\"b, c\"",
        "x509:1.2.3=x+CN=a\\,b",
        "x509:",
    ];
    for entry in valid {
        let entries = acl(&[(1, entry)]);
        assert_eq!(fix(&entries, &[], rules()), Ok(entries), "{entry}");
    }
    let invalid = [
        "world:someone",
        "digest:a",
        "digest:a:",
        "digest:a:b:c",
        "digest:",
        "ip:1.2.3",
        "ip:1.2.3.4.5",
        "ip:1.2.3.256",
        "ip:1.2.3.4/33",
        "ip:1.2.3.4/-1",
        "ip:1.2.3.4/",
        "ip:::1/129",
        "ip:1:2",
        "ip:::ffff:1.2.3.4",
        "ip:host",
        "sasl:a@b@c",
        "sasl:a/b/c@d",
        "x509:nothing",
        "x509:=a",
        "x509:CN=\"a",
        "super:",
    ];
    for entry in invalid {
        let fixed = fix(&acl(&[(1, entry)]), &[], rules());
        assert_eq!(fixed, Err(ErrorCode::InvalidAcl), "{entry}");
    }
    assert_eq!(fix(&[], &[], rules()), Err(ErrorCode::InvalidAcl));
}

#[test]
fn auth_becomes_the_identities_that_were_proved() {
    let entries = acl(&[
        (7, "auth:whatever"),
        (1, "world:anyone"),
        (7, "auth:whatever"),
    ]);
    let identities = ids(&["ip:1.2.3.4", "digest:u:h", "super:", "sasl:kafka"]);
    let fixed = fix(&entries, &identities, rules());
    let expected = acl(&[(7, "digest:u:h"), (7, "sasl:kafka"), (1, "world:anyone")]);
    assert_eq!(fixed, Ok(expected));
    let fixed = fix(&entries, &ids(&["ip:1.2.3.4"]), rules());
    assert_eq!(fixed, Err(ErrorCode::InvalidAcl));
}

#[test]
fn digests_are_shown_to_administrators_only() {
    let entries = acl(&[(31, "digest:u:secret"), (1, "world:anyone")]);
    let masked = acl(&[(31, "digest:u:x"), (1, "world:anyone")]);
    assert_eq!(visible(&entries, &[], rules()), masked);
    let admin = ids(&["digest:u:secret"]);
    assert_eq!(visible(&entries, &admin, rules()), entries);
}

#[test]
fn a_client_learns_who_it_is_without_secrets() {
    let identities = ids(&[
        "ip:1.2.3.4",
        "digest:u:secret",
        "super:",
        "sasl:kafka",
        "x509:CN=a",
    ]);
    let shown: Vec<String> = client_info(&identities, rules())
        .into_iter()
        .map(|info| format!("{}={}", info.auth_scheme, info.user))
        .collect();
    let expected = [
        "ip=1.2.3.4",
        "digest=u",
        "super=",
        "sasl=kafka",
        "x509=CN=a",
    ];
    assert_eq!(shown, expected);
}
