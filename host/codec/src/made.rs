//! A piece, before it is known whether it is kept.

/// A piece as a method made it.
pub(crate) struct Made {
    pub(crate) consumed: usize,
    pub(crate) produced: usize,
}
