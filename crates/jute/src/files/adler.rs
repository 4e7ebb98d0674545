//! Adler-32 (RFC 1950), the checksum of ZooKeeper's files.

const MODULUS: u32 = 65_521;
/// So many bytes can be summed up before the sums could exceed 32 bits.
const RUN: usize = 5552;

/// The checksum of the bytes so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Adler32 {
    a: u32,
    b: u32,
}

impl Adler32 {
    pub(super) fn new() -> Self {
        Adler32 { a: 1, b: 0 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for run in bytes.chunks(RUN) {
            for byte in run {
                self.a += u32::from(*byte);
                self.b += self.a;
            }
            self.a %= MODULUS;
            self.b %= MODULUS;
        }
    }

    /// The checksum as ZooKeeper's files have it: in the lower half of a long.
    pub(super) fn value(self) -> i64 {
        i64::from((self.b << 16) | self.a)
    }

    pub(super) fn of(bytes: &[u8]) -> i64 {
        let mut checksum = Adler32::new();
        checksum.update(bytes);
        checksum.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_and_any_cutting() {
        assert_eq!(Adler32::of(b""), 1);
        assert_eq!(Adler32::of(b"Wikipedia"), 0x11E6_0398);
        let long = vec![0xff; 100_000];
        let mut parts = Adler32::new();
        for part in long.chunks(7_919) {
            parts.update(part);
        }
        assert_eq!(parts.value(), Adler32::of(&long));
    }
}
