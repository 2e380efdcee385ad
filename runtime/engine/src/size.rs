//! Sizes as people write them.

/// Bytes: `64m`, `1gb`, `4096`; in powers of 1024.
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        "t" | "tb" => 1 << 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1024() {
        for (text, bytes) in [("4096", 4096), ("64m", 64 << 20), ("1GB", 1 << 30), ("2k", 2048), ("3b", 3), ("1t", 1 << 40)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "m", "1x", "-1", "1.5g", "99999999999g"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
