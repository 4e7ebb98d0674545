//! Every API with its versions, and the bodies of all of them as enums.

use std::ops::RangeInclusive;

#[cfg(feature = "arbitrary")]
use crate::any_message::AnyMessage;
#[cfg(feature = "arbitrary")]
use crate::arbitrary::Seed;
use crate::error::{DecodeError, EncodeError};
#[allow(unused_imports)]
use crate::message::Message;
use crate::messages::*;
use crate::reader::Reader;
use crate::writer::Writer;

include!(concat!(env!("OUT_DIR"), "/registry.rs"));

/// Keys from here on are our own.
const FIRST_PRIVATE_KEY: i16 = 10_000;

/// One line of the table of APIs.
struct ApiFacts {
    api: ApiKey,
    name: &'static str,
    first: i16,
    last: i16,
    flexible_from: Option<i16>,
    last_is_unstable: bool,
    on_broker: bool,
    on_controller: bool,
}

impl ApiKey {
    /// All APIs in the order of their keys.
    pub fn all() -> impl ExactSizeIterator<Item = ApiKey> + Clone {
        APIS.iter().map(|facts| facts.api)
    }

    /// The API with this key, when there is one.
    #[must_use]
    pub fn from_i16(key: i16) -> Option<Self> {
        let found = APIS
            .binary_search_by_key(&key, |facts| facts.api as i16)
            .ok()?;
        APIS.get(found).map(|facts| facts.api)
    }

    /// The number on the wire.
    #[must_use]
    pub fn to_i16(self) -> i16 {
        self as i16
    }

    /// The place in the list of all APIs: for tables with a line for each.
    #[must_use]
    pub fn index(self) -> usize {
        let found = APIS.binary_search_by_key(&(self as i16), |facts| facts.api as i16);
        found.unwrap_or_default()
    }

    /// Whether only our own nodes speak this API among themselves: it is none of Kafka's.
    #[must_use]
    pub fn is_private(self) -> bool {
        self as i16 >= FIRST_PRIVATE_KEY
    }

    fn facts(self) -> &'static ApiFacts {
        // The table is written from the same list as the enum, in the same order.
        &APIS[self.index()]
    }

    /// Kafka's name, such as `Produce`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The versions that the schema knows.
    #[must_use]
    pub fn versions(self) -> RangeInclusive<i16> {
        self.facts().first..=self.facts().last
    }

    /// The versions whose form is final: those to advertise.
    #[must_use]
    pub fn stable_versions(self) -> RangeInclusive<i16> {
        let facts = self.facts();
        facts.first..=facts.last - i16::from(facts.last_is_unstable)
    }

    /// Whether the highest version may still change, so that it is only for tests.
    #[must_use]
    pub fn last_version_is_unstable(self) -> bool {
        self.facts().last_is_unstable
    }

    /// The first version with compact lengths and tagged fields (KIP-482), if any.
    #[must_use]
    pub fn flexible_from(self) -> Option<i16> {
        self.facts().flexible_from
    }

    /// Whether brokers serve this API to clients or to each other.
    #[must_use]
    pub fn on_broker(self) -> bool {
        self.facts().on_broker
    }

    /// Whether controllers serve this API.
    #[must_use]
    pub fn on_controller(self) -> bool {
        self.facts().on_controller
    }

    fn is_flexible(self, version: i16) -> bool {
        self.flexible_from().is_some_and(|from| version >= from)
    }

    /// The version of the request header in front of `version` of this API. A version that is
    /// too new for the schema counts as flexible, as it does for Kafka.
    #[must_use]
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// The version of the response header in front of `version` of this API.
    ///
    /// That of ApiVersions never has tagged fields, since a client reads it before it can know
    /// what the broker understands (KIP-511).
    #[must_use]
    pub fn response_header_version(self, version: i16) -> i16 {
        i16::from(self != ApiKey::ApiVersions && self.is_flexible(version))
    }
}

impl std::fmt::Display for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
