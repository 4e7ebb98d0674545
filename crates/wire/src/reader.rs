//! Reads Kafka's primitive types from one frame.
//!
//! Two rules make hostile bytes harmless, whatever the schema says: every `get` is checked
//! against the end of the frame (or of the tagged field that is being read), and every byte of
//! memory that an array will take is charged to a budget before it is allocated.

use bytes::Bytes;
use ottla_model::Uuid;

use crate::chunks::Chunks;
use crate::error::DecodeError;
use crate::tags::UnknownTags;
use crate::text::Text;

/// How many bytes of decoded form a byte of frame justifies. The dearest honest case is an array
/// of structs with a one-character name (DescribeConfigs: 72 bytes for 5 on the wire).
const BUDGET_PER_BYTE: usize = 16;

/// What a small frame may take in any case.
const BUDGET_BASE: usize = 64 * 1024;

type Result<T> = std::result::Result<T, DecodeError>;

/// A cursor over one frame, without its length prefix.
///
/// Strings, bytes and records are slices of the frame: they copy nothing, and keep it alive.
#[derive(Debug, Clone)]
pub struct Reader {
    frame: Bytes,
    pos: usize,
    /// The end of the frame, or of the tagged field that is being read.
    end: usize,
    budget: usize,
}

impl Reader {
    /// Reads `frame`, allocating at most 16 times its length and 64 KiB.
    #[must_use]
    pub fn new(frame: Bytes) -> Self {
        let end = frame.len();
        let budget = Self::allocation_bound(end);
        Self {
            frame,
            pos: 0,
            end,
            budget,
        }
    }

    /// The most memory, in bytes, that decoding a frame of `len` bytes allocates for arrays and
    /// unknown tagged fields. The decoded value's own struct comes on top of it.
    #[must_use]
    pub const fn allocation_bound(len: usize) -> usize {
        len.saturating_mul(BUDGET_PER_BYTE)
            .saturating_add(BUDGET_BASE)
    }

    /// The offset of the next byte.
    #[must_use]
    pub fn position(&self) -> usize {
        self.pos
    }

    /// How many bytes follow.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.end - self.pos
    }

    /// Demands that nothing follows.
    pub fn finish(&self) -> Result<()> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes { at: self.pos, left }),
        }
    }

    #[cold]
    fn truncated(&self, wanted: usize) -> DecodeError {
        DecodeError::Truncated {
            at: self.pos,
            wanted,
            left: self.remaining(),
        }
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        // `end` never exceeds the frame, so that the slice is inside it whenever it is before `end`.
        match self
            .frame
            .get(self.pos..self.end)
            .and_then(<[u8]>::first_chunk::<N>)
        {
            Some(bytes) => {
                self.pos += N;
                Ok(*bytes)
            }
            None => Err(self.truncated(N)),
        }
    }

    /// Splits off the next `len` bytes without copying them.
    pub fn slice(&mut self, len: usize) -> Result<Bytes> {
        if len > self.remaining() {
            return Err(self.truncated(len));
        }
        let slice = self.frame.slice(self.pos..self.pos + len);
        self.pos += len;
        Ok(slice)
    }

    /// Any byte but 0 is true.
    #[inline]
    pub fn bool(&mut self) -> Result<bool> {
        Ok(self.fixed::<1>()? != [0])
    }

    /// One byte.
    #[inline]
    pub fn i8(&mut self) -> Result<i8> {
        Ok(i8::from_be_bytes(self.fixed()?))
    }

    /// Two bytes, big-endian.
    #[inline]
    pub fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    /// Two bytes, big-endian.
    #[inline]
    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.fixed()?))
    }

    /// Four bytes, big-endian.
    #[inline]
    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    /// Four bytes, big-endian.
    #[inline]
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.fixed()?))
    }

    /// Eight bytes, big-endian.
    #[inline]
    pub fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    /// Eight bytes, big-endian IEEE 754.
    #[inline]
    pub fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_be_bytes(self.fixed()?))
    }

    /// Sixteen bytes.
    #[inline]
    pub fn uuid(&mut self) -> Result<Uuid> {
        Ok(Uuid(self.fixed()?))
    }

    /// An unsigned variable-length integer of at most 32 bits, seven a byte, lowest first.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32> {
        let at = self.pos;
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::VarintTooLong { at })
    }

    /// A length or count, or `None` for null. `wide`: four bytes in the inflexible form, else two.
    #[inline]
    fn length(&mut self, flex: bool, wide: bool) -> Result<Option<usize>> {
        let at = self.pos;
        let length = if flex {
            i64::from(self.uvarint()?) - 1
        } else if wide {
            i64::from(self.i32()?)
        } else {
            i64::from(self.i16()?)
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(DecodeError::InvalidLength { at, length }),
        }
    }

    #[inline]
    fn required<T>(at: usize, value: Option<T>) -> Result<T> {
        value.ok_or(DecodeError::UnexpectedNull { at })
    }

    /// A string that may be null; `flex` chooses the compact length.
    pub fn opt_text(&mut self, flex: bool) -> Result<Option<Text>> {
        let at = self.pos;
        let Some(length) = self.length(flex, false)? else {
            return Ok(None);
        };
        if length > i16::MAX as usize {
            return Err(DecodeError::InvalidLength {
                at,
                length: length as i64,
            });
        }
        let at = self.pos;
        let text = Text::from_utf8(self.slice(length)?);
        text.map(Some).map_err(|_| DecodeError::InvalidUtf8 { at })
    }

    /// A string.
    pub fn text(&mut self, flex: bool) -> Result<Text> {
        Self::required(self.pos, self.opt_text(flex)?)
    }

    /// Bytes that may be null.
    pub fn opt_bytes(&mut self, flex: bool) -> Result<Option<Bytes>> {
        match self.length(flex, true)? {
            Some(length) => self.slice(length).map(Some),
            None => Ok(None),
        }
    }

    /// Bytes.
    pub fn bytes(&mut self, flex: bool) -> Result<Bytes> {
        Self::required(self.pos, self.opt_bytes(flex)?)
    }

    /// Records that may be null.
    pub fn opt_records(&mut self, flex: bool) -> Result<Option<Chunks>> {
        Ok(self.opt_bytes(flex)?.map(Chunks::from))
    }

    /// Records.
    pub fn records(&mut self, flex: bool) -> Result<Chunks> {
        self.bytes(flex).map(Chunks::from)
    }

    /// The byte before a struct that may be null.
    pub fn is_present(&mut self) -> Result<bool> {
        Ok(self.i8()? >= 0)
    }

    /// The same before a struct in a tagged field: Kafka writes 0 for null there.
    pub fn is_present_in_tag(&mut self) -> Result<bool> {
        Ok(self.uvarint()? > 0)
    }

    /// An array that may be null. `min_size` is what an element takes on the wire at least:
    /// counts that the rest of the frame cannot hold are refused before anything is allocated.
    pub fn opt_array<T>(
        &mut self,
        flex: bool,
        min_size: usize,
        mut element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Option<Vec<T>>> {
        let at = self.pos;
        let Some(count) = self.length(flex, true)? else {
            return Ok(None);
        };
        let wanted = count.saturating_mul(min_size.max(1));
        if wanted > self.remaining() {
            return Err(DecodeError::Truncated {
                at,
                wanted,
                left: self.remaining(),
            });
        }
        self.charge(at, count.saturating_mul(size_of::<T>()))?;
        let mut out = Vec::with_capacity(count);
        for _ in 0..count {
            out.push(element(self)?);
        }
        Ok(Some(out))
    }

    /// An array.
    pub fn array<T>(
        &mut self,
        flex: bool,
        min_size: usize,
        element: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        Self::required(self.pos, self.opt_array(flex, min_size, element)?)
    }

    /// Takes `wanted` bytes from the budget.
    fn charge(&mut self, at: usize, wanted: usize) -> Result<()> {
        match self.budget.checked_sub(wanted) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(DecodeError::OverBudget {
                at,
                wanted,
                left: self.budget,
            }),
        }
    }

    /// The tagged fields of a struct without known ones; none when the version has none.
    #[inline]
    pub(crate) fn unknown_tags(&mut self, flex: bool) -> Result<UnknownTags> {
        if flex {
            self.tags(|_, _| Ok(false))
        } else {
            Ok(UnknownTags::new())
        }
    }

    /// Offers each tagged field to `known`, which reads it and returns true, or returns false
    /// without reading anything; then it is kept as it is.
    #[inline]
    pub(crate) fn tags(
        &mut self,
        known: impl FnMut(u32, &mut Self) -> Result<bool>,
    ) -> Result<UnknownTags> {
        match self.uvarint()? {
            0 => Ok(UnknownTags::new()),
            count => self.some_tags(count, known),
        }
    }

    fn some_tags(
        &mut self,
        count: u32,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool>,
    ) -> Result<UnknownTags> {
        let mut unknown = Vec::new();
        let mut lowest = 0u64;
        for read in 0..count {
            let at = self.pos;
            let tag = self.uvarint()?;
            if u64::from(tag) < lowest {
                return Err(DecodeError::TagOrder { at, tag });
            }
            lowest = u64::from(tag) + 1;
            let size = self.uvarint()? as usize;
            if size > self.remaining() {
                return Err(self.truncated(size));
            }
            let outer_end = std::mem::replace(&mut self.end, self.pos + size);
            if known(tag, self)? {
                let left = self.remaining();
                if left > 0 {
                    return Err(DecodeError::TagSize {
                        at: self.pos,
                        tag,
                        left,
                    });
                }
            } else {
                if unknown.is_empty() {
                    // Each field takes two bytes at least; the box around the list is 24 more.
                    let most = ((count - read) as usize).min(1 + (outer_end - self.pos - size) / 2);
                    self.charge(at, 24 + most * size_of::<(u32, Bytes)>())?;
                    unknown.reserve_exact(most);
                }
                unknown.push((tag, self.slice(size)?));
            }
            self.end = outer_end;
        }
        Ok(UnknownTags::from_vec(unknown))
    }
}
