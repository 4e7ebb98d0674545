//! The password with which this operator changes an ensemble's members. It is a Secret, so that it
//! survives the operator; the servers are told its digest only.

use std::fmt::Write as _;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use kube::{Api, Resource, ResourceExt};
use ottla_model::DigestAlgorithm;

use super::Round;
use crate::api::Reason;
use crate::context::posting;
use crate::error::{Asked, Error};
use crate::render::names;

const KEY: &str = "password";
const SUPER: &str = "DigestAuthenticationProvider.superDigest";
const ALGORITHM: &str = "DigestAuthenticationProvider.digestAlg";

/// The digest of the password, for `zoo.cfg`; none if the resource names its own, or if this operator
/// may not have Secrets.
pub(super) async fn digest(round: &mut Round<'_>) -> Result<Option<String>, Error> {
    let config = &round.ensemble.spec.config;
    let named = |name: &str| config.keys().any(|key| key.ends_with(name));
    if named(SUPER) || named(ALGORITHM) {
        return Ok(None);
    }
    let password = match password(round).await {
        Err(Error::Kubernetes { source, .. }) if is_forbidden(&source) => {
            let text = "this operator may not have Secrets here, so servers can neither be added nor \
                        removed: allow it get and create of secrets";
            let wanted = round.ensemble.spec.replicas;
            let set = names::keeper_stateful_set(round.ensemble);
            if round
                .observed
                .replicas(&set)
                .is_some_and(|now| now != wanted)
            {
                round.complain(Reason::Error, text.to_owned()).await;
            }
            return Ok(None);
        }
        password => password?,
    };
    let credentials = format!("super:{password}");
    let digest =
        ottla_security::acl_digest::digest_id(DigestAlgorithm::Sha1, credentials.as_bytes());
    round.password = Some(password);
    Ok(Some(digest))
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

async fn password(round: &Round<'_>) -> Result<String, Error> {
    let api: Api<Secret> = Api::namespaced(round.context.client.clone(), &round.namespace);
    let name = names::keeper_secret(round.ensemble);
    let there = api.get_opt(&name).await;
    let there = there.when(|| format!("asking for Secret {name}"))?;
    if let Some(password) = there.as_ref().and_then(of) {
        return Ok(password);
    }
    let mut password = String::new();
    for byte in round.context.runtime.random.bytes16() {
        let _ = write!(password, "{byte:02x}");
    }
    let bytes = ByteString(password.clone().into_bytes());
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            labels: Some(
                [(
                    crate::render::label::ENSEMBLE.to_owned(),
                    round.ensemble.name_any(),
                )]
                .into(),
            ),
            owner_references: round
                .ensemble
                .controller_owner_ref(&())
                .map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some([(KEY.to_owned(), bytes)].into()),
        ..Secret::default()
    };
    // Somebody else's would be a conflict, and is read the next time.
    let created = api.create(&posting(), &secret).await;
    created.when(|| format!("making Secret {name}"))?;
    Ok(password)
}

fn of(secret: &Secret) -> Option<String> {
    let bytes = secret.data.as_ref()?.get(KEY)?;
    let text = String::from_utf8(bytes.0.clone()).ok()?;
    Some(text).filter(|text| !text.is_empty())
}
