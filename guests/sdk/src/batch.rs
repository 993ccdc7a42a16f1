//! Nodes as they cross the contract: column by column, so that thousands of them are a few copies.

use std::borrow::Cow;

use crate::{Attribute, Device, Kind, Node, NodeId, Timestamp};

/// Some nodes in a row, in the form of the contract's `record nodes`. [`Batch::nodes`] reads them where they are.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) parents: Vec<u32>,
    pub(crate) types: Vec<Type>,
    /// What the type asks for: a size, the length of a target, a node or a device.
    pub(crate) values: Vec<u64>,
    pub(crate) modes: Vec<u16>,
    pub(crate) uids: Vec<u32>,
    pub(crate) gids: Vec<u32>,
    pub(crate) seconds: Vec<i64>,
    pub(crate) nanoseconds: Vec<u32>,
    pub(crate) name_lengths: Vec<u32>,
    pub(crate) names: Vec<u8>,
    pub(crate) targets: Vec<u8>,
    /// The position of the node of each of the attributes, ascending.
    pub(crate) attributed: Vec<u32>,
    pub(crate) attributes: Vec<Attribute>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Directory,
    File,
    SparseFile,
    Symlink,
    HardLink,
    CharacterDevice,
    BlockDevice,
    Fifo,
    Socket,
}

impl Batch {
    /// The number of nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there are none, as at the end of a tree.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// The nodes, in their order.
    ///
    /// # Panics
    /// If a column is shorter than another asks for, which the contract excludes.
    pub fn nodes(&self) -> impl Iterator<Item = Node<'_>> {
        let mut names = self.names.as_slice();
        let mut targets = self.targets.as_slice();
        let mut attributes = self.attributes.as_slice();
        let mut attributed = self.attributed.as_slice();
        let count = self.types.len();
        let (parents, values, modes) = (
            &self.parents[..count],
            &self.values[..count],
            &self.modes[..count],
        );
        let (uids, gids) = (&self.uids[..count], &self.gids[..count]);
        let (seconds, nanoseconds) = (&self.seconds[..count], &self.nanoseconds[..count]);
        let name_lengths = &self.name_lengths[..count];
        (0..count).map(move |index| {
            let own = attributed
                .iter()
                .take_while(|node| **node as usize == index)
                .count();
            attributed = &attributed[own..];
            Node {
                parent: NodeId(parents[index]),
                name: Cow::Borrowed(take(&mut names, name_lengths[index] as usize)),
                kind: kind(self.types[index], values[index], &mut targets),
                mode: modes[index],
                uid: uids[index],
                gid: gids[index],
                modified: Timestamp {
                    seconds: seconds[index],
                    nanoseconds: nanoseconds[index],
                },
                attributes: Cow::Borrowed(take(&mut attributes, own)),
            }
        })
    }

    /// Puts a node behind those that are there.
    pub fn push(&mut self, node: Node<'_>) {
        let (kind, value) = self.split(&node.kind);
        self.parents.push(node.parent.0);
        self.types.push(kind);
        self.values.push(value);
        self.modes.push(node.mode);
        self.uids.push(node.uid);
        self.gids.push(node.gid);
        self.seconds.push(node.modified.seconds);
        self.nanoseconds.push(node.modified.nanoseconds);
        self.name_lengths.push(narrow(node.name.len()));
        self.names.extend_from_slice(&node.name);
        let position = narrow(self.types.len() - 1);
        self.attributed
            .extend(node.attributes.iter().map(|_| position));
        self.attributes.extend_from_slice(&node.attributes);
    }

    /// The type of a kind and its value; a target is kept.
    fn split(&mut self, kind: &Kind<'_>) -> (Type, u64) {
        let device = |device: &Device| u64::from(device.major) << 32 | u64::from(device.minor);
        match kind {
            Kind::Directory => (Type::Directory, 0),
            Kind::File { size, sparse } => {
                let file = if *sparse {
                    Type::SparseFile
                } else {
                    Type::File
                };
                (file, *size)
            }
            Kind::Symlink(target) => {
                self.targets.extend_from_slice(target);
                (Type::Symlink, target.len() as u64)
            }
            Kind::HardLink(target) => (Type::HardLink, u64::from(target.0)),
            Kind::CharacterDevice(number) => (Type::CharacterDevice, device(number)),
            Kind::BlockDevice(number) => (Type::BlockDevice, device(number)),
            Kind::Fifo => (Type::Fifo, 0),
            Kind::Socket => (Type::Socket, 0),
        }
    }
}

impl<'a> FromIterator<Node<'a>> for Batch {
    fn from_iter<I: IntoIterator<Item = Node<'a>>>(nodes: I) -> Self {
        let mut batch = Self::default();
        for node in nodes {
            batch.push(node);
        }
        batch
    }
}

/// The first `count` of what is left of a column.
fn take<'a, T>(column: &mut &'a [T], count: usize) -> &'a [T] {
    let (first, rest) = column.split_at(count);
    *column = rest;
    first
}

fn kind<'a>(of: Type, value: u64, targets: &mut &'a [u8]) -> Kind<'a> {
    let [high, low] = [value >> 32, value & u64::from(u32::MAX)]
        .map(|half| u32::try_from(half).expect("it is one half of 64 bits"));
    let device = Device {
        major: high,
        minor: low,
    };
    match of {
        Type::Directory => Kind::Directory,
        Type::File | Type::SparseFile => Kind::File {
            size: value,
            sparse: of == Type::SparseFile,
        },
        Type::Symlink => {
            let length = usize::try_from(value).expect("a target is in memory");
            Kind::Symlink(Cow::Borrowed(take(targets, length)))
        }
        Type::HardLink => Kind::HardLink(NodeId(low)),
        Type::CharacterDevice => Kind::CharacterDevice(device),
        Type::BlockDevice => Kind::BlockDevice(device),
        Type::Fifo => Kind::Fifo,
        Type::Socket => Kind::Socket,
    }
}

/// A length or a position in a batch, which has far fewer nodes and bytes.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("a batch is far smaller")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_come_back_as_they_went_in() {
        let attribute = |name: &str| Attribute {
            name: name.into(),
            value: b"value".to_vec(),
        };
        let node = |name: &str, kind, attributes: &[Attribute]| Node {
            parent: NodeId(7),
            name: Cow::Owned(name.into()),
            kind,
            mode: 0o4755,
            uid: 1,
            gid: 2,
            modified: Timestamp {
                seconds: -3,
                nanoseconds: 4,
            },
            attributes: Cow::Owned(attributes.to_vec()),
        };
        let (major, minor) = (0xFFF, 0xF_FFFF);
        let file = |sparse| Kind::File {
            size: 1 << 40,
            sparse,
        };
        let nodes = vec![
            node("", Kind::Directory, &[]),
            node(
                "a",
                Kind::symlink("to"),
                &[attribute("user.a"), attribute("user.b")],
            ),
            node("b", file(true), &[]),
            node("c", Kind::symlink("target"), &[attribute("user.c")]),
            node("d", file(false), &[]),
            node("e", Kind::HardLink(NodeId(u32::MAX)), &[]),
            node("f", Kind::CharacterDevice(Device { major, minor }), &[]),
            node("g", Kind::BlockDevice(Device { major, minor }), &[]),
            node("h", Kind::Fifo, &[]),
            node("i", Kind::Socket, &[attribute("user.i")]),
        ];
        let batch: Batch = nodes.iter().cloned().collect();
        assert_eq!(batch.len(), nodes.len());
        assert_eq!(batch.nodes().collect::<Vec<_>>(), nodes);
    }
}
