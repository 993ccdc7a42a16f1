//! The wasm surface of every formatter: the contract's bindings, and the translation between its types and ours.
//! Lists go over as they are; everything else is a field by field move.

use std::marker::PhantomData;

use crate::batch::Type;
use crate::{
    Attribute, Batch, FormatError, Formatter, LabelProblem, Losses, NodeId, NodeProblem, Output,
    PartitionError, PlaceError, Placement, Range, ReadError, Request, SettingProblem, Timestamp,
    Totals, Tree, Uuid,
};

#[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "guest",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_bindings",
        default_bindings_module: "cellblock_guest::component::bindings",
    });
}

use bindings::cellblock::format::{placement, progress, tree};
use bindings::exports::cellblock::format::formatter as contract;
use bindings::wasi::filesystem::types::{Descriptor, ErrorCode};

/// Hands a [`Formatter`] to the host: the one line of a guest's `component.rs`.
#[macro_export]
macro_rules! export {
    ($formatter:ty) => {
        type ExportedFormatter = $crate::component::Component<$formatter>;
        $crate::component::bindings::export_bindings!(ExportedFormatter with_types_in $crate::component::bindings);
    };
}

/// The exports of a formatter.
pub struct Component<F>(PhantomData<F>);

impl<F: Formatter> contract::Guest for Component<F> {
    fn describe() -> contract::Description {
        let description = F::describe();
        contract::Description {
            name: description.name.to_owned(),
            version: description.version.to_owned(),
            summary: description.summary.to_owned(),
            kinds: description
                .kinds
                .iter()
                .map(|kind| (*kind).to_owned())
                .collect(),
            options: description
                .options
                .iter()
                .map(|option| contract::OptionDescription {
                    name: option.name.to_owned(),
                    value: option.value.to_owned(),
                    default: option.default.to_owned(),
                    documentation: option.documentation.to_owned(),
                })
                .collect(),
            label_limit: description.label_limit,
            lacks: contract::Losses::from_bits_retain(description.lacks.bits()),
        }
    }

    fn measure(request: contract::Request) -> Result<u64, contract::FormatError> {
        Ok(F::measure(&request.into(), &mut HostTree)?)
    }

    fn format(
        partition: Descriptor,
        request: contract::Request,
    ) -> Result<contract::Summary, contract::FormatError> {
        let summary = F::format(
            &request.into(),
            &mut HostTree,
            &mut HostOutput { partition },
        )?;
        Ok(contract::Summary {
            used: summary.used,
            properties: summary
                .properties
                .into_iter()
                .map(|property| contract::Property {
                    name: property.name.to_owned(),
                    value: property.value,
                })
                .collect(),
        })
    }
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
        let totals = tree::sum(unit);
        Totals {
            nodes: totals.nodes,
            directories: totals.directories,
            hard_links: totals.hard_links,
            attributed: totals.attributed,
            names: totals.names,
            targets: totals.targets,
            content: totals.content,
        }
    }

    fn ranges(&mut self, file: NodeId) -> Result<Vec<Range>, ReadError> {
        let ranges = tree::ranges(file.0)?;
        Ok(ranges
            .into_iter()
            .map(|range| Range {
                offset: range.offset,
                length: range.length,
            })
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
        let batch: Vec<placement::Placement> = batch
            .iter()
            .map(|placement| placement::Placement {
                file: placement.file.0,
                file_offset: placement.file_offset,
                partition_offset: placement.partition_offset,
                length: placement.length,
                padding: placement.padding,
            })
            .collect();
        placement::place(&batch).map_err(|error| PlaceError::from(error).into())
    }

    fn warn(&mut self, message: &str) {
        progress::log(progress::Level::Warning, message);
    }
}

impl From<tree::Nodes> for Batch {
    fn from(nodes: tree::Nodes) -> Self {
        let (attributed, attributes) = nodes
            .attributes
            .into_iter()
            .map(|attribute| {
                let (name, value) = (attribute.name, attribute.value);
                (attribute.node, Attribute { name, value })
            })
            .unzip();
        Self {
            parents: nodes.parents,
            types: nodes.kinds.into_iter().map(Type::from).collect(),
            values: nodes.values,
            modes: nodes.modes,
            uids: nodes.uids,
            gids: nodes.gids,
            seconds: nodes.seconds,
            nanoseconds: nodes.nanoseconds,
            name_lengths: nodes.name_lengths,
            names: nodes.names,
            targets: nodes.targets,
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
        Self {
            seconds: timestamp.seconds,
            nanoseconds: timestamp.nanoseconds,
        }
    }
}

impl From<contract::Identifier> for Uuid {
    fn from(identifier: contract::Identifier) -> Self {
        let value = u128::from(identifier.high) << 64 | u128::from(identifier.low);
        Self(value.to_be_bytes())
    }
}

impl From<contract::Request> for Request {
    fn from(request: contract::Request) -> Self {
        Self {
            kind: request.kind,
            size: request.size,
            disk_offset: request.disk_offset,
            sector_size: request.sector_size,
            label: request.label,
            uuid: request.uuid.into(),
            seed: request.seed.into(),
            time: request.time.into(),
            drop: Losses::from_bits_truncate(request.drop.bits()),
            settings: request
                .settings
                .into_iter()
                .map(|setting| (setting.name, setting.value))
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

impl From<FormatError> for contract::FormatError {
    fn from(error: FormatError) -> Self {
        match error {
            FormatError::TooSmall(shortage) => Self::TooSmall(contract::Shortage {
                needed: shortage.needed,
                available: shortage.available,
            }),
            FormatError::TooLarge(limit) => Self::TooLarge(limit),
            FormatError::Kind => Self::Kind,
            FormatError::Label(LabelProblem::TooLong(limit)) => {
                Self::Label(contract::LabelProblem::TooLong(limit))
            }
            FormatError::Label(LabelProblem::Character(character)) => {
                Self::Label(contract::LabelProblem::Character(character))
            }
            FormatError::Setting(error) => Self::Setting(contract::SettingError {
                name: error.name,
                problem: match error.problem {
                    SettingProblem::Unknown => contract::SettingProblem::Unknown,
                    SettingProblem::Malformed => contract::SettingProblem::Malformed,
                    SettingProblem::OutOfRange(least, most) => {
                        contract::SettingProblem::OutOfRange((least, most))
                    }
                    SettingProblem::Conflict(other) => contract::SettingProblem::Conflict(other),
                },
            }),
            FormatError::Node(error) => Self::Node(contract::NodeError {
                node: error.node.0,
                problem: error.problem.into(),
            }),
            FormatError::TooManyNodes(limit) => Self::TooManyNodes(limit),
            FormatError::Tree(error) => Self::Tree(error.into()),
            FormatError::Placement(error) => Self::Placement(error.into()),
            FormatError::Partition(error) => Self::Partition(error.into()),
        }
    }
}
