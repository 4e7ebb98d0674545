//! A record as it is shown.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::{base64, moment};

/// What stands between two headers in a text.
pub(super) const HEADER_GAP: &[u8] = b",";

/// One header: its key, and its value or null.
pub(crate) type HeaderBytes<'a> = (&'a [u8], Option<&'a [u8]>);

/// A record's parts. In JSON and YAML a part that is no UTF-8 stands under its name with
/// `_base64`, so that every byte can be had back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Vec<HeaderBytes<'a>>,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("topic", self.topic)?;
        map.serialize_entry("partition", &self.partition)?;
        map.serialize_entry("offset", &self.offset)?;
        map.serialize_entry("timestamp", &moment::utc_text(self.timestamp_ms))?;
        map.serialize_entry("timestamp_ms", &self.timestamp_ms)?;
        entry(&mut map, ["key", "key_base64"], self.key)?;
        entry(&mut map, ["value", "value_base64"], self.value)?;
        let headers: Vec<ShownHeader<'_>> = self.headers.iter().map(|h| ShownHeader(*h)).collect();
        map.serialize_entry("headers", &headers)?;
        map.end()
    }
}

/// A header on its own, in the same way.
struct ShownHeader<'a>(HeaderBytes<'a>);

impl Serialize for ShownHeader<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (key, value) = self.0;
        let mut map = serializer.serialize_map(Some(2))?;
        entry(&mut map, ["key", "key_base64"], Some(key))?;
        entry(&mut map, ["value", "value_base64"], value)?;
        map.end()
    }
}

/// Writes bytes under the first name as text, or under the second one in base64.
fn entry<M: SerializeMap>(
    map: &mut M,
    [text_name, base64_name]: [&'static str; 2],
    bytes: Option<&[u8]>,
) -> Result<(), M::Error> {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => map.serialize_entry(text_name, &None::<&str>),
        Some((_, Ok(text))) => map.serialize_entry(text_name, text),
        Some((bytes, Err(_))) => map.serialize_entry(base64_name, &base64::encode(bytes)),
    }
}
