//! Levels of features (KIP-584, KIP-1022).

use std::collections::BTreeMap;

use ottla_model::{BrokerId, ErrorCode};

use super::Context;
use super::draft::Draft;
use crate::command::{FeatureUpdate, FeatureUpgrade, Refusal, Reply, UpdateFeatures};
use crate::features::metadata_changed_between;
use crate::features::{FEATURES, Feature, KRAFT_VERSION, METADATA_VERSION};
use crate::image::Image;
use crate::record::{FeatureLevelRecord, Record};

/// The levels of a new cluster: the highest that this build knows.
pub(super) fn of_new_cluster() -> impl Iterator<Item = Record> {
    FEATURES
        .iter()
        .map(|feature| record(feature.name, feature.level_max))
}

fn record(name: &str, level: i16) -> Record {
    Record::FeatureLevel(FeatureLevelRecord {
        name: name.to_owned(),
        level,
    })
}

/// Refuses a broker whose build does not know a feature at the level that the cluster has.
pub(super) fn check_registration(
    image: &Image,
    id: BrokerId,
    supported: &BTreeMap<String, (i16, i16)>,
) -> Result<(), Refusal> {
    for (name, level) in image.features() {
        let (min, max) = supported.get(name).copied().unwrap_or((0, 0));
        if !(min..=max).contains(level) {
            let message = format!(
                "Unable to register because the broker does not support finalized version {level} \
                 of {name}. Broker {id} wants a version between {min} and {max}, inclusive."
            );
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, message));
        }
    }
    Ok(())
}

pub(super) fn decide(
    image: &Image,
    command: &UpdateFeatures,
    context: &Context<'_>,
) -> Result<(Vec<Record>, Reply), Refusal> {
    let names = command.updates.iter().map(|update| update.feature.as_str());
    if let Some(name) = super::duplicates(names).first() {
        let message = format!("The request updates the feature {name} more than once.");
        return Err(Refusal::new(ErrorCode::InvalidRequest, message));
    }
    let mut draft = Draft::new(image, context.defaults);
    for update in &command.updates {
        check(image, update)?;
        if image.feature_level(&update.feature) != update.level {
            draft.push(record(&update.feature, update.level))?;
        }
    }
    if command.validate_only {
        return Ok((Vec::new(), Reply::Done));
    }
    // Without the ELR, the ISR has to remember its members.
    draft.settle()?;
    Ok((draft.into_records(), Reply::Done))
}

fn check(image: &Image, update: &FeatureUpdate) -> Result<(), Refusal> {
    let (name, level) = (update.feature.as_str(), update.level);
    let invalid = |reason: &str| {
        let message = format!("Invalid update version {level} for feature {name}. {reason}");
        Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message))
    };
    if level < 0 {
        return invalid("A feature version cannot be less than 0.");
    }
    if let Some(reason) = why_not_supported(image, name, level) {
        return invalid(&reason);
    }
    let present = image.feature_level(name);
    if level > present && update.upgrade != FeatureUpgrade::Upgrade {
        return invalid("Can't downgrade to a newer version.");
    }
    if level >= present {
        return Ok(());
    }
    if update.upgrade == FeatureUpgrade::Upgrade {
        return invalid(
            "Can't downgrade the version of this feature without setting the upgrade type to \
             either safe or unsafe downgrade.",
        );
    }
    match name {
        KRAFT_VERSION => invalid("Can't downgrade the version of this feature."),
        METADATA_VERSION => check_metadata_downgrade(present, level, update.upgrade),
        _ => Ok(()),
    }
}

fn check_metadata_downgrade(
    present: i16,
    level: i16,
    upgrade: FeatureUpgrade,
) -> Result<(), Refusal> {
    if !metadata_changed_between(level, present) {
        return Ok(());
    }
    let reason = match upgrade {
        FeatureUpgrade::UnsafeDowngrade => {
            "Unsafe metadata downgrade is not supported in this version."
        }
        _ => {
            "Refusing to perform the requested downgrade because it might delete metadata \
             information."
        }
    };
    let message =
        format!("Unsupported metadata.version downgrade from {present} to {level}. {reason}");
    Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message))
}

/// Why a feature cannot have the level: this build, or that of a registered broker, does not know
/// it.
fn why_not_supported(image: &Image, name: &str, level: i16) -> Option<String> {
    let own = Feature::of(name).map_or((0, 0), |feature| (feature.level_min, feature.level_max));
    let brokers = image.brokers().map(|broker| {
        let range = broker.features.get(name).copied().unwrap_or((0, 0));
        (format!("Broker {}", broker.id), range)
    });
    std::iter::once(("The controller".to_owned(), own))
        .chain(brokers)
        .find(|(_, (min, max))| !(min..=max).contains(&&level))
        .map(|(node, (min, max))| match max {
            0 => format!("{node} does not support this feature."),
            _ => format!("{node} only supports versions {min}-{max}"),
        })
}

#[cfg(test)]
mod tests;
