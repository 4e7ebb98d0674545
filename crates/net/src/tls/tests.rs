//! Handshakes over real loopback connections, with certificates made for each test.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ottla_model::{ClientAuth, StoreFile, StoreFormat, TlsOptions, TlsVersion};
use ottla_runtime::Runtime;
use ottla_runtime::net::Listener;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Who signs certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Authority { pem, issuer }
    }

    /// A key and its certificate in PEM, for these host names and for 127.0.0.1 if so wanted.
    fn signed(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        format!("{}{}", key.serialize_pem(), certificate.pem())
    }

    fn plain(&self, name: &str) -> String {
        self.signed(name, |_| ())
    }
}

/// A folder with one side's files.
struct Side {
    folder: tempfile::TempDir,
    options: TlsOptions,
}

impl Side {
    fn new(keys: Option<&str>, trusts: Option<&Authority>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            store(&path)
        };
        let options = TlsOptions {
            key_store: keys.map(|text| store("keys.pem", text)),
            trust_store: trusts.map(|authority| store("trust.pem", &authority.pem)),
            versions: vec![TlsVersion::V1_2, TlsVersion::V1_3],
            cipher_suites: Vec::new(),
            client_auth: ClientAuth::Need,
            hostname_verification: true,
            client_hostname_verification: false,
            handshake_timeout_ms: 10_000,
        };
        Side { folder, options }
    }

    fn with(mut self, change: impl FnOnce(&mut TlsOptions)) -> Self {
        change(&mut self.options);
        self
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys.pem")
    }

    async fn load(&self, runtime: &Runtime) -> Tls {
        Tls::load(runtime, self.options.clone()).await.unwrap()
    }
}

fn store(path: &Path) -> StoreFile {
    StoreFile {
        path: path.to_owned(),
        format: StoreFormat::Pem,
        password: None,
        password_path: None,
    }
}

const LIMIT: Duration = Duration::from_secs(10);

async fn listen(runtime: &Runtime) -> (Listener, u16) {
    let listener = runtime.network.listen("127.0.0.1", 0).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// One connection between two sides, and what each of them says of the handshake. In TLS 1.3 a
/// client only learns with its first reply that its certificate was refused, so it waits for one.
async fn meet(
    runtime: &Runtime,
    server: &Tls,
    client: &Tls,
) -> (Result<Secured, Error>, Result<Secured, Error>) {
    let (listener, port) = listen(runtime).await;
    let serving = async {
        let (stream, peer) = listener.accept().await.unwrap();
        let mut secured = server.accept(stream, peer).await?;
        let mut byte = [0];
        secured.read_exact(&mut byte).await.map_err(Error::Io)?;
        secured.write_all(&byte).await.map_err(Error::Io)?;
        secured.flush().await.map_err(Error::Io)?;
        Ok(secured)
    };
    let connecting = async {
        let stream = runtime.network.connect("127.0.0.1", port, LIMIT).await;
        let mut secured = client.connect(stream.unwrap(), "localhost").await?;
        let io = |error: std::io::Error| Error::handshake(&error);
        secured.write_all(b"!").await.map_err(io)?;
        secured.flush().await.map_err(io)?;
        let mut byte = [0];
        secured.read_exact(&mut byte).await.map_err(io)?;
        assert_eq!(&byte, b"!");
        Ok(secured)
    };
    tokio::join!(serving, connecting)
}

fn subject_of(secured: &Secured) -> String {
    let leaf = secured.peer_certificates().first().unwrap();
    ottla_security::distinguished_name::subject(leaf).unwrap()
}

#[tokio::test]
async fn both_sides_know_each_other_after_a_mutual_handshake() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let server = Side::new(Some(&ca.plain("zk1")), Some(&ca));
    let client = Side::new(Some(&ca.plain("bob")), Some(&ca));
    let (server, client) = (server.load(&runtime).await, client.load(&runtime).await);
    let (at_server, at_client) = meet(&runtime, &server, &client).await;
    let (at_server, at_client) = (at_server.unwrap(), at_client.unwrap());
    assert_eq!(subject_of(&at_server), "CN=bob");
    assert_eq!(subject_of(&at_client), "CN=zk1");
    assert_eq!(at_server.version(), "TLSv1.3");
    assert!(at_server.cipher_suite().starts_with("TLS_"));
}

#[tokio::test]
async fn large_messages_cross_unchanged_in_both_directions() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let both = Side::new(Some(&ca.plain("zk")), Some(&ca));
    let tls = both.load(&runtime).await;
    let (at_server, at_client) = meet(&runtime, &tls, &tls).await;
    let (mut one, mut other) = (at_server.unwrap(), at_client.unwrap());
    let sent: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_be_bytes).collect();
    let mut received = vec![0; sent.len()];
    for _ in 0..2 {
        let (written, read) = tokio::join!(
            async {
                one.write_all(&sent).await?;
                one.flush().await
            },
            other.read_exact(&mut received)
        );
        written.unwrap();
        read.unwrap();
        assert!(received == sent);
        std::mem::swap(&mut one, &mut other);
    }
}

#[tokio::test]
async fn certificates_of_another_authority_are_refused_on_both_sides() {
    let runtime = Runtime::real();
    let (ca, stranger) = (Authority::new("ca"), Authority::new("stranger"));
    let server = Side::new(Some(&ca.plain("zk1")), Some(&ca));
    let server = server.load(&runtime).await;
    let good = Side::new(Some(&ca.plain("bob")), Some(&ca))
        .load(&runtime)
        .await;

    let intruder = Side::new(Some(&stranger.plain("bob")), Some(&ca));
    let (at_server, at_client) = meet(&runtime, &server, &intruder.load(&runtime).await).await;
    assert!(
        matches!(at_server, Err(Error::Handshake { .. })),
        "{at_server:?}"
    );
    assert!(at_client.is_err());

    let impostor = Side::new(Some(&stranger.plain("zk1")), Some(&ca));
    let (_, at_client) = meet(&runtime, &impostor.load(&runtime).await, &good).await;
    assert!(
        matches!(at_client, Err(Error::Handshake { .. })),
        "{at_client:?}"
    );

    let (at_server, at_client) = meet(&runtime, &server, &good).await;
    assert!(at_server.is_ok() && at_client.is_ok());
}

#[tokio::test]
async fn expired_certificates_are_refused_on_both_sides() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let expired = ca.signed("old", |params| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let good = Side::new(Some(&ca.plain("zk1")), Some(&ca))
        .load(&runtime)
        .await;
    let old = Side::new(Some(&expired), Some(&ca)).load(&runtime).await;
    let (at_server, _) = meet(&runtime, &good, &old).await;
    let text = at_server.unwrap_err().to_string();
    assert!(text.contains("expired"), "{text}");
    let (_, at_client) = meet(&runtime, &old, &good).await;
    let text = at_client.unwrap_err().to_string();
    assert!(text.contains("expired"), "{text}");
}

#[tokio::test]
async fn clients_without_a_certificate_come_in_where_none_is_needed() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let keys = ca.plain("zk1");
    let nobody = Side::new(None, Some(&ca)).load(&runtime).await;
    for (client_auth, comes_in) in [
        (ClientAuth::Need, false),
        (ClientAuth::Want, true),
        (ClientAuth::None, true),
    ] {
        let server = Side::new(Some(&keys), Some(&ca)).with(|o| o.client_auth = client_auth);
        let server = server.load(&runtime).await;
        let (at_server, at_client) = meet(&runtime, &server, &nobody).await;
        assert_eq!(at_server.is_ok(), comes_in, "{client_auth:?}");
        assert_eq!(at_client.is_ok(), comes_in, "{client_auth:?}");
        if let Ok(secured) = at_server {
            assert!(secured.peer_certificates().is_empty());
        }
    }
}

#[tokio::test]
async fn a_host_name_counts_when_it_is_verified() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let elsewhere = ca.signed("zk1", |params| {
        params.subject_alt_names = vec![SanType::DnsName("elsewhere".try_into().unwrap())];
    });
    let server = Side::new(Some(&elsewhere), Some(&ca)).load(&runtime).await;
    let strict = Side::new(Some(&ca.plain("bob")), Some(&ca));
    let lax = Side::new(Some(&ca.plain("bob")), Some(&ca)).with(|o| {
        o.hostname_verification = false;
    });
    let (_, refused) = meet(&runtime, &server, &strict.load(&runtime).await).await;
    assert!(matches!(refused, Err(Error::Handshake { .. })));
    let (_, taken) = meet(&runtime, &server, &lax.load(&runtime).await).await;
    taken.unwrap();

    // Without host names, still only those who are trusted are.
    let stranger = Authority::new("stranger");
    let impostor = Side::new(Some(&stranger.plain("zk1")), Some(&ca))
        .load(&runtime)
        .await;
    let (_, refused) = meet(&runtime, &impostor, &lax.load(&runtime).await).await;
    assert!(matches!(refused, Err(Error::Handshake { .. })));
}

#[tokio::test]
async fn a_clients_address_counts_when_it_is_verified() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let server = Side::new(Some(&ca.plain("zk1")), Some(&ca));
    let server = server.with(|o| o.client_hostname_verification = true);
    let server = server.load(&runtime).await;
    let here = ca.signed("bob", |params| {
        let address = "127.0.0.1".parse().unwrap();
        params.subject_alt_names.push(SanType::IpAddress(address));
    });
    let here = Side::new(Some(&here), Some(&ca)).load(&runtime).await;
    let elsewhere = Side::new(Some(&ca.plain("bob")), Some(&ca))
        .load(&runtime)
        .await;
    let (taken, _) = meet(&runtime, &server, &here).await;
    taken.unwrap();
    let (refused, _) = meet(&runtime, &server, &elsewhere).await;
    assert!(matches!(refused, Err(Error::Address { .. })), "{refused:?}");
}

#[tokio::test]
async fn only_the_versions_and_suites_that_are_enabled_are_spoken() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let keys = ca.plain("zk1");
    let side = || Side::new(Some(&keys), Some(&ca));
    let old = side()
        .with(|o| o.versions = vec![TlsVersion::V1_2])
        .load(&runtime)
        .await;
    let new = side()
        .with(|o| o.versions = vec![TlsVersion::V1_3])
        .load(&runtime)
        .await;
    let both = side().load(&runtime).await;
    let (spoken, _) = meet(&runtime, &both, &old).await;
    assert_eq!(spoken.unwrap().version(), "TLSv1.2");
    let (refused, _) = meet(&runtime, &old, &new).await;
    assert!(matches!(refused, Err(Error::Handshake { .. })));

    let suite = "TLS_AES_128_GCM_SHA256";
    let narrow = side().with(|o| {
        o.versions = vec![TlsVersion::V1_3];
        o.cipher_suites = vec!["TLS_RSA_WITH_NULL_MD5".to_owned(), suite.to_owned()];
    });
    let (spoken, _) = meet(&runtime, &narrow.load(&runtime).await, &both).await;
    assert_eq!(spoken.unwrap().cipher_suite(), suite);
    let none = side().with(|o| o.cipher_suites = vec!["TLS_RSA_WITH_NULL_MD5".to_owned()]);
    let refused = Tls::load(&runtime, none.options).await.map(|_| ());
    assert!(matches!(refused, Err(Error::Options { .. })));
}

#[tokio::test]
async fn plaintext_to_the_tls_port_ends_this_connection_only() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let side = Side::new(Some(&ca.plain("zk1")), Some(&ca));
    let tls = side.load(&runtime).await;
    let (listener, port) = listen(&runtime).await;
    let stream = runtime.network.connect("127.0.0.1", port, LIMIT).await;
    let mut stream = stream.unwrap();
    stream.write_all(b"ruok").await.unwrap();
    stream.write_all(&[0; 60]).await.unwrap();
    let (accepted, peer) = listener.accept().await.unwrap();
    let refused = tls.accept(accepted, peer).await;
    assert!(matches!(refused, Err(Error::NotTls)), "{refused:?}");
    let mut rest = Vec::new();
    // The other side sees an end: of the stream, or of the connection.
    let _ = stream.read_to_end(&mut rest).await;
    let (at_server, at_client) = meet(&runtime, &tls, &tls).await;
    assert!(at_server.is_ok() && at_client.is_ok());
}

#[tokio::test]
async fn a_silent_client_is_given_up() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let side = Side::new(Some(&ca.plain("zk1")), Some(&ca)).with(|o| o.handshake_timeout_ms = 50);
    let tls = side.load(&runtime).await;
    let (listener, port) = listen(&runtime).await;
    let silent = runtime.network.connect("127.0.0.1", port, LIMIT).await;
    let (accepted, peer) = listener.accept().await.unwrap();
    let refused = tls.accept(accepted, peer).await;
    assert!(matches!(refused, Err(Error::Timeout { limit_ms: 50 })));
    drop(silent);
}

#[tokio::test]
async fn new_handshakes_use_new_certificates_and_old_connections_stay() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let side = Side::new(Some(&ca.plain("first")), Some(&ca));
    let server = side.load(&runtime).await;
    let client = Side::new(Some(&ca.plain("bob")), Some(&ca))
        .load(&runtime)
        .await;
    let (at_server, at_client) = meet(&runtime, &server, &client).await;
    let (mut at_server, mut old) = (at_server.unwrap(), at_client.unwrap());
    assert_eq!(subject_of(&old), "CN=first");

    fs::write(side.keys(), ca.plain("second")).unwrap();
    assert!(server.reload().await.unwrap());
    assert!(!server.reload().await.unwrap(), "nothing is new any more");
    let (_, new) = meet(&runtime, &server, &client).await;
    assert_eq!(subject_of(&new.unwrap()), "CN=second");

    at_server.write_all(b"still here").await.unwrap();
    at_server.flush().await.unwrap();
    let mut bytes = [0; 10];
    old.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"still here");
}

#[tokio::test]
async fn whom_to_trust_can_change_without_a_restart() {
    let runtime = Runtime::real();
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let side = Side::new(Some(&before.plain("zk1")), Some(&before));
    let server = side.load(&runtime).await;
    let client = Side::new(Some(&after.plain("bob")), Some(&before))
        .load(&runtime)
        .await;
    let (refused, _) = meet(&runtime, &server, &client).await;
    assert!(refused.is_err());
    let both = format!("{}{}", before.pem, after.pem);
    fs::write(side.folder.path().join("trust.pem"), both).unwrap();
    assert!(server.reload().await.unwrap());
    let (taken, _) = meet(&runtime, &server, &client).await;
    taken.unwrap();
}

#[tokio::test]
async fn a_bad_file_keeps_the_certificate_from_before() {
    let runtime = Runtime::real();
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let side = Side::new(Some(&ca.plain("first")), Some(&ca));
    let server = side.load(&runtime).await;
    let client = Side::new(Some(&ca.plain("bob")), Some(&ca))
        .load(&runtime)
        .await;
    let second = ca.plain("second");
    let third = other.plain("third");
    let half = &second[..second.len() / 2];
    // The key of one and the certificate of another.
    let (key, _) = second.split_once("-----BEGIN CERT").unwrap();
    let (_, certificate) = third.split_once("-----BEGIN CERT").unwrap();
    let mixed = format!("{key}-----BEGIN CERT{certificate}");
    for bad in [half, "", "nonsense", &mixed] {
        fs::write(side.keys(), bad).unwrap();
        let error = server.reload().await.unwrap_err().to_string();
        assert!(error.contains("keys.pem"), "{error}");
        let (_, met) = meet(&runtime, &server, &client).await;
        assert_eq!(subject_of(&met.unwrap()), "CN=first");
    }
    fs::remove_file(side.keys()).unwrap();
    let error = server.reload().await.unwrap_err();
    assert!(matches!(error, Error::Read { .. }));
    fs::write(side.keys(), second).unwrap();
    assert!(server.reload().await.unwrap());
    let (_, met) = meet(&runtime, &server, &client).await;
    assert_eq!(subject_of(&met.unwrap()), "CN=second");
}

#[tokio::test(start_paused = true)]
async fn the_files_are_looked_at_without_being_told() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let side = Side::new(Some(&ca.plain("first")), Some(&ca));
    let server = side.load(&runtime).await;
    fs::write(side.keys(), ca.plain("second")).unwrap();
    let waited = tokio::time::timeout(10 * LOOK_EVERY, async {
        // What the file had at first is no longer what is in use.
        let first = Arc::as_ptr(&server.0.current.load_full());
        while std::ptr::eq(first, Arc::as_ptr(&server.0.current.load_full())) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    waited.await.unwrap();
    runtime.tasks.stop().await;
}

#[tokio::test]
async fn a_start_with_a_bad_file_says_which_and_why() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let side = Side::new(Some("nothing"), Some(&ca));
    let refused = Tls::load(&runtime, side.options.clone()).await.map(|_| ());
    let text = refused.unwrap_err().to_string();
    assert!(
        text.contains("keys.pem") && text.contains("private key"),
        "{text}"
    );

    let untrusting = Side::new(Some(&ca.plain("zk1")), None);
    let refused = Tls::load(&runtime, untrusting.options).await.map(|_| ());
    assert!(matches!(refused, Err(Error::Options { .. })));

    let jks = Side::new(Some(&ca.plain("zk1")), Some(&ca)).with(|o| {
        o.trust_store.as_mut().unwrap().format = StoreFormat::Jks;
    });
    let refused = Tls::load(&runtime, jks.options).await.map(|_| ());
    assert!(refused.unwrap_err().to_string().contains("keytool"));
}

#[tokio::test]
async fn a_password_can_be_in_a_file_of_its_own() {
    let runtime = Runtime::real();
    let ca = Authority::new("ca");
    let folder = tempfile::tempdir().unwrap();
    let (p12, password) = (
        folder.path().join("keys.p12"),
        folder.path().join("password"),
    );
    let bytes = include_bytes!("../../../security/src/keys/fixtures/java.p12");
    fs::write(&p12, bytes).unwrap();
    fs::write(&password, "sesame\n").unwrap();
    let side = Side::new(None, Some(&ca)).with(|o| {
        o.key_store = Some(StoreFile {
            path: p12,
            format: StoreFormat::Pkcs12,
            password: Some(ottla_model::Secret::new("not this one")),
            password_path: Some(password),
        });
    });
    side.load(&runtime).await;
}
