//! TLS between servers.

use std::path::Path;

use ottla_model::{ClientAuth, StoreFile, StoreFormat, TlsOptions, TlsVersion};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::{Node, Plan, agree, stop_all, within};
use crate::error::Error;
use crate::members::Identity;
use crate::members::dial::dial;
use crate::members::fixture::{here, local};
use crate::members::hello::Purpose;

/// Keys that are good for every server here, signed by an authority that they trust.
fn keys(folder: &Path) -> TlsOptions {
    let authority = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "servers");
    let trusted = params.self_signed(&authority).unwrap().pem();
    let issuer = Issuer::new(params, authority);
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let params = CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    let store = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        StoreFile {
            path,
            format: StoreFormat::Pem,
            password: None,
            password_path: None,
        }
    };
    TlsOptions {
        key_store: Some(store("keys.pem", key.serialize_pem() + &certificate)),
        trust_store: Some(store("trusted.pem", trusted)),
        versions: vec![TlsVersion::V1_2, TlsVersion::V1_3],
        cipher_suites: Vec::new(),
        client_auth: ClientAuth::Need,
        hostname_verification: true,
        client_hostname_verification: false,
        handshake_timeout_ms: 5_000,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_trust_each_other_found_an_ensemble_and_others_get_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = Plan::new(1..=3, &[1, 2, 3]);
    plan.tls = Some(keys(folder.path()));
    let nodes = plan.start_all(&[1, 2, 3]).await;
    agree(&nodes, "secured").await;

    let stranger = here(&nodes[&1].runtime, 1, Some(nodes[&1].ensemble_id)).await;
    let endpoints = [local(plan.ports[&2])];
    let plain = dial(&stranger, 2, &endpoints, Purpose::Meet).await;
    assert!(plain.is_err(), "it was let in without TLS");

    let network = nodes[&1].runtime.network;
    let limit = std::time::Duration::from_secs(5);
    let connecting = network.connect("127.0.0.1", plan.ports[&2], limit);
    let mut plain = connecting.await.unwrap();
    plain.write_all(&[0; 300]).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too.
    drop(within("the end of a connection", plain.read_to_end(&mut answer)).await);
    assert!(
        answer.len() < 32,
        "more than an alert has come back: {answer:?}"
    );
    agree(&nodes, "still").await;
    stop_all(nodes).await;
}

#[tokio::test]
async fn keys_that_are_missing_stop_the_start_and_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = Plan::new(1..=1, &[1]);
    let mut tls = keys(folder.path());
    if let Some(store) = &mut tls.key_store {
        store.path = folder.path().join("absent.pem");
    }
    plan.tls = Some(tls);
    let error = Node::start(plan.options(1), Default::default())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, Error::QuorumTls(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("absent.pem") && text.contains("sslQuorum"),
        "{text}"
    );
    let dir = plan.dirs[&1].path();
    let identity = Identity::open(&ottla_runtime::Runtime::real(), dir, 1).unwrap();
    assert_eq!(identity.ensemble_id, None);
}
