//! What a client proves to be.

use std::path::PathBuf;
use std::sync::Arc;

use ottla_config::KeeperConfig;
use ottla_jute::{AuthPacket, ErrorCode, Id, Request};
use ottla_runtime::Runtime;
use ottla_security::acl_digest::digest_id;
use ottla_security::digest_md5::{DigestMd5Server, ServerStep, TOKEN_BYTES_MAX, Users};
use ottla_security::jaas::LoginFile;

use crate::clients::connection::Connection;
use crate::error::Error;
use crate::server::Server;

/// Whoever has this identity may do everything.
const SUPER: &str = "super";

/// Whom the scheme `sasl` lets in; none when it is not there.
pub(crate) type SaslUsers = Option<Arc<Users>>;

/// Takes the credentials of a scheme. An error ends the connection.
pub(crate) fn prove(
    server: &Server,
    connection: &Connection,
    packet: &AuthPacket,
) -> Result<(), ()> {
    let auth = &server.config.auth;
    let credentials = packet.auth.as_deref().unwrap_or_default();
    match packet.scheme.as_deref().unwrap_or_default() {
        "digest" if auth.digest_enabled => {
            let id = digest_id(auth.digest_algorithm, credentials);
            let is_super = auth.super_digest.as_ref().is_some_and(|s| s.expose() == id);
            if is_super {
                connection.add_identity(Id::new(SUPER, ""));
            }
            connection.add_identity(Id::new("digest", id));
            Ok(())
        }
        // The address was known before anything was said.
        "ip" => Ok(()),
        // The certificate was judged in the handshake.
        "x509" if connection.identities().iter().any(|id| id.scheme == "x509") => Ok(()),
        "ensemble" => {
            let name = String::from_utf8_lossy(credentials);
            let (names, meters) = (&auth.ensemble_names, &server.meters);
            if names.is_empty() {
                meters.ensemble_auth_skip.add(1);
            } else if names.iter().any(|known| *known == name) {
                meters.ensemble_auth_success.add(1);
            } else {
                meters.ensemble_auth_fail.add(1);
                return refused(server, connection, "ensemble");
            }
            Ok(())
        }
        scheme => refused(server, connection, scheme),
    }
}

fn refused(server: &Server, connection: &Connection, scheme: &str) -> Result<(), ()> {
    tracing::warn!(peer = %connection.peer, scheme, "a client's credentials are refused");
    server.meters.auth_failed.add(1);
    Err(())
}

/// One step of SASL's DIGEST-MD5: what is sent back.
pub(crate) fn sasl_step(
    server: &Server,
    connection: &Connection,
    token: &[u8],
) -> Result<Vec<u8>, ErrorCode> {
    let Some(users) = &server.sasl_users else {
        tracing::warn!(
            peer = %connection.peer,
            "a client wants SASL, and no users are configured (java.security.auth.login.config, or \
             a section Server in its file)"
        );
        return Err(ErrorCode::AuthFailed);
    };
    if token.len() > TOKEN_BYTES_MAX {
        return Err(ErrorCode::AuthFailed);
    }
    let mut random = [0; 24];
    for part in random.chunks_exact_mut(8) {
        part.copy_from_slice(&server.runtime.random.next_u64().to_be_bytes());
    }
    let mut exchange = connection.sasl();
    let step = exchange.get_or_insert_with(DigestMd5Server::new);
    match step.step(token, users, &random) {
        Ok(ServerStep::Continue(question)) => Ok(question),
        Ok(ServerStep::Done { token, user }) => {
            let supers = &server.config.auth.sasl_super_users;
            if supers.contains(&user) {
                connection.add_identity(Id::new(SUPER, ""));
            }
            connection.add_identity(Id::new("sasl", user));
            Ok(token)
        }
        Err(error) => {
            *exchange = None;
            server.meters.auth_failed.add(1);
            tracing::warn!(peer = %connection.peer, %error, "a client fails to prove who it is");
            Err(ErrorCode::AuthFailed)
        }
    }
}

/// Why a request is refused as long as the client has not proved more: `enforce.auth.schemes`, or
/// `sessionRequireClientSASLAuth`.
pub(crate) fn must_prove_more(
    server: &Server,
    connection: &Connection,
    request: &Request,
) -> Option<ErrorCode> {
    let enforced = &server.config.auth.enforced_schemes;
    let is_proving = matches!(
        request,
        Request::Auth(_) | Request::Sasl(_) | Request::Ping | Request::CloseSession
    );
    if enforced.is_empty() || is_proving {
        return None;
    }
    let identities = connection.identities();
    let is_known = |scheme: &String| identities.iter().any(|id| id.scheme == *scheme);
    (!enforced.iter().any(is_known)).then_some(ErrorCode::SessionClosedRequireSaslAuth)
}

/// What a certificate proves: its subject, and more if that is the administrator's.
pub(crate) fn of_certificate(server: &Server, certificate: &[u8]) -> Vec<Id> {
    match ottla_security::distinguished_name::subject(certificate) {
        Ok(subject) => {
            let supers = server.config.auth.x509_super_user.as_ref();
            let is_super = supers.is_some_and(|name| *name == subject);
            let mut ids = vec![Id::new("x509", subject)];
            if is_super {
                ids.push(Id::new(SUPER, ""));
            }
            ids
        }
        Err(error) => {
            tracing::warn!(%error, "a client's certificate has no name that an ACL could mean");
            Vec::new()
        }
    }
}

/// Whom SASL lets in: the users of the configuration, and of its login file.
pub(crate) async fn users(runtime: &Runtime, config: &KeeperConfig) -> Result<SaslUsers, Error> {
    let auth = &config.auth;
    if !auth.sasl_enabled {
        return Ok(None);
    }
    let mut users: Users = auth.sasl_users.iter().cloned().collect();
    if let Some(file) = &auth.jaas_file {
        let path = PathBuf::from(file);
        let (disk, reading) = (Arc::clone(&runtime.disk), path.clone());
        let bytes = runtime.tasks.blocking(move || disk.read(&reading)).await;
        let bytes = bytes.map_err(Error::io("read", &path))?;
        let parsed = LoginFile::parse(&String::from_utf8_lossy(&bytes));
        let of_file = parsed.and_then(|file| file.digest_users(&auth.jaas_section));
        users.extend(of_file.map_err(|reason| Error::LoginFile { path, reason })?);
    }
    Ok(Some(Arc::new(users)))
}
