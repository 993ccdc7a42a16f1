//! Which partition of a table is meant: by number, name or UUID.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use super::{DiskId, Partition, Table};
use cellblock_text::printable;

/// A partition, as somebody names it.
///
/// ```
/// use cellblock_table::{Lba, Partition, PartitionType, SectorSize, Selector, Table};
///
/// let mut table = Table::mbr(0x1234_abcd, SectorSize::B512, 1 << 20)?;
/// let linux = PartitionType::Mbr(0x83);
/// table.partitions.push(Partition::new(1, Lba(2048), 2048, linux));
/// for text in ["1", "number:1", "uuid:1234abcd-01"] {
///     let selector: Selector = text.parse()?;
///     assert_eq!(table.select(&selector)?.number, 1);
/// }
/// assert!(table.select(&"name:root".parse()?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Its number: `number:3`.
    Number(u32),
    /// Its name: `name:root`.
    Name(String),
    /// Its UUID: `uuid:…`.
    Id(String),
    /// Its number, name or UUID, whichever there is: anything else.
    Any(String),
}

/// Every text means something; whether there is such a partition, [`Table::select`] says.
impl FromStr for Selector {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        if let Some(name) = text.strip_prefix("name:") {
            return Ok(Self::Name(name.to_owned()));
        }
        if let Some(id) = text.strip_prefix("uuid:") {
            return Ok(Self::Id(id.to_owned()));
        }
        let number = text.strip_prefix("number:").and_then(as_number);
        Ok(number.map_or_else(|| Self::Any(text.to_owned()), Self::Number))
    }
}

fn as_number(digits: &str) -> Option<u32> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "number {number}"),
            Self::Name(text) => write!(f, "name '{}'", printable(text)),
            Self::Id(text) => write!(f, "UUID {}", printable(text)),
            Self::Any(text) if as_number(text).is_some() => {
                write!(f, "number or name {}", printable(text))
            }
            Self::Any(text) => write!(f, "name or UUID '{}'", printable(text)),
        }
    }
}

/// Why a selector means no partition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectError {
    /// There is none.
    #[error("there is no partition with {selector}; {}", listed(have))]
    Absent {
        /// What was asked for.
        selector: Selector,
        /// The partitions that there are, as errors call them.
        have: Vec<String>,
    },
    /// One partition has as its number or UUID what another has as its name.
    #[error(
        "'{}' means several partitions: {}; write one of these",
        printable(text), ways.join(", ")
    )]
    SeveralWays {
        /// What was asked for.
        text: String,
        /// How each is named alone, with what it is.
        ways: Vec<String>,
    },
    /// There are several.
    #[error("several partitions have {selector}: {}; choose one by its number", candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        selector: Selector,
        /// Those that have it, as errors call them.
        candidates: Vec<String>,
    },
    /// It is the extended partition of an MBR.
    #[error(
        "partition {number} is extended: its content are the logical partitions, from number 5 on; choose one of them"
    )]
    Extended {
        /// Its number.
        number: u32,
    },
}

fn listed(have: &[String]) -> String {
    match have {
        [] => "the table has no partitions".to_owned(),
        have => format!("there are {}", have.join(", ")),
    }
}

impl Table {
    /// The partition that is meant.
    ///
    /// # Errors
    /// [`SelectError`] when there is none, there are several, or it is an extended one.
    pub fn select(&self, selector: &Selector) -> Result<&Partition, SelectError> {
        let found: Vec<&Partition> = self
            .partitions
            .iter()
            .filter(|partition| self.matches(partition, selector))
            .collect();
        match found[..] {
            [] => Err(SelectError::Absent {
                selector: selector.clone(),
                have: self.partitions.iter().map(Partition::called).collect(),
            }),
            [partition] if partition.kind.is_extended() => Err(SelectError::Extended {
                number: partition.number,
            }),
            [partition] => Ok(partition),
            _ => Err(self.ambiguity(selector, &found)),
        }
    }

    /// Why several partitions are meant: as they have one name, or as a text has several meanings.
    fn ambiguity(&self, selector: &Selector, found: &[&Partition]) -> SelectError {
        if let Selector::Any(text) = selector
            && found.iter().any(|one| one.name != *text)
        {
            let ways = found.iter().map(|one| {
                let way = if as_number(text) == Some(one.number) {
                    "number"
                } else if one.name == *text {
                    "name"
                } else {
                    "uuid"
                };
                format!("{way}:{} (partition {})", printable(text), one.called())
            });
            return SelectError::SeveralWays {
                text: text.clone(),
                ways: ways.collect(),
            };
        }
        SelectError::Ambiguous {
            selector: selector.clone(),
            candidates: found
                .iter()
                .map(|one| format!("{} (UUID {})", one.called(), self.uuid_of(one)))
                .collect(),
        }
    }

    fn matches(&self, partition: &Partition, selector: &Selector) -> bool {
        match selector {
            Selector::Number(number) => partition.number == *number,
            Selector::Name(name) => partition.name == *name,
            Selector::Id(id) => self.has_uuid(partition, id),
            Selector::Any(text) => {
                as_number(text) == Some(partition.number)
                    || partition.name == *text
                    || self.has_uuid(partition, text)
            }
        }
    }

    fn has_uuid(&self, partition: &Partition, text: &str) -> bool {
        match (partition.id, Uuid::try_parse(text)) {
            (Some(id), Ok(asked)) => id == asked,
            (None, _) => self.uuid_of(partition).eq_ignore_ascii_case(text),
            _ => false,
        }
    }

    /// The identifier by which the kernel knows a partition (`PARTUUID`): its GUID, or of an MBR the disk's signature and
    /// the number, such as `1234abcd-05`.
    #[must_use]
    pub fn uuid_of(&self, partition: &Partition) -> String {
        match (partition.id, self.disk_id) {
            (Some(id), _) => id.to_string(),
            (None, DiskId::Mbr(disk)) => format!("{disk:08x}-{:02x}", partition.number),
            (None, DiskId::Gpt(_) | DiskId::None) => String::new(),
        }
    }
}

impl Partition {
    /// The number and the name, if it has one: what reports and errors call it.
    #[must_use]
    pub fn called(&self) -> String {
        match self.name.as_str() {
            "" => self.number.to_string(),
            name => format!("{} '{}'", self.number, printable(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Lba, PartitionType, SectorSize};

    fn gpt() -> Table {
        let disk = Uuid::from_u128(1);
        let mut table = Table::gpt(disk, SectorSize::B512, 1 << 20).unwrap();
        let names = ["esp", "data", "data", "7", ""];
        table.partitions = (1..)
            .zip(names)
            .map(|(number, name)| Partition {
                id: Some(Uuid::from_u128(0xa0 + u128::from(number))),
                name: name.to_owned(),
                ..Partition::new(
                    number,
                    Lba(2048 * u64::from(number)),
                    1,
                    PartitionType::Gpt(disk),
                )
            })
            .collect();
        table
    }

    fn selected(table: &Table, text: &str) -> Result<u32, String> {
        let partition = table.select(&text.parse().unwrap());
        partition
            .map(|partition| partition.number)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_names_and_uuids_are_understood() {
        let table = gpt();
        let id = Uuid::from_u128(0xa5);
        for (text, number) in [
            ("1", 1),
            ("number:3", 3),
            ("esp", 1),
            ("name:7", 4),
            // No partition has the number.
            ("7", 4),
            (&id.to_string(), 5),
            (&id.to_string().to_uppercase(), 5),
            (&format!("uuid:{}", id.simple()), 5),
        ] {
            assert_eq!(selected(&table, text), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_or_there_twice_is_an_error_with_what_there_is() {
        let table = gpt();
        assert_eq!(
            selected(&table, "number:7").unwrap_err(),
            "there is no partition with number 7; there are 1 'esp', 2 'data', 3 'data', 4 '7', 5"
        );
        assert_eq!(
            selected(&table, "8").unwrap_err(),
            "there is no partition with number or name 8; there are 1 'esp', 2 'data', 3 'data', 4 '7', 5"
        );
        assert!(
            selected(&table, "root")
                .unwrap_err()
                .starts_with("there is no partition with name or UUID 'root'; ")
        );
        assert!(selected(&table, "uuid:esp").is_err());
        assert_eq!(
            selected(&table, "data").unwrap_err(),
            "several partitions have name or UUID 'data': \
             2 'data' (UUID 00000000-0000-0000-0000-0000000000a2), \
             3 'data' (UUID 00000000-0000-0000-0000-0000000000a3); choose one by its number"
        );
        let empty = Table::mbr(1, SectorSize::B512, 100).unwrap();
        assert_eq!(
            selected(&empty, "99999999999").unwrap_err(),
            "there is no partition with name or UUID '99999999999'; the table has no partitions"
        );
    }

    #[test]
    fn a_text_that_means_several_partitions_is_refused_with_the_ways_to_say_each() {
        let mut table = gpt();
        table.partitions[3].name = "3".to_owned();
        let id = Uuid::from_u128(0xa2);
        table.partitions[4].name = id.to_string();
        assert_eq!(
            selected(&table, "3").unwrap_err(),
            "'3' means several partitions: number:3 (partition 3 'data'), name:3 (partition 4 '3'); write one of these"
        );
        assert_eq!(
            selected(&table, &id.to_string()).unwrap_err(),
            format!(
                "'{id}' means several partitions: uuid:{id} (partition 2 'data'), name:{id} (partition 5 '{id}'); \
                 write one of these"
            )
        );
        for (text, number) in [
            ("number:3".to_owned(), 3),
            ("name:3".to_owned(), 4),
            (format!("uuid:{id}"), 2),
            (format!("name:{id}"), 5),
        ] {
            assert_eq!(selected(&table, &text), Ok(number), "{text}");
        }
        // A partition whose name is its own number is meant alone.
        table.partitions[3].name = "4".to_owned();
        assert_eq!(selected(&table, "4"), Ok(4));
    }

    #[test]
    fn partitions_of_an_mbr_have_the_uuids_of_the_kernel() {
        let mut table = Table::mbr(0xdead_beef, SectorSize::B512, 1 << 20).unwrap();
        table.partitions = [(1, 0x83), (4, 0x0f), (5, 0x83)]
            .map(|(number, kind)| {
                Partition::new(number, Lba(u64::from(number)), 1, PartitionType::Mbr(kind))
            })
            .to_vec();
        assert_eq!(selected(&table, "deadbeef-05"), Ok(5));
        assert_eq!(selected(&table, "uuid:DEADBEEF-01"), Ok(1));
        assert!(selected(&table, "4").unwrap_err().contains("is extended"));
    }
}
