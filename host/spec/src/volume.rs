//! A disk that a file describes, and what is said of the file.

use super::Spec;
use super::place::Place;

/// A disk that a file describes.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Its name; a spec in TOML gives none.
    pub name: Option<String>,
    /// The index of the partition that imagecraft mounts at the root.
    pub root: Option<usize>,
    /// The index of the partition that is appended to a gadget for its root file system, because no structure has the role
    /// `system-data`. It is nothing without content.
    pub appended: Option<usize>,
    /// What is on it.
    pub spec: Spec,
}

/// Something in a file that makes no difference to the image, and what to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where it stands.
    pub place: Place,
    /// What to say.
    pub text: String,
}
