//! What a property is, and how its text is checked.

use std::fmt;

/// Kafka's type of a value; the number is the one `DescribeConfigs` sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ValueType {
    /// `true` or `false`.
    Boolean = 1,
    /// Any text.
    String = 2,
    /// 32 bits.
    Int = 3,
    /// 16 bits.
    Short = 4,
    /// 64 bits.
    Long = 5,
    /// A floating-point number.
    Double = 6,
    /// Texts separated by commas.
    List = 7,
    /// The name of a Java class.
    Class = 8,
    /// A secret: never printed.
    Password = 9,
}

impl ValueType {
    /// The number in `DescribeConfigs`.
    #[must_use]
    pub fn id(self) -> i8 {
        self as i8
    }

    /// Kafka's name of the type, as its error texts spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ValueType::Boolean => "BOOLEAN",
            ValueType::String => "STRING",
            ValueType::Int => "INT",
            ValueType::Short => "SHORT",
            ValueType::Long => "LONG",
            ValueType::Double => "DOUBLE",
            ValueType::List => "LIST",
            ValueType::Class => "CLASS",
            ValueType::Password => "PASSWORD",
        }
    }
}

/// The values that a property may take, beyond its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bounds {
    /// Whatever the type allows.
    Any,
    /// This number or more.
    AtLeast(i64),
    /// From the first number to the second, both included.
    Between(i64, i64),
    /// From the first number to the second, or the third one.
    BetweenOr(i64, i64, i64),
    /// One of these texts; for a list, each entry, and none twice.
    OneOf(&'static [&'static str]),
    /// A list with at least one entry, and none twice.
    NonEmpty,
    /// A list without an entry that comes twice.
    NoDuplicates,
    /// A list of replicas, each as partition:broker, or `*` for all.
    Replicas,
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bounds::Any => Ok(()),
            Bounds::AtLeast(min) => write!(f, "at least {min}"),
            Bounds::Between(min, max) => write!(f, "{min} to {max}"),
            Bounds::BetweenOr(min, max, or) => write!(f, "{min} to {max}, or {or}"),
            Bounds::OneOf(texts) => write!(f, "one of {}", texts.join(", ")),
            Bounds::NonEmpty => f.write_str("at least one entry, none twice"),
            Bounds::NoDuplicates => f.write_str("no entry twice"),
            Bounds::Replicas => f.write_str("partition:broker each, or *"),
        }
    }
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Not a number, or a number that counts nothing.
    None,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Ms,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Whatever the name says is counted.
    Count,
}

impl Unit {
    /// The unit in words; empty for none.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Unit::None => "",
            Unit::Bytes => "bytes",
            Unit::Ms => "ms",
            Unit::Seconds => "s",
            Unit::Minutes => "min",
            Unit::Hours => "h",
            Unit::Count => "count",
        }
    }
}

/// Whether a property can change while the node runs: Kafka's update modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Yes: for all brokers at once, or for one (Kafka's `cluster-wide`).
    Live,
    /// Yes, but only for one broker at a time (Kafka's `per-broker`).
    PerBroker,
    /// No: a new value counts from the next start on (Kafka's `read-only`).
    Restart,
}

impl Change {
    /// Kafka's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Change::Live => "cluster-wide",
            Change::PerBroker => "per-broker",
            Change::Restart => "read-only",
        }
    }
}

/// What setting a property does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is honoured.
    Works,
    /// It is accepted, named once in the log, and changes nothing; the text says why.
    NoEffect(&'static str),
    /// It would change behaviour and is not supported, so any value but the default stops the
    /// start; the text says why.
    Refused(&'static str),
}

/// The part of the node that a property belongs to; the reference is ordered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// Who the node is.
    Identity,
    /// The controllers, and how brokers keep in touch with them.
    Quorum,
    /// Where it listens, and what it tells clients.
    Listeners,
    /// Connections, requests, threads, memory.
    Resources,
    /// Topics and how they come to be.
    Topics,
    /// Segments, indexes, retention, flushing.
    Log,
    /// Compression of batches.
    Compression,
    /// Timestamps of records.
    Timestamps,
    /// Compaction.
    Compaction,
    /// Producers and transactions.
    Producers,
    /// Groups and their offsets.
    Groups,
    /// Replication.
    Replication,
    /// Tiered storage.
    Tier,
    /// Everything that is declared only so that it can be named.
    Other,
    /// The keeper: who it is, and its ensemble.
    KeeperEnsemble,
    /// The keeper: where it listens, and what it tells.
    KeeperListeners,
    /// The keeper: sessions and znodes.
    KeeperSessions,
    /// The keeper: its files.
    KeeperStorage,
    /// The keeper: how much clients may have.
    KeeperLimits,
    /// The keeper: who is let in.
    KeeperSecurity,
    /// The keeper: TLS.
    KeeperTls,
}

impl Area {
    /// The heading in the reference.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Area::Identity => "Identity",
            Area::Quorum => "Metadata quorum",
            Area::Listeners => "Listeners",
            Area::Resources => "Connections, requests, memory",
            Area::Topics => "Topics",
            Area::Log => "Log",
            Area::Compression => "Compression",
            Area::Timestamps => "Timestamps",
            Area::Compaction => "Compaction",
            Area::Producers => "Producers and transactions",
            Area::Groups => "Groups and offsets",
            Area::Replication => "Replication",
            Area::Tier => "Tiered storage",
            Area::Other => "Other",
            Area::KeeperEnsemble => "Servers and ticks",
            Area::KeeperListeners => "Ports",
            Area::KeeperSessions => "Sessions and znodes",
            Area::KeeperStorage => "Files",
            Area::KeeperLimits => "Limits",
            Area::KeeperSecurity => "Access",
            Area::KeeperTls => "TLS",
        }
    }
}

/// A broker property that a topic property falls back to, and how many of the topic's units one
/// of the broker's units is (an hour is 3,600,000 ms).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    /// The broker property's name.
    pub name: &'static str,
    /// The factor from its unit to the topic property's.
    pub factor: i64,
}

/// One declared property.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Property {
    /// Kafka's name; one that Kafka does not have begins with `ottla.`.
    pub name: &'static str,
    /// Its type.
    pub value_type: ValueType,
    /// The value without any setting; `None` is unset.
    pub default: Option<&'static str>,
    /// The values that it may take.
    pub bounds: Bounds,
    /// What a number counts.
    pub unit: Unit,
    /// When a new value takes effect.
    pub change: Change,
    /// The part of the node that it belongs to.
    pub area: Area,
    /// What setting it does.
    pub effect: Effect,
    /// One line of prose.
    pub doc: &'static str,
    /// For a topic property: the broker properties that it falls back to, in order.
    pub fallbacks: &'static [Fallback],
}

impl Property {
    /// Whether the value is a secret that is never printed.
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.value_type == ValueType::Password
    }

    /// Whether the text is the default.
    pub(crate) fn is_default(&self, text: &str) -> bool {
        text.trim().eq_ignore_ascii_case(self.default.unwrap_or(""))
    }

    /// Checks a text against the type and the bounds.
    ///
    /// # Errors
    /// The reason in Kafka's own words, such as `Value must be at least 1`.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let text = text.trim();
        match self.value_type {
            ValueType::Boolean => check_boolean(text),
            ValueType::Short => self.check_integer(text, i64::from(i16::MIN), i64::from(i16::MAX)),
            ValueType::Int => self.check_integer(text, i64::from(i32::MIN), i64::from(i32::MAX)),
            ValueType::Long => self.check_integer(text, i64::MIN, i64::MAX),
            ValueType::Double => self.check_double(text),
            ValueType::List => self.check_list(text),
            ValueType::String | ValueType::Class | ValueType::Password => match self.bounds {
                Bounds::OneOf(texts) => check_one_of(texts, text),
                _ => Ok(()),
            },
        }
    }

    fn not_a_number(&self) -> String {
        format!("Not a number of type {}", self.value_type.name())
    }

    fn check_integer(&self, text: &str, type_min: i64, type_max: i64) -> Result<(), String> {
        let number: i64 = text.parse().map_err(|_| self.not_a_number())?;
        if number < type_min || number > type_max {
            return Err(self.not_a_number());
        }
        match self.bounds {
            Bounds::AtLeast(min) | Bounds::Between(min, _) if number < min => {
                Err(format!("Value must be at least {min}"))
            }
            Bounds::Between(_, max) if number > max => {
                Err(format!("Value must be no more than {max}"))
            }
            Bounds::BetweenOr(min, max, or) if number != or && !(min..=max).contains(&number) => {
                Err(format!(
                    "Value must be between {min} and {max} or equal to {or}"
                ))
            }
            _ => Ok(()),
        }
    }

    fn check_double(&self, text: &str) -> Result<(), String> {
        let number: f64 = text.parse().map_err(|_| self.not_a_number())?;
        if number.is_nan() {
            return Err(self.not_a_number());
        }
        match self.bounds {
            Bounds::AtLeast(min) | Bounds::Between(min, _) if number < min as f64 => {
                Err(format!("Value must be at least {min}"))
            }
            Bounds::Between(_, max) if number > max as f64 => {
                Err(format!("Value must be no more than {max}"))
            }
            _ => Ok(()),
        }
    }

    fn check_list(&self, text: &str) -> Result<(), String> {
        let entries = split_list(text);
        if self.bounds == Bounds::NonEmpty && entries.is_empty() {
            return Err("values must not be empty.".to_owned());
        }
        if self.bounds == Bounds::Any {
            return Ok(());
        }
        if self.bounds == Bounds::Replicas {
            return check_replicas(&entries);
        }
        for (index, entry) in entries.iter().enumerate() {
            if entry.is_empty() {
                return Err("values must not be empty.".to_owned());
            }
            if entries.iter().take(index).any(|earlier| earlier == entry) {
                return Err("values must not be duplicated.".to_owned());
            }
            if let Bounds::OneOf(texts) = self.bounds {
                check_one_of(texts, entry)?;
            }
        }
        Ok(())
    }
}

fn check_boolean(text: &str) -> Result<(), String> {
    if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
        Ok(())
    } else {
        Err("Expected value to be either true or false".to_owned())
    }
}

fn check_replicas(entries: &[String]) -> Result<(), String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_replica = |entry: &String| {
        let (partition, broker) = entry.split_once(':').unwrap_or_default();
        is_number(partition) && is_number(broker)
    };
    if entries == ["*"] || entries.iter().all(is_replica) {
        return Ok(());
    }
    Err(
        "Value must be the literal '*' or a list of replicas in the following format: \
         [partitionId]:[brokerId],[partitionId]:[brokerId],..."
            .to_owned(),
    )
}

fn check_one_of(texts: &[&str], text: &str) -> Result<(), String> {
    if texts.contains(&text) {
        Ok(())
    } else {
        Err(format!("String must be one of: {}", texts.join(", ")))
    }
}

/// Splits a list as Kafka does: at commas, with the blanks around them dropped. The empty text is
/// the empty list.
pub(crate) fn split_list(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',')
        .map(|entry| entry.trim().to_owned())
        .collect()
}
