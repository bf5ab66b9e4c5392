//! UUIDs of version 7 (RFC 9562, section 5.7): 48 bits of time, then random bits, so that keys made
//! later sort later, which is kind to an index. Time and randomness are handed in.

use std::fmt::Write;

/// The text form of a version 7 UUID: lower-case hex, 8-4-4-4-12. `unix_ms` counts milliseconds
/// since 1970 (its low 48 bits are used, enough until the year 10889); of the 80 random bits the
/// version and variant fields overwrite 6.
pub fn uuid7(unix_ms: u64, random: [u8; 10]) -> String {
    let mut low = [0; 16];
    low.iter_mut().skip(6).zip(random).for_each(|(to, from)| *to = from);
    let bits = u128::from(unix_ms) << 80 | u128::from_be_bytes(low);
    /// The four bits of the version and the two of the variant.
    const FIXED: u128 = 0xf << 76 | 0b11 << 62;
    let bits = bits & !FIXED | 0x7 << 76 | 0b10 << 62;
    let mut text = String::with_capacity(36);
    for (n, byte) in bits.to_be_bytes().iter().enumerate() {
        if matches!(n, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_9562() {
        // Appendix A.6: 2022-02-22 19:22:22 UTC.
        let random = [0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
        assert_eq!(uuid7(0x017f_22e2_79b0, random), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    }

    #[test]
    fn b2_every_bit_that_is_not_fixed_is_used() {
        assert_eq!(uuid7(0, [0; 10]), "00000000-0000-7000-8000-000000000000");
        assert_eq!(uuid7(u64::MAX, [0xff; 10]), "ffffffff-ffff-7fff-bfff-ffffffffffff");
    }

    proptest! {
        #[test]
        fn b2_later_keys_sort_later(ms in 0u64..1 << 48, a: [u8; 10], b: [u8; 10]) {
            prop_assume!(ms + 1 < 1 << 48);
            prop_assert!(uuid7(ms, a) < uuid7(ms + 1, b));
            let text = uuid7(ms, a);
            prop_assert_eq!(text.len(), 36);
            prop_assert_eq!(&text[14..15], "7");
            prop_assert!("89ab".contains(&text[19..20]));
        }
    }
}
