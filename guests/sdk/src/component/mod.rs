//! The wasm surface of every formatter: the contract's bindings, and the translation between its types and ours.
//! Lists go over as they are; everything else is taken apart field by field, so that a field or a case that is added on
//! one side and not on the other does not compile.

mod encoding;
mod panics;
pub mod reader;

use std::marker::PhantomData;

use crate::batch::Type;
use crate::{
    Attribute, Batch, Description, FormatError, Formatter, Identifier, KindDescription,
    LabelProblem, Losses, NodeError, NodeId, NodeProblem, OptionDescription, Output,
    PartitionError, PlaceError, Placement, Property, Range, ReadError, Request, SettingError,
    SettingProblem, Shortage, Summary, Timestamp, Totals, Tree, Uuid,
};

#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "encoding-guest",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_bindings",
        default_bindings_module: "cellblock_guest::component::bindings",
    });
}

use bindings::cellblock::format::{placement, progress, tree};
use bindings::exports::cellblock::format::{formatter as contract, kinds};
use bindings::wasi::filesystem::types::{Descriptor, ErrorCode};

/// Hands a [`Formatter`] to the host: the one line of a guest's `component.rs`.
#[macro_export]
macro_rules! export {
    ($formatter:ty) => {
        type ExportedFormatter = $crate::component::Component<$formatter>;
        $crate::component::bindings::export_bindings!(ExportedFormatter with_types_in $crate::component::bindings);
    };
}

/// Hands an [`EncodingFormatter`](crate::EncodingFormatter) to the host: the one line of a guest's `component.rs`.
#[macro_export]
macro_rules! export_encoding {
    ($formatter:ty) => {
        type ExportedFormatter = $crate::component::EncodingComponent<$formatter>;
        $crate::component::bindings::export_bindings!(ExportedFormatter with_types_in $crate::component::bindings);
    };
}

pub use encoding::EncodingComponent;

/// The exports of a formatter. It imports nothing of what encodes: what no code calls, `cargo guests` leaves out.
pub struct Component<F>(PhantomData<F>);

impl<F: Formatter> contract::Guest for Component<F> {
    fn describe() -> contract::Description {
        begin();
        F::describe().into()
    }

    fn measure(request: contract::Request) -> Result<u64, contract::FormatError> {
        begin();
        Ok(F::measure(&request.into(), &mut HostTree)?)
    }

    fn format(
        partition: Descriptor,
        request: contract::Request,
    ) -> Result<contract::Summary, contract::FormatError> {
        begin();
        let mut output = HostOutput { partition };
        let summary = F::format(&request.into(), &mut HostTree, &mut output)?;
        Ok(summary.into())
    }
}

impl<F: Formatter> kinds::Guest for Component<F> {
    fn describe_kinds() -> Vec<kinds::KindDescription> {
        let kinds = F::describe().kinds;
        kinds.iter().copied().map(Into::into).collect()
    }
}

/// What every call of a formatter begins with.
fn begin() {
    panics::tell_by(warn);
}

fn warn(message: &str) {
    progress::log(progress::Level::Warning, message);
}

/// The tree behind the contract.
struct HostTree;

impl Tree for HostTree {
    fn next(&mut self, limit: u32) -> Batch {
        tree::next(limit).into()
    }

    fn rewind(&mut self) {
        tree::rewind();
    }

    fn totals(&mut self, unit: u32) -> Totals {
        let tree::Totals {
            nodes,
            directories,
            hard_links,
            attributed,
            names,
            targets,
            content,
        } = tree::sum(unit);
        Totals {
            nodes,
            directories,
            hard_links,
            attributed,
            names,
            targets,
            content,
        }
    }

    fn ranges(&mut self, file: NodeId) -> Result<Vec<Range>, ReadError> {
        let ranges = tree::ranges(file.0)?;
        Ok(ranges
            .into_iter()
            .map(|tree::Range { offset, length }| Range { offset, length })
            .collect())
    }

    fn read(&mut self, file: NodeId, offset: u64, length: u32) -> Result<Vec<u8>, ReadError> {
        Ok(tree::read(file.0, offset, length)?)
    }
}

/// The partition behind the contract.
struct HostOutput {
    partition: Descriptor,
}

impl Output for HostOutput {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let mut written = 0;
        while written < bytes.len() {
            let count = self
                .partition
                .write(&bytes[written..], offset + written as u64)
                .map_err(PartitionError::from)?;
            let count = usize::try_from(count).map_err(|_| PartitionError::Failed)?;
            if count == 0 {
                return Err(PartitionError::Failed.into());
            }
            written += count;
        }
        Ok(())
    }

    fn place(&mut self, batch: &[Placement]) -> Result<(), FormatError> {
        placement::place(&placements(batch)).map_err(|error| PlaceError::from(error).into())
    }

    fn compose(&mut self, offset: u64, own: &[u8], batch: &[Placement]) -> Result<(), FormatError> {
        placement::compose(offset, own, &placements(batch))
            .map_err(|error| PlaceError::from(error).into())
    }

    fn warn(&mut self, message: &str) {
        warn(message);
    }
}

fn placements(batch: &[Placement]) -> Vec<placement::Placement> {
    let batch = batch.iter().copied();
    batch.map(placement::Placement::from).collect()
}

impl From<Placement> for placement::Placement {
    fn from(asked: Placement) -> Self {
        let Placement {
            file: NodeId(file),
            file_offset,
            partition_offset,
            length,
            padding,
        } = asked;
        Self {
            file,
            file_offset,
            partition_offset,
            length,
            padding,
        }
    }
}

impl From<Description> for contract::Description {
    fn from(description: Description) -> Self {
        let Description {
            name,
            version,
            summary,
            kinds,
            options,
            label_limit,
            lacks,
        } = description;
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            kinds: kinds.iter().map(|kind| kind.name.to_owned()).collect(),
            options: options.iter().map(Into::into).collect(),
            label_limit,
            lacks: lacks.into(),
        }
    }
}

impl From<&OptionDescription> for contract::OptionDescription {
    fn from(option: &OptionDescription) -> Self {
        let OptionDescription {
            name,
            value,
            default,
            documentation,
        } = *option;
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
            default: default.to_owned(),
            documentation: documentation.to_owned(),
        }
    }
}

impl From<KindDescription> for kinds::KindDescription {
    fn from(kind: KindDescription) -> Self {
        let KindDescription {
            name,
            identifier,
            capital_labels,
            compresses,
            uefi,
        } = kind;
        Self {
            name: name.to_owned(),
            identifier: match identifier {
                Identifier::Uuid => kinds::Identifier::Uuid,
                Identifier::Serial => kinds::Identifier::Serial,
                Identifier::None => kinds::Identifier::None,
            },
            capital_labels,
            compresses,
            uefi,
        }
    }
}

impl From<Summary> for contract::Summary {
    fn from(summary: Summary) -> Self {
        let Summary { used, properties } = summary;
        let property = |Property { name, value }| contract::Property {
            name: String::from(name),
            value,
        };
        Self {
            used,
            properties: properties.into_iter().map(property).collect(),
        }
    }
}

/// Each loss on both sides.
const LOSSES: [(Losses, contract::Losses); 6] = [
    (Losses::SYMLINKS, contract::Losses::SYMLINKS),
    (Losses::SPECIAL_FILES, contract::Losses::SPECIAL_FILES),
    (Losses::HARD_LINKS, contract::Losses::HARD_LINKS),
    (Losses::OWNERS, contract::Losses::OWNERS),
    (Losses::PERMISSIONS, contract::Losses::PERMISSIONS),
    (Losses::ATTRIBUTES, contract::Losses::ATTRIBUTES),
];

const _: () = {
    let mut all = Losses::empty();
    let mut index = 0;
    while index < LOSSES.len() {
        all = all.union(LOSSES[index].0);
        index += 1;
    }
    assert!(all.is_all());
};

impl From<Losses> for contract::Losses {
    fn from(losses: Losses) -> Self {
        let each = LOSSES.iter().filter(|(ours, _)| losses.contains(*ours));
        each.fold(Self::empty(), |all, (_, theirs)| all | *theirs)
    }
}

impl From<contract::Losses> for Losses {
    fn from(losses: contract::Losses) -> Self {
        let each = LOSSES
            .iter()
            .filter(|(_, theirs)| losses & *theirs == *theirs);
        each.fold(Self::empty(), |all, (ours, _)| all | *ours)
    }
}

impl From<tree::Nodes> for Batch {
    fn from(nodes: tree::Nodes) -> Self {
        let tree::Nodes {
            parents,
            kinds,
            values,
            modes,
            uids,
            gids,
            seconds,
            nanoseconds,
            name_lengths,
            names,
            targets,
            attributes,
        } = nodes;
        let (attributed, attributes) = attributes
            .into_iter()
            .map(|tree::Attribute { node, name, value }| (node, Attribute { name, value }))
            .unzip();
        Self {
            parents,
            types: kinds.into_iter().map(Type::from).collect(),
            values,
            modes,
            uids,
            gids,
            seconds,
            nanoseconds,
            name_lengths,
            names,
            targets,
            attributed,
            attributes,
        }
    }
}

impl From<tree::Kind> for Type {
    fn from(kind: tree::Kind) -> Self {
        match kind {
            tree::Kind::Directory => Self::Directory,
            tree::Kind::File => Self::File,
            tree::Kind::SparseFile => Self::SparseFile,
            tree::Kind::Symlink => Self::Symlink,
            tree::Kind::HardLink => Self::HardLink,
            tree::Kind::CharacterDevice => Self::CharacterDevice,
            tree::Kind::BlockDevice => Self::BlockDevice,
            tree::Kind::Fifo => Self::Fifo,
            tree::Kind::Socket => Self::Socket,
        }
    }
}

impl From<tree::Timestamp> for Timestamp {
    fn from(timestamp: tree::Timestamp) -> Self {
        let tree::Timestamp {
            seconds,
            nanoseconds,
        } = timestamp;
        Self {
            seconds,
            nanoseconds,
        }
    }
}

impl From<contract::Identifier> for Uuid {
    fn from(identifier: contract::Identifier) -> Self {
        let contract::Identifier { high, low } = identifier;
        let value = u128::from(high) << 64 | u128::from(low);
        Self(value.to_be_bytes())
    }
}

impl From<contract::Request> for Request {
    fn from(request: contract::Request) -> Self {
        let contract::Request {
            kind,
            size,
            disk_offset,
            sector_size,
            label,
            uuid,
            seed,
            time,
            drop,
            settings,
        } = request;
        Self {
            kind,
            size,
            disk_offset,
            sector_size,
            label,
            uuid: uuid.into(),
            seed: seed.into(),
            time: time.into(),
            drop: drop.into(),
            settings: settings
                .into_iter()
                .map(|contract::Setting { name, value }| (name, value))
                .collect(),
        }
    }
}

impl From<tree::ReadError> for ReadError {
    fn from(error: tree::ReadError) -> Self {
        match error {
            tree::ReadError::NotAFile => Self::NotAFile,
            tree::ReadError::OutOfRange => Self::OutOfRange,
            tree::ReadError::Source => Self::Source,
        }
    }
}

impl From<ReadError> for tree::ReadError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotAFile => Self::NotAFile,
            ReadError::OutOfRange => Self::OutOfRange,
            ReadError::Source => Self::Source,
        }
    }
}

impl From<placement::PlaceError> for PlaceError {
    fn from(error: placement::PlaceError) -> Self {
        match error {
            placement::PlaceError::NotAFile(index) => Self::NotAFile(index),
            placement::PlaceError::OutsideFile(index) => Self::OutsideFile(index),
            placement::PlaceError::OutsidePartition(index) => Self::OutsidePartition(index),
            placement::PlaceError::Overlap(index) => Self::Overlap(index),
            placement::PlaceError::Failed => Self::Failed,
        }
    }
}

impl From<PlaceError> for placement::PlaceError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::NotAFile(index) => Self::NotAFile(index),
            PlaceError::OutsideFile(index) => Self::OutsideFile(index),
            PlaceError::OutsidePartition(index) => Self::OutsidePartition(index),
            PlaceError::Overlap(index) => Self::Overlap(index),
            PlaceError::Failed => Self::Failed,
        }
    }
}

impl From<ErrorCode> for PartitionError {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::InsufficientSpace | ErrorCode::Invalid => Self::OutOfRange,
            ErrorCode::Busy => Self::Placed,
            _ => Self::Failed,
        }
    }
}

impl From<PartitionError> for ErrorCode {
    fn from(error: PartitionError) -> Self {
        match error {
            PartitionError::OutOfRange => Self::InsufficientSpace,
            PartitionError::Placed => Self::Busy,
            PartitionError::Failed => Self::Io,
        }
    }
}

impl From<NodeProblem> for contract::NodeProblem {
    fn from(problem: NodeProblem) -> Self {
        match problem {
            NodeProblem::Kind => Self::Kind,
            NodeProblem::HardLink => Self::HardLink,
            NodeProblem::Owner => Self::Owner,
            NodeProblem::Permissions => Self::Permissions,
            NodeProblem::Attributes => Self::Attributes,
            NodeProblem::NameCharacter(character) => Self::NameCharacter(character),
            NodeProblem::NameEncoding => Self::NameEncoding,
            NodeProblem::NameTooLong(limit) => Self::NameTooLong(limit),
            NodeProblem::NameReserved => Self::NameReserved,
            NodeProblem::NameCollision(other) => Self::NameCollision(other.0),
            NodeProblem::FileTooLarge(limit) => Self::FileTooLarge(limit),
            NodeProblem::TargetTooLong(limit) => Self::TargetTooLong(limit),
            NodeProblem::TooManyLinks(limit) => Self::TooManyLinks(limit),
            NodeProblem::DirectoryTooLarge(limit) => Self::DirectoryTooLarge(limit),
            NodeProblem::AttributesTooLarge(limit) => Self::AttributesTooLarge(limit),
            NodeProblem::Time => Self::Time,
            NodeProblem::Device => Self::Device,
        }
    }
}

impl From<SettingProblem> for contract::SettingProblem {
    fn from(problem: SettingProblem) -> Self {
        match problem {
            SettingProblem::Unknown => Self::Unknown,
            SettingProblem::Malformed => Self::Malformed,
            SettingProblem::OutOfRange(least, most) => Self::OutOfRange((least, most)),
            SettingProblem::Conflict(other) => Self::Conflict(other),
        }
    }
}

impl From<FormatError> for contract::FormatError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::TooSmall(Shortage { needed, available }) => {
                Self::TooSmall(contract::Shortage { needed, available })
            }
            FormatError::TooLarge(limit) => Self::TooLarge(limit),
            FormatError::Kind => Self::Kind,
            FormatError::Label(LabelProblem::TooLong(limit)) => {
                Self::Label(contract::LabelProblem::TooLong(limit))
            }
            FormatError::Label(LabelProblem::Character(character)) => {
                Self::Label(contract::LabelProblem::Character(character))
            }
            FormatError::Setting(SettingError { name, problem }) => {
                Self::Setting(contract::SettingError {
                    name,
                    problem: problem.into(),
                })
            }
            FormatError::Node(NodeError {
                node: NodeId(node),
                problem,
            }) => Self::Node(contract::NodeError {
                node,
                problem: problem.into(),
            }),
            FormatError::TooManyNodes(limit) => Self::TooManyNodes(limit),
            FormatError::Tree(error) => Self::Tree(error.into()),
            FormatError::Placement(error) => Self::Placement(error.into()),
            FormatError::Partition(error) => Self::Partition(error.into()),
        }
    }
}
