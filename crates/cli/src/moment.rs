//! Durations and points in time, as people write them. Times without a zone are UTC: a cluster's
//! nodes and its users are rarely in one place.

use std::time::Duration;

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The units of durations.
const UNITS: &[(&str, i64)] = &[
    ("ms", 1),
    ("s", SECOND_MS),
    ("m", MINUTE_MS),
    ("h", HOUR_MS),
    ("d", DAY_MS),
    ("w", 7 * DAY_MS),
];

/// Reads a duration: `500ms`, `10s`, `1h30m`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let ms = duration_ms(text).ok_or("write a time such as 500ms, 10s, 5m, 1h30m or 7d")?;
    u64::try_from(ms)
        .ok()
        .filter(|ms| *ms > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| "it must be longer than nothing".to_owned())
}

fn duration_ms(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, behind) = rest.split_at(digits);
        let (unit, ms) = UNITS
            .iter()
            .find(|(unit, _)| behind.strip_prefix(unit).is_some_and(begins_anew))?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(*ms)?)?;
        rest = behind.strip_prefix(unit)?;
    }
    Some(total)
}

/// Whether a unit ends here: at the end, or before the next number.
fn begins_anew(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit())
}

/// A duration as people write it: `30s`, `1m30s`, `250ms`.
pub(crate) fn duration_text(duration: Duration) -> String {
    let mut ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in [
        ("d", DAY_MS),
        ("h", HOUR_MS),
        ("m", MINUTE_MS),
        ("s", SECOND_MS),
        ("ms", 1),
    ] {
        if ms >= size {
            text.push_str(&format!("{}{unit}", ms / size));
            ms %= size;
        }
    }
    text
}

/// A point in time, given relative to now or by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So many milliseconds before now.
    AgoMs(i64),
    /// Milliseconds since the Unix epoch.
    AtMs(i64),
}

impl Moment {
    /// Milliseconds since the Unix epoch.
    pub(crate) fn resolve(self, now_ms: i64) -> i64 {
        match self {
            Moment::AgoMs(ms) => now_ms.saturating_sub(ms).max(0),
            Moment::AtMs(ms) => ms,
        }
    }
}

/// Reads a point in time: `10m` (ago), `2026-11-21`, `2026-11-21T06:57:58.123Z` (also with a blank
/// for the T, with `+01:00` for the Z, or without a zone), `@1700000000` (seconds since the epoch),
/// `1700000000000` (milliseconds).
pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    let text = text.trim();
    let parsed = if let Some(seconds) = text.strip_prefix('@') {
        let seconds = seconds.parse::<i64>().ok();
        seconds
            .and_then(|s| s.checked_mul(SECOND_MS))
            .map(Moment::AtMs)
    } else if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok().map(Moment::AtMs)
    } else if let Some(ms) = duration_ms(text) {
        Some(Moment::AgoMs(ms))
    } else {
        utc_ms(text).map(Moment::AtMs)
    };
    parsed.ok_or_else(|| {
        "write how long ago (10m, 2h, 7d), a time (2026-11-21T06:57:58Z, 2026-11-21), seconds \
         (@1700000000) or milliseconds (1700000000000) since 1970"
            .to_owned()
    })
}

/// Reads RFC 3339, and its prefixes down to the day.
fn utc_ms(text: &str) -> Option<i64> {
    let (date, rest) = match text.get(10..11) {
        None => (text, ""),
        Some("T" | "t" | " ") => (text.get(..10)?, text.get(11..)?),
        Some(_) => return None,
    };
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4)?;
    let month = number(parts.next()?, 2).filter(|m| (1..=12).contains(m))?;
    let day = number(parts.next()?, 2)?;
    if parts.next().is_some() || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    let days = days_since_epoch(year, month, day);
    if text.len() == date.len() {
        return Some(days * DAY_MS);
    }
    let (time, offset_ms) = split_zone(rest)?;
    Some(days * DAY_MS + time_of_day_ms(time)? - offset_ms)
}

/// The time of day, and how far its zone is ahead of UTC.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, 0));
    };
    let (time, zone) = text.split_at(at);
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let offset_ms = number(hours, 2).filter(|h| *h < 24)? * HOUR_MS
        + number(minutes, 2).filter(|m| *m < 60)? * MINUTE_MS;
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    Some((time, sign * offset_ms))
}

fn time_of_day_ms(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let mut parts = clock.split(':');
    let hours = number(parts.next()?, 2).filter(|h| *h < 24)?;
    let minutes = number(parts.next()?, 2).filter(|m| *m < 60)?;
    let seconds = match parts.next() {
        Some(text) => number(text, 2).filter(|s| *s < 60)?,
        None => 0,
    };
    if parts.next().is_some() || fraction.is_empty() {
        return None;
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut ms = 0;
    for place in 0..3 {
        let digit = fraction.as_bytes().get(place).map_or(0, |b| b - b'0');
        ms = ms * 10 + i64::from(digit);
    }
    Some(hours * HOUR_MS + minutes * MINUTE_MS + seconds * SECOND_MS + ms)
}

/// A number of exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    if text.len() != digits || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the leap
/// day is a year's last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A timestamp in RFC 3339, in UTC, with milliseconds.
pub(crate) fn utc_text(ms: i64) -> String {
    let days = ms.div_euclid(DAY_MS);
    let of_day = ms.rem_euclid(DAY_MS);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        of_day / HOUR_MS,
        of_day / MINUTE_MS % 60,
        of_day / SECOND_MS % 60,
        of_day % SECOND_MS,
    )
}

#[cfg(test)]
mod tests;
