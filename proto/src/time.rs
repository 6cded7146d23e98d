//! Points in time, as stored and sent: RFC 3339 in UTC with always six fractional digits and the offset `+00:00`,
//! for example `2026-11-23T07:10:05.776285+00:00`. The fixed width makes comparing the text comparing the times.

use std::fmt;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A point in time with microsecond precision, in the years 0000 to 9999.
///
/// Outside these years RFC 3339 has no text, so constructors saturate at [`Timestamp::MIN`] and [`Timestamp::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// `0000-01-01T00:00:00.000000+00:00`
    pub const MIN: Timestamp = Timestamp(-62_167_219_200_000_000);
    /// `9999-12-31T23:59:59.999999+00:00`
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999_999);

    /// The system clock. It may step backwards; see [`Timestamp::later_of`].
    #[must_use]
    pub fn now() -> Timestamp {
        let micros = OffsetDateTime::now_utc().unix_timestamp_nanos().div_euclid(1_000);
        Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// The time `micros` microseconds after the Unix epoch (before it, if negative).
    #[must_use]
    pub fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros).clamp(Timestamp::MIN, Timestamp::MAX)
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Reads an RFC 3339 date and time with any offset and precision; digits beyond microseconds are cut off, so
    /// the result is never later than the text. `None` if `text` is anything else, or outside the years 0000 to
    /// 9999 in UTC.
    #[must_use]
    pub fn parse(text: &str) -> Option<Timestamp> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let micros = i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000)).ok()?;
        (Timestamp::MIN.0..=Timestamp::MAX.0).contains(&micros).then_some(Timestamp(micros))
    }

    /// Reads a time as people give it: RFC 3339, a day such as `2026-11-23` (in UTC), or a span back from `now` such as
    /// `30m`, `24h`, `7d` or `2w`. A day is its first moment, or the first moment after it when `end_of_day` is set.
    #[must_use]
    pub fn parse_moment(text: &str, now: Timestamp, end_of_day: bool) -> Option<Timestamp> {
        let text = text.trim();
        if let Some(day) = Timestamp::parse(&format!("{text}T00:00:00Z")) {
            return Some(if end_of_day { day.minus_days(-1) } else { day });
        }
        let unit = match text.chars().last()? {
            'm' => MICROS_PER_DAY / 1440,
            'h' => MICROS_PER_DAY / 24,
            'd' => MICROS_PER_DAY,
            'w' => 7 * MICROS_PER_DAY,
            _ => return Timestamp::parse(text),
        };
        let count: i64 = text[..text.len() - 1].parse::<u32>().ok()?.into();
        Some(Timestamp::from_micros(now.0.saturating_sub(count.saturating_mul(unit))))
    }

    /// The time as `YYYYmmddTHHMMSSZ` (ISO 8601 basic format, UTC, whole seconds), safe in a file name everywhere.
    #[must_use]
    pub fn file_stamp(self) -> String {
        let moment = self.moment();
        let (year, month, day) = moment.to_calendar_date();
        let (hour, minute, second) = moment.to_hms();
        format!("{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z", u8::from(month))
    }

    /// The time `days` periods of 24 hours earlier (later, if negative).
    #[must_use]
    pub fn minus_days(self, days: i64) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_sub(days.saturating_mul(MICROS_PER_DAY)))
    }

    /// The later of `self` and `floor`: keeps times from running backwards when the system clock does.
    #[must_use]
    pub fn later_of(self, floor: Timestamp) -> Timestamp {
        self.max(floor)
    }

    fn moment(self) -> OffsetDateTime {
        // In range for every `Timestamp`, so the addition cannot panic.
        OffsetDateTime::UNIX_EPOCH + Duration::microseconds(self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.moment();
        let (year, month, day) = moment.to_calendar_date();
        let (hour, minute, second, micros) = moment.to_hms_micro();

        let mut text = *b"0000-00-00T00:00:00.000000+00:00";
        put_digits(&mut text[0..4], year.unsigned_abs());
        put_digits(&mut text[5..7], u8::from(month).into());
        put_digits(&mut text[8..10], day.into());
        put_digits(&mut text[11..13], hour.into());
        put_digits(&mut text[14..16], minute.into());
        put_digits(&mut text[17..19], second.into());
        put_digits(&mut text[20..26], micros);
        f.pad(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Fills `field` with the last decimal digits of `value`, zero-padded.
fn put_digits(field: &mut [u8], mut value: u32) {
    for digit in field.iter_mut().rev() {
        // A remainder of ten is below 256.
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn moments_are_read_as_people_give_them() {
        let now = Timestamp::parse("2026-11-23T12:00:00Z").unwrap();
        let read = |text, end| Timestamp::parse_moment(text, now, end).map(|moment| moment.to_string());
        for (text, end, expected) in [
            ("2026-11-23T07:10:05+01:00", false, Some("2026-11-23T06:10:05.000000+00:00")),
            ("2026-11-20", false, Some("2026-11-20T00:00:00.000000+00:00")),
            ("2026-11-20", true, Some("2026-11-21T00:00:00.000000+00:00")),
            ("90m", false, Some("2026-11-23T10:30:00.000000+00:00")),
            ("24h", true, Some("2026-11-22T12:00:00.000000+00:00")),
            ("2w", false, Some("2026-11-09T12:00:00.000000+00:00")),
            ("-1d", false, None),
            ("d", false, None),
            ("", false, None),
            ("2026-02-30", false, None),
            ("é", false, None),
            ("4294967295w", false, Some("0000-01-01T00:00:00.000000+00:00")),
        ] {
            assert_eq!(read(text, end).as_deref(), expected, "{text:?}");
        }
    }

    use super::*;

    fn parse(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn known_times_print_and_parse() {
        let vectors = [
            (0, "1970-01-01T00:00:00.000000+00:00"),
            (1, "1970-01-01T00:00:00.000001+00:00"),
            (-1, "1969-12-31T23:59:59.999999+00:00"),
            (1_795_417_805_776_285, "2026-11-23T07:10:05.776285+00:00"),
            (1_795_417_805_000_000, "2026-11-23T07:10:05.000000+00:00"),
            (1_709_210_096_000_789, "2024-02-29T12:34:56.000789+00:00"),
            (Timestamp::MIN.0, "0000-01-01T00:00:00.000000+00:00"),
            (Timestamp::MAX.0, "9999-12-31T23:59:59.999999+00:00"),
        ];
        for (micros, text) in vectors {
            assert_eq!(Timestamp::from_micros(micros).to_string(), text);
            assert_eq!(parse(text).micros(), micros);
        }
    }

    #[test]
    fn any_offset_and_precision_is_read() {
        let expected = Timestamp::from_micros(1_795_417_805_700_000);
        for text in [
            "2026-11-23T07:10:05.7Z",
            "2026-11-23T07:10:05.700000999Z",
            "2026-11-23T12:40:05.700+05:30",
            "2026-11-22T23:10:05.7-08:00",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(parse("2026-11-23T07:10:05Z").to_string(), "2026-11-23T07:10:05.000000+00:00");
        // Cut off towards the past on both sides of the epoch.
        assert_eq!(parse("1969-12-31T23:59:59.9999999Z").micros(), -1);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "now",
            "2026-11-23",
            "2026-11-23T07:10:05",
            "2026-11-23T07:10:05.Z",
            "2026-11-23T07:10:05Z ",
            "2026-13-23T07:10:05Z",
            "2026-11-23T24:10:05Z",
            "2025-02-29T00:00:00Z",
            "20261123T071005Z",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn extreme_values_saturate() {
        assert_eq!(Timestamp::from_micros(i64::MIN), Timestamp::MIN);
        assert_eq!(Timestamp::from_micros(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_micros(0).minus_days(i64::MAX), Timestamp::MIN);
        assert_eq!(Timestamp::from_micros(0).minus_days(i64::MIN), Timestamp::MAX);
    }

    #[test]
    fn days_are_subtracted_across_a_leap_day() {
        let march = parse("2024-03-01T00:00:00.5Z");
        assert_eq!(march.minus_days(1).to_string(), "2024-02-29T00:00:00.500000+00:00");
        assert_eq!(march.minus_days(-365).to_string(), "2025-03-01T00:00:00.500000+00:00");
    }

    #[test]
    fn file_stamps_have_whole_seconds() {
        assert_eq!(parse("2026-01-03T07:08:09.999999Z").file_stamp(), "20260103T070809Z");
        assert_eq!(Timestamp::MIN.file_stamp(), "00000101T000000Z");
    }

    #[test]
    fn later_of_is_the_maximum() {
        let (early, late) = (Timestamp::from_micros(1), Timestamp::from_micros(2));
        assert_eq!((early.later_of(late), late.later_of(early)), (late, late));
    }

    #[test]
    fn now_agrees_with_the_standard_clock() {
        let unix = || {
            let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
            i64::try_from(elapsed.as_micros()).unwrap()
        };
        let (before, now, after) = (unix(), Timestamp::now(), unix());
        assert!((before..=after).contains(&now.micros()));
    }

    #[test]
    fn display_honours_width() {
        assert_eq!(format!("{:>34}", Timestamp::from_micros(0)), "  1970-01-01T00:00:00.000000+00:00");
    }

    proptest! {
        #[test]
        fn text_reads_back_and_orders_like_the_number(
            a in 0..=Timestamp::MAX.0,
            b in 0..=Timestamp::MAX.0,
            near in -1_500_000i64..1_500_000,
        ) {
            for (a, b) in [(a, b), (a, a.saturating_add(near))] {
                let (a, b) = (Timestamp::from_micros(a), Timestamp::from_micros(b));
                prop_assert_eq!(Timestamp::parse(&a.to_string()), Some(a));
                prop_assert_eq!(a.to_string().len(), 32);
                prop_assert_eq!(a.to_string().cmp(&b.to_string()), a.cmp(&b));
            }
        }

        #[test]
        fn plausible_texts_are_read_without_panic(
            text in "[09][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{1,12})?(Z|[+-][0-2][0-9]:[0-6][0-9])",
        ) {
            if let Some(time) = Timestamp::parse(&text) {
                prop_assert!((Timestamp::MIN..=Timestamp::MAX).contains(&time));
            }
        }
    }
}
