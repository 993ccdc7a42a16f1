//! What overlayfs takes for a mark of its own: devices and attributes by which one layer says what it does to those below it
//! (Documentation/filesystems/overlayfs.rst of the kernel, "whiteouts and opaque directories" and "Nesting overlayfs mounts").

use crate::{Attribute, Kind, Node};

/// What the attributes of overlayfs begin with, as it writes them for root and for others.
const OWN: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];
/// What its attribute has behind that where it is meant for an overlayfs on top of this one, which is to see it without this.
const ESCAPE: &[u8] = b"overlay.";

/// What a mark says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The name is hidden in lower layers: a device 0:0.
    Device,
    /// The name is hidden in lower layers: an empty file with the attribute `overlay.whiteout`.
    Whiteout,
    /// All that lower layers have in this directory is hidden.
    Opaque,
    /// It was renamed, or has its content, in another layer (`redirect_dir`, `metacopy`).
    Elsewhere,
}

impl Mark {
    /// The mark of a node.
    #[must_use]
    pub fn of(node: &Node<'_>) -> Option<Self> {
        let is_empty_file = matches!(node.kind, Kind::File { size: 0, .. });
        Self::on(Some(node.kind), is_empty_file, node.attributes)
    }

    /// The mark of something that is of this kind, if it has no content, and has these attributes.
    pub(crate) fn on(
        kind: Option<&Kind>,
        is_empty_file: bool,
        attributes: &[Attribute],
    ) -> Option<Self> {
        if let Some(Kind::CharacterDevice { major: 0, minor: 0 }) = kind {
            return Some(Self::Device);
        }
        let marks = attributes.iter().filter_map(|attribute| {
            match (own_name(&attribute.name)?, &attribute.value[..]) {
                (b"whiteout", _) if is_empty_file => Some(Self::Whiteout),
                (b"redirect" | b"metacopy", _) => Some(Self::Elsewhere),
                (b"opaque", b"y") => Some(Self::Opaque),
                _ => None,
            }
        });
        // What is hidden is hidden whatever else is said of it, and what cannot be followed is worse than what can.
        marks.max_by_key(|mark| match mark {
            Self::Device | Self::Whiteout => 2,
            Self::Elsewhere => 1,
            Self::Opaque => 0,
        })
    }

    /// What has it, for messages.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Device => "a device 0:0",
            Self::Whiteout => "an empty file with the attribute overlay.whiteout",
            Self::Opaque => "a directory with the attribute overlay.opaque",
            Self::Elsewhere => "something with the attribute overlay.redirect or overlay.metacopy",
        }
    }
}

/// What an attribute of overlayfs is called behind its beginning.
fn own_name(name: &[u8]) -> Option<&[u8]> {
    OWN.iter().find_map(|own| name.strip_prefix(*own))
}

/// Whether an attribute marks a file whose content is in another layer ("Metadata only copy up").
#[must_use]
pub fn is_metacopy(name: &[u8]) -> bool {
    own_name(name) == Some(b"metacopy")
}

/// Whether an attribute is overlayfs's own, or escaped.
pub(crate) fn is_own(name: &[u8]) -> bool {
    own_name(name).is_some()
}

/// The name under which what is mounted shows an attribute; none if overlayfs keeps it to itself. One that is escaped loses one `overlay.`.
pub(crate) fn shown(name: &[u8]) -> Option<Vec<u8>> {
    let Some(rest) = own_name(name) else {
        return Some(name.to_vec());
    };
    let own = &name[..name.len() - rest.len()];
    Some([own, rest.strip_prefix(ESCAPE)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_attribute_loses_one_escape() {
        let told =
            |name: &str| shown(name.as_bytes()).map(|it| String::from_utf8_lossy(&it).into_owned());
        for (name, expected) in [
            ("user.a", Some("user.a")),
            ("trusted.overlay", Some("trusted.overlay")),
            ("trusted.overlay.opaque", None),
            ("user.overlay.origin", None),
            (
                "trusted.overlay.overlay.opaque",
                Some("trusted.overlay.opaque"),
            ),
            (
                "user.overlay.overlay.overlay.opaque",
                Some("user.overlay.overlay.opaque"),
            ),
        ] {
            assert_eq!(told(name).as_deref(), expected, "{name}");
        }
    }
}
