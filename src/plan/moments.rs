//! The moments at which tokens of managed identities expire, in the forms in which services write
//! them.

use msal_cache_core::internal::seconds;

/// Seconds since the epoch: a number, also with a fraction; a date of ISO 8601
/// (`2023-11-14T23:13:20Z`); or a date of Azure App Service (`11/14/2023 23:13:20 +00:00`, and with
/// `AM` or `PM`). A date without an offset is in UTC.
pub(super) fn moment_of(text: &str) -> Option<i64> {
    let text = text.trim();
    seconds(text).or_else(|| if text.contains('/') { app_service(text) } else { iso(text) })
}

fn iso(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-')?;
    // The fraction of a second follows a dot or a comma.
    let end = rest.find(['.', ',', 'Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, rest) = rest.split_at(end);
    let rest = rest.trim_start_matches(|char: char| char.is_ascii_digit() || ".,".contains(char));
    at([year, month, day], clock(time)?, offset(rest)?)
}

fn app_service(text: &str) -> Option<i64> {
    let mut words = text.split_ascii_whitespace();
    let [month, day, year] = numbers(words.next()?, '/')?;
    let [mut hour, minute, second] = clock(words.next()?)?;
    let mut next = words.next();
    let half =
        ["AM", "PM"].iter().position(|it| next.is_some_and(|word| word.eq_ignore_ascii_case(it)));
    if let Some(half) = half {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + if half == 1 { 12 } else { 0 };
        next = words.next();
    }
    if words.next().is_some() {
        return None;
    }
    at([year, month, day], [hour, minute, second], offset(next.unwrap_or_default())?)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(number);
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

fn number(digits: &str) -> Option<i64> {
    let is_number = (1..=4).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

fn clock(text: &str) -> Option<[i64; 3]> {
    let [hour, minute, second] = numbers(text, ':')?;
    // Second 60 is a leap second.
    (hour < 24 && minute < 60 && second <= 60).then_some([hour, minute, second])
}

/// The seconds by which a local time is ahead of UTC.
fn offset(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first() {
        None | Some(b'Z' | b'z') => return (text.len() <= 1).then_some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let digits = text[1..].replace(':', "");
    let (hours, minutes) = match digits.len() {
        2 => (number(&digits)?, 0),
        4 => (number(&digits[..2])?, number(&digits[2..])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The seconds since the epoch (Howard Hinnant, `days_from_civil`).
fn at([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3], offset: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || year < 1 {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::moment_of;

    #[test]
    fn a_moment_is_read_in_each_form_that_services_write() {
        for text in [
            "1700003600",
            " 1700003600 ",
            "1700003600.0",
            "1700003600.9",
            "2023-11-14T23:13:20Z",
            "2023-11-14t23:13:20z",
            "2023-11-14 23:13:20",
            "2023-11-14T23:13:20.123456Z",
            "2023-11-14T23:13:20,5+00:00",
            "2023-11-15T01:13:20+02:00",
            "2023-11-14T18:13:20.1-0500",
            "2023-11-15T01:13:20+02",
            "11/14/2023 23:13:20 +00:00",
            "11/14/2023 11:13:20 PM +00:00",
            "11/14/2023 11:13:20 pm",
            "11/15/2023 1:13:20 AM +02:00",
            "11/14/2023 23:13:20",
        ] {
            assert_eq!(moment_of(text), Some(1_700_003_600), "{text}");
        }
        for (text, at) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("06/20/2019 02:57:58 +00:00", 1_560_999_478),
            ("6/20/2019 12:00:00 AM", 1_560_988_800),
            ("6/20/2019 12:00:00 PM", 1_561_032_000),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("0001-01-01T00:00:00Z", -62_135_596_800),
        ] {
            assert_eq!(moment_of(text), Some(at), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_moment() {
        for text in [
            "",
            "abc",
            "T",
            "/",
            "2023-11-14",
            "2023-13-14T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2023-11-14T24:00:00Z",
            "2023-11-14T23:13:20Zx",
            "2023-11-14T23:13:20+2",
            "2023-11-14T23:13:20+99:00",
            "2023-11-14T23:13",
            "-2023-11-14T23:13:20Z",
            "14/11/2023 23:13:20",
            "11/14/2023 13:13:20 PM",
            "11/14/2023 0:13:20 AM",
            "11/14/2023 23:13:20 +00:00 x",
            "11/14/2023",
            "99999999999999999999/1/1 0:0:0",
            "é/é/é é:é:é +é",
            "2023-11-14T23:13:20+é1",
        ] {
            assert_eq!(moment_of(text), None, "{text}");
        }
    }
}
