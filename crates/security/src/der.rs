//! Just enough of DER (X.690) to find the name in a certificate.

/// One value: its tag, its bytes, and the whole of it with both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) encoded: &'a [u8],
}

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// `[0] EXPLICIT`
pub(crate) const CONTEXT_0: u8 = 0xa0;

/// Takes values off the front of some bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next value, whatever it is; `None` when there is no whole one.
    pub(crate) fn any(&mut self) -> Option<Value<'a>> {
        let all = self.0;
        let (&tag, rest) = all.split_first()?;
        // Tags of several bytes do not come in what this is for.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 {
            (usize::from(first), rest)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let (digits, rest) = rest.split_at_checked(count)?;
            let number = |length: usize, &digit: &u8| (length << 8) | usize::from(digit);
            (digits.iter().fold(0, number), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let encoded = all.get(..all.len() - rest.len())?;
        self.0 = rest;
        Some(Value {
            tag,
            content,
            encoded,
        })
    }

    /// The next value, if it has this tag.
    pub(crate) fn tagged(&mut self, tag: u8) -> Option<Value<'a>> {
        let mut ahead = *self;
        let value = ahead.any().filter(|value| value.tag == tag)?;
        *self = ahead;
        Some(value)
    }
}

/// The numbers of an object identifier, with dots between them.
pub(crate) fn object_identifier(content: &[u8]) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut number: u64 = 0;
    let mut is_begun = false;
    for &byte in content {
        if number > u64::MAX >> 7 {
            return None;
        }
        number = (number << 7) | u64::from(byte & 0x7f);
        is_begun = byte & 0x80 != 0;
        if is_begun {
            continue;
        }
        if parts.is_empty() {
            // The first two arcs share one number.
            let first = (number / 40).min(2);
            parts.push(first.to_string());
            number -= first * 40;
        }
        parts.push(number.to_string());
        number = 0;
    }
    (!is_begun && !parts.is_empty()).then(|| parts.join("."))
}
