use std::net::Ipv4Addr;
use std::sync::Arc;

use ottla_config::KeeperConfig;
use ottla_jute::{Acl, Id, SetAcl};
use ottla_model::Secret;
use ottla_runtime::Runtime;
use ottla_security::acl_digest::digest_id;
use ottla_znode::{Command, Operation, Owner, Requester, Rules};

use ottla_jute::perms;

use super::*;

fn server(change: impl FnOnce(&mut KeeperConfig)) -> Arc<Server> {
    let mut config = KeeperConfig::default();
    change(&mut config);
    let server = Server::new(&Runtime::real(), Arc::new(config), 1, None);
    server.set_has_leader(true);
    Arc::new(server)
}

fn caller(authorization: Option<&str>) -> Caller {
    Caller {
        address: Ipv4Addr::LOCALHOST.into(),
        authorization: authorization.map(str::to_owned),
    }
}

fn status(server: &Server, authorization: Option<&str>) -> u16 {
    let checked = caller(authorization).check(server);
    checked.err().map_or(200, |refused| refused.status)
}

/// Sets the ACL of the root.
fn protect(server: &Server, acl: Vec<Acl>) {
    let owner = Owner {
        server: 1,
        attach: 1,
    };
    let set = ottla_jute::Request::SetAcl(SetAcl {
        path: "/".to_owned(),
        acl,
        version: -1,
    });
    let commands = [
        Command::OpenSession {
            session: 1,
            password: [0; 16],
            timeout_ms: 1_000,
            owner,
        },
        Command::Write {
            requester: Requester {
                session: 1,
                owner,
                cxid: 1,
                identities: Arc::from([]),
            },
            operation: Operation::try_from(set).unwrap(),
        },
    ];
    for command in &commands {
        let outcome = server.tree.write().apply(1, 1, command, Rules::default());
        assert!(outcome.reply.is_ok(), "{outcome:?}");
    }
}

#[tokio::test]
async fn only_who_has_all_permissions_on_the_root_is_let_in() {
    let server = server(|config| {
        let algorithm = config.auth.digest_algorithm;
        let id = digest_id(algorithm, b"super:secret");
        config.auth.super_digest = Some(Secret::new(id));
    });
    // Everyone may do everything, but has to say who it is.
    assert_eq!(status(&server, None), 401);
    for wrong in ["", "digest", "kerberos me", "digest a:b c", "sasl x"] {
        assert_eq!(status(&server, Some(wrong)), 401, "{wrong}");
    }
    for right in ["digest alice:a", "ip"] {
        assert_eq!(status(&server, Some(right)), 200, "{right}");
    }
    let alice = digest_id(server.config.auth.digest_algorithm, b"alice:a");
    let bob = digest_id(server.config.auth.digest_algorithm, b"bob:b");
    protect(
        &server,
        vec![
            Acl::new(perms::ALL, Id::new("digest", alice)),
            Acl::new(perms::ALL - perms::ADMIN, Id::new("digest", bob)),
            Acl::readable(),
        ],
    );
    for (who, wanted) in [
        ("digest alice:a", 200),
        ("digest super:secret", 200),
        ("digest alice:b", 403),
        ("digest bob:b", 403),
        ("ip", 403),
    ] {
        assert_eq!(status(&server, Some(who)), wanted, "{who}");
    }
}

#[tokio::test]
async fn one_at_a_time_and_a_rest_behind_it() {
    let server = server(|_| ());
    let alice = caller(Some("digest alice:a"));
    let backup = super::backup(&server, &alice).unwrap();
    let second = super::backup(&server, &alice).err().unwrap();
    assert_eq!(second.status, 429);
    assert!(second.reason.contains("under way"), "{}", second.reason);
    let bytes: usize = backup.parts.map(|part| part.len()).sum();
    assert_eq!(bytes as u64, backup.bytes);
    let third = super::backup(&server, &alice).err().unwrap();
    assert!(third.reason.contains("300 s"), "{}", third.reason);
    assert_eq!(server.meters.snapshots_limited.get(), 2);
}

#[tokio::test]
async fn what_is_switched_off_or_foreign_is_refused() {
    let off = server(|config| {
        config.admin.snapshot_enabled = false;
        config.admin.restore_enabled = false;
    });
    let alice = caller(Some("digest alice:a"));
    let refused = super::backup(&off, &alice).err().unwrap();
    assert_eq!(refused.status, 503);
    let refused = super::restore(&off, &alice, &b""[..], false).await;
    assert_eq!(refused.unwrap_err().status, 503);
    let server = server(|_| ());
    for foreign in [&b""[..], b"ZKSN", b"no snapshot of anybody", &[0x1f, 0x8b]] {
        let refused = super::restore(&server, &alice, foreign, false).await;
        assert_eq!(refused.unwrap_err().status, 400, "{foreign:?}");
    }
}
