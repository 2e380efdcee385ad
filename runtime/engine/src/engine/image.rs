//! The tree of an image, as it would be seen in a container.

use rcompose_image::View;
use rcompose_sys::beneath::Root;
use rcompose_sys::overlay;

/// Opens the merged layers, read-only; the host's mount table never shows them. `None` for an image without layers.
pub(super) fn open(view: &View) -> rcompose_sys::Result<Option<Root>> {
    match view.lower.as_slice() {
        [] => Ok(None),
        [only] => Root::open(only).map(Some),
        layers => overlay::read_only(layers).map(Some),
    }
}
