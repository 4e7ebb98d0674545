//! The reference of all properties, in Markdown.

use std::fmt::Write as _;

use crate::client_metrics::CLIENT_METRICS_PROPERTIES;
use crate::group::GROUP_PROPERTIES;
use crate::keeper;
use crate::load::TEMPLATED;
use crate::others::{self, NODE_PROPERTIES};
use crate::property::{Area, Bounds, Effect, Property, Unit};
use crate::topic::TOPIC_PROPERTIES;

/// The reference of every property, ordered by area; it is the text of
/// `ottla config reference` and of `docs/configuration-reference.md`.
#[must_use]
pub fn reference_markdown() -> String {
    let mut out = String::from(INTRODUCTION);
    let templated = TEMPLATED.iter().chain(keeper::TEMPLATED);
    let templated: Vec<String> = templated.map(|name| format!("`{name}`")).collect();
    line(
        &mut out,
        &format!("They are filled in in {}.\n", templated.join(", ")),
    );

    line(&mut out, "# The node\n");
    let works = |property: &&Property| property.effect == Effect::Works;
    areas(&mut out, NODE_PROPERTIES.iter().filter(works), false);

    line(&mut out, "# Topics\n");
    line(&mut out, TOPICS);
    areas(&mut out, TOPIC_PROPERTIES.iter(), true);

    line(&mut out, "# Groups\n");
    line(&mut out, GROUPS);
    areas(&mut out, GROUP_PROPERTIES.iter(), true);

    line(&mut out, "# Client metrics\n");
    line(&mut out, CLIENT_METRICS);
    areas(&mut out, CLIENT_METRICS_PROPERTIES.iter(), true);

    line(&mut out, "# The keeper\n");
    line(&mut out, KEEPER);
    areas(&mut out, keeper::PROPERTIES.iter().filter(works), false);

    line(&mut out, "# Accepted without effect\n");
    line(
        &mut out,
        "Files that have them start; the log names each one that is set.\n",
    );
    let without_effect = |effect| match effect {
        Effect::NoEffect(reason) => Some(reason),
        _ => None,
    };
    grouped(&mut out, nodes(), &without_effect);
    line(&mut out, "Of ZooKeeper's:\n");
    grouped(&mut out, keepers(), &without_effect);

    line(&mut out, "# Refused\n");
    line(
        &mut out,
        "They would change what the node does, so any value but the default of Kafka or of \
         ZooKeeper stops the start.\n",
    );
    let refused = |effect| match effect {
        Effect::Refused(reason) => Some(reason),
        _ => None,
    };
    grouped(&mut out, nodes(), &refused);
    line(&mut out, "Of ZooKeeper's:\n");
    grouped(&mut out, keepers(), &refused);
    out
}

/// Every declared property of a node, in the order of the declarations.
#[must_use]
pub fn node_properties() -> &'static [Property] {
    &NODE_PROPERTIES
}

/// Every declared property of the keeper, in the order of the declarations.
#[must_use]
pub fn keeper_properties() -> &'static [Property] {
    &keeper::PROPERTIES
}

/// Every declared property of a topic, in the order of the declarations.
#[must_use]
pub fn topic_properties() -> &'static [Property] {
    TOPIC_PROPERTIES
}

const INTRODUCTION: &str = "\
<!-- Made by `ottla config reference`: change the declarations in crates/config instead. -->

# Configuration reference

A node is configured in Kafka's own words. A value is taken from the first of these that has it:

1. a flag: `--set num.partitions=3`
2. the environment: `KAFKA_CFG_NUM_PARTITIONS=3` or `OTTLA_NUM_PARTITIONS=3`. Underscores are
   dots; `OTTLA_` may leave out the `ottla.` of our own properties (`OTTLA_HTTP_LISTENER`), and
   wins over `KAFKA_CFG_`
3. the file: `--config server.properties`, in Java's syntax for properties
4. the default

A value that is not of its type or out of its bounds stops the start, and so does a property that
would change behaviour and is not supported; all such problems are told at once. What has no effect
or is unknown is named in the log. Properties that Kafka does not have begin with `ottla.`.

The column *change* has Kafka's update modes. A *cluster-wide* property can change while nodes run,
for all of them or for one (`kafka-configs --entity-type brokers`, with `--entity-default` or
`--entity-name 0`); what is set so counts before flags, environment and file, and one node's own
before that for all. A *read-only* property counts from the next start on. Properties of topics,
groups and client-metrics subscriptions can always change.

Values can hold templates, so that the nodes of a StatefulSet share one configuration:

| template | is |
|---|---|
| `{ordinal}` | the number at the end of the hostname: 2 on `kafka-2` |
| `{port}`, `{port+ordinal}` | the listener's port, and that plus the ordinal; in `advertised.listeners` |
| `{31980+ordinal}` | a number plus the ordinal, such as the NodePort of each pod: 31982 on `kafka-2` |
| `{hostname}` | the name of the host |
| `{env:NAME}`, `$(NAME)` | an environment variable; one that is not set is an error |
| `$$(NAME)` | the text `$(NAME)` |

";

const TOPICS: &str = "\
A topic's own setting counts first, then the node's property in the column *falls back to*, then
the default.
";

const GROUPS: &str = "\
Of one group: `kafka-configs --entity-type groups`. A group's own setting counts first, then the
node's property in the column *falls back to*, then the default.
";

const CLIENT_METRICS: &str = "\
Of one subscription to clients' metrics (KIP-714): `kafka-client-metrics`, or `kafka-configs
--entity-type client-metrics`.
";

const KEEPER: &str = "\
The keeper is configured in ZooKeeper's words. They stand in a `zoo.cfg` (`--keeper-config
zoo.cfg`; with it alone the process is nothing but a keeper), and beside Kafka's in
`server.properties`, `--set clientPort=2181` and `OTTLA_CLIENTPORT=2181`. Where ZooKeeper has a
system property, the name is what stands behind `zookeeper.`; with that it works, too.

There are also:

| property | |
|---|---|
| `server.N` | one server of the ensemble: `host:port:port`, then `:participant` or `:observer`, then `;port` or `;host:port` for its clients. Several addresses are separated by a bar. N is the server's `myid` |
| `authProvider.N` | ZooKeeper's own classes `SASLAuthenticationProvider`, `X509AuthenticationProvider`, `DigestAuthenticationProvider`, `IPAuthenticationProvider`, `EnsembleAuthenticationProvider`; the first of them turns SASL on, the others are there anyway |
| `superUser`, `superUser.N` | users who may do everything once SASL has let them in |

The variables of ZooKeeper's images are understood: `ZK_REPLICAS`, `ZK_TICK_TIME` and the like of
`kubernetes-zookeeper`, `ZOO_MY_ID`, `ZOO_SERVERS`, `ZOO_CFG_EXTRA` and the like of Docker's image,
`ZOO_PORT_NUMBER`, `ZOO_TLS_CLIENT_ENABLE`, `ZOO_CFG_*` and the like of Bitnami's, and what
`JVMFLAGS` has as `-Dzookeeper.NAME=VALUE`.

";

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// One table an area, in the order of the areas.
fn areas<'a>(out: &mut String, properties: impl Iterator<Item = &'a Property>, is_topic: bool) {
    let mut properties: Vec<&Property> = properties.collect();
    // The sort is stable: within an area the order of the declarations stays.
    properties.sort_by_key(|property| property.area);
    let mut area: Option<Area> = None;
    for property in properties {
        if area != Some(property.area) {
            if area.is_some() {
                out.push('\n');
            }
            area = Some(property.area);
            line(out, &format!("## {}\n", property.area.title()));
            if is_topic {
                line(out, "| property | default | allowed | falls back to | |");
                line(out, "|---|---|---|---|---|");
            } else {
                line(out, "| property | default | allowed | change | |");
                line(out, "|---|---|---|---|---|");
            }
        }
        row(out, property, is_topic);
    }
    out.push('\n');
}

fn row(out: &mut String, property: &Property, is_topic: bool) {
    let third = if is_topic {
        let names: Vec<String> = property
            .fallbacks
            .iter()
            .map(|fallback| format!("`{}`", fallback.name))
            .collect();
        names.join(", ")
    } else {
        property.change.name().to_owned()
    };
    let text = format!(
        "| `{}` | {} | {} | {third} | {} |",
        property.name,
        default(property),
        allowed(property),
        crate::describe::documentation(property),
    );
    line(out, &text);
}

/// The default, with large numbers also in words.
fn default(property: &Property) -> String {
    let Some(text) = property.default else {
        return "unset".to_owned();
    };
    if text.is_empty() {
        return "empty".to_owned();
    }
    match in_words(property.unit, text) {
        Some(words) => format!("`{text}` ({words})"),
        None => format!("`{}`", text.replace(',', ", ")),
    }
}

fn in_words(unit: Unit, text: &str) -> Option<String> {
    let number: i64 = text.parse().ok()?;
    if number == i64::MAX || number == i64::from(i32::MAX) {
        return Some("no limit".to_owned());
    }
    let steps: &[(i64, &str)] = match unit {
        Unit::Bytes => &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")],
        Unit::Ms => &[
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "min"),
            (1000, "s"),
        ],
        Unit::Minutes => &[(1440, "d"), (60, "h")],
        Unit::Hours => &[(24, "d")],
        Unit::Seconds | Unit::Count | Unit::None => &[],
    };
    steps
        .iter()
        .find(|(size, _)| number >= *size && number % size == 0)
        .map(|(size, name)| format!("{} {name}", number / size))
}

/// The type, the unit and the bounds.
fn allowed(property: &Property) -> String {
    let mut text = property.value_type.name().to_lowercase();
    if !property.unit.name().is_empty() && property.unit != Unit::Count {
        let _ = write!(text, ", {}", property.unit.name());
    }
    if property.bounds != Bounds::Any {
        let _ = write!(text, ", {}", property.bounds);
    }
    text
}

/// The names of a node's properties and families, with their effects.
fn nodes() -> impl Iterator<Item = (String, Effect)> {
    with_families(&NODE_PROPERTIES, others::families())
}

/// The same of the keeper's.
fn keepers() -> impl Iterator<Item = (String, Effect)> {
    with_families(&keeper::PROPERTIES, keeper::families())
}

fn with_families(
    properties: &'static [Property],
    families: impl Iterator<Item = (&'static str, Effect)>,
) -> impl Iterator<Item = (String, Effect)> {
    let declared = properties.iter();
    let declared = declared.map(|property| (property.name.to_owned(), property.effect));
    declared.chain(families.map(|(prefix, effect)| (format!("{prefix}*"), effect)))
}

/// The names of all properties of one kind of effect, by the reason for it.
fn grouped(
    out: &mut String,
    declared: impl Iterator<Item = (String, Effect)>,
    reason_of: &dyn Fn(Effect) -> Option<&'static str>,
) {
    let mut groups: Vec<(&'static str, Vec<String>)> = Vec::new();
    for (name, effect) in declared {
        let Some(reason) = reason_of(effect) else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => groups.push((reason, vec![name])),
        }
    }
    for (reason, names) in groups {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        line(
            out,
            &format!("- **{}**: {}", capital(reason), names.join(", ")),
        );
    }
    out.push('\n');
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
