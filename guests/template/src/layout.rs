//! What goes where. All arithmetic on sizes is here, and none of it can overflow: the tree may be anybody's.

use cellblock_guest::{
    FormatError, Kind, LabelProblem, Losses, Node, NodeId, NodeProblem, ReadError, Request,
    SettingProblem, Tree, each_node,
};

use crate::format::{LABEL_BYTES, Record, Superblock};
use crate::formatter::{ALIGNMENT, DESCRIPTION};

const DEFAULT_ALIGNMENT: u64 = 4096;
const LARGEST_ALIGNMENT: u64 = 1 << 20;
/// The largest file in bytes: large enough for anyone, and sums of offsets stay far from 64 bits.
const LARGEST_FILE: u64 = 1 << 60;

/// The finished plan of a catalog.
#[derive(Debug)]
pub(crate) struct Layout {
    /// All directories and files, in the tree's order.
    pub(crate) items: Vec<Item>,
    /// All names, one after another.
    pub(crate) names: Vec<u8>,
    /// To what contents are aligned, in bytes.
    pub(crate) alignment: u64,
    /// Padded with zeros.
    pub(crate) label: [u8; LABEL_BYTES],
    /// Where the last content ends, in bytes.
    pub(crate) used_bytes: u64,
}

/// A directory or a file. What the record on disk has, and no more: a tree may have a million of them.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) parent: u32,
    pub(crate) name_offset: u32,
    pub(crate) name_length: u16,
    pub(crate) mode: u16,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) nanoseconds: u32,
    pub(crate) seconds: i64,
    /// `None` for a directory.
    pub(crate) content: Option<Content>,
}

/// The content of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    /// The node that has it: another one for a hard link that became a copy.
    pub(crate) source: NodeId,
    /// Bytes.
    pub(crate) length: u64,
    /// Whether there are holes.
    pub(crate) sparse: bool,
    /// The first byte in the partition; 0 if it is empty.
    pub(crate) offset: u64,
}

impl Layout {
    /// Plans a catalog of `tree`.
    pub(crate) fn new(request: &Request, tree: &mut dyn Tree) -> Result<Self, FormatError> {
        request.check_settings(&DESCRIPTION)?;
        if !DESCRIPTION.makes(&request.kind) {
            return Err(FormatError::Kind);
        }
        let mut layout = Self {
            items: Vec::new(),
            names: Vec::new(),
            alignment: alignment(request)?,
            label: label(&request.label)?,
            used_bytes: 0,
        };
        layout.take_in(request.drop, tree)?;
        layout.lay_out()?;
        Ok(layout)
    }

    /// The bytes of the smallest partition: whole sectors.
    pub(crate) fn needed_bytes(&self, request: &Request) -> u64 {
        self.used_bytes
            .next_multiple_of(u64::from(request.sector_size).max(1))
    }

    /// Where the names begin, in bytes.
    pub(crate) fn names_offset(&self) -> u64 {
        size_of::<Superblock>() as u64 + self.items.len() as u64 * size_of::<Record>() as u64
    }

    fn take_in(&mut self, drop: Losses, tree: &mut dyn Tree) -> Result<(), FormatError> {
        // The number of each node's record; a node that was dropped has none.
        let mut numbers: Vec<Option<u32>> = Vec::new();
        each_node(tree, |id, node| {
            let content = self.content(id, &node.kind, &numbers, drop)?;
            let number = u32::try_from(self.items.len())
                .map_err(|_| FormatError::TooManyNodes(u32::MAX.into()))?;
            numbers.push(content.is_some().then_some(number));
            let Some(content) = content else {
                return Ok(());
            };
            if !node.attributes.is_empty() && !drop.contains(Losses::ATTRIBUTES) {
                return Err(FormatError::node(id, NodeProblem::Attributes));
            }
            // The host gives parents before children: anything else is no tree.
            let parent = numbers.get(node.parent.index()).copied().flatten();
            let parent = parent.ok_or(ReadError::Source)?;
            self.push(id, &node, parent, content)
        })
    }

    /// What a node of `kind` holds: `None` if it is dropped, `Some(None)` if it is a directory.
    fn content(
        &self,
        id: NodeId,
        kind: &Kind<'_>,
        numbers: &[Option<u32>],
        drop: Losses,
    ) -> Result<Option<Option<Content>>, FormatError> {
        let loss = match kind {
            Kind::Directory => return Ok(Some(None)),
            Kind::File { size, .. } if *size > LARGEST_FILE => {
                return Err(FormatError::node(
                    id,
                    NodeProblem::FileTooLarge(LARGEST_FILE),
                ));
            }
            Kind::File { size, sparse } => {
                return Ok(Some(Some(Content {
                    source: id,
                    length: *size,
                    sparse: *sparse,
                    offset: 0,
                })));
            }
            Kind::HardLink(target) => {
                let Some(number) = numbers.get(target.index()).copied().flatten() else {
                    return Ok(None);
                };
                if !drop.contains(Losses::HARD_LINKS) {
                    return Err(FormatError::node(id, NodeProblem::HardLink));
                }
                return Ok(Some(self.items[number as usize].content));
            }
            Kind::Symlink(_) => Losses::SYMLINKS,
            Kind::CharacterDevice(_) | Kind::BlockDevice(_) | Kind::Fifo | Kind::Socket => {
                Losses::SPECIAL_FILES
            }
        };
        if drop.contains(loss) {
            Ok(None)
        } else {
            Err(FormatError::node(id, NodeProblem::Kind))
        }
    }

    fn push(
        &mut self,
        id: NodeId,
        node: &Node<'_>,
        parent: u32,
        content: Option<Content>,
    ) -> Result<(), FormatError> {
        let too_many = FormatError::TooManyNodes(self.items.len() as u64);
        let limit = NodeProblem::NameTooLong(u16::MAX.into());
        self.items.push(Item {
            parent,
            name_offset: u32::try_from(self.names.len()).map_err(|_| too_many)?,
            name_length: u16::try_from(node.name.len())
                .map_err(|_| FormatError::node(id, limit))?,
            mode: node.mode
                | if content.is_some() {
                    Record::FILE
                } else {
                    Record::DIRECTORY
                },
            uid: node.uid,
            gid: node.gid,
            nanoseconds: node.modified.nanoseconds,
            seconds: node.modified.seconds,
            content,
        });
        self.names.extend_from_slice(&node.name);
        Ok(())
    }

    /// Gives every content its place.
    fn lay_out(&mut self) -> Result<(), FormatError> {
        let mut end = self.names_offset() + self.names.len() as u64;
        for content in self
            .items
            .iter_mut()
            .filter_map(|item| item.content.as_mut())
        {
            if content.length == 0 {
                continue;
            }
            let place = end
                .checked_next_multiple_of(self.alignment)
                .and_then(|offset| Some((offset, offset.checked_add(content.length)?)));
            let too_large = NodeProblem::FileTooLarge(LARGEST_FILE);
            (content.offset, end) = place.ok_or(FormatError::node(content.source, too_large))?;
        }
        // So far from the end of 64 bits that rounding up to sectors is safe.
        if end > 1 << 63 {
            return Err(FormatError::TooLarge(1 << 63));
        }
        self.used_bytes = end;
        Ok(())
    }
}

fn alignment(request: &Request) -> Result<u64, FormatError> {
    let Some(value) = request.setting(ALIGNMENT) else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    let problem = |problem| FormatError::setting(ALIGNMENT, problem);
    let alignment: u64 = value
        .parse()
        .map_err(|_| problem(SettingProblem::Malformed))?;
    if !(1..=LARGEST_ALIGNMENT).contains(&alignment) {
        return Err(problem(SettingProblem::OutOfRange(1, LARGEST_ALIGNMENT)));
    }
    if !alignment.is_power_of_two() {
        return Err(problem(SettingProblem::Malformed));
    }
    Ok(alignment)
}

fn label(label: &str) -> Result<[u8; LABEL_BYTES], FormatError> {
    let mut padded = [0; LABEL_BYTES];
    let problem = LabelProblem::TooLong(DESCRIPTION.label_limit);
    let place = padded
        .get_mut(..label.len())
        .ok_or(FormatError::Label(problem))?;
    place.copy_from_slice(label.as_bytes());
    Ok(padded)
}
