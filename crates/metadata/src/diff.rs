//! What changed between two images, for those who keep something per topic.

use std::ops::Range;
use std::sync::Arc;

use ottla_model::PartitionIndex;

use crate::cow_map::Difference;
use crate::image::{Image, TopicImage};
use crate::record::ConfigResource;

/// What changed from one image to a later one. Topics are in the order of their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delta {
    /// Topics that are there now and were not before.
    pub created: Vec<Arc<TopicImage>>,
    /// Topics that were there and are gone. A topic that was deleted and created again under its
    /// old name stands here with its old id and in `created` with its new one.
    pub deleted: Vec<Arc<TopicImage>>,
    /// Topics that stayed and changed in partitions or configuration.
    pub changed: Vec<TopicChange>,
    /// Whether a broker came, went, changed, or was fenced or unfenced.
    pub brokers_changed: bool,
    /// The resources other than topics whose overrides changed, came or went.
    pub configs_changed: Vec<ConfigResource>,
    /// Whether a feature was switched on or off, or has another level.
    pub features_changed: bool,
    /// Whether a limit of clients was set, changed or taken away.
    pub client_quotas_changed: bool,
}

/// A topic before and after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicChange {
    /// Before.
    pub old: Arc<TopicImage>,
    /// After.
    pub new: Arc<TopicImage>,
}

impl TopicChange {
    /// The numbers of the partitions that were added.
    #[must_use]
    pub fn added_partitions(&self) -> Range<PartitionIndex> {
        self.old.partition_count()..self.new.partition_count()
    }

    /// The numbers of the partitions that were there before and have other replicas, another
    /// leader, another ISR, or a reassignment that began or ended.
    pub fn changed_partitions(&self) -> impl Iterator<Item = PartitionIndex> + '_ {
        let pairs = self.old.partitions.iter().zip(&self.new.partitions);
        (0..)
            .zip(pairs)
            .filter(|(_, (old, new))| !Arc::ptr_eq(old, new) && old != new)
            .map(|(partition, _)| partition)
    }

    /// Whether configuration overrides changed.
    #[must_use]
    pub fn configs_changed(&self) -> bool {
        self.old.configs != self.new.configs
    }
}

impl Delta {
    /// Whether a dynamic override of a broker, or of all, changed.
    #[must_use]
    pub fn broker_configs_changed(&self) -> bool {
        self.configs_changed.iter().any(|resource| {
            matches!(
                resource,
                ConfigResource::Broker(_) | ConfigResource::DefaultBroker
            )
        })
    }

    /// Whether a client-metrics subscription changed, came or went.
    #[must_use]
    pub fn client_metrics_changed(&self) -> bool {
        self.configs_changed
            .iter()
            .any(|resource| matches!(resource, ConfigResource::ClientMetrics(_)))
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Delta::default()
    }
}

impl Image {
    fn changed_configs(&self, old: &Image) -> Vec<ConfigResource> {
        let mut changed = Vec::new();
        self.configs.diff(&old.configs, |resource, difference| {
            let same = matches!(difference, Difference::Both { old, new } if old == new);
            if !same {
                changed.push(resource.clone());
            }
        });
        changed
    }

    /// What changed from `old` to this image. The cost follows the number of changed topics when
    /// this image descends from `old`; it is correct for any two images.
    #[must_use]
    pub fn diff(&self, old: &Image) -> Delta {
        let mut delta = Delta {
            brokers_changed: !Arc::ptr_eq(&self.brokers, &old.brokers)
                && self.brokers != old.brokers,
            features_changed: self.features != old.features,
            configs_changed: self.changed_configs(old),
            client_quotas_changed: !Arc::ptr_eq(&self.client_quotas, &old.client_quotas)
                && self.client_quotas != old.client_quotas,
            ..Delta::default()
        };
        self.topics
            .diff(&old.topics, |_, difference| match difference {
                Difference::Added(new) => delta.created.push(Arc::clone(new)),
                Difference::Removed(old) => delta.deleted.push(Arc::clone(old)),
                Difference::Both { old, new } if Arc::ptr_eq(old, new) || old == new => {}
                Difference::Both { old, new } if old.id != new.id => {
                    delta.deleted.push(Arc::clone(old));
                    delta.created.push(Arc::clone(new));
                }
                Difference::Both { old, new } => {
                    delta.changed.push(TopicChange {
                        old: Arc::clone(old),
                        new: Arc::clone(new),
                    });
                }
            });
        delta
    }
}
