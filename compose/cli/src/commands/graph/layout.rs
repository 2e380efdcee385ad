//! Where each service is drawn: in a row below all that wait for it, and in its row near them.

use super::picture::Picture;

/// Rows of places in [`Picture::services`], from the top.
pub(super) fn rows(picture: &Picture) -> Vec<Vec<usize>> {
    let count = picture.services.len();
    let mut depth = vec![0_usize; count];
    // There are no cycles, so that no way is longer than there are services.
    for _ in 0..count {
        let mut moved = false;
        for place in 0..count {
            for edge in &picture.services[place].waits_for {
                if depth[edge.to] <= depth[place] {
                    depth[edge.to] = depth[place] + 1;
                    moved = true;
                }
            }
        }
        if !moved {
            break;
        }
    }
    let deepest = depth.iter().copied().max().unwrap_or(0);
    let mut rows: Vec<Vec<usize>> = (0..=deepest).map(|row| (0..count).filter(|place| depth[*place] == row).collect()).collect();
    let mut position = vec![0.0; count];
    for row in &mut rows {
        let middle = |place: usize| {
            let above = (0..count).filter(|other| picture.services[*other].waits_for.iter().any(|edge| edge.to == place));
            let places: Vec<f64> = above.map(|other| position[other]).collect();
            if places.is_empty() { 0.0 } else { places.iter().sum::<f64>() / places.len() as f64 }
        };
        let mut ordered: Vec<(f64, usize)> = row.iter().map(|place| (middle(*place), *place)).collect();
        ordered.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        *row = ordered.into_iter().map(|(_, place)| place).collect();
        let width = row.len() as f64;
        row.iter().enumerate().for_each(|(number, place)| position[*place] = (number as f64 + 0.5) / width);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::picture::{Edge, Mood, Node};
    use super::*;

    #[test]
    fn a_service_is_below_everything_that_waits_for_it() {
        let node = |name: &str, to: &[usize]| Node {
            name: name.to_owned(),
            mood: Mood::Good,
            state: String::new(),
            waits_for: to.iter().map(|to| Edge { to: *to, until: None, required: true }).collect(),
        };
        let services = vec![node("db", &[]), node("web", &[2, 0]), node("api", &[0]), node("alone", &[])];
        assert_eq!(rows(&Picture { name: String::new(), services }), [vec![1, 3], vec![2], vec![0]]);
    }
}
