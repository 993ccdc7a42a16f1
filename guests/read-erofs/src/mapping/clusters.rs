//! Indexes of clusters: a word for each logical cluster of the file, which says whether a physical one begins in it. Compact
//! ones share the number of a block among two or sixteen; full ones take eight bytes each.

use cellblock_guest::fields::Fields;
use cellblock_guest::reader::ReaderError;

use super::encoded::{Cluster, Form, Header};
use super::{Mapped, Spot};
use crate::inode::{Inode, Layout};
use crate::meta::Open;

const COMPACT_PAIRS: u16 = 0x1;
const BIG_FIRST: u16 = 0x2;
const BIG_SECOND: u16 = 0x4;
/// The bit of a word that says that it has the number of blocks of the cluster that began before it.
const IS_COUNT: u32 = 1 << 11;

/// What a logical cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    First,
    Inside,
    Second,
}

impl Kind {
    fn new(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::Plain,
            1 => Self::First,
            2 => Self::Inside,
            _ => Self::Second,
        }
    }
}

/// A logical cluster: of a head, where in it the physical one begins, and its block; of another, its word.
#[derive(Clone, Copy, Debug)]
struct Word {
    kind: Kind,
    low: u32,
    block: u64,
}

pub(super) fn map(
    open: &Open<'_>,
    inode: &Inode,
    header: &Header,
) -> Result<Vec<Mapped>, ReaderError> {
    let count = inode.size.div_ceil(1 << header.cluster_bits);
    let (words, end) = match inode.layout {
        Layout::CompressedCompact => compact(open, inode, header, count)?,
        _ => full(open, inode, header, count)?,
    };
    let mut heads = heads(inode, header, &words)?;
    // One that begins behind the end has nothing of the file.
    heads.retain(|head| head.offset < inode.size);
    if heads.first().is_none_or(|head| head.offset != 0) {
        return Err(inode.damaged("has no cluster at its beginning"));
    }
    let mut mapped = Vec::new();
    for (index, head) in heads.iter().enumerate() {
        let following = heads.get(index + 1).map(|next| next.offset);
        let until = following.unwrap_or(inode.size);
        let Some(decoded) = until.checked_sub(head.offset).filter(|it| *it > 0) else {
            return Err(inode.damaged(format!("has a cluster from {} to {until}", head.offset)));
        };
        let is_last = following.is_none();
        if is_last && header.has_fragment() {
            // Compact indexes have no room for it.
            let high = match inode.layout {
                Layout::CompressedFull => head.word.block,
                _ => 0,
            };
            mapped.push(Mapped {
                offset: head.offset,
                length: decoded,
                spot: Spot::Packed(high << 32 | u64::from(header.value)),
            });
            continue;
        }
        let is_inline = is_last && header.is_inline();
        let (start, length) = if is_inline {
            (end, u64::from(header.value >> 16))
        } else {
            let start = super::position(open, inode, head.word.block)?;
            (start, head.blocks << open.superblock.block_bits)
        };
        let cluster = Cluster {
            form: match head.word.kind {
                Kind::First => Form::Encoded(header.algorithms[0]),
                Kind::Second => Form::Encoded(header.algorithms[1]),
                _ => Form::Plain,
            },
            start,
            length,
            offset: head.offset,
            decoded,
            is_inline,
        };
        cluster.push(open, inode, header, &mut mapped)?;
    }
    Ok(mapped)
}

/// A physical cluster.
struct Head {
    offset: u64,
    word: Word,
    blocks: u64,
}

fn heads(inode: &Inode, header: &Header, words: &[Word]) -> Result<Vec<Head>, ReaderError> {
    let mut heads = Vec::new();
    let size = 1_u64 << header.cluster_bits;
    for ((number, word), following) in (0_u64..)
        .zip(words)
        .zip(words.iter().skip(1).map(Some).chain(std::iter::once(None)))
    {
        if word.kind == Kind::Inside {
            continue;
        }
        if u64::from(word.low) >= size {
            return Err(inode.damaged(format!(
                "has a cluster that begins at byte {} of {size}",
                word.low
            )));
        }
        let may_be_big = match word.kind {
            Kind::First => header.advise & BIG_FIRST != 0,
            _ => header.advise & BIG_SECOND != 0,
        };
        let blocks = match following {
            Some(next) if may_be_big && next.kind == Kind::Inside => {
                if next.low & IS_COUNT == 0 {
                    let problem = format!("does not say how long cluster {number} is");
                    return Err(inode.damaged(problem));
                }
                u64::from(next.low & !IS_COUNT)
            }
            _ => 1,
        };
        heads.push(Head {
            offset: number * size + u64::from(word.low),
            word: *word,
            blocks,
        });
    }
    Ok(heads)
}

/// All words of a full index, and where it ends.
fn full(
    open: &Open<'_>,
    inode: &Inode,
    header: &Header,
    count: u64,
) -> Result<(Vec<Word>, u64), ReaderError> {
    let start = header.end + 8;
    let bytes = index(open, inode, start, count.saturating_mul(8))?;
    let early = || inode.damaged("has an index that ends early");
    let mut fields = Fields(&bytes);
    let mut words = Vec::new();
    while !fields.0.is_empty() {
        let kind = Kind::new(fields.u16().ok_or_else(early)?.into());
        let low = fields.u16().ok_or_else(early)?;
        let value = fields.u32().ok_or_else(early)?;
        words.push(Word {
            kind,
            low: match kind {
                Kind::Inside => value & 0xFFFF,
                _ => low.into(),
            },
            block: value.into(),
        });
    }
    Ok((words, start + bytes.len() as u64))
}

fn index(open: &Open<'_>, inode: &Inode, start: u64, length: u64) -> Result<Vec<u8>, ReaderError> {
    let owner = inode.name();
    open.spend(length, &owner)?;
    let length = usize::try_from(length).map_err(|_| inode.damaged("has too long an index"))?;
    open.bytes(start, length, &owner)
}

/// All words of a compact index, and where it ends: packs of two words in 8 bytes up to a multiple of 32, then of sixteen in
/// 32 if it has such, and of two again.
fn compact(
    open: &Open<'_>,
    inode: &Inode,
    header: &Header,
    count: u64,
) -> Result<(Vec<Word>, u64), ReaderError> {
    let pairs_first = ((32 - header.end % 32) / 4 % 8).min(count);
    let sixteens = if header.advise & COMPACT_PAIRS == 0 {
        0
    } else {
        (count - pairs_first) / 16 * 16
    };
    if sixteens > 0 && header.cluster_bits > 12 || header.cluster_bits > 14 {
        let problem = format!(
            "has a compact index of clusters of 2^{}",
            header.cluster_bits
        );
        return Err(inode.damaged(problem));
    }
    let pairs_last = count - pairs_first - sixteens;
    let mut words = Vec::new();
    let mut start = header.end;
    for (count, in_pack, pack) in [
        (pairs_first, 2, 8),
        (sixteens, 16, 32),
        (pairs_last, 2, 8_u64),
    ] {
        let length = count.div_ceil(in_pack) * pack;
        let bytes = index(open, inode, start, length)?;
        let pack = usize::try_from(pack).expect("it is small");
        let mut left = usize::try_from(count).expect("its index is in memory");
        let in_pack = usize::try_from(in_pack).expect("it is small");
        for bytes in bytes.chunks_exact(pack) {
            unpack(bytes, in_pack.min(left), header, &mut words)
                .ok_or_else(|| inode.damaged("has an index whose words do not fit together"))?;
            left -= in_pack.min(left);
        }
        start += length;
    }
    Ok((words, start))
}

/// The first `count` words of a pack, whose last four bytes are a block's number.
fn unpack(pack: &[u8], count: usize, header: &Header, words: &mut Vec<Word>) -> Option<()> {
    let in_pack = if pack.len() == 8 { 2 } else { 16 };
    let bits = (pack.len() - 4) * 8 / in_pack;
    let low_bits = header.cluster_bits.max(12);
    let base = u64::from(Fields(pack.get(pack.len() - 4..)?).u32()?);
    let word = |index: usize| {
        let bit = index * bits;
        let mut bytes = [0; 4];
        let rest = pack.get(bit / 8..)?;
        let length = rest.len().min(4);
        bytes[..length].copy_from_slice(&rest[..length]);
        let word = u32::from_le_bytes(bytes) >> (bit % 8);
        Some((Kind::new(word >> low_bits), word & ((1 << low_bits) - 1)))
    };
    let is_big = header.advise & BIG_FIRST != 0;
    for index in 0..count {
        let (kind, low) = word(index)?;
        let block = match kind {
            Kind::Inside => 0,
            _ => base + blocks_before(index, is_big, word)?,
        };
        words.push(Word { kind, low, block });
    }
    Some(())
}

/// The blocks of a pack's clusters before the head at `index`, counted from the pack's number.
fn blocks_before(
    index: usize,
    is_big: bool,
    word: impl Fn(usize) -> Option<(Kind, u32)>,
) -> Option<u64> {
    let mut at = i64::try_from(index).ok()?;
    let mut blocks = u64::from(!is_big);
    while at > 0 {
        at -= 1;
        let (kind, low) = word(usize::try_from(at).ok()?)?;
        if kind != Kind::Inside {
            blocks += 1;
        } else if !is_big {
            at -= i64::from(low);
            blocks += u64::from(at >= 0);
        } else if low & IS_COUNT != 0 {
            at -= 1;
            blocks += u64::from(low & !IS_COUNT);
        } else {
            at -= i64::from(low.checked_sub(2)?);
        }
    }
    Some(blocks)
}
