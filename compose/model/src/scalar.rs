//! What a plain scalar means: the rules of YAML's core schema, and those of the older YAML that Compose files still use
//! (`0440` is octal, `1_000` is a thousand, a bare date is a time).

use std::fmt;

/// What a scalar means where no field says so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`; `yes` and `on` are text.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A date, which no attribute takes.
    Time(&'a str),
    /// Everything else.
    Text(&'a str),
}

impl<'a> Scalar<'a> {
    /// The meaning of a text that was written without quotes.
    pub fn of_plain(text: &'a str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Boolean(true),
            "false" | "False" | "FALSE" => return Self::Boolean(false),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Self::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => return Self::Float(f64::NEG_INFINITY),
            ".nan" | ".NaN" | ".NAN" => return Self::Float(f64::NAN),
            _ => {}
        }
        if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.')) {
            return Self::Text(text);
        }
        if is_time(text) {
            return Self::Time(text);
        }
        if let Some(number) = crate::units::integer(text) {
            return Self::Integer(number);
        }
        match float(text) {
            Some(number) => Self::Float(number),
            None => Self::Text(text),
        }
    }

    /// What it is, as messages call it.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Time(_) => "a date",
            Self::Text(_) => "a string",
        }
    }

    /// As JSON. A fraction of zero is none: `1.0` is `1`, as it is in YAML.
    pub fn to_json(self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Self::Null => Value::Null,
            Self::Boolean(value) => Value::Bool(value),
            Self::Integer(number) => number.into(),
            Self::Float(number) => match format!("{number}").parse::<i64>() {
                Ok(whole) => whole.into(),
                Err(_) => serde_json::Number::from_f64(number).map_or(Value::Null, Value::Number),
            },
            Self::Time(text) | Self::Text(text) => Value::String(text.to_owned()),
        }
    }
}

impl fmt::Display for Scalar<'_> {
    /// As text where a text is wanted: `0440` is `288`, `1.10` is `1.1`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Boolean(value) => write!(out, "{value}"),
            Self::Integer(number) => write!(out, "{number}"),
            Self::Float(number) => out.write_str(&float_text(*number)),
            Self::Time(text) | Self::Text(text) => out.write_str(text),
        }
    }
}

/// The shortest text that means the number; an exponent from 21 digits on, as Compose prints them.
pub(crate) fn float_text(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let size = number.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if number.is_nan() || (1e-4..1e21).contains(&size) {
        return format!("{number}");
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

fn float(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(['-', '+']);
    let written = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'-' | b'+' | b'_'));
    let begins = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') && text.len() - digits.len() <= 1;
    let number = digits.bytes().any(|byte| byte.is_ascii_digit());
    if !(written && begins && number) {
        return None;
    }
    text.replace('_', "").parse().ok()
}

/// `2024-01-02`, with or without a time of day.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let parts: Vec<&str> = date.split('-').collect();
    let in_range = |part: &str, most: u32| {
        part.len() <= 2
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part.parse().is_ok_and(|it: u32| (1..=most).contains(&it))
    };
    let is_date = parts.len() == 3 && in_range(parts[1], 12) && in_range(parts[2], 31);
    let is_clock = |rest: &str| rest.contains(':') && rest.starts_with(|first: char| first.is_ascii_digit());
    is_date && rest.is_none_or(is_clock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_what_it_looks_like() {
        for (text, expected) in [
            ("", Scalar::Null),
            ("true", Scalar::Boolean(true)),
            ("yes", Scalar::Text("yes")),
            ("0440", Scalar::Integer(288)),
            ("0x1F", Scalar::Integer(31)),
            ("1_000", Scalar::Integer(1000)),
            ("1.10", Scalar::Float(1.1)),
            ("1e3", Scalar::Float(1000.0)),
            (".5", Scalar::Float(0.5)),
            ("22:22", Scalar::Text("22:22")),
            ("1.2.3", Scalar::Text("1.2.3")),
            ("2024-01-02", Scalar::Time("2024-01-02")),
            ("2024-01-02T10:00:00Z", Scalar::Time("2024-01-02T10:00:00Z")),
            ("2024-13-02", Scalar::Text("2024-13-02")),
            ("-", Scalar::Text("-")),
            ("+-1", Scalar::Text("+-1")),
            ("64m", Scalar::Text("64m")),
        ] {
            assert_eq!(Scalar::of_plain(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_become_the_text_that_compose_prints() {
        for (number, expected) in [(1.1, "1.1"), (1000.0, "1000"), (1e21, "1e+21"), (0.000_01, "1e-05"), (0.0, "0"), (-0.0, "0")]
        {
            assert_eq!(float_text(number), expected);
        }
    }

    #[test]
    fn whole_numbers_are_the_same_in_json_however_they_are_written() {
        for (text, expected) in
            [(".0", "0"), ("-.0", "0"), ("1.0", "1"), ("1e3", "1000"), ("1e18", "1000000000000000000"), ("1.5", "1.5")]
        {
            assert_eq!(Scalar::of_plain(text).to_json().to_string(), expected, "{text}");
        }
    }
}
