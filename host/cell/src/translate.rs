//! The contract's generated types to and from the plain ones of `cellblock_contract`: every field and variant is named, so
//! that one that is added and not translated does not compile.

use std::collections::BTreeMap;

use cellblock_contract::{
    Description, FormatError, Identifier, KindDescription, LabelProblem, Loss, Losses, NodeError,
    NodeProblem, OptionDescription, PlaceError, Property, ReadError, ReaderDescription,
    ReaderError, Request, Setting, SettingError, SettingProblem, Shortage, Summary, Volume,
};
use cellblock_tree::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bindings::cellblock::format::{placement, tree};
use super::bindings::described::exports::cellblock::format::kinds;
use super::bindings::exports::cellblock::format::formatter as wire;
use super::bindings::reading::cellblock::format::decoding::DecodeError;
use super::bindings::reading::exports::cellblock::format::reader as reading;

/// What is asked of a reader.
pub(super) fn reader_request(extents: bool) -> reading::Request {
    reading::Request { extents }
}

impl From<reading::Description> for ReaderDescription {
    fn from(told: reading::Description) -> Self {
        let reading::Description {
            name,
            version,
            summary,
            kinds,
        } = told;
        Self {
            name,
            version,
            summary,
            kinds,
        }
    }
}

impl From<reading::Volume> for Volume {
    fn from(told: reading::Volume) -> Self {
        let reading::Volume {
            kind,
            label,
            identifier,
            block_size,
            size,
            free,
            properties,
        } = told;
        let property = |reading::Property { name, value }| Property { name, value };
        Self {
            kind,
            label: String::from_utf8_lossy(&label).into_owned(),
            identifier,
            block_size,
            size,
            free,
            properties: properties.into_iter().map(property).collect(),
        }
    }
}

impl From<reading::ReaderError> for ReaderError {
    fn from(error: reading::ReaderError) -> Self {
        match error {
            reading::ReaderError::Unrecognised => Self::Unrecognised,
            reading::ReaderError::Unsupported(what) => Self::Unsupported(what),
            reading::ReaderError::Damaged(reading::Fault {
                structure,
                offset,
                problem,
            }) => Self::Damaged {
                structure,
                offset,
                problem,
            },
            reading::ReaderError::Partition(code) => Self::Partition(code.to_string()),
            reading::ReaderError::Decoding(error) => Self::Decoding(
                match error {
                    DecodeError::Damaged(_) => "a compressed block of metadata does not decode",
                    DecodeError::Outside(_) => {
                        "a compressed block of metadata is outside the partition"
                    }
                    DecodeError::Exhausted => "its metadata decodes to more than 8 GiB",
                    DecodeError::Failed => "its metadata could not be decoded",
                }
                .to_owned(),
            ),
        }
    }
}

/// 16 bytes, in the order in which a UUID is written, as the contract has them.
fn identifier(bytes: [u8; 16]) -> wire::Identifier {
    let both = u128::from_be_bytes(bytes);
    let half = |value: u128| u64::try_from(value).expect("half of 128 bits");
    wire::Identifier {
        high: half(both >> 64),
        low: half(both & u128::from(u64::MAX)),
    }
}

/// A moment, as the contract has it.
pub(super) fn timestamp(moment: Timestamp) -> tree::Timestamp {
    let Timestamp {
        seconds,
        nanoseconds,
    } = moment;
    tree::Timestamp {
        seconds,
        nanoseconds,
    }
}

impl From<&Request> for wire::Request {
    fn from(request: &Request) -> Self {
        let Request {
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
            kind: kind.clone(),
            size: *size,
            disk_offset: *disk_offset,
            sector_size: *sector_size,
            label: label.clone(),
            uuid: identifier(*uuid),
            seed: identifier(*seed),
            time: timestamp(*time),
            drop: flags(*drop),
            settings: settings.iter().map(setting).collect(),
        }
    }
}

fn setting(setting: &Setting) -> wire::Setting {
    let Setting { name, value } = setting;
    wire::Setting {
        name: name.clone(),
        value: value.clone(),
    }
}

fn flag(loss: Loss) -> wire::Losses {
    match loss {
        Loss::Symlinks => wire::Losses::SYMLINKS,
        Loss::SpecialFiles => wire::Losses::SPECIAL_FILES,
        Loss::HardLinks => wire::Losses::HARD_LINKS,
        Loss::Owners => wire::Losses::OWNERS,
        Loss::Permissions => wire::Losses::PERMISSIONS,
        Loss::Attributes => wire::Losses::ATTRIBUTES,
    }
}

fn flags(losses: Losses) -> wire::Losses {
    losses
        .iter()
        .map(flag)
        .fold(wire::Losses::empty(), |all, one| all | one)
}

fn losses(told: wire::Losses) -> Losses {
    let is_told = |loss: &Loss| told.contains(flag(*loss));
    Loss::ALL.iter().copied().filter(is_told).collect()
}

/// The bindings derive serde's traits for all types of the contract, and their flags have none.
impl Serialize for wire::Losses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        losses(*self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for wire::Losses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Losses::deserialize(deserializer).map(flags)
    }
}

impl From<wire::Description> for Description {
    fn from(told: wire::Description) -> Self {
        let wire::Description {
            name,
            version,
            summary,
            kinds,
            options,
            label_limit,
            lacks,
        } = told;
        Self {
            name,
            version,
            summary,
            kinds: kinds
                .iter()
                .map(|name| KindDescription::untold(name))
                .collect(),
            options: options.into_iter().map(option).collect(),
            label_limit,
            lacks: losses(lacks),
        }
    }
}

/// Adds to a description what the formatter tells of its kinds: of each once, and of no others.
pub(super) fn tell(
    description: &mut Description,
    told: Vec<kinds::KindDescription>,
) -> Result<(), String> {
    let mut by_name = BTreeMap::new();
    for kind in told.into_iter().map(KindDescription::from) {
        let name = kind.name.clone();
        if by_name.insert(name.clone(), kind).is_some() {
            return Err(format!("describe-kinds tells twice of '{name}'"));
        }
    }
    for kind in &mut description.kinds {
        match by_name.remove(&kind.name) {
            Some(told) => *kind = told,
            None => {
                return Err(format!(
                    "describe has '{}' among its kinds, and describe-kinds does not tell of it",
                    kind.name
                ));
            }
        }
    }
    match by_name.into_keys().next() {
        Some(name) => Err(format!(
            "describe-kinds tells of '{name}', which describe does not have among its kinds"
        )),
        None => Ok(()),
    }
}

impl From<kinds::KindDescription> for KindDescription {
    fn from(told: kinds::KindDescription) -> Self {
        let kinds::KindDescription {
            name,
            identifier,
            capital_labels,
            compresses,
            uefi,
        } = told;
        Self {
            name,
            identifier: match identifier {
                kinds::Identifier::Uuid => Identifier::Uuid,
                kinds::Identifier::Serial => Identifier::Serial,
                kinds::Identifier::None => Identifier::None,
            },
            capital_labels,
            compresses,
            uefi,
        }
    }
}

fn option(told: wire::OptionDescription) -> OptionDescription {
    let wire::OptionDescription {
        name,
        value,
        default,
        documentation,
    } = told;
    OptionDescription {
        name,
        value,
        default,
        documentation,
    }
}

impl From<wire::Summary> for Summary {
    fn from(told: wire::Summary) -> Self {
        let wire::Summary { used, properties } = told;
        Self {
            used,
            properties: properties
                .into_iter()
                .map(|wire::Property { name, value }| Property { name, value })
                .collect(),
        }
    }
}

impl From<wire::FormatError> for FormatError {
    fn from(told: wire::FormatError) -> Self {
        match told {
            wire::FormatError::TooSmall(wire::Shortage { needed, available }) => {
                Self::TooSmall(Shortage { needed, available })
            }
            wire::FormatError::TooLarge(limit) => Self::TooLarge(limit),
            wire::FormatError::Kind => Self::Kind,
            wire::FormatError::Label(problem) => Self::Label(match problem {
                wire::LabelProblem::TooLong(limit) => LabelProblem::TooLong(limit),
                wire::LabelProblem::Character(character) => LabelProblem::Character(character),
            }),
            wire::FormatError::Setting(wire::SettingError { name, problem }) => {
                Self::Setting(SettingError {
                    name,
                    problem: setting_problem(problem),
                })
            }
            wire::FormatError::Node(wire::NodeError { node, problem }) => Self::Node(NodeError {
                node,
                problem: node_problem(problem),
            }),
            wire::FormatError::TooManyNodes(limit) => Self::TooManyNodes(limit),
            wire::FormatError::Tree(error) => Self::Tree(match error {
                tree::ReadError::NotAFile => ReadError::NotAFile,
                tree::ReadError::OutOfRange => ReadError::OutOfRange,
                tree::ReadError::Source => ReadError::Source,
            }),
            wire::FormatError::Placement(error) => Self::Placement(place_error(error)),
            wire::FormatError::Partition(code) => Self::Partition(code.to_string()),
        }
    }
}

fn setting_problem(told: wire::SettingProblem) -> SettingProblem {
    match told {
        wire::SettingProblem::Unknown => SettingProblem::Unknown,
        wire::SettingProblem::Malformed => SettingProblem::Malformed,
        wire::SettingProblem::OutOfRange((least, most)) => SettingProblem::OutOfRange(least, most),
        wire::SettingProblem::Conflict(other) => SettingProblem::Conflict(other),
    }
}

fn node_problem(told: wire::NodeProblem) -> NodeProblem {
    match told {
        wire::NodeProblem::Kind => NodeProblem::Kind,
        wire::NodeProblem::HardLink => NodeProblem::HardLink,
        wire::NodeProblem::Owner => NodeProblem::Owner,
        wire::NodeProblem::Permissions => NodeProblem::Permissions,
        wire::NodeProblem::Attributes => NodeProblem::Attributes,
        wire::NodeProblem::NameCharacter(character) => NodeProblem::NameCharacter(character),
        wire::NodeProblem::NameEncoding => NodeProblem::NameEncoding,
        wire::NodeProblem::NameTooLong(limit) => NodeProblem::NameTooLong(limit),
        wire::NodeProblem::NameReserved => NodeProblem::NameReserved,
        wire::NodeProblem::NameCollision(other) => NodeProblem::NameCollision(other),
        wire::NodeProblem::FileTooLarge(limit) => NodeProblem::FileTooLarge(limit),
        wire::NodeProblem::TargetTooLong(limit) => NodeProblem::TargetTooLong(limit),
        wire::NodeProblem::TooManyLinks(limit) => NodeProblem::TooManyLinks(limit),
        wire::NodeProblem::DirectoryTooLarge(limit) => NodeProblem::DirectoryTooLarge(limit),
        wire::NodeProblem::AttributesTooLarge(limit) => NodeProblem::AttributesTooLarge(limit),
        wire::NodeProblem::Time => NodeProblem::Time,
        wire::NodeProblem::Device => NodeProblem::Device,
    }
}

pub(super) fn place_error(told: placement::PlaceError) -> PlaceError {
    match told {
        placement::PlaceError::NotAFile(index) => PlaceError::NotAFile(index),
        placement::PlaceError::OutsideFile(index) => PlaceError::OutsideFile(index),
        placement::PlaceError::OutsidePartition(index) => PlaceError::OutsidePartition(index),
        placement::PlaceError::Overlap(index) => PlaceError::Overlap(index),
        placement::PlaceError::Failed => PlaceError::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::{flag, identifier, kinds, losses, tell};
    use cellblock_contract::{Description, KindDescription, Loss, Losses};

    #[test]
    fn a_formatter_that_contradicts_itself_about_its_kinds_is_told_so() {
        let check = |described: &[&str], told: &[&str]| {
            let mut description = Description {
                name: String::new(),
                version: String::new(),
                summary: String::new(),
                kinds: described
                    .iter()
                    .map(|it| KindDescription::untold(it))
                    .collect(),
                options: Vec::new(),
                label_limit: 0,
                lacks: Losses::none(),
            };
            let kind = |name: &&str| kinds::KindDescription {
                name: (*name).to_owned(),
                identifier: kinds::Identifier::Serial,
                capital_labels: false,
                compresses: false,
                uefi: true,
            };
            tell(&mut description, told.iter().map(kind).collect())?;
            assert!(description.kinds.iter().all(|kind| kind.uefi));
            Ok::<_, String>(())
        };
        assert_eq!(check(&["a", "b"], &["b", "a"]), Ok(()));
        for (described, told, wrong) in [
            (
                &["a"][..],
                &["a", "b"][..],
                "describe-kinds tells of 'b', which describe does not have among its kinds",
            ),
            (
                &["a", "b"],
                &["b"],
                "describe has 'a' among its kinds, and describe-kinds does not tell of it",
            ),
            (&["a"], &["a", "a"], "describe-kinds tells twice of 'a'"),
        ] {
            assert_eq!(check(described, told), Err(wrong.to_owned()));
        }
    }

    #[test]
    fn an_identifier_has_its_first_byte_in_its_high_half() {
        let bytes: [u8; 16] = std::array::from_fn(|index| u8::try_from(index).expect("below 16"));
        let crossed = identifier(bytes);
        assert_eq!(
            (crossed.high, crossed.low),
            (0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f)
        );
    }

    #[test]
    fn every_loss_comes_back() {
        for loss in Loss::ALL {
            assert_eq!(losses(flag(*loss)), Losses::from_iter([*loss]));
        }
    }
}
