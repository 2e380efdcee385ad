//! Numbers, sizes and durations as Compose writes them.

use std::time::Duration;

/// A whole number: decimal with `_`, `0x`, `0o`, `0b`, or octal by a leading zero.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let value = if let Some(hex) = lower.strip_prefix("0x") {
        i64::from_str_radix(hex, 16).ok()?
    } else if let Some(octal) = lower.strip_prefix("0o") {
        i64::from_str_radix(octal, 8).ok()?
    } else if let Some(binary) = lower.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()?
    } else if digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| matches!(byte, b'0'..=b'7')) {
        i64::from_str_radix(&digits, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(if negative { -value } else { value })
}

/// A size in bytes: `64m`, `1.5gb`, `4096`. Units are powers of 1024.
pub(crate) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        "p" | "pb" | "pib" => 1 << 50,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to fit")]
    let bytes = number.parse::<f64>().ok().map(|number| number * factor as f64).filter(|bytes| *bytes < 9e18)? as u64;
    Some(bytes)
}

/// A duration: `1m30s`, `500ms`, `1.5h`, `2d`, `1w`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let unit_at = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return None,
        };
        let number: f64 = number.parse().ok()?;
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

/// A duration that may be negative, in nanoseconds.
pub(crate) fn signed_duration(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let nanoseconds = i64::try_from(duration(digits)?.as_nanos()).ok()?;
    Some(sign * nanoseconds)
}

/// A duration as Compose prints it: `1h30m0s`, `1.5s`, `200ms`.
pub(crate) fn duration_text(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let nanoseconds = nanoseconds.unsigned_abs();
    let fraction = |unit: u64| {
        let (whole, rest) = (nanoseconds / unit, nanoseconds % unit);
        let digits = unit.ilog10() as usize;
        let rest = format!("{rest:0>digits$}");
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { whole.to_string() } else { format!("{whole}.{rest}") }
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{nanoseconds}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(1_000_000)),
        _ => {
            let minutes = nanoseconds / 60_000_000_000;
            let rest = nanoseconds % 60_000_000_000;
            let (whole, part) = (rest / 1_000_000_000, rest % 1_000_000_000);
            let part = if part == 0 { String::new() } else { format!(".{}", format!("{part:0>9}").trim_end_matches('0')) };
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{whole}{part}s"),
                (0, minutes) => format!("{sign}{minutes}m{whole}{part}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{whole}{part}s"),
            }
        }
    }
}

/// A boolean as Compose takes it from text.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "y" | "yes" | "on" => Some(true),
        "false" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A boolean, as text or not.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "y" | "yes" | "on" | "1" | "t" => Some(true),
        "false" | "n" | "no" | "off" | "0" | "f" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_sizes_and_durations() {
        assert_eq!(
            ["0440", "0x1F", "1_000", "-5", "08", "1e3", "", "x"].map(integer),
            [Some(288), Some(31), Some(1000), Some(-5), Some(8), None, None, None]
        );
        assert_eq!(
            ["64m", "1.5g", "10", "1kb", "x", "5q"].map(size),
            [Some(64 << 20), Some(3 << 29), Some(10), Some(1024), None, None]
        );
        let durations = ["1m30s", "500ms", "1.5h", "0", "5", "", "3x"].map(duration);
        let seconds = |number| Some(Duration::from_secs(number));
        assert_eq!(durations, [seconds(90), Some(Duration::from_millis(500)), seconds(5400), seconds(0), None, None, None]);
    }
}
