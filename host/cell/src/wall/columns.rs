//! Nodes as they cross the wall: their columns as they stand in memory, one behind the other, since both sides are one
//! program on one machine. Only what few nodes have is encoded.

use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::bindings::cellblock::format::tree::{Attribute, Kind, Nodes};

/// What tells the columns apart, and the attributes.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    /// Which of the streams of nodes they are of.
    pub(super) pass: u32,
    /// How many were wished for.
    pub(super) limit: u32,
    nodes: usize,
    names: usize,
    targets: usize,
    attributes: Vec<Attribute>,
}

/// The columns of `nodes`, and what goes before them: `limit` were wished for of the stream with the number `pass`.
pub(super) fn to_bytes(pass: u32, limit: u32, nodes: Nodes) -> (Head, Vec<u8>) {
    let kinds: Vec<u8> = nodes.kinds.iter().map(|kind| *kind as u8).collect();
    let columns: [&[u8]; 11] = [
        nodes.values.as_bytes(),
        nodes.seconds.as_bytes(),
        nodes.parents.as_bytes(),
        nodes.uids.as_bytes(),
        nodes.gids.as_bytes(),
        nodes.nanoseconds.as_bytes(),
        nodes.name_lengths.as_bytes(),
        nodes.modes.as_bytes(),
        &kinds,
        &nodes.names,
        &nodes.targets,
    ];
    let head = Head {
        pass,
        limit,
        nodes: nodes.kinds.len(),
        names: nodes.names.len(),
        targets: nodes.targets.len(),
        attributes: nodes.attributes,
    };
    (head, columns.concat())
}

/// The nodes that were made into `bytes`; none if these are not as long as `head` says.
pub(super) fn from_bytes(head: Head, bytes: &[u8]) -> Option<Nodes> {
    let mut rest = bytes;
    let nodes = Nodes {
        values: column(&mut rest, head.nodes)?,
        seconds: column(&mut rest, head.nodes)?,
        parents: column(&mut rest, head.nodes)?,
        uids: column(&mut rest, head.nodes)?,
        gids: column(&mut rest, head.nodes)?,
        nanoseconds: column(&mut rest, head.nodes)?,
        name_lengths: column(&mut rest, head.nodes)?,
        modes: column(&mut rest, head.nodes)?,
        kinds: column(&mut rest, head.nodes)?
            .into_iter()
            .map(kind)
            .collect::<Option<_>>()?,
        names: column(&mut rest, head.names)?,
        targets: column(&mut rest, head.targets)?,
        attributes: head.attributes,
    };
    rest.is_empty().then_some(nodes)
}

/// The first `count` values of what is left.
fn column<T: Copy + FromBytes + IntoBytes + Immutable>(
    rest: &mut &[u8],
    count: usize,
) -> Option<Vec<T>> {
    let (bytes, after) = rest.split_at_checked(count.checked_mul(size_of::<T>())?)?;
    *rest = after;
    let mut values = vec![T::new_zeroed(); count];
    values.as_mut_bytes().copy_from_slice(bytes);
    Some(values)
}

fn kind(number: u8) -> Option<Kind> {
    const ALL: [Kind; 9] = [
        Kind::Directory,
        Kind::File,
        Kind::SparseFile,
        Kind::Symlink,
        Kind::HardLink,
        Kind::CharacterDevice,
        Kind::BlockDevice,
        Kind::Fifo,
        Kind::Socket,
    ];
    ALL.into_iter().find(|kind| *kind as u8 == number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nodes_arrive_as_they_went() {
        let numbers: Vec<u8> = (0..9).collect();
        let kinds: Vec<Kind> = numbers
            .iter()
            .map(|number| kind(*number).unwrap())
            .collect();
        let count = u32::try_from(kinds.len()).unwrap();
        let upwards = |start: u32| (start..start + count).collect::<Vec<u32>>();
        let made = || Nodes {
            parents: upwards(1),
            kinds: kinds.clone(),
            values: (0..u64::from(count))
                .map(|value| u64::MAX - value)
                .collect(),
            modes: vec![0o7777; kinds.len()],
            uids: upwards(2),
            gids: upwards(3),
            seconds: (0..i64::from(count)).map(|value| -value).collect(),
            nanoseconds: upwards(4),
            name_lengths: upwards(5),
            names: b"names".to_vec(),
            targets: b"targets!".to_vec(),
            attributes: vec![Attribute {
                node: 3,
                name: b"user.a".to_vec(),
                value: b"value".to_vec(),
            }],
        };
        let (head, bytes) = to_bytes(1, 2, made());
        let arrived = from_bytes(head, &bytes).unwrap();
        assert_eq!(format!("{arrived:?}"), format!("{:?}", made()));
        for bytes in [&bytes[1..], &[&bytes[..], &[0]].concat()[..]] {
            assert!(from_bytes(to_bytes(1, 2, made()).0, bytes).is_none());
        }
        let (head, mut bytes) = to_bytes(1, 2, made());
        let first_kind = bytes.len() - "namestargets!".len() - kinds.len();
        bytes[first_kind] = 9;
        assert!(from_bytes(head, &bytes).is_none());
    }
}
