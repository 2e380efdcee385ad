//! A picture that stands for itself: no script, no font, no file besides.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;

use super::layout::rows;
use super::picture::{Mood, Picture};

const HEIGHT: usize = 46;
const GAP: usize = 30;
const ROW: usize = 110;
const MARGIN: usize = 20;

/// A box, by its upper left corner.
#[derive(Clone, Copy, Default)]
struct Place {
    x: usize,
    y: usize,
    width: usize,
}

pub(super) fn draw(picture: &Picture) -> String {
    let rows = rows(picture);
    let width_of = |place: usize| {
        let service = &picture.services[place];
        (service.name.width().max(service.state.width()) * 8 + 24).max(90)
    };
    let row_width = |row: &Vec<usize>| row.iter().map(|place| width_of(*place) + GAP).sum::<usize>().saturating_sub(GAP);
    let width = rows.iter().map(row_width).max().unwrap_or(0);
    let mut places = vec![Place::default(); picture.services.len()];
    for (number, row) in rows.iter().enumerate() {
        let mut x = MARGIN + (width - row_width(row)) / 2;
        for place in row {
            places[*place] = Place { x, y: MARGIN + number * ROW, width: width_of(*place) };
            x += width_of(*place) + GAP;
        }
    }
    let (width, height) = (width + 2 * MARGIN, (rows.len().max(1) - 1) * ROW + HEIGHT + 2 * MARGIN);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"14\" text-anchor=\"middle\">\n<title>{}</title>\n\
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">\
         <path d=\"M0 0 8 4 0 8z\" fill=\"#666\"/></marker></defs>\n",
        escaped(&picture.name)
    );
    for (place, service) in picture.services.iter().enumerate() {
        for edge in &service.waits_for {
            text.push_str(&arrow(places[place], places[edge.to], edge.until, edge.required));
        }
    }
    for (place, service) in picture.services.iter().enumerate() {
        text.push_str(&drawn(places[place], &service.name, &service.state, service.mood));
    }
    text.push_str("</svg>\n");
    text
}

fn arrow(from: Place, to: Place, until: Option<&str>, required: bool) -> String {
    let (x1, y1) = (from.x + from.width / 2, from.y + HEIGHT);
    let (x2, y2) = (to.x + to.width / 2, to.y);
    let bend = y1.midpoint(y2);
    let dashes = if required { "" } else { " stroke-dasharray=\"5 4\"" };
    let mut text = format!(
        "<path d=\"M{x1} {y1}C{x1} {bend} {x2} {bend} {x2} {y2}\" fill=\"none\" stroke=\"#666\"{dashes} marker-end=\"url(#arrow)\"/>\n"
    );
    if let Some(until) = until {
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "<text x=\"{}\" y=\"{}\" font-size=\"11\" fill=\"#666\">{until}</text>", x1.midpoint(x2), bend - 4);
    }
    text
}

fn drawn(place: Place, name: &str, state: &str, mood: Mood) -> String {
    let (fill, line) = colours(mood);
    let middle = place.x + place.width / 2;
    format!(
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{HEIGHT}\" rx=\"8\" fill=\"{fill}\" stroke=\"{line}\"/>\n\
         <text x=\"{middle}\" y=\"{}\" font-weight=\"bold\">{}</text>\n\
         <text x=\"{middle}\" y=\"{}\" font-size=\"12\">{}</text>\n",
        place.x,
        place.y,
        place.width,
        place.y + 20,
        escaped(name),
        place.y + 37,
        escaped(state)
    )
}

/// Of the box, and of its border.
pub(super) fn colours(mood: Mood) -> (&'static str, &'static str) {
    match mood {
        Mood::Good => ("#dcf5dc", "#2e8b57"),
        Mood::Waiting => ("#fff3cd", "#b8860b"),
        Mood::Bad => ("#f8d7da", "#b22222"),
        Mood::Absent => ("#f0f0f0", "#888888"),
    }
}

/// As text and attributes may hold it.
pub(super) fn escaped(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            letter => letter.to_string(),
        })
        .collect()
}
