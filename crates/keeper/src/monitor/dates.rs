//! Dates as Java's `Date` writes them: `Fri Nov 20 22:06:56 UTC 2026`.

const DAY_S: i64 = 86_400;
/// 400 years of the calendar, after which it repeats itself.
const ERA_DAYS: i64 = 146_097;
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The date of a moment, in UTC.
pub(crate) fn java_date(since_epoch_ms: i64) -> String {
    let seconds = since_epoch_ms.div_euclid(1_000);
    let (days, second) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
    let (year, month, day) = civil(days);
    let weekday = WEEKDAYS[usize::try_from(days.rem_euclid(7)).unwrap_or(0)];
    let month = MONTHS[usize::try_from(month - 1).unwrap_or(0)];
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

/// Year, month and day of a day since the epoch.
///
/// Years are counted from March on, so that the leap day is the last one of its year: then the days
/// before a month follow from its number (153 days are five months).
fn civil(days: i64) -> (i64, i64, i64) {
    const MARCH_0000: i64 = 719_468;
    let days = days + MARCH_0000;
    let era = days.div_euclid(ERA_DAYS);
    let day = days.rem_euclid(ERA_DAYS);
    let year = (day - day / 1_460 + day / 36_524 - day / (ERA_DAYS - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month_of_march = (5 * day + 2) / 153;
    let day = day - (153 * month_of_march + 2) / 5 + 1;
    let month = if month_of_march < 10 {
        month_of_march + 3
    } else {
        month_of_march - 9
    };
    let year = 400 * era + year + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, date) in [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (-1, "Wed Dec 31 23:59:59 UTC 1969"),
            (951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000"),
            (951_868_800_000, "Wed Mar 01 00:00:00 UTC 2000"),
            (1_795_212_416_000, "Fri Nov 20 22:06:56 UTC 2026"),
            (4_107_542_399_000, "Sun Feb 28 23:59:59 UTC 2100"),
            (4_107_542_400_000, "Mon Mar 01 00:00:00 UTC 2100"),
        ] {
            assert_eq!(java_date(ms), date);
        }
    }

    #[test]
    fn days_follow_one_another() {
        let mut last = civil(-200_000);
        for day in -199_999..200_000 {
            let (year, month, in_month) = civil(day);
            let next = (year, month, in_month);
            assert!(next > last, "{next:?} follows {last:?}");
            assert!((1..=12).contains(&month) && (1..=31).contains(&in_month));
            last = next;
        }
    }
}
