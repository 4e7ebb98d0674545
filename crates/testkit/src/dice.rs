//! Choices from a seed: the same seed chooses the same again, in every build.

use std::time::Duration;

/// A small generator (SplitMix64); good for choosing what a test does, and for nothing else.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The choices of this seed.
    pub fn of(seed: u64) -> Dice {
        Dice { state: seed }
    }

    /// Others that depend on this seed and a name.
    pub fn named(seed: u64, name: &str) -> Dice {
        let mixed = name.bytes().fold(seed, |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Dice::of(mixed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.any() % bound).unwrap_or(0)
    }

    /// Whether something happens that happens so often in a hundred times.
    pub fn percent(&mut self, often: u64) -> bool {
        self.any() % 100 < often
    }

    /// A time between these two, in milliseconds.
    pub fn between_ms(&mut self, shortest: u64, longest: u64) -> Duration {
        let span = longest.saturating_sub(shortest) + 1;
        Duration::from_millis(shortest + self.any() % span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_chooses_the_same() {
        let draw = |mut dice: Dice| [dice.any(), dice.any(), dice.any()];
        assert_eq!(draw(Dice::of(7)), draw(Dice::of(7)));
        assert_ne!(draw(Dice::of(7)), draw(Dice::of(8)));
        assert_ne!(draw(Dice::named(7, "a")), draw(Dice::named(7, "b")));
    }

    #[test]
    fn choices_stay_in_their_bounds() {
        let mut dice = Dice::of(1);
        assert!((0..1000).all(|_| dice.below(3) < 3));
        assert!((0..1000).all(|_| (5..=9).contains(&dice.between_ms(5, 9).as_millis())));
    }
}
