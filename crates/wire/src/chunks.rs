//! The records of a partition on their way through: one or many buffers, never copied.

use bytes::{Bytes, BytesMut};

/// The bytes of a `records` field. A decoded one is one slice of its frame; a Fetch response
/// can be made of many buffers, which go to the socket as they are.
///
/// Two values are equal when their bytes are, however these are cut.
#[derive(Debug, Clone, Default)]
pub struct Chunks(Shape);

#[derive(Debug, Clone)]
enum Shape {
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Default for Shape {
    fn default() -> Self {
        Self::One(Bytes::new())
    }
}

impl Chunks {
    /// No records.
    #[must_use]
    pub const fn new() -> Self {
        Self(Shape::One(Bytes::new()))
    }

    /// The number of bytes in all chunks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().map(Bytes::len).sum()
    }

    /// Whether there is no byte in any chunk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().all(Bytes::is_empty)
    }

    /// The chunks in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Bytes> {
        match &self.0 {
            Shape::One(chunk) => std::slice::from_ref(chunk).iter(),
            Shape::Many(chunks) => chunks.iter(),
        }
    }

    /// All bytes in one buffer; copies only when there are several chunks.
    #[must_use]
    pub fn into_contiguous(self) -> Bytes {
        match self.0 {
            Shape::One(chunk) => chunk,
            Shape::Many(mut chunks) if chunks.len() == 1 => chunks.pop().unwrap_or_default(),
            Shape::Many(chunks) => {
                let mut all = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
                for chunk in &chunks {
                    all.extend_from_slice(chunk);
                }
                all.freeze()
            }
        }
    }
}

impl From<Bytes> for Chunks {
    fn from(chunk: Bytes) -> Self {
        Self(Shape::One(chunk))
    }
}

impl From<Vec<Bytes>> for Chunks {
    fn from(chunks: Vec<Bytes>) -> Self {
        Self(Shape::Many(chunks))
    }
}

impl<'a> IntoIterator for &'a Chunks {
    type Item = &'a Bytes;
    type IntoIter = std::slice::Iter<'a, Bytes>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Chunks {
    fn eq(&self, other: &Self) -> bool {
        if let (Shape::One(a), Shape::One(b)) = (&self.0, &other.0) {
            return a == b;
        }
        self.len() == other.len() && self.iter().flatten().eq(other.iter().flatten())
    }
}

impl Eq for Chunks {}
