//! Lines as YAML and editors count them: `\n`, `\r\n`, and `\r` alone end one.

/// The lines of a text, without what ends them.
pub(crate) fn of(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        rest = tail.strip_prefix("\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
        Some(line)
    })
}

/// How many lines end in a text.
pub(crate) fn ends(text: &str) -> u32 {
    let ends = text.bytes().filter(|byte| matches!(byte, b'\n' | b'\r')).count() - text.matches("\r\n").count();
    u32::try_from(ends).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_line_is_known() {
        for (text, expected) in
            [("", &[][..]), ("a", &["a"]), ("a\nb\r\nc\rd", &["a", "b", "c", "d"]), ("a\n\n\r\r\nb\n", &["a", "", "", "", "b"])]
        {
            assert_eq!(of(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
        assert_eq!(["", "a", "a\r\n", "a\r\n\rb\n"].map(ends), [0, 0, 1, 3]);
    }
}
