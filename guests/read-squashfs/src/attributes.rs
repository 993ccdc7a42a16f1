//! Extended attributes: sets of them, which inodes share.

use cellblock_guest::Attribute;
use cellblock_guest::fields::Fields;
use cellblock_guest::reader::{Partition, ReaderError};

use crate::metadata::{Metadata, Reference, first_block};
use crate::superblock::Superblock;

/// The bit of a type that says that the value stands elsewhere.
const ELSEWHERE: u16 = 0x100;
/// The longest value in bytes, as Linux has it.
const VALUE_LIMIT: u32 = 65_536;
/// The bytes of an entry of the table of sets.
const SET: usize = 16;
/// The most bytes that are told of all inodes together.
const TOLD_LIMIT: u64 = 1 << 30;

/// All attributes.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    sets: Metadata,
    pairs: Metadata,
    /// The last set that was asked for.
    last: Option<(u32, Vec<Attribute>)>,
    told: u64,
}

impl Attributes {
    pub(crate) fn read(
        partition: &dyn Partition,
        superblock: &Superblock,
    ) -> Result<Self, ReaderError> {
        const HEADER: u64 = 16;
        const NAME: &str = "the table of attributes";
        let Some(table) = superblock.attribute_table else {
            return Ok(Self::default());
        };
        let index = table.checked_add(HEADER);
        let index = index
            .filter(|index| *index <= superblock.size)
            .ok_or_else(|| ReaderError::damaged(NAME, table, "stands behind the file system"))?;
        let header = partition.bytes(table, 16)?;
        let mut header = Fields(&header);
        let (Some(start), Some(count)) = (header.u64(), header.u32()) else {
            return Err(ReaderError::damaged(NAME, table, "ends early"));
        };
        if count == 0 {
            return Ok(Self::default());
        }
        let size = u32::try_from(SET).expect("it is small");
        let sets = "the table of sets of attributes";
        let end = first_block(partition, superblock, sets, index)?;
        if start > end || end > superblock.size {
            let problem = format!("begins at {start} and ends at {end}");
            return Err(ReaderError::damaged(NAME, table, problem));
        }
        Ok(Self {
            sets: Metadata::listed(partition, superblock, sets, index, (count, size))?,
            pairs: Metadata::read(partition, superblock, NAME, start..end)?,
            ..Self::default()
        })
    }

    /// The attributes of a set, by name.
    pub(crate) fn set(
        &mut self,
        index: u32,
        owner: impl Fn() -> String,
    ) -> Result<&[Attribute], ReaderError> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != index) {
            self.last = Some((index, self.load(index, owner)?));
        }
        let set = self
            .last
            .as_ref()
            .map(|(_, set)| &**set)
            .unwrap_or_default();
        let bytes = set.iter().map(|one| one.name.len() + one.value.len());
        self.told = self.told.saturating_add(bytes.sum::<usize>() as u64);
        if self.told > TOLD_LIMIT {
            let what = format!("more than {TOLD_LIMIT} bytes of attributes");
            return Err(ReaderError::Unsupported(what));
        }
        Ok(set)
    }

    fn load(&self, index: u32, owner: impl Fn() -> String) -> Result<Vec<Attribute>, ReaderError> {
        let set = self.sets.entry(index, SET).and_then(|mut set| {
            let (reference, count) = (set.u64()?, set.u32()?);
            Some((Reference::from(reference), count))
        });
        let Some((reference, count)) = set else {
            let problem = format!("has set {index} of the attributes, which is not there");
            return Err(ReaderError::damaged(owner(), None, problem));
        };
        let named = || format!("set {index} of the attributes");
        let damaged = |problem: String| ReaderError::damaged(named(), None, problem);
        let mut pairs = self.pairs.at(reference, named)?;
        let mut attributes = Vec::new();
        let mut bytes = 0_u64;
        for _ in 0..count {
            let early = || damaged("ends behind the table of attributes".to_owned());
            let kind = pairs.u16().ok_or_else(early)?;
            let length = pairs.u16().ok_or_else(early)?;
            let name = pairs.bytes(length.into()).ok_or_else(early)?;
            let prefix: &[u8] = match kind & !ELSEWHERE {
                0 => b"user.",
                1 => b"trusted.",
                2 => b"security.",
                other => return Err(damaged(format!("has an attribute of type {other}"))),
            };
            let length = pairs.u32().ok_or_else(early)?;
            let value = if kind & ELSEWHERE == 0 {
                check_value(length).map_err(damaged)?;
                pairs.bytes(length as usize).ok_or_else(early)?
            } else {
                if length != 8 {
                    let problem = format!("points to a value with {length} bytes, not with 8");
                    return Err(damaged(problem));
                }
                let elsewhere = pairs.u64().ok_or_else(early)?;
                let mut value = self.pairs.at(elsewhere.into(), named)?;
                let length = value.u32().ok_or_else(early)?;
                check_value(length).map_err(damaged)?;
                value.bytes(length as usize).ok_or_else(early)?
            };
            bytes += (name.len() + value.len()) as u64;
            if bytes > TOLD_LIMIT {
                return Err(damaged(format!("has more than {TOLD_LIMIT} bytes")));
            }
            attributes.push(Attribute {
                name: [prefix, name].concat(),
                value: value.to_vec(),
            });
        }
        attributes.sort_unstable();
        if attributes.windows(2).any(|two| two[0].name == two[1].name) {
            return Err(damaged("has an attribute twice".to_owned()));
        }
        Ok(attributes)
    }
}

fn check_value(length: u32) -> Result<(), String> {
    match length > VALUE_LIMIT {
        true => Err(format!("has a value of {length} bytes")),
        false => Ok(()),
    }
}
