//! The zigzag variable-length integers inside records.

/// A reading position in bytes; every read says `None` at the end of the bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Cursor { bytes, at }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub(crate) fn skip(&mut self, len: usize) -> Option<()> {
        if len > self.remaining() {
            return None;
        }
        self.at += len;
        Some(())
    }

    /// At most 5 bytes.
    #[inline]
    pub(crate) fn varint(&mut self) -> Option<i32> {
        let first = self.byte()?;
        let mut raw = u32::from(first & 0x7f);
        if first < 0x80 {
            return Some(unzigzag32(raw));
        }
        for shift in [7, 14, 21, 28] {
            let byte = self.byte()?;
            raw |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(unzigzag32(raw));
            }
        }
        None
    }

    /// At most 10 bytes.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Option<i64> {
        let mut raw = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            raw |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some((raw >> 1) as i64 ^ -((raw & 1) as i64));
            }
        }
        None
    }
}

fn unzigzag32(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

/// Appends a 32-bit or 64-bit number; both have the same bytes.
pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut raw = (value << 1 ^ value >> 63) as u64;
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// How many bytes [`put_varlong`] appends.
pub(crate) fn varlong_len(value: i64) -> usize {
    let raw = (value << 1 ^ value >> 63) as u64;
    (64 - (raw | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_and_have_the_announced_length() {
        for value in [0, 1, -1, 63, -64, 64, 8191, 1 << 40, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            put_varlong(&mut out, value);
            assert_eq!(out.len(), varlong_len(value), "{value}");
            assert_eq!(Cursor::new(&out, 0).varlong(), Some(value));
            if let Ok(small) = i32::try_from(value) {
                assert_eq!(Cursor::new(&out, 0).varint(), Some(small));
            }
        }
    }

    #[test]
    fn a_number_that_never_ends_is_refused() {
        assert_eq!(Cursor::new(&[0x80; 20], 0).varint(), None);
        assert_eq!(Cursor::new(&[0x80; 20], 0).varlong(), None);
        assert_eq!(Cursor::new(&[0x80; 2], 0).varint(), None);
        assert_eq!(Cursor::new(&[], 0).varint(), None);
    }
}
