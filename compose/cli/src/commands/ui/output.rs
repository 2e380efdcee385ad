//! Lines of output as the dashboard keeps them: the newest of each service, and the newest of all.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::output::plain_line;

/// Lines that are kept of a service, and of all together.
const KEPT: usize = 4000;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) container: String,
    pub(super) is_error: bool,
    /// Nothing in it could take a terminal over.
    pub(super) text: String,
}

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Output {
    all: VecDeque<Rc<Said>>,
    of: BTreeMap<String, VecDeque<Rc<Said>>>,
    /// Lines that have not ended.
    open: BTreeMap<(String, bool), String>,
}

impl Output {
    /// Takes a piece of a container's output; gives the line that it completes.
    pub(super) fn add(&mut self, service: &str, container: &str, is_error: bool, text: &str) -> Option<Rc<Said>> {
        let source = (container.to_owned(), is_error);
        let begun = self.open.remove(&source).unwrap_or_default();
        let text = begun + text;
        // One that never ends is shown as it is now and then.
        if !text.ends_with('\n') && text.len() < 16 * 1024 {
            self.open.insert(source, text);
            return None;
        }
        let line = plain_line(&text).trim_end_matches('\n').replace('\t', "    ");
        let said = Rc::new(Said { container: container.to_owned(), is_error, text: line });
        for kept in [&mut self.all, self.of.entry(service.to_owned()).or_default()] {
            kept.push_back(said.clone());
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
        Some(said)
    }

    /// The newest lines of a service, or of all, that hold some text, the newest last; `skip` of the newest are left out.
    pub(super) fn last(&self, service: Option<&str>, filter: &str, skip: usize, count: usize) -> Vec<Rc<Said>> {
        let mut found: Vec<Rc<Said>> = self.fitting(service, filter).skip(skip).take(count).cloned().collect();
        found.reverse();
        found
    }

    /// How many lines there are of a service, or of all, that hold some text.
    pub(super) fn count(&self, service: Option<&str>, filter: &str) -> usize {
        self.fitting(service, filter).count()
    }

    /// How many lines from the newest the next match is, looking up from one of them.
    pub(super) fn find(&self, service: Option<&str>, filter: &str, search: &str, from: usize) -> Option<usize> {
        let search = search.to_lowercase();
        let found = self.fitting(service, filter).enumerate().skip(from);
        found.filter(|(_, said)| said.text.to_lowercase().contains(&search)).map(|(at, _)| at).next()
    }

    fn fitting<'a>(&'a self, service: Option<&str>, filter: &str) -> impl Iterator<Item = &'a Rc<Said>> + use<'a> {
        let lines = match service {
            Some(service) => self.of.get(service),
            None => Some(&self.all),
        };
        let filter = filter.to_lowercase();
        let fits = move |said: &&Rc<Said>| filter.is_empty() || said.text.to_lowercase().contains(&filter);
        lines.into_iter().flatten().rev().filter(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(found: &[Rc<Said>]) -> Vec<&str> {
        found.iter().map(|said| said.text.as_str()).collect()
    }

    #[test]
    fn lines_are_found_by_service_text_and_place() {
        let mut output = Output::default();
        for number in 0..10 {
            output.add("web", "s-web-1", false, &format!("request {number}\n"));
            output.add("db", "s-db-1", true, &format!("query\u{1b}[2J {number}\n"));
        }
        output.add("db", "s-db-1", false, "begun, ");
        output.add("db", "s-db-1", false, "ended\n");
        assert_eq!(texts(&output.last(None, "", 0, 2)), ["query 9", "begun, ended"]);
        assert_eq!(texts(&output.last(Some("web"), "", 1, 2)), ["request 7", "request 8"]);
        assert_eq!(texts(&output.last(None, "T 3", 0, 9)), ["request 3"]);
        assert_eq!(output.count(Some("db"), "query"), 10);
        assert_eq!(output.find(Some("web"), "", "request 2", 0), Some(7));
        assert_eq!(output.find(Some("web"), "", "request", 8), Some(8));
        assert_eq!(output.find(Some("web"), "", "none", 0), None);
    }

    #[test]
    fn old_lines_go() {
        let mut output = Output::default();
        (0..KEPT + 10).for_each(|number| drop(output.add("web", "s-web-1", false, &format!("{number}\n"))));
        assert_eq!(output.count(None, ""), KEPT);
        assert_eq!(texts(&output.last(Some("web"), "", KEPT - 1, 1)), ["10"]);
    }
}
