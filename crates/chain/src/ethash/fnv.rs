//! The small arithmetic of ethash.

/// The multiplier of the FNV hash.
const FNV_PRIME: u32 = 0x0100_0193;

/// ethash's mixing function, after FNV-1.
#[inline(always)]
pub(super) fn fnv(a: u32, b: u32) -> u32 {
    a.wrapping_mul(FNV_PRIME) ^ b
}

/// A divisor that is used many times: the remainder comes of two multiplications (Lemire, Kaser, Kurz: "Faster remainder
/// by direct computation", 2019; exact for every dividend of 32 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Modulus {
    divisor: u32,
    /// ⌈2^64 / divisor⌉
    inverse: u64,
}

impl Modulus {
    /// `divisor` is at least 2.
    pub(super) fn new(divisor: u32) -> Modulus {
        Modulus { divisor, inverse: u64::MAX / u64::from(divisor) + 1 }
    }

    /// The remainder.
    #[inline(always)]
    pub(super) fn reduce(self, dividend: u32) -> u32 {
        let fraction = self.inverse.wrapping_mul(u64::from(dividend));
        ((u128::from(fraction) * u128::from(self.divisor)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Modulus;

    proptest! {
        #[test]
        fn remainders_are_exact(dividend in any::<u32>(), divisor in 2..=u32::MAX) {
            prop_assert_eq!(Modulus::new(divisor).reduce(dividend), dividend % divisor);
        }
    }

    #[test]
    fn remainders_are_exact_at_the_edges() {
        for divisor in [2, 3, 262_139, 8_388_593, u32::MAX - 1, u32::MAX] {
            for dividend in [0, 1, divisor - 1, divisor, divisor.wrapping_mul(2), u32::MAX - 1, u32::MAX] {
                assert_eq!(Modulus::new(divisor).reduce(dividend), dividend % divisor, "{dividend} % {divisor}");
            }
        }
    }
}
