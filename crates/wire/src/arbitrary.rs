//! Random values for tests and fuzz targets, from a seed.

use bytes::Bytes;
use ottla_model::Uuid;

use crate::chunks::Chunks;
use crate::tags::UnknownTags;
use crate::text::Text;

/// A small generator of random values (SplitMix64); the same seed gives the same values.
///
/// Arrays and strings stay short, the shorter the deeper they nest.
#[derive(Debug, Clone)]
pub struct Seed {
    state: u64,
    depth: u32,
}

impl Seed {
    /// Starts from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            depth: 0,
        }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`; 0 when `limit` is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next_u64() % (limit.max(1) as u64)) as usize
    }

    /// True or false.
    pub fn flip(&mut self) -> bool {
        self.next_u64() & 1 == 1
    }

    /// A number: edges of the integer types as often as anything else.
    pub(crate) fn i64(&mut self) -> i64 {
        let bits = self.next_u64();
        match bits % 8 {
            0 => 0,
            1 => -1,
            2 => i64::MAX,
            3 => i64::MIN,
            4 => i64::from(i32::MIN),
            5 => (bits >> 56) as i64,
            _ => bits as i64,
        }
    }

    /// A number that equals itself, so that values with it can be compared.
    pub(crate) fn f64(&mut self) -> f64 {
        self.next_u64() as f64 / 1024.0
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        let (high, low) = (self.next_u64(), self.next_u64());
        Uuid(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
    }

    pub(crate) fn text(&mut self) -> Text {
        const WORDS: [&str; 6] = ["", "a", "orders", "consumer-group-1", "日本語", "x\u{0}y"];
        match self.below(8) {
            7 => "t".repeat(self.below(300)).into(),
            word => WORDS.get(word).copied().unwrap_or("broker").into(),
        }
    }

    pub(crate) fn bytes(&mut self) -> Bytes {
        let len = if self.below(8) == 0 {
            self.below(2_000)
        } else {
            self.below(20)
        };
        (0..len).map(|_| self.next_u64() as u8).collect()
    }

    pub(crate) fn records(&mut self) -> Chunks {
        match self.below(3) {
            0 => Chunks::from(vec![self.bytes(), self.bytes(), self.bytes()]),
            _ => self.bytes().into(),
        }
    }

    pub(crate) fn array<T>(&mut self, mut element: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let len = self.below(5usize.saturating_sub(self.depth as usize).max(2));
        self.depth += 1;
        let items = (0..len).map(|_| element(self)).collect();
        self.depth -= 1;
        items
    }

    /// Tags beyond all that the schema knows.
    pub(crate) fn unknown_tags(&mut self) -> UnknownTags {
        let mut tags = UnknownTags::new();
        if self.below(4) == 0 {
            let mut tag = 100;
            for _ in 0..self.below(3) {
                tag += 1 + self.below(1_000) as u32;
                tags.push(tag, self.bytes());
            }
        }
        tags
    }
}
