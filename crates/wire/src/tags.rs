//! Tagged fields that this schema does not know (KIP-482): kept as they came.

use bytes::Bytes;

use crate::error::EncodeError;
use crate::writer::Writer;

/// Unknown tagged fields, in ascending order of their tags. None at all takes one machine word
/// and no allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
// A `Vec` inside the box, so that the field costs one word in every struct of every message.
#[allow(clippy::box_collection)]
pub struct UnknownTags(Option<Box<Vec<(u32, Bytes)>>>);

impl UnknownTags {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Tags and raw values, ascending.
    #[must_use]
    pub fn as_slice(&self) -> &[(u32, Bytes)] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Appends a field; its tag must be higher than those before it when this is encoded.
    pub fn push(&mut self, tag: u32, value: Bytes) {
        self.0.get_or_insert_default().push((tag, value));
    }

    pub(crate) fn from_vec(tags: Vec<(u32, Bytes)>) -> Self {
        Self((!tags.is_empty()).then(|| Box::new(tags)))
    }

    /// For versions without tagged fields.
    pub(crate) fn must_be_empty(
        &self,
        name: &'static str,
        version: i16,
    ) -> Result<(), EncodeError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(EncodeError::absent(name, version))
        }
    }
}

/// Writes known tagged fields between the unknown ones, in ascending order.
pub(crate) struct TagWriter<'a> {
    unknown: &'a [(u32, Bytes)],
    /// The lowest tag that may come next.
    next: u64,
}

impl<'a> TagWriter<'a> {
    pub(crate) fn new(unknown: &'a UnknownTags) -> Self {
        Self {
            unknown: unknown.as_slice(),
            next: 0,
        }
    }

    /// Writes a known field, after the unknown ones with lower tags.
    pub(crate) fn write(
        &mut self,
        w: &mut Writer,
        tag: u32,
        value: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.unknown_below(w, u64::from(tag))?;
        if self
            .unknown
            .first()
            .is_some_and(|(unknown, _)| *unknown == tag)
        {
            return Err(EncodeError::TagOrder { tag });
        }
        self.next = u64::from(tag) + 1;
        w.tag(tag, value)
    }

    /// Writes the unknown fields that are left.
    pub(crate) fn finish(mut self, w: &mut Writer) -> Result<(), EncodeError> {
        self.unknown_below(w, u64::MAX)
    }

    fn unknown_below(&mut self, w: &mut Writer, limit: u64) -> Result<(), EncodeError> {
        while let Some(((tag, value), rest)) = self.unknown.split_first()
            && u64::from(*tag) < limit
        {
            if u64::from(*tag) < self.next {
                return Err(EncodeError::TagOrder { tag: *tag });
            }
            self.next = u64::from(*tag) + 1;
            self.unknown = rest;
            w.uvarint(*tag);
            w.compact_raw(value)?;
        }
        Ok(())
    }
}
