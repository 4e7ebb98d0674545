//! From the sources to a checked configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::broker::BrokerProperties;
use crate::environment;
use crate::error::{ConfigError, ConfigErrors};
use crate::found::Found;
use crate::judge::{Catalogue, Settings, text_of};
use crate::keeper::{self, KeeperConfig};
use crate::listeners;
use crate::node::{Dynamic, HttpListener, Loaded, NodeConfig, NodeIdSource, Roles};
use crate::others;
use crate::properties_file;
use crate::property::{Property, split_list};
use crate::quorum::QuorumConfig;
use crate::sources::{Level, Origin, Setting, Sources};
use crate::template::{self, Context};
use crate::topic::TopicConfig;

/// Properties whose values may hold templates.
pub(crate) const TEMPLATED: &[&str] = &[
    "listeners",
    "advertised.listeners",
    "node.id",
    "broker.id",
    "broker.rack",
    "cluster.id",
    "log.dir",
    "log.dirs",
    "ottla.http.listener",
];

impl NodeConfig {
    /// Reads a configuration. A flag wins over the environment, that over the file, that over the
    /// default.
    ///
    /// # Errors
    /// Every problem that was found, not just the first.
    pub fn load(sources: Sources) -> Result<Loaded, ConfigErrors> {
        let mut loading = Loading::default();
        let mut settings = loading.collect(&sources);
        NODE.judge(&mut settings, &mut loading.found);
        let context = Context {
            env: &sources.env,
            hostname: &sources.hostname,
        };
        loading.expand(&mut settings, &context);
        NODE.check(&mut settings, &mut loading.found);
        loading.finish(settings, &sources)
    }
}

/// The configuration of a node for which nothing is set, on a host without a name.
impl Default for NodeConfig {
    fn default() -> Self {
        NodeConfig::load(Sources::default())
            .expect("the declared defaults are valid together")
            .config
    }
}

/// Kafka's properties, and our own.
const NODE: Catalogue = Catalogue {
    what: "a known property",
    find: others::find,
    family: others::family,
    names: || {
        let kafkas = others::NODE_PROPERTIES.iter().map(|property| property.name);
        kafkas.chain(keeper::names()).collect()
    },
};

#[derive(Default)]
struct Loading {
    found: Found,
    /// What is set of ZooKeeper's properties.
    keeper: keeper::Gathered,
}

impl Loading {
    fn note(&mut self, level: Level, key: &str, message: String) {
        self.found.note(level, key, message);
    }

    /// Puts a setting where it belongs: among Kafka's and our own, or among the keeper's. The one
    /// that it replaces comes back.
    fn place(&mut self, settings: &mut Settings, key: &str, setting: Setting) -> Option<Setting> {
        if others::find(key).is_none()
            && let Some(name) = keeper::canonical(key)
        {
            return self.keeper.set(&name, setting);
        }
        settings.insert(key.to_owned(), setting)
    }

    /// Gathers the settings of all sources; stronger ones replace weaker ones.
    fn collect(&mut self, sources: &Sources) -> Settings {
        let mut settings = Settings::new();
        for (path, text) in sources.file.iter().chain(&sources.late_file) {
            self.collect_file(path, text, &mut settings);
        }
        if let Some((path, text)) = &sources.keeper_file {
            self.keeper.read_file(path, text, &mut self.found);
        }
        keeper::read_environment(&sources.env, &mut self.keeper, &mut self.found);
        let environment = environment::read(&sources.env, &|name| others::find(name).is_some());
        for variable in environment.properties {
            let setting = Setting {
                value: variable.value,
                origin: Origin::Environment(variable.name.clone()),
            };
            let earlier = self.place(&mut settings, &variable.key, setting);
            if let Some(Setting {
                origin: Origin::Environment(other),
                ..
            }) = earlier
            {
                let message = format!(
                    "{} and {other} both set {}; {} counts.",
                    variable.name, variable.key, variable.name
                );
                self.note(Level::Warn, &variable.key, message);
            }
        }
        for (name, reason) in environment.without_effect {
            let message = format!("{name} in the environment has no effect: {reason}.");
            self.note(Level::Info, &name, message);
        }
        for (name, key) in environment.unread {
            let message = format!(
                "{name} in the environment is not read; to set {key}, write KAFKA_CFG_{}.",
                name.trim_start_matches("KAFKA_")
            );
            self.note(Level::Warn, &name, message);
        }
        for (key, value) in &sources.flags {
            let setting = Setting {
                value: value.clone(),
                origin: Origin::Flag,
            };
            self.place(&mut settings, key.trim(), setting);
        }
        settings
    }

    fn collect_file(&mut self, path: &str, text: &str, settings: &mut Settings) {
        let (entries, bad_lines) = properties_file::parse(text);
        for bad in bad_lines {
            self.found.errors.push(ConfigError::Syntax {
                path: path.to_owned(),
                line: bad.line,
                reason: bad.reason,
            });
        }
        for entry in entries {
            let line = entry.line;
            let origin = Origin::File {
                path: path.to_owned(),
                line,
            };
            let value = entry.value;
            let earlier = self.place(settings, &entry.key, Setting { value, origin });
            if let Some(Origin::File { path: other, .. }) = earlier.map(|setting| setting.origin)
                && other == path
            {
                let key = &entry.key;
                let message = format!("{key} is in {path} more than once; line {line} counts.");
                self.note(Level::Warn, key, message);
            }
        }
    }

    fn expand(&mut self, settings: &mut Settings, context: &Context<'_>) {
        for &key in TEMPLATED {
            if key == "advertised.listeners" {
                continue;
            }
            if let Some(setting) = settings.get_mut(key) {
                match context.expand(key, &setting.value, None) {
                    Ok(value) => setting.value = value,
                    Err(error) => {
                        self.found.errors.push(error);
                        // What could not be filled in must not be reported a second time.
                        settings.remove(key);
                    }
                }
            }
        }
        self.expand_advertised(settings, context);
    }

    /// An advertised entry may speak of its listener's port, so it is filled in entry by entry.
    fn expand_advertised(&mut self, settings: &mut Settings, context: &Context<'_>) {
        let key = "advertised.listeners";
        let listeners = match settings.get("listeners") {
            Some(setting) => setting.value.as_str(),
            None => others::find("listeners")
                .and_then(|p| p.default)
                .unwrap_or(""),
        };
        let ports = listeners::ports_by_name(&split_list(listeners));
        let Some(setting) = settings.get_mut(key) else {
            return;
        };
        let mut expanded = Vec::new();
        for entry in split_list(&setting.value) {
            let port = listeners::name_of(&entry).and_then(|name| ports.get(&name).copied());
            match context.expand(key, &entry, port) {
                Ok(text) => expanded.push(text),
                Err(error) => self.found.errors.push(error),
            }
        }
        if expanded.is_empty() && !setting.value.trim().is_empty() {
            settings.remove(key);
        } else {
            setting.value = expanded.join(",");
        }
    }

    fn finish(mut self, settings: Settings, sources: &Sources) -> Result<Loaded, ConfigErrors> {
        let hostname = sources.hostname.as_str();
        let broker = BrokerProperties::read(&|property: &Property| {
            text_of(property, &settings).map(str::to_owned)
        });
        let topic_defaults = TopicConfig::from_settings(&settings, &BTreeMap::new());
        let (broker, topic_defaults) = match (broker, topic_defaults) {
            (Ok(broker), Ok(defaults)) => (broker, defaults),
            (broker, defaults) => {
                let reason = match (broker, defaults) {
                    (Err(name), _) => format!("{name} cannot be read"),
                    (_, Err(error)) => error.to_string(),
                    _ => String::new(),
                };
                self.found.errors.push(ConfigError::Conflict {
                    keys: "properties".to_owned(),
                    reason,
                });
                return Err(ConfigErrors(self.found.errors));
            }
        };
        self.cross_check(&broker, &topic_defaults);
        let node_id = self.node_id(&broker, hostname);
        let map_is_set = settings.contains_key("listener.security.protocol.map");
        let roles = roles(&broker, &settings, sources);
        let quorum = QuorumConfig::of(&broker, &mut self.found.errors);
        let wanted = listeners::Wanted {
            roles,
            has_quorum: quorum.is_configured(),
        };
        // A keeper alone has nothing to do with Kafka's listeners, not even with their defaults.
        let opened = match roles.broker || roles.controller {
            true => {
                let errors = &mut self.found.errors;
                listeners::build(&broker, wanted, map_is_set, hostname, errors)
            }
            false => listeners::Opened::default(),
        };
        for name in opened.not_opened {
            let message = format!(
                "The listener {name} is not opened: the node is a cluster of its own, and its \
                 metadata quorum. Set controller.quorum.voters or \
                 controller.quorum.bootstrap.servers to let others join."
            );
            self.note(Level::Info, "controller.listener.names", message);
        }
        let (listeners, controller_listeners) = (opened.broker, opened.controller);
        if roles.broker || roles.controller {
            quorum.check_node(
                roles,
                node_id.configured(),
                &controller_listeners,
                hostname,
                &mut self.found.errors,
            );
        }
        let inter_broker_listener_name = match roles.broker {
            true => self.inter_broker(&broker, &listeners),
            false => String::new(),
        };
        let http_listener = self.http_listener(&broker);
        let max_connections_per_ip_overrides = self.per_ip_overrides(&broker);
        let log_dirs = broker.log_dirs.as_ref().unwrap_or(&broker.log_dir).clone();
        let keeper = self.keeper(roles, &log_dirs, sources);
        if !self.found.errors.is_empty() {
            return Err(ConfigErrors(self.found.errors));
        }
        Ok(Loaded {
            config: NodeConfig {
                node_id,
                roles,
                keeper,
                quorum,
                listeners,
                controller_listeners,
                inter_broker_listener_name,
                http_listener,
                log_dirs,
                max_connections_per_ip_overrides,
                topic_defaults,
                broker,
                at_start: Arc::new(settings.clone()),
                settings,
                dynamic: Dynamic::default(),
            },
            notices: self.found.notices,
        })
    }

    /// The keeper's configuration, if the process has that role.
    fn keeper(
        &mut self,
        roles: Roles,
        log_dirs: &[String],
        sources: &Sources,
    ) -> Option<KeeperConfig> {
        let gathered = std::mem::take(&mut self.keeper);
        if !roles.keeper {
            if !gathered.is_empty() {
                let message = format!(
                    "process.roles does not have keeper, so {} has no effect.",
                    gathered.names().join(", ")
                );
                self.note(Level::Warn, "process.roles", message);
            }
            return None;
        }
        let around = keeper::Surroundings {
            context: Context {
                env: &sources.env,
                hostname: &sources.hostname,
            },
            domain: sources.domain.as_deref(),
            node_dir: log_dirs.first().map_or(".", String::as_str),
        };
        gathered.finish(&around, &mut self.found)
    }

    /// What holds between several properties.
    fn cross_check(&mut self, broker: &BrokerProperties, topic: &TopicConfig) {
        if topic.retention_ms == 0 {
            self.found.conflict(
                "log.retention.ms, log.retention.minutes, log.retention.hours".to_owned(),
                "the retention must be at least 1 ms, or -1 for ever, and it is 0",
            );
        }
        let (min, max) = (
            broker.group_min_session_timeout_ms,
            broker.group_max_session_timeout_ms,
        );
        if min > max {
            self.found.conflict(
                format!(
                    "group.min.session.timeout.ms = {min}, group.max.session.timeout.ms = {max}"
                ),
                "the shortest session timeout is longer than the longest one",
            );
        }
        let (queued, request) = (
            broker.queued_max_request_bytes,
            broker.socket_request_max_bytes,
        );
        if queued > 0 && queued < i64::from(request) {
            self.found.conflict(
                format!(
                    "queued.max.request.bytes = {queued}, socket.request.max.bytes = {request}"
                ),
                "a request of the largest size would never fit the queue",
            );
        }
        if broker.min_insync_replicas > broker.default_replication_factor {
            let message = format!(
                "min.insync.replicas = {} is more than default.replication.factor = {}: produce \
                 with acks=all to new topics will be refused.",
                broker.min_insync_replicas, broker.default_replication_factor
            );
            self.note(Level::Warn, "min.insync.replicas", message);
        } else if broker.min_insync_replicas > 1
            && broker.min_insync_replicas == broker.default_replication_factor
        {
            let message = format!(
                "min.insync.replicas and default.replication.factor are both {}: produce with \
                 acks=all is refused while any one broker is away.",
                broker.min_insync_replicas
            );
            self.note(Level::Warn, "min.insync.replicas", message);
        }
    }

    fn node_id(&mut self, broker: &BrokerProperties, hostname: &str) -> NodeIdSource {
        let older = broker.broker_id.filter(|&id| id >= 0);
        match (broker.node_id, older) {
            (Some(id), Some(other)) if id != other => {
                self.found.conflict(
                    format!("node.id = {id}, broker.id = {other}"),
                    "both are the node's id, so they must be the same; broker.id can go",
                );
                NodeIdSource::Given(id)
            }
            (Some(id), _) | (None, Some(id)) => NodeIdSource::Given(id),
            (None, None) => match broker.node_id_ordinal_offset {
                None => NodeIdSource::FromDataOrDefault,
                Some(offset) => match template::ordinal(hostname) {
                    Ok(ordinal) => {
                        if ordinal.checked_add(offset).is_none() {
                            self.found.conflict(
                                format!("ottla.node.id.ordinal.offset = {offset}"),
                                "the hostname's ordinal plus the offset is no 32-bit number",
                            );
                        }
                        NodeIdSource::FromOrdinal { ordinal, offset }
                    }
                    Err(error) => {
                        self.found.errors.push(error);
                        NodeIdSource::FromDataOrDefault
                    }
                },
            },
        }
    }

    fn inter_broker(
        &mut self,
        broker: &BrokerProperties,
        listeners: &[listeners::Listener],
    ) -> String {
        let first = listeners.first().map(|listener| listener.name.clone());
        let names: Vec<&str> = listeners.iter().map(|l| l.name.as_str()).collect();
        match &broker.inter_broker_listener_name {
            Some(name) if !names.contains(&name.to_uppercase().as_str()) => {
                // With broken listeners the name cannot be judged; they are reported already.
                if self.found.errors.is_empty() {
                    self.found.errors.push(ConfigError::Listener {
                        key: "inter.broker.listener.name".to_owned(),
                        entry: name.clone(),
                        reason: format!("there is no such listener; there is {}", names.join(", ")),
                    });
                }
                String::new()
            }
            Some(name) => name.to_uppercase(),
            None if broker.security_inter_broker_protocol != "PLAINTEXT" => {
                self.found.conflict(
                    format!(
                        "security.inter.broker.protocol = {}",
                        broker.security_inter_broker_protocol
                    ),
                    "only PLAINTEXT is supported yet",
                );
                String::new()
            }
            None => first.unwrap_or_default(),
        }
    }

    fn http_listener(&mut self, broker: &BrokerProperties) -> Option<HttpListener> {
        if broker.http_listener.is_empty() {
            return None;
        }
        match listeners::parse_host_port("ottla.http.listener", &broker.http_listener) {
            Ok((host, port)) => Some(HttpListener { host, port }),
            Err(error) => {
                self.found.errors.push(error);
                None
            }
        }
    }

    fn per_ip_overrides(&mut self, broker: &BrokerProperties) -> BTreeMap<String, i32> {
        let (overrides, wrong) = per_ip_overrides(&broker.max_connections_per_ip_overrides);
        for entry in wrong {
            self.found.errors.push(ConfigError::Listener {
                key: "max.connections.per.ip.overrides".to_owned(),
                entry,
                reason: PER_IP_OVERRIDES_FORM.to_owned(),
            });
        }
        overrides
    }
}

/// What the process does. With a `zoo.cfg` alone it is a keeper.
fn roles(broker: &BrokerProperties, settings: &Settings, sources: &Sources) -> Roles {
    let is_set = settings.contains_key("process.roles");
    if !is_set && sources.file.is_none() && sources.keeper_file.is_some() {
        return Roles {
            broker: false,
            controller: false,
            keeper: true,
        };
    }
    let has = |role: &str| broker.process_roles.iter().any(|known| known == role);
    Roles {
        broker: has("broker"),
        controller: has("controller"),
        keeper: has("keeper"),
    }
}

/// How an entry of `max.connections.per.ip.overrides` is written.
pub(crate) const PER_IP_OVERRIDES_FORM: &str = "expected address:count";

/// The limits for single addresses, and the entries that are none.
pub(crate) fn per_ip_overrides(text: &str) -> (BTreeMap<String, i32>, Vec<String>) {
    let (mut overrides, mut wrong) = (BTreeMap::new(), Vec::new());
    for entry in split_list(text) {
        let parsed = entry
            .rsplit_once(':')
            .and_then(|(host, count)| Some((host, count.trim().parse::<i32>().ok()?)))
            .filter(|&(host, count)| !host.is_empty() && count >= 0);
        match parsed {
            Some((host, count)) => {
                let host = host.trim().trim_matches(['[', ']']).to_owned();
                overrides.insert(host, count);
            }
            None => wrong.push(entry),
        }
    }
    (overrides, wrong)
}

#[cfg(test)]
mod tests;
