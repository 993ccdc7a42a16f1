//! Places in a spec, which may be many files: a file, and a range of its text.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// One of the files that a spec is read from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(usize);

/// A stretch of the text of a file; the start of the first file where nothing better is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// Where in its text, in bytes.
    pub range: Range<usize>,
}

/// A value and where it stands in the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

/// The files that a spec is read from, with their texts: what readers read, and what errors are drawn from.
///
/// ```
/// use cellblock_spec::{Files, Spec};
///
/// let files = Files::one("image.toml", "[[partition]]\ntype = \"linx\"\n");
/// let error = Spec::read(&files).unwrap_err();
/// assert!(error.render(&files, false).contains("--> image.toml:2:8"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Files {
    files: Vec<File>,
}

#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    text: String,
    /// Where its text begins in one numbering of the bytes of all files, in which the trees of several can be joined.
    start: usize,
}

impl Files {
    /// A single file; relative paths in it are relative to the folder of `path`.
    pub fn one(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let mut files = Self::default();
        files.add(path, text);
        files
    }

    /// Adds a file behind the others.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> FileId {
        // One byte parts neighbours, so that the end of a text is not the start of the next.
        let start = self
            .files
            .last()
            .map_or(0, |last| last.start + last.text.len() + 1);
        self.files.push(File {
            path: path.into(),
            text: text.into(),
            start,
        });
        FileId(self.files.len() - 1)
    }

    /// Every file, in the order in which they were added.
    pub fn ids(&self) -> impl Iterator<Item = FileId> + use<> {
        (0..self.files.len()).map(FileId)
    }

    /// What errors call the file, and where relative paths in it start from.
    ///
    /// # Panics
    /// When the file is of other `Files`.
    pub fn path(&self, file: FileId) -> &Path {
        &self.files[file.0].path
    }

    /// The text of the file.
    ///
    /// # Panics
    /// When the file is of other `Files`.
    pub fn text(&self, file: FileId) -> &str {
        &self.files[file.0].text
    }

    /// The line of a place, from 1.
    ///
    /// # Panics
    /// When the place is in a file of other `Files`.
    pub fn line(&self, place: &Place) -> usize {
        let text = self.text(place.file).as_bytes();
        let before = &text[..place.range.start.min(text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// Where the text of a file begins in the numbering of all bytes.
    pub(super) fn start(&self, file: FileId) -> usize {
        self.files[file.0].start
    }

    /// The place of a range in the numbering of all bytes.
    pub(super) fn place(&self, range: Range<usize>) -> Place {
        let after = self
            .files
            .partition_point(|file| file.start <= range.start)
            .max(1);
        let start = self.files.get(after - 1).map_or(0, |file| file.start);
        Place {
            file: FileId(after - 1),
            range: range.start - start..range.end.max(range.start) - start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_file() {
        let mut files = Files::one("a", "12\n4");
        let (second, third) = (files.add("b", ""), files.add("c", "x\n\ny"));
        assert_eq!((files.start(second), files.start(third)), (5, 6));
        for (range, file, expected) in [
            (0..4, FileId(0), 0..4),
            (4..4, FileId(0), 4..4),
            (5..5, second, 0..0),
            (6..7, third, 0..1),
            (9..10, third, 3..4),
        ] {
            let range_in_file = expected;
            let place = Place {
                file,
                range: range_in_file,
            };
            assert_eq!(files.place(range.clone()), place, "{range:?}");
        }
        assert_eq!(files.line(&files.place(3..4)), 2);
        assert_eq!(files.line(&files.place(9..10)), 3);
    }
}
