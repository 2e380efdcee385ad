//! Keys that leave a container to itself.

use crate::error::CommandError;
use crate::settings::World;

/// Keys that leave a container to itself, and how many of them have been pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct DetachKeys {
    sequence: Vec<u8>,
    pressed: usize,
}

/// What becomes of input.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands) enum Typed {
    /// It is for the container.
    Input(Vec<u8>),
    /// The keys were pressed; what came before them is for the container.
    Detach(Vec<u8>),
}

impl DetachKeys {
    /// As asked for, as docker's configuration says, or as Docker has them.
    pub(in crate::commands) fn asked(world: &World, given: Option<&str>) -> Result<Self, CommandError> {
        match given {
            Some(text) => Self::parse(text),
            None => Self::parse(world.docker_setting("detachKeys").as_deref().unwrap_or("ctrl-p,ctrl-q")),
        }
    }

    fn parse(text: &str) -> Result<Self, CommandError> {
        let wrong = |key: &str| {
            let forms = "expected letters or `ctrl-` and one of a-z @ [ \\ ] ^ _, with commas between them";
            CommandError::Usage(format!("invalid detach keys `{text}`: `{key}` is no key: {forms}"))
        };
        let key = |key: &str| {
            let control = key.strip_prefix("ctrl-").map(str::as_bytes);
            match (control, key.as_bytes()) {
                (Some([letter @ b'a'..=b'z']), _) => Ok(letter - b'a' + 1),
                (Some(b"@"), _) => Ok(0),
                (Some([sign @ b'['..=b'_']), _) => Ok(sign - b'[' + 27),
                (None, [letter]) => Ok(*letter),
                _ => Err(wrong(key)),
            }
        };
        Ok(Self { sequence: text.split(',').map(key).collect::<Result<_, _>>()?, pressed: 0 })
    }

    /// Takes input; keys that may become the sequence are kept until it is known.
    pub(in crate::commands) fn take(&mut self, input: &[u8]) -> Typed {
        let mut passed = Vec::new();
        for byte in input {
            if *byte != self.sequence[self.pressed] {
                passed.extend_from_slice(&self.sequence[..self.pressed]);
                self.pressed = 0;
            }
            if *byte == self.sequence[self.pressed] {
                self.pressed += 1;
                if self.pressed == self.sequence.len() {
                    self.pressed = 0;
                    return Typed::Detach(passed);
                }
            } else {
                passed.push(*byte);
            }
        }
        Typed::Input(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> DetachKeys {
        DetachKeys::parse(text).unwrap()
    }

    #[test]
    fn reads_keys_as_docker_writes_them() {
        assert_eq!(keys("ctrl-p,ctrl-q").sequence, [16, 17]);
        assert_eq!(keys("ctrl-@,ctrl-[,ctrl-_,x").sequence, [0, 27, 31, b'x']);
        for wrong in ["", "ctrl-", "ctrl-P", "ab", "ctrl-p,,x"] {
            assert!(DetachKeys::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_sequence_is_found_over_the_bounds_of_reads_and_what_was_none_is_passed_on() {
        let mut keys = keys("ctrl-p,ctrl-q");
        assert_eq!(keys.take(b"ab\x10"), Typed::Input(b"ab".to_vec()));
        assert_eq!(keys.take(b"c"), Typed::Input(b"\x10c".to_vec()));
        assert_eq!(keys.take(b"\x10\x10"), Typed::Input(b"\x10".to_vec()));
        assert_eq!(keys.take(b"\x11rest"), Typed::Detach(Vec::new()));
        assert_eq!(keys.take(b"x\x10\x11"), Typed::Detach(b"x".to_vec()));
    }
}
