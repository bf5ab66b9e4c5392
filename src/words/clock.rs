//! The hybrid logical clock. A stamp is a number that means time: it counts 2^12 steps to the
//! millisecond since 2020-01-01T00:00:00Z, so that "the last write wins" is about time, and it only
//! ever rises at one site, so that a site's own writes have an order whatever its wall clock does.
//!
//! The rule is one line: the next stamp is `max(last + 1, now)`. The steps below a millisecond are
//! the counter; when there are more than 4,096 stamps in one millisecond they carry into time
//! (threat D6). A wall clock that goes back, stands before 1970 or leaps never panics and never
//! makes a stamp go back (threat D7). The last stamp is read from the database, in the transaction
//! that takes the next one; no state is here, and no clock is read here.
//!
//! Stamps stay below 2^53 until the year 2089, because JavaScript hands integers over as doubles.
//! The rule is that of the hybrid clock of Kulkarni et al. (2014) as the `uhlc` crate keeps it,
//! which the tests here take as the model; uhlc counts 2^32 to the second and keeps its state in
//! memory.

use super::error::{Error, Result};
use super::planted::planted;

/// How many stamps there are in a millisecond: 2^12.
pub const STEPS_PER_MS: u64 = 1 << 12;

/// Stamp 0 in milliseconds since 1970: 2020-01-01T00:00:00Z.
pub const EPOCH_UNIX_MS: i64 = 1_577_836_800_000;

/// The lowest stamp there is: that of cells older than their table's replication. Every explicit
/// write is later. 0 is never a stamp.
pub const LOWEST: u64 = 1;

/// The highest stamp there is: the highest integer that a double and its neighbours hold exactly.
pub const MAX: u64 = (1 << 53) - 1;

const DAY_MS: i64 = 86_400_000;

/// The first stamp of a millisecond, given in milliseconds since 1970. A time before 2020 gives
/// [`LOWEST`] and one after 2089 gives [`MAX`], however absurd it is.
pub fn from_unix_ms(ms: i64) -> u64 {
    let since = u64::try_from(ms.saturating_sub(EPOCH_UNIX_MS)).unwrap_or(0);
    since.saturating_mul(STEPS_PER_MS).clamp(LOWEST, MAX)
}

/// The millisecond since 1970 that a stamp lies in.
pub fn to_unix_ms(stamp: u64) -> i64 {
    // 2^52 at most, whatever the stamp is: the sum cannot overflow.
    (stamp / STEPS_PER_MS).cast_signed().saturating_add(EPOCH_UNIX_MS)
}

/// The stamp of the next transaction: later than `last`, the highest stamp this site has given
/// (0 when it gave none), and not before `now`, the wall clock as a stamp. A `now` of [`MAX`] is
/// what [`from_unix_ms`] makes of a wall clock beyond 2089; it is not believed, because the one
/// stamp it could give would leave none for all later writes. REFUSED only when `last` is [`MAX`].
pub fn next(last: u64, now: u64) -> Result<u64> {
    let now = if now < MAX { now } else { LOWEST };
    let last = if planted!("stamp-given-twice") { last.saturating_sub(1) } else { last };
    match last.checked_add(1).map(|least| least.max(now)) {
        Some(stamp) if stamp <= MAX => Ok(stamp),
        _ => Err(Error::refused(
            "this database has given its last possible time stamp (the year 2089); its clock was \
             far ahead when it was written: take a snapshot into a new database",
        )),
    }
}

/// How many whole milliseconds a stamp lies ahead of `now`; 0 when it is not ahead.
pub fn ahead_ms(stamp: u64, now: u64) -> u64 {
    stamp.saturating_sub(now) / STEPS_PER_MS
}

/// A stamp as UTC text, `YYYY-MM-DD HH:MM:SS.mmm`, the form that SQLite's date functions take.
pub fn to_utc_text(stamp: u64) -> String {
    let ms = to_unix_ms(stamp);
    let (days, ms) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil_from_days(days);
    let (s, ms) = (ms / 1000, ms % 1000);
    let (m, s) = (s / 60, s % 60);
    let (h, m) = (m / 60, m % 60);
    format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}.{ms:03}")
}

/// Year, month and day of a count of days since 1970-01-01, in the Gregorian calendar. A year is
/// taken to begin in March, so that the leap day is its last and the months' lengths repeat every
/// five: 31, 30, 31, 30, 31 days.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    /// From 0000-03-01 to 1970-01-01.
    const TO_1970: i64 = 719_468;
    const CYCLE_DAYS: i64 = 146_097;
    const CENTURY_DAYS: i64 = 36_524;
    const FOUR_YEARS_DAYS: i64 = 1_461;
    let days = days.saturating_add(TO_1970);
    let (cycle, day) = (days.div_euclid(CYCLE_DAYS), days.rem_euclid(CYCLE_DAYS));
    // The last day of a 400-year cycle and of a 4-year group is a leap day of the year before it.
    let century = (day / CENTURY_DAYS).min(3);
    let day = day - century * CENTURY_DAYS;
    let group = day / FOUR_YEARS_DAYS;
    let day = day - group * FOUR_YEARS_DAYS;
    let in_group = (day / 365).min(3);
    let day = day - in_group * 365;
    // Five months are 153 days; from March, month 0.
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let year = cycle * 400 + century * 100 + group * 4 + in_group;
    if month < 10 { (year, month + 3, day_of_month) } else { (year + 1, month - 9, day_of_month) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    thread_local! {
        /// The wall clock that the model reads, as a stamp: uhlc takes a plain function.
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    #[test]
    fn stamps_and_milliseconds() {
        assert_eq!(from_unix_ms(EPOCH_UNIX_MS), LOWEST);
        assert_eq!(from_unix_ms(EPOCH_UNIX_MS + 1), 4096);
        assert_eq!(to_unix_ms(4095), EPOCH_UNIX_MS);
        assert_eq!(to_unix_ms(4096), EPOCH_UNIX_MS + 1);
        assert_eq!(ahead_ms(8192, 1), 1);
        assert_eq!(ahead_ms(8193, 1), 2);
        assert_eq!(ahead_ms(1, 8192), 0);
    }

    #[test]
    fn d7_absurd_clocks_do_not_panic() {
        for ms in [i64::MIN, -1, 0, 1, EPOCH_UNIX_MS - 1] {
            assert_eq!(from_unix_ms(ms), LOWEST, "{ms}");
        }
        assert_eq!(from_unix_ms(i64::MAX), MAX);
        for stamp in [0, LOWEST, MAX, u64::MAX] {
            let _ = (to_unix_ms(stamp), to_utc_text(stamp), ahead_ms(stamp, 0));
        }
    }

    #[test]
    fn d7_a_clock_that_goes_back_never_takes_a_stamp_back() {
        let a = next(0, 9_000_000).unwrap();
        let b = next(a, 5_000).unwrap();
        let c = next(b, LOWEST).unwrap();
        assert_eq!((a, b, c), (9_000_000, 9_000_001, 9_000_002));
    }

    #[test]
    fn d6_more_stamps_than_a_millisecond_has_carry_into_time() {
        let now = from_unix_ms(EPOCH_UNIX_MS + 77);
        let mut last = next(0, now).unwrap();
        for _ in 0..10_000 {
            let stamp = next(last, now).unwrap();
            assert_eq!(stamp, last + 1);
            last = stamp;
        }
        assert_eq!(to_unix_ms(last), EPOCH_UNIX_MS + 79);
    }

    #[test]
    fn d3_a_clock_beyond_all_stamps_leaves_room_for_later_writes() {
        let absurd = from_unix_ms(i64::MAX);
        assert_eq!(next(50, absurd).unwrap(), 51);
        assert_eq!(next(0, absurd).unwrap(), LOWEST);
        assert_eq!(next(MAX - 1, 3).unwrap(), MAX);
        assert!(next(MAX, 3).unwrap_err().text.contains("2089"));
        assert!(next(u64::MAX, u64::MAX).is_err());
    }

    #[test]
    fn the_first_stamp_is_never_zero() {
        assert_eq!(next(0, 0).unwrap(), 1);
        assert_eq!(next(0, from_unix_ms(i64::MIN)).unwrap(), LOWEST);
    }

    #[test]
    fn utc_text() {
        let at = |ms: i64| to_utc_text(from_unix_ms(ms));
        assert_eq!(at(EPOCH_UNIX_MS), "2020-01-01 00:00:00.000");
        assert_eq!(at(1_582_934_400_001), "2020-02-29 00:00:00.001");
        assert_eq!(at(1_709_251_199_999), "2024-02-29 23:59:59.999");
        assert_eq!(at(1_735_689_599_000), "2024-12-31 23:59:59.000");
        assert_eq!(to_utc_text(MAX), "2089-09-06 15:47:35.551");
    }

    #[test]
    fn every_day_of_800_years_follows_the_one_before() {
        let leap = |y: i64| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
        let (mut y, mut m, mut d) = (1970, 1, 1);
        for days in 0..292_194 {
            assert_eq!(civil_from_days(days), (y, m, d));
            let last = match m {
                2 => 28 + i64::from(leap(y)),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            d += 1;
            if d > last {
                (d, m) = (1, m + 1);
            }
            if m > 12 {
                (m, y) = (1, y + 1);
            }
        }
        assert_eq!(civil_from_days(-1), (1969, 12, 31));
        assert_eq!(civil_from_days(-719_468), (0, 3, 1));
    }

    proptest! {
        /// The model is uhlc, given a clock of ours that counts in our steps: its 64-bit time is
        /// only a number to it. It clears the low 4 bits of what its clock says, and a wall clock
        /// in whole milliseconds has none of them set (a stamp of a millisecond is a multiple of
        /// 4,096), so that the two must agree stamp by stamp, wherever the clock walks. What is
        /// not comparable is left out: the clock before 2020 is 1 here and rounds to 0 there, and
        /// uhlc knows neither `MAX` nor a state read from a file.
        #[test]
        fn d7_the_clock_is_that_of_uhlc(
            walk in prop::collection::vec(
                prop_oneof![
                    4 => 0i64..3,
                    2 => -5i64..5,
                    1 => -90_000_000i64..90_000_000,
                ],
                1..300,
            ),
        ) {
            let model = uhlc::HLCBuilder::new()
                .with_id(uhlc::ID::try_from([7u8; 16]).unwrap())
                .with_clock(|| uhlc::NTP64(NOW.get()))
                .build();
            let mut ms = EPOCH_UNIX_MS + 1_000_000_000_000;
            let mut last = 0;
            for step in walk {
                ms = (ms + step).max(EPOCH_UNIX_MS + 1);
                let now = from_unix_ms(ms);
                NOW.set(now);
                let stamp = next(last, now).unwrap();
                prop_assert!(stamp > last && stamp >= now && stamp <= MAX);
                prop_assert_eq!(stamp, model.new_timestamp().get_time().as_u64());
                last = stamp;
            }
        }

        #[test]
        fn d7_stamps_rise_under_any_clock(
            clocks in prop::collection::vec(any::<i64>(), 1..100),
            near in prop::collection::vec(-1_000i64..4_000_000_000_000, 1..100),
        ) {
            let mut last = 0;
            for ms in clocks.into_iter().chain(near) {
                let stamp = next(last, from_unix_ms(ms)).unwrap();
                prop_assert!(stamp > last && stamp <= MAX);
                last = stamp;
            }
        }

        #[test]
        fn milliseconds_come_back(ms in EPOCH_UNIX_MS + 1..EPOCH_UNIX_MS + (1 << 41)) {
            prop_assert_eq!(to_unix_ms(from_unix_ms(ms)), ms);
        }
    }
}
