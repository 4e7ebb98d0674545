//! ApiVersions (key 18): what this node understands. What is not there is not advertised.

use ottla_metadata::{FEATURES, Image};
use ottla_model::ErrorCode;
use ottla_net::ClientSoftware;
use ottla_wire::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use ottla_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_wire::{ApiKey, Text};

use super::{advertised, advertised_range, is_offered};
use crate::context::{Answer, Ctx};

pub(crate) async fn handle(ctx: Ctx, request: ApiVersionsRequest) -> Answer<ApiVersionsResponse> {
    if !is_valid(&request, ctx.version) {
        return Answer::Now(failed(ErrorCode::InvalidRequest));
    }
    if ctx.version >= 3 {
        ctx.peer.set_software(ClientSoftware {
            name: request.client_software_name.to_string(),
            version: request.client_software_version.to_string(),
        });
    }
    if is_misrouted(&ctx, &request) {
        return Answer::Now(failed(ErrorCode::RebootstrapRequired));
    }
    let image = ctx.broker.image();
    Answer::Now(ApiVersionsResponse {
        api_keys: advertised()
            .filter(|&api| is_offered(&ctx.broker, api))
            .filter_map(entry)
            .collect(),
        supported_features: supported_features(ctx.version),
        finalized_features_epoch: image.metadata_offset(),
        finalized_features: finalized_features(&image),
        ..ApiVersionsResponse::default()
    })
}

/// Clients of versions before 4 choke on a feature that may be off.
fn supported_features(version: i16) -> Vec<SupportedFeatureKey> {
    let features = FEATURES.iter();
    let features = features.filter(|feature| version >= 4 || feature.level_min > 0);
    let keys = features.map(|feature| SupportedFeatureKey {
        name: Text::from(feature.name),
        min_version: feature.level_min,
        max_version: feature.level_max,
        ..SupportedFeatureKey::default()
    });
    keys.collect()
}

/// What clients may use now, for all nodes can.
fn finalized_features(image: &Image) -> Vec<FinalizedFeatureKey> {
    let keys = image
        .features()
        .iter()
        .map(|(name, &level)| FinalizedFeatureKey {
            name: Text::from(name.as_str()),
            max_version_level: level,
            min_version_level: level,
            ..FinalizedFeatureKey::default()
        });
    keys.collect()
}

/// The answer to a version that this node does not know: in version 0, with the versions of
/// ApiVersions itself, so that the client can ask again (KIP-511).
pub(crate) fn unsupported() -> ApiVersionsResponse {
    ApiVersionsResponse {
        api_keys: entry(ApiKey::ApiVersions).into_iter().collect(),
        ..failed(ErrorCode::UnsupportedVersion)
    }
}

fn entry(api: ApiKey) -> Option<ApiVersion> {
    let range = advertised_range(api)?;
    Some(ApiVersion {
        api_key: api.to_i16(),
        min_version: *range.start(),
        max_version: *range.end(),
        ..ApiVersion::default()
    })
}

fn failed(code: ErrorCode) -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: code.code(),
        ..ApiVersionsResponse::default()
    }
}

fn is_valid(request: &ApiVersionsRequest, version: i16) -> bool {
    // The cluster and the node are named together or not at all (KIP-1242).
    let named_in_part = request.cluster_id.is_some() != (request.node_id != -1);
    let software =
        is_legal(&request.client_software_name) && is_legal(&request.client_software_version);
    !(version >= 5 && named_in_part) && (version < 3 || software)
}

/// Whether the client believes to talk to another cluster or node (KIP-1242).
fn is_misrouted(ctx: &Ctx, request: &ApiVersionsRequest) -> bool {
    let Some(asked) = request.cluster_id.as_deref().filter(|_| ctx.version >= 5) else {
        return false;
    };
    let image = ctx.broker.image();
    let own = image.cluster_id().is_some_and(|id| id.0 == asked);
    !own || request.node_id != ctx.broker.node_id.0
}

/// Kafka's rule: letters, digits, `-` and `.`, beginning and ending with a letter or digit.
fn is_legal(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next())
        && ends(text.chars().last())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.')
}

#[cfg(test)]
mod tests {
    use super::is_legal;

    #[test]
    fn software_names_follow_kafkas_rule() {
        assert!(is_legal("apache-kafka-java") && is_legal("2.15.0") && is_legal("x"));
        assert!(!is_legal("") && !is_legal("-x") && !is_legal("a b") && !is_legal("x."));
    }

    #[test]
    fn produce_is_advertised_from_version_0_and_nothing_twice() {
        let all: Vec<_> = super::advertised().filter_map(super::entry).collect();
        let produce = all.iter().find(|k| k.api_key == 0).unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
        let mut keys: Vec<i16> = all.iter().map(|k| k.api_key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all.len());
    }

    #[test]
    fn an_unknown_version_is_told_those_of_this_api() {
        let answer = super::unsupported();
        assert_eq!((answer.error_code, answer.api_keys.len()), (35, 1));
        assert_eq!(
            (
                answer.api_keys[0].min_version,
                answer.api_keys[0].max_version
            ),
            (0, 5)
        );
    }
}
