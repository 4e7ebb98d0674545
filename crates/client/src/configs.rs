//! Configurations of topics, brokers, groups and metrics subscriptions.

use ottla_wire::messages::describe_configs_request::DescribeConfigsResource;
use ottla_wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use ottla_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use ottla_wire::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListConfigResourcesRequest,
};
use ottla_wire::{ApiKey, Text};

use crate::admin::only;
use crate::{Broker, Client, Error};

/// Whose configuration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigResource<'a> {
    /// A topic's.
    Topic(&'a str),
    /// A broker's, by node id.
    Broker(i32),
    /// What holds for every broker that has no value of its own.
    BrokerDefault,
    /// The levels of a broker's loggers (KIP-412).
    BrokerLogger(i32),
    /// A subscription to clients' metrics (KIP-714).
    ClientMetrics(&'a str),
    /// A group's (KIP-848).
    Group(&'a str),
}

impl ConfigResource<'_> {
    fn type_id(self) -> i8 {
        match self {
            ConfigResource::Topic(_) => 2,
            ConfigResource::Broker(_) | ConfigResource::BrokerDefault => 4,
            ConfigResource::BrokerLogger(_) => 8,
            ConfigResource::ClientMetrics(_) => 16,
            ConfigResource::Group(_) => 32,
        }
    }

    fn name(self) -> String {
        match self {
            ConfigResource::Topic(name)
            | ConfigResource::ClientMetrics(name)
            | ConfigResource::Group(name) => name.to_owned(),
            ConfigResource::Broker(id) | ConfigResource::BrokerLogger(id) => id.to_string(),
            ConfigResource::BrokerDefault => String::new(),
        }
    }

    /// What it is called in errors.
    fn subject(self) -> String {
        match self {
            ConfigResource::Topic(name) => format!("topic {name}"),
            ConfigResource::Broker(id) => format!("broker {id}"),
            ConfigResource::BrokerDefault => "all brokers".to_owned(),
            ConfigResource::BrokerLogger(id) => format!("the loggers of broker {id}"),
            ConfigResource::ClientMetrics(name) => format!("metrics subscription {name}"),
            ConfigResource::Group(name) => format!("group {name}"),
        }
    }

    /// A broker's own settings are known to, and changed by, nobody else.
    fn broker(self, otherwise: Broker) -> Broker {
        match self {
            ConfigResource::Broker(id) | ConfigResource::BrokerLogger(id) => Broker::Id(id),
            _ => otherwise,
        }
    }
}

/// A change of one setting (KIP-339).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// The setting.
    pub name: String,
    /// Its new value, or `None` for the default.
    pub value: Option<String>,
}

impl Client {
    /// A resource's configuration with the places that its values come from; with `names`, only
    /// these properties.
    pub async fn describe_configs(
        &self,
        resource: ConfigResource<'_>,
        names: Option<&[&str]>,
    ) -> Result<Vec<DescribeConfigsResourceResult>, Error> {
        let api = ApiKey::DescribeConfigs;
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: resource.type_id(),
                resource_name: resource.name().into(),
                configuration_keys: names.map(|n| n.iter().map(|n| Text::from(*n)).collect()),
                ..DescribeConfigsResource::default()
            }],
            include_synonyms: true,
            ..DescribeConfigsRequest::default()
        };
        self.retrying(|| async {
            let (to, build) = (resource.broker(Broker::Any), |_| request.clone().into());
            let answer = self.ask(to, api, build, only!(DescribeConfigs)).await?;
            let mut all = Vec::new();
            for result in answer.results {
                let message = result.error_message.as_deref();
                Error::check(api, resource.subject(), result.error_code, message)?;
                all.extend(result.configs);
            }
            Ok(all)
        })
        .await
    }

    /// These settings of several topics, in one request. A topic that cannot be described is left
    /// out.
    pub async fn describe_topic_configs(
        &self,
        topics: &[&str],
        names: &[&str],
    ) -> Result<Vec<(String, Vec<DescribeConfigsResourceResult>)>, Error> {
        let api = ApiKey::DescribeConfigs;
        let resource = |topic: &&str| DescribeConfigsResource {
            resource_type: ConfigResource::Topic(topic).type_id(),
            resource_name: (*topic).into(),
            configuration_keys: Some(names.iter().map(|name| Text::from(*name)).collect()),
            ..DescribeConfigsResource::default()
        };
        let request = DescribeConfigsRequest {
            resources: topics.iter().map(resource).collect(),
            ..DescribeConfigsRequest::default()
        };
        self.retrying(|| async {
            let build = |_| request.clone().into();
            let asked = self.ask(Broker::Any, api, build, only!(DescribeConfigs));
            let results = asked.await?.results.into_iter();
            let described = results.filter(|result| result.error_code == 0);
            Ok(described
                .map(|result| (result.resource_name.to_string(), result.configs))
                .collect())
        })
        .await
    }

    /// Changes settings of a resource and leaves its others as they are, or only checks whether
    /// that could be done.
    pub async fn alter_configs(
        &self,
        resource: ConfigResource<'_>,
        changes: &[ConfigChange],
        validate_only: bool,
    ) -> Result<(), Error> {
        let api = ApiKey::IncrementalAlterConfigs;
        let change = |change: &ConfigChange| AlterableConfig {
            name: change.name.as_str().into(),
            config_operation: i8::from(change.value.is_none()),
            value: change.value.as_deref().map(Text::from),
            ..AlterableConfig::default()
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: resource.type_id(),
                resource_name: resource.name().into(),
                configs: changes.iter().map(change).collect(),
                ..AlterConfigsResource::default()
            }],
            validate_only,
            ..IncrementalAlterConfigsRequest::default()
        };
        // Setting the same value twice does no harm.
        self.retrying(|| async {
            let (to, build) = (resource.broker(Broker::Controller), |_| {
                request.clone().into()
            });
            let answer = self
                .ask(to, api, build, only!(IncrementalAlterConfigs))
                .await?;
            answer.responses.iter().try_for_each(|result| {
                let message = result.error_message.as_deref();
                Error::check(api, resource.subject(), result.error_code, message)
            })
        })
        .await
    }

    /// The names of the metrics subscriptions, or of the groups that have settings of their own.
    pub async fn list_config_resources(
        &self,
        of: ConfigResource<'_>,
    ) -> Result<Vec<String>, Error> {
        let api = ApiKey::ListConfigResources;
        self.retrying(|| async {
            let build = |version| {
                // Version 0 knows only metrics subscriptions, and takes no types.
                let types = (version >= 1).then(|| vec![of.type_id()]);
                ListConfigResourcesRequest {
                    resource_types: types.unwrap_or_default(),
                    ..ListConfigResourcesRequest::default()
                }
                .into()
            };
            let answer = self
                .ask(Broker::Any, api, build, only!(ListConfigResources))
                .await?;
            Error::check(api, "configurations", answer.error_code, None)?;
            let found = answer.config_resources.into_iter();
            let found = found.filter(|resource| resource.resource_type == of.type_id());
            Ok(found
                .map(|resource| resource.resource_name.to_string())
                .collect())
        })
        .await
    }
}
