//! UpdateFeatures (key 57, KIP-584, KIP-778): sets levels of features, all of them or none.

use ottla_metadata::{Command, FeatureUpdate, FeatureUpgrade, Refusal, Reply, UpdateFeatures};
use ottla_model::ErrorCode;
use ottla_wire::Text;
use ottla_wire::messages::update_features_request::FeatureUpdateKey;
use ottla_wire::messages::update_features_response::UpdatableFeatureResult;
use ottla_wire::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::context::{Answer, Ctx};

/// Up to this version the answer has a result for each feature.
const WITH_RESULTS: i16 = 1;

pub(crate) async fn handle(
    ctx: Ctx,
    request: UpdateFeaturesRequest,
) -> Answer<UpdateFeaturesResponse> {
    let updates = request.feature_updates.iter();
    let updates = updates.map(|update| wanted(update, ctx.version));
    let updates: Result<Vec<_>, Refusal> = updates.collect();
    Answer::later(async move {
        let outcome = match updates {
            Ok(updates) => {
                let validate_only = request.validate_only;
                let command = UpdateFeatures {
                    updates,
                    validate_only,
                };
                ctx.broker.submit(Command::UpdateFeatures(command)).await
            }
            Err(refusal) => Err(refusal),
        };
        match outcome {
            Ok(Reply::Done) => done(&request, ctx.version),
            Ok(_) => UpdateFeaturesResponse {
                error_code: ErrorCode::UnknownServerError.code(),
                ..UpdateFeaturesResponse::default()
            },
            Err(refusal) => failed(&refusal),
        }
    })
}

fn wanted(update: &FeatureUpdateKey, version: i16) -> Result<FeatureUpdate, Refusal> {
    let (feature, level) = (update.feature.to_string(), update.max_version_level);
    let upgrade = match update.upgrade_type {
        _ if version == 0 && update.allow_downgrade => FeatureUpgrade::SafeDowngrade,
        1 => FeatureUpgrade::Upgrade,
        2 => FeatureUpgrade::SafeDowngrade,
        3 => FeatureUpgrade::UnsafeDowngrade,
        _ => {
            let message = format!(
                "Invalid update version {level} for feature {feature}. The controller does not \
                 support the given upgrade type."
            );
            return Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message));
        }
    };
    Ok(FeatureUpdate {
        feature,
        level,
        upgrade,
    })
}

fn done(request: &UpdateFeaturesRequest, version: i16) -> UpdateFeaturesResponse {
    let updates = request.feature_updates.iter();
    let results = updates.map(|update| UpdatableFeatureResult {
        feature: update.feature.clone(),
        ..UpdatableFeatureResult::default()
    });
    UpdateFeaturesResponse {
        results: results.filter(|_| version <= WITH_RESULTS).collect(),
        ..UpdateFeaturesResponse::default()
    }
}

fn failed(refusal: &Refusal) -> UpdateFeaturesResponse {
    let message = format!(
        "The update failed for all features since the following feature had an error: {}",
        refusal.message
    );
    UpdateFeaturesResponse {
        error_code: refusal.code.code(),
        error_message: Some(Text::from(message.as_str())),
        ..UpdateFeaturesResponse::default()
    }
}
