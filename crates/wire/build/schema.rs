//! What the schema files say, as values: the parser makes them, the generators read them.

use std::path::PathBuf;

/// An inclusive range of versions; `N+` ends at `i16::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub first: i16,
    pub last: i16,
}

impl Versions {
    pub(crate) fn intersect(self, other: Versions) -> Option<Versions> {
        let first = self.first.max(other.first);
        let last = self.last.min(other.last);
        (first <= last).then_some(Versions { first, last })
    }

    pub(crate) fn contains(self, version: i16) -> bool {
        (self.first..=self.last).contains(&version)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    Header,
    Data,
    /// The key of a record of an internal topic.
    Key,
    /// The value of a record of an internal topic.
    Value,
    /// A record of our own cluster metadata.
    Record,
}

#[derive(Debug)]
pub(crate) struct Message {
    pub kind: Kind,
    pub name: String,
    /// The API key, the coordinator record's type, or the metadata record's id.
    pub number: Option<i16>,
    pub versions: Versions,
    /// The first version with compact lengths and tagged fields.
    pub flexible_from: Option<i16>,
    /// Whether the last version may still change.
    pub unstable: bool,
    /// The message itself comes first, then every struct inside it.
    pub structs: Vec<Struct>,
}

#[derive(Debug)]
pub(crate) struct Api {
    pub name: String,
    pub key: i16,
    pub broker: bool,
    pub controller: bool,
}

#[derive(Debug)]
pub(crate) struct Struct {
    pub name: String,
    /// The versions in which this struct can occur.
    pub versions: Versions,
    pub fields: Vec<Field>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub name: String,
    pub kind: Type,
    pub nullable: Option<Versions>,
    /// Already cut down to the versions of the struct around it.
    pub versions: Versions,
    pub tag: Option<(u32, Versions)>,
    pub inflexible: bool,
    pub ignorable: bool,
    pub default: Option<String>,
    pub file: PathBuf,
    pub line: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Type {
    Bool,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F64,
    Uuid,
    Text,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

/// Everything below `schema/`.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub apis: Vec<Api>,
    pub messages: Vec<Message>,
}
