//! Files of a file system whose content is not in it: overlayfs takes it from another layer, and that of a composefs from its objects.

use std::fmt;

use cellblock_text::PathBytes;
use cellblock_tree::overlayfs::is_metacopy;
use cellblock_tree::{Kind, Node, Tree};

/// Files of which zeros are read, as of any hole, since their content is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// How many there are.
    pub files: u64,
    /// The path of the first.
    pub first: PathBytes,
}

impl Elsewhere {
    /// Whether a node is such a file, of a tree whose extents were told.
    #[must_use]
    pub fn is_one(node: &Node<'_>) -> bool {
        matches!(node.kind, Kind::File { sparse: true, .. })
            && (node.attributes.iter()).any(|it| is_metacopy(&it.name))
    }

    /// Those of a tree, whose extents were told; none if there are none.
    pub(crate) fn of(tree: &Tree) -> Option<Self> {
        let mut marked = tree.nodes().filter(Self::is_one);
        let first = marked.next()?;
        Some(Self {
            first: PathBytes(tree.path(first.id)),
            files: 1 + marked.count() as u64,
        })
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files have no content of their own here, and zeros are read of them, the first of them {}: overlayfs takes it from elsewhere (overlay.metacopy); of a composefs, use `composefs-info dump` and a source {{ composefs = \"DUMP\", basedir = \"OBJECTS\" }}",
            self.files, self.first
        )
    }
}
