//! The header `Retry-After` (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, RETRY_AFTER};
use httpdate::parse_http_date;

/// The upper limit of a server's wait.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How long the server requires to wait: seconds, with a fraction or without, or a date. A date is
/// compared with the server's own clock, where the response has it.
pub(super) fn parse(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let value = text(RETRY_AFTER)?;
    let wait = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => {
            // Fails where the number is too large.
            Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST)
        }
        Ok(_) => return None,
        Err(_) => {
            let at = parse_http_date(value).ok()?;
            let now = text(DATE).and_then(|date| parse_http_date(date).ok()).unwrap_or(now);
            at.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::HeaderMap;

    use super::{LONGEST, parse};

    #[test]
    fn seconds_fractions_and_dates_are_read() {
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        for (value, date, expected) in [
            ("5", "", seconds(5.0)),
            (" 0 ", "", seconds(0.0)),
            ("1.5", "", seconds(1.5)),
            ("99999999999999999999", "", Some(LONGEST)),
            ("1e300", "", Some(LONGEST)),
            ("-1", "", None),
            ("NaN", "", None),
            ("inf", "", None),
            ("soon", "", None),
            ("", "", None),
            // Seven seconds after the epoch, which is now.
            ("Thu, 01 Jan 1970 00:00:07 GMT", "", seconds(7.0)),
            ("Thursday, 01-Jan-70 00:00:07 GMT", "", seconds(7.0)),
            ("Thu Jan  1 00:00:07 1970", "", seconds(7.0)),
            ("Fri, 01 Jan 2027 00:00:07 GMT", "Fri, 01 Jan 2027 00:00:00 GMT", seconds(7.0)),
            ("Fri, 01 Jan 2027 00:00:07 GMT", "yesterday", Some(LONGEST)),
            ("Fri, 01 Jan 2027 00:00:07 GMT", "Fri, 01 Jan 2027 00:00:08 GMT", seconds(0.0)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", value.parse().unwrap());
            if !date.is_empty() {
                headers.insert("date", date.parse().unwrap());
            }
            assert_eq!(parse(&headers, SystemTime::UNIX_EPOCH), expected, "{value} {date}");
        }
        assert_eq!(parse(&HeaderMap::new(), SystemTime::UNIX_EPOCH), None);
    }
}
