//! Where a spec says what an error is about that comes later, when content is read and file systems are made.

use std::path::Path;

use super::{Place, Spec};

/// What an error is about, of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// What goes in, from this path.
    Content(&'a Path),
    /// The label of the file system.
    Label,
    /// This option of the formatter.
    Option(&'a str),
    /// The size.
    Size,
    /// The partition as a whole.
    Partition,
}

impl Spec {
    /// Where the spec says something of the partition with this index; the nearest place that there is where it says nothing.
    /// `None` for content that somebody typed, and without such a partition.
    pub fn place_of(&self, index: usize, subject: Subject<'_>) -> Option<Place> {
        let partition = self.partitions.get(index)?;
        let filesystem = partition.filesystem.as_ref();
        let found = match subject {
            Subject::Content(path) => return filesystem?.content_places.get(path).cloned(),
            Subject::Label => filesystem
                .and_then(|filesystem| filesystem.label.as_ref())
                .map(|label| &label.place),
            Subject::Option(name) => filesystem
                .and_then(|filesystem| filesystem.options.get(name))
                .map(|value| &value.place),
            Subject::Size => partition.size.as_ref().map(|size| &size.place),
            Subject::Partition => None,
        };
        let of_filesystem = filesystem.map(|filesystem| &filesystem.kind.place);
        Some(found.or(of_filesystem).unwrap_or(&partition.place).clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_subject_has_its_place() {
        const SOURCE: &str = "[[partition]]\ntype = \"linux\"\nsize = \"1MiB\"\nfilesystem = \"ext4\"\nlabel = \"L\"\n\
            content = [{ directory = \"root\", to = \"/x\" }]\noptions = { inodes = 5 }\n";
        let spec = Spec::parse(SOURCE, Path::new("/specs")).unwrap();
        for (subject, expected) in [
            (Subject::Content(Path::new("/specs/root")), Some("\"root\"")),
            (Subject::Content(Path::new("/specs/other")), None),
            (Subject::Label, Some("\"L\"")),
            (Subject::Option("inodes"), Some("5")),
            (Subject::Option("journal"), Some("\"ext4\"")),
            (Subject::Size, Some("\"1MiB\"")),
            (Subject::Partition, Some("\"ext4\"")),
        ] {
            let place = spec.place_of(0, subject);
            let text = place.map(|place| &SOURCE[place.range]);
            assert_eq!(text, expected, "{subject:?}");
        }
        assert_eq!(spec.place_of(1, Subject::Size), None);
    }
}
