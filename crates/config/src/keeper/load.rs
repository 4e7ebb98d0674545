//! From settings by name to the keeper's configuration.

use std::sync::LazyLock;

use super::build::{self, AllProperties, Given};
use super::identity;
use super::names;
use super::properties::{KEEPER_PROPERTIES, KeeperProperties};
use super::tls::{
    CLIENT_TLS_PROPERTIES, ClientTlsProperties, QUORUM_TLS_PROPERTIES, QuorumTlsProperties,
};
use super::{KeeperConfig, KeeperServer, others};
use crate::error::{ConfigError, ConfigErrors};
use crate::found::Found;
use crate::judge::{Catalogue, Settings, text_of};
use crate::properties_file;
use crate::property::Property;
use crate::sources::{Level, Notice, Origin, Setting};
use crate::template::Context;

/// Where the keeper's data is in a node's data directory.
pub(crate) const DATA_DIR: &str = "keeper";

/// Properties whose values may hold templates.
pub(crate) const TEMPLATED: &[&str] = &[
    "myid",
    "dataDir",
    "dataLogDir",
    "clientPortAddress",
    "secureClientPortAddress",
    "dynamicConfigFile",
];

/// Every property of the keeper: the honoured ones first, then the others.
pub(crate) static PROPERTIES: LazyLock<Vec<Property>> = LazyLock::new(|| {
    let declared = [
        KEEPER_PROPERTIES,
        CLIENT_TLS_PROPERTIES,
        QUORUM_TLS_PROPERTIES,
        &others::OTHERS,
    ];
    declared.into_iter().flatten().copied().collect()
});

const CATALOGUE: Catalogue = Catalogue {
    what: "a known property of ZooKeeper",
    find,
    family: others::family,
    names: || names_of_all().collect(),
};

/// The declaration of a property of the keeper, by the name that counts.
pub(crate) fn find(name: &str) -> Option<&'static Property> {
    PROPERTIES.iter().find(|property| property.name == name)
}

/// The names that count, of all properties.
pub(crate) fn names_of_all() -> impl Iterator<Item = &'static str> {
    PROPERTIES.iter().map(|property| property.name)
}

/// What is set of the keeper's properties.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// By the names that count.
    settings: Settings,
    /// Users that the environment names.
    pub(crate) sasl_users: Vec<(String, ottla_model::Secret)>,
}

/// What the node tells its keeper.
pub(crate) struct Surroundings<'a> {
    pub(crate) context: Context<'a>,
    /// The domain of the host, if it is known.
    pub(crate) domain: Option<&'a str>,
    /// The node's data directory.
    pub(crate) node_dir: &'a str,
}

impl Gathered {
    /// Whether nothing is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.settings.is_empty()
    }

    /// The names of what is set.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.settings.keys().map(String::as_str).collect()
    }

    /// Takes a setting; a later one replaces an earlier one, which comes back.
    pub(crate) fn set(&mut self, key: &str, setting: Setting) -> Option<Setting> {
        let name = names::counting(key.trim()).to_owned();
        self.settings.insert(name, setting)
    }

    /// Forgets what was set.
    pub(crate) fn unset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// Reads a `zoo.cfg`.
    pub(crate) fn read_file(&mut self, path: &str, text: &str, found: &mut Found) {
        let (entries, bad_lines) = properties_file::parse(text);
        for bad in bad_lines {
            found.errors.push(ConfigError::Syntax {
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
            let Some(Setting { origin, .. }) = self.set(&entry.key, Setting { value, origin })
            else {
                continue;
            };
            let key = names::counting(entry.key.trim());
            let message = match origin {
                Origin::File { path: earlier, .. } if earlier == path => {
                    format!("{key} is in {path} more than once; line {line} counts.")
                }
                _ => format!("{key} ({origin}) is also in {path}; line {line} there counts."),
            };
            found.note(Level::Warn, key, message);
        }
    }

    /// Checks what is set and puts the configuration together; nothing if that is not possible.
    pub(crate) fn finish(
        mut self,
        around: &Surroundings<'_>,
        found: &mut Found,
    ) -> Option<KeeperConfig> {
        let mut given = Given {
            data_dir: format!("{}/{DATA_DIR}", around.node_dir),
            sasl_users: std::mem::take(&mut self.sasl_users),
            ..Given::default()
        };
        let mut settings = self.settings;
        take_numbered(&mut settings, &mut given, found);
        CATALOGUE.judge(&mut settings, found);
        expand(&mut settings, &around.context, found);
        CATALOGUE.check(&mut settings, found);
        let text = |property: &Property| text_of(property, &settings).map(str::to_owned);
        let read = KeeperProperties::read(&text).and_then(|keeper| {
            Ok(AllProperties {
                keeper,
                client_tls: ClientTlsProperties::read(&text)?,
                quorum_tls: QuorumTlsProperties::read(&text)?,
            })
        });
        let all = match read {
            Ok(all) => all,
            Err(name) => {
                found.conflict(name, "it cannot be read");
                return None;
            }
        };
        let my_id = identity::of_hostname(&all.keeper, around, &mut given.servers, found);
        let mut config = build::build(all, given, found);
        config.my_id_of_hostname = my_id;
        identity::check_servers(&config, found);
        Some(config)
    }
}

/// Takes out the settings of which there may be several.
fn take_numbered(settings: &mut Settings, given: &mut Given, found: &mut Found) {
    let mut has_servers = false;
    settings.retain(|key, setting| {
        if let Some(id) = KeeperServer::id_of_key(key) {
            has_servers = true;
            match id.and_then(|id| KeeperServer::parse(id, &setting.value)) {
                Ok(server) => given.servers.push(server),
                Err(reason) => found.errors.push(ConfigError::Listener {
                    key: key.clone(),
                    entry: setting.value.clone(),
                    reason,
                }),
            }
            return false;
        }
        if key == "superUser" || key.starts_with("superUser.") {
            given.sasl_super_users.push(setting.value.trim().to_owned());
            return false;
        }
        if key.starts_with("authProvider.") {
            take_provider(key, setting, given, found);
            return false;
        }
        true
    });
    given.servers.sort_by_key(|server| server.id);
    if has_servers && settings.contains_key("dynamicConfigFile") {
        let reason = "with dynamicConfigFile, the lines server.N stand in that file";
        found.conflict("server.N, dynamicConfigFile", reason);
    }
}

/// Providers of authentication are Java classes; ZooKeeper's own are built in.
fn take_provider(key: &str, setting: &Setting, given: &mut Given, found: &mut Found) {
    let class = setting.value.trim();
    match class.rsplit('.').next().unwrap_or_default() {
        "SASLAuthenticationProvider" => given.sasl_provider = true,
        "X509AuthenticationProvider"
        | "DigestAuthenticationProvider"
        | "IPAuthenticationProvider"
        | "EnsembleAuthenticationProvider" => {}
        _ => found.errors.push(ConfigError::Refused {
            key: key.to_owned(),
            setting: Box::new(setting.clone()),
            reason: "Java plugins cannot be loaded; there are ZooKeeper's own for sasl, x509, \
                     digest, ip and ensemble"
                .to_owned(),
        }),
    }
}

fn expand(settings: &mut Settings, context: &Context<'_>, found: &mut Found) {
    for &key in TEMPLATED {
        let Some(setting) = settings.get_mut(key) else {
            continue;
        };
        match context.expand(key, &setting.value, None) {
            Ok(value) => setting.value = value,
            Err(error) => {
                found.errors.push(error);
                settings.remove(key);
            }
        }
    }
}

impl KeeperConfig {
    /// Reads a `zoo.cfg`, with nothing else beside it, on a host without a name.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn parse_zoo_cfg(
        path: &str,
        text: &str,
    ) -> Result<(KeeperConfig, Vec<Notice>), ConfigErrors> {
        let mut found = Found::default();
        let mut gathered = Gathered::default();
        gathered.read_file(path, text, &mut found);
        let around = Surroundings {
            context: Context {
                env: &std::collections::BTreeMap::new(),
                hostname: "",
            },
            domain: None,
            node_dir: "./ottla-data",
        };
        let config = gathered.finish(&around, &mut found);
        match (config, found.errors.is_empty()) {
            (Some(config), true) => Ok((config, found.notices)),
            _ => Err(ConfigErrors(found.errors)),
        }
    }
}

/// The keeper for which nothing is set: alone, on 127.0.0.1:2181.
impl Default for KeeperConfig {
    fn default() -> Self {
        KeeperConfig::parse_zoo_cfg("", "")
            .expect("the declared defaults are valid together")
            .0
    }
}
