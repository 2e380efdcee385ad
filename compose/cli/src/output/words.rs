//! Numbers as people read them.

use jiff::Timestamp;

/// `1.5MB`, in powers of 1000 and at most four digits, as Docker has it.
pub(crate) fn bytes(count: u64) -> String {
    scaled(count, 1000, &["B", "kB", "MB", "GB", "TB", "PB"], 3)
}

/// `1.5MiB`, in powers of 1024.
pub(crate) fn binary_bytes(count: u64) -> String {
    scaled(count, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 3)
}

/// As [`binary_bytes`], with a fourth digit: how memory in use is shown.
pub(crate) fn memory(count: u64) -> String {
    scaled(count, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 4)
}

fn scaled(count: u64, base: u32, units: &[&str], digits: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "few digits are shown")]
    let mut value = count as f64;
    let mut unit = 0;
    while value >= f64::from(base) && unit + 1 < units.len() {
        value /= f64::from(base);
        unit += 1;
    }
    let decimals = match value {
        _ if unit == 0 => 0,
        ..10.0 => digits - 1,
        10.0..100.0 => digits - 2,
        100.0..1000.0 => digits - 3,
        _ => 0,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", units[unit])
}

/// How long something took or has been, as Docker says it: `5 minutes`.
pub(crate) fn age(seconds: i64) -> String {
    let plural = |count: i64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1..60 => plural(seconds, "second"),
        60..120 => "About a minute".to_owned(),
        120..3600 => plural(seconds / 60, "minute"),
        3600..7200 => "About an hour".to_owned(),
        7200..172_800 => plural(seconds / 3600, "hour"),
        172_800..1_209_600 => plural(seconds / 86_400, "day"),
        1_209_600..5_184_000 => plural(seconds / 604_800, "week"),
        5_184_000..63_072_000 => plural(seconds / 2_592_000, "month"),
        _ => plural(seconds / 31_536_000, "year"),
    }
}

/// How long ago a time in seconds since 1970 was.
pub(crate) fn ago(time: i64) -> String {
    format!("{} ago", age(Timestamp::now().as_second() - time))
}

/// How long ago a written time was; `N/A` where there is none.
pub(crate) fn ago_text(time: Option<&str>) -> String {
    let parsed = time.and_then(|text| text.parse::<Timestamp>().ok());
    parsed.map(|time| ago(time.as_second())).unwrap_or_else(|| "N/A".to_owned())
}

/// The first 12 digits of an id, without `sha256:`; a directory's name stays whole.
pub(crate) fn short_id(id: &str) -> String {
    if id.starts_with("rootfs:") {
        return id.to_owned();
    }
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

/// A place as somebody who stands in `folder` would call it.
pub(crate) fn place_from(place: &rcompose_model::Place, folder: &std::path::Path) -> String {
    let inside = place.file.strip_prefix(folder).unwrap_or(&place.file);
    format!("{}:{}:{}", inside.display(), place.line, place.column)
}

/// A value, unless its name says that it is a secret.
pub(crate) fn masked(name: &str, value: &str) -> String {
    const SECRETS: [&str; 8] = ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "PRIVATE", "PWD_", "AUTH"];
    let name = name.to_ascii_uppercase();
    if !value.is_empty() && SECRETS.iter().any(|word| name.contains(word)) { "****".to_owned() } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_few_digits() {
        let check = |count, expected: &str| assert_eq!(bytes(count), expected);
        check(0, "0B");
        check(999, "999B");
        check(1_000, "1kB");
        check(1_234_567, "1.23MB");
        check(45_600_000, "45.6MB");
        check(123_400_000_000, "123GB");
        assert_eq!(binary_bytes(24_684_084 << 10), "23.5GiB");
        assert_eq!(binary_bytes(100 << 20), "100MiB");
        assert_eq!(memory(24_684_084 << 10), "23.54GiB");
        assert_eq!((memory(0), memory(1000 << 10), memory(1 << 20)), ("0B".to_owned(), "1000KiB".to_owned(), "1MiB".to_owned()));
    }

    #[test]
    fn ages_are_rounded_down() {
        for (seconds, expected) in
            [(0, "Less than a second"), (1, "1 second"), (119, "About a minute"), (86_400 * 70, "2 months")]
        {
            assert_eq!(age(seconds), expected);
        }
    }
}
