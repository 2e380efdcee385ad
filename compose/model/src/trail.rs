//! The way from the top of a tree to a value, kept on the stack: text only where a message wants it.

use std::fmt;

/// One step of the way, and the steps above it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trail<'a> {
    above: Option<&'a Trail<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Top,
    Key(&'a str),
    Item(usize),
}

impl<'a> Trail<'a> {
    /// The tree itself.
    pub(crate) const TOP: Trail<'static> = Trail { above: None, step: Step::Top };

    pub(crate) fn key(&'a self, name: &'a str) -> Self {
        Trail { above: Some(self), step: Step::Key(name) }
    }

    pub(crate) fn item(&'a self, index: usize) -> Self {
        Trail { above: Some(self), step: Step::Item(index) }
    }

    /// Whether it leads below `services.NAME`.
    pub(crate) fn is_inside_a_service(&self) -> bool {
        let mut trail = self;
        let mut depth = 0;
        while let Some(above) = trail.above.filter(|above| !above.is_top()) {
            trail = above;
            depth += 1;
        }
        depth >= 2 && matches!(trail.step, Step::Key("services"))
    }

    pub(crate) fn is_top(&self) -> bool {
        matches!(self.step, Step::Top)
    }
}

impl fmt::Display for Trail<'_> {
    /// `services.web.ports[0]`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inside = self.above.filter(|above| !above.is_top());
        if let Some(above) = inside {
            write!(out, "{above}")?;
        }
        match self.step {
            Step::Top => Ok(()),
            Step::Key(name) if inside.is_none() => write!(out, "{}", name.escape_debug()),
            Step::Key(name) => write!(out, ".{}", name.escape_debug()),
            Step::Item(index) => write!(out, "[{index}]"),
        }
    }
}
