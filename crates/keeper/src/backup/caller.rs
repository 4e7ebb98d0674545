//! Who asks for a backup, and whether they may (`Commands.handleAuthentication`).

use std::net::IpAddr;

use ottla_jute::{Id, perms};
use ottla_security::acl_digest::digest_id;
use ottla_znode::{Access, Rules};

use super::Refused;
use crate::server::Server;

/// Whoever has this identity may do everything.
const SUPER: &str = "super";
/// Each of them is needed, on `/`.
const NEEDED: [i32; 5] = [
    perms::READ,
    perms::WRITE,
    perms::CREATE,
    perms::DELETE,
    perms::ADMIN,
];

/// The sender of an HTTP request.
#[derive(Clone)]
pub struct Caller {
    /// From where.
    pub address: IpAddr,
    /// The header `Authorization`: a scheme and its credentials, such as `digest user:password`.
    pub authorization: Option<String>,
}

impl Caller {
    /// Checks that the caller has all permissions on `/`.
    pub(super) fn check(&self, server: &Server) -> Result<(), Refused> {
        let Some(authorization) = &self.authorization else {
            let reason = "Auth info is missing for the command: send the header \
                          Authorization: digest USER:PASSWORD";
            return Err(Refused::new(401, reason));
        };
        let identities = self
            .identities(server, authorization)
            .ok_or_else(|| Refused::new(401, "Not authenticated"))?;
        let everything = Access {
            session: 0,
            identities: &[],
            rules: Rules {
                skip_acl: true,
                ..Rules::default()
            },
        };
        let (acl, _) = server
            .tree
            .read()
            .get_acl("/", everything)
            .map_err(|code| Refused::new(500, code.name()))?;
        let has = |perm: &i32| ottla_znode::allows(&acl, *perm, &identities, server.rules);
        if NEEDED.iter().all(has) {
            return Ok(());
        }
        let reason = "Not authorized: all permissions on / are needed";
        Err(Refused::new(403, reason))
    }

    /// What the header proves.
    fn identities(&self, server: &Server, authorization: &str) -> Option<Vec<Id>> {
        let auth = &server.config.auth;
        let mut words = authorization.split(' ');
        let (scheme, credentials, more) = (words.next()?, words.next(), words.next());
        if more.is_some() {
            return None;
        }
        match (scheme, credentials) {
            ("digest", Some(credentials)) if auth.digest_enabled => {
                let id = digest_id(auth.digest_algorithm, credentials.as_bytes());
                let is_super = auth.super_digest.as_ref().is_some_and(|s| s.expose() == id);
                let of_super = is_super.then(|| Id::new(SUPER, ""));
                Some(
                    of_super
                        .into_iter()
                        .chain([Id::new("digest", id)])
                        .collect(),
                )
            }
            ("ip", _) => Some(vec![Id::new("ip", self.address.to_string())]),
            _ => None,
        }
    }
}
