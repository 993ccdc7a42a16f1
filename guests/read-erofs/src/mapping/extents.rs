//! Extents of encoded content, in records of four lengths.

use cellblock_guest::fields::Fields;
use cellblock_guest::reader::ReaderError;

use super::encoded::{Cluster, Form, Header};
use super::{Mapped, Spot};
use crate::inode::Inode;
use crate::meta::Open;

const LENGTH: u32 = (1 << 21) - 1;
const FORM_SHIFT: u32 = 28;

/// An extent as it is stored.
struct Record {
    offset: u64,
    start: u64,
    stored: u32,
}

pub(super) fn map(
    open: &Open<'_>,
    inode: &Inode,
    header: &Header,
) -> Result<Vec<Mapped>, ReaderError> {
    let size = header.record();
    let count = if size <= 8 {
        inode.size.div_ceil(1 << header.cluster_bits)
    } else {
        u64::from(header.high) << 32 | u64::from(header.value)
    };
    let early = || inode.damaged("has extents that end early");
    let owner = inode.name();
    // The shortest have the place of the first before them.
    let lead: u64 = if size == 4 { 8 } else { 0 };
    let length = count.checked_mul(size).and_then(|it| it.checked_add(lead));
    let length = length.ok_or_else(early)?;
    open.spend(length, &owner)?;
    let length = usize::try_from(length).map_err(|_| early())?;
    let bytes = open.bytes(header.end.next_multiple_of(size), length, &owner)?;
    let mut fields = Fields(&bytes);
    let mut next = if lead > 0 {
        fields.u64().ok_or_else(early)?
    } else {
        0
    };
    let mut records = Vec::new();
    for number in 0..count {
        let record = fields
            .bytes(usize::try_from(size).expect("it is small"))
            .and_then(|record| parse(record, number, header))
            .ok_or_else(early)?;
        let start = if size == 4 { next } else { record.start };
        next = next.saturating_add((record.stored & LENGTH).into());
        records.push(Record { start, ..record });
    }
    let mut mapped = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let following = records.get(index + 1);
        let end = following.map_or(inode.size, |next| next.offset.min(inode.size));
        if record.offset > end || index == 0 && record.offset != 0 {
            let problem = format!("has an extent from {} to {end}", record.offset);
            return Err(inode.damaged(problem));
        }
        push(
            open,
            inode,
            header,
            (record, end, following.is_none()),
            &mut mapped,
        )?;
    }
    Ok(mapped)
}

fn parse(record: &[u8], number: u64, header: &Header) -> Option<Record> {
    let length = record.len();
    let mut fields = Fields(record);
    let stored = fields.u32()?;
    let mut start = 0;
    let mut offset = number << header.cluster_bits;
    if length >= 8 {
        start = fields.u32()?.into();
    }
    if length >= 16 {
        start |= u64::from(fields.u32()?) << 32;
        offset = fields.u32()?.into();
    }
    if length >= 32 {
        offset |= u64::from(fields.u32()?) << 32;
    }
    Some(Record {
        offset,
        start,
        stored,
    })
}

fn push(
    open: &Open<'_>,
    inode: &Inode,
    header: &Header,
    (record, end, is_last): (&Record, u64, bool),
    mapped: &mut Vec<Mapped>,
) -> Result<(), ReaderError> {
    let decoded = end - record.offset;
    if decoded == 0 {
        return Ok(());
    }
    if is_last && header.has_fragment() {
        // The shortest have no room for it.
        let high = if header.record() == 4 {
            0
        } else {
            record.start
        };
        mapped.push(Mapped {
            offset: record.offset,
            length: decoded,
            spot: Spot::Packed(high << 32 | u64::from(record.stored)),
        });
        return Ok(());
    }
    let length = record.stored & LENGTH;
    if length == 0 {
        // A hole.
        return Ok(());
    }
    let form = match record.stored >> FORM_SHIFT {
        0 => Form::Plain,
        algorithm => Form::Encoded(u8::try_from(algorithm - 1).expect("it has four bits")),
    };
    let cluster = Cluster {
        form,
        start: record.start,
        length: length.into(),
        offset: record.offset,
        decoded,
        is_inline: record.start % open.superblock.block_size() != 0,
    };
    cluster.push(open, inode, header, mapped)
}
