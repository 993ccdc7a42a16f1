//! What a tree can need at most, by its totals alone: so much is known before the tree is read.

use cellblock_guest::Totals;

use crate::directory;
use crate::format::{InodeNumber, MAXIMUM_EXTENT_BLOCKS};
use crate::geometry::Geometry;
use crate::layout::FAST_SYMLINK_LIMIT;
use crate::options::Options;

/// The most that trees of the same totals need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forecast {
    /// Inodes, with those of the format itself.
    pub(crate) inodes: u32,
    /// Blocks of content, directories, links and attributes, without what maps them.
    blocks: u64,
}

impl Forecast {
    /// The most that trees of these `totals` need; none if content can stand in inodes, as it is not known which.
    pub(crate) fn new(options: &Options, totals: &Totals) -> Option<Self> {
        if options.has_inline_data() {
            return None;
        }
        // The root has one of those before the first, and the tree has no `lost+found` of its own at worst.
        let inodes = InodeNumber::FIRST
            .0
            .checked_add(totals.nodes.checked_sub(totals.hard_links + 1)?)?
            .checked_add(u32::from(options.has_orphan_file()))?;
        let blocks = (totals.content / u64::from(options.block_size))
            .checked_add(directory::most_blocks(options, totals))?
            .checked_add(totals.targets / u64::from(FAST_SYMLINK_LIMIT))?
            .checked_add(u64::from(totals.attributed))?;
        Some(Self { inodes, blocks })
    }

    /// The most blocks that a file system of this geometry has to have, where `interruptions` of the free blocks are in the way of
    /// files.
    pub(crate) fn blocks(&self, options: &Options, geometry: &Geometry, interruptions: u64) -> u64 {
        let own = u64::from(geometry.journal_blocks) + u64::from(geometry.orphan_blocks);
        let mapped = self.blocks.saturating_add(own);
        geometry
            .overhead()
            .saturating_add(u64::from(geometry.has_resize_inode))
            .saturating_add(mapped)
            .saturating_add(most_maps(options, mapped, interruptions))
    }
}

/// The most blocks that map so many others.
fn most_maps(options: &Options, mapped: u64, interruptions: u64) -> u64 {
    if options.has_extents() {
        // A file has a block of extents for at least four of them that it would not have if it stood together, and was
        // short enough for one.
        mapped / u64::from(MAXIMUM_EXTENT_BLOCKS) + interruptions
    } else {
        // A file of 13 blocks has one list, one more where lists of lists begin, and at least 256 blocks in each full
        // one: less than a third.
        mapped.div_ceil(3)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use cellblock_guest::memory::{Entry, MemoryTree};
    use cellblock_guest::{Attribute, Kind, Request, Tree as _};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::census::Census;
    use crate::layout::end_of_tree;
    use crate::space::Cursor;

    /// Checks that the tree takes no more blocks than were foreseen, if nothing interrupts it.
    fn check(mut tree: MemoryTree, kind: &str, block_size: u32) {
        let request = Request {
            kind: kind.into(),
            settings: vec![("block-size".into(), block_size.to_string())],
            ..Request::default()
        };
        let options = Options::new(&request, 0).unwrap();
        let totals = tree.totals(block_size);
        let census = Census::take(&options, &totals, &mut tree, |_| Ok(())).unwrap();
        let forecast = Forecast::new(&options, &totals).unwrap();
        let inodes = census.last_inode().0 + u32::from(options.has_orphan_file());
        assert_eq!(forecast.inodes, inodes);
        let taken = end_of_tree(&options, &census, Cursor::endless()).position();
        let most = forecast.blocks + most_maps(&options, forecast.blocks, 0);
        assert!(
            taken <= most,
            "{kind}, blocks of {block_size}: {taken} > {most}"
        );
    }

    fn crowd(count: usize, entry: impl Fn(usize) -> (String, Entry)) -> MemoryTree {
        let mut tree = MemoryTree::new();
        for index in 0..count {
            let (path, entry) = entry(index);
            tree.insert(path, entry);
        }
        tree
    }

    fn whole(size: u64) -> Entry {
        Entry::new(Kind::File {
            size,
            sparse: false,
        })
    }

    fn attribute(value: Vec<u8>) -> Attribute {
        Attribute {
            name: b"user.a".to_vec(),
            value,
        }
    }

    #[test]
    fn what_takes_most_blocks_for_its_kind_was_foreseen() {
        for block_size in [1024, 2048, 4096] {
            let unit = u64::from(block_size);
            let in_a_block = (block_size / 264) as usize;
            for kind in ["ext2", "ext3", "ext4"] {
                let files = |size| crowd(900, move |index| (format!("{index}"), whole(size)));
                check(files(1), kind, block_size);
                check(files(12 * unit + 1), kind, block_size);
                let few = crowd(30, |index| {
                    (format!("{index}"), whole((13 + unit / 4) * unit))
                });
                check(few, kind, block_size);
                // As long as four full extents, and a block.
                let long = crowd(60, |index| {
                    (format!("{index}"), whole(((4 << 15) + 1) * unit))
                });
                check(long, kind, block_size);
                // An index of few leaves, which the longest names leave unused as far as they can.
                let directories = crowd(300 * (in_a_block + 1), |index| {
                    let directory = index / (in_a_block + 1);
                    let path = format!("{directory}/{index:_>255}");
                    (path, Entry::new(Kind::Fifo))
                });
                check(directories, kind, block_size);
                let links = crowd(900, |index| {
                    (format!("{index}"), Entry::new(Kind::symlink([b'x'; 60])))
                });
                check(links, kind, block_size);
                let attributed = crowd(900, |index| {
                    let mut entry = whole(0);
                    let value = format!("{index:_>500}").into_bytes();
                    entry.attributes = vec![attribute(value)];
                    (format!("{index}"), entry)
                });
                check(attributed, kind, block_size);
            }
        }
    }

    /// A file with `comb` ranges of data apart, or a whole one.
    fn file(size: u64, comb: u64) -> Entry {
        if comb == 0 {
            return whole(size);
        }
        let data = (0..comb).map(|tooth| (tooth * 10_000, b"tooth".to_vec()));
        Entry::sparse(size.max(comb * 10_000), data.collect())
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let plain = prop_oneof![
            4 => (0_u64..80_000, 0_u64..3).prop_map(|(size, comb)| file(size, comb)),
            1 => (0_u64..1 << 33, 0_u64..300).prop_map(|(size, comb)| file(size, comb)),
            2 => (1_usize..1000).prop_map(|length| Entry::new(Kind::symlink(vec![b'x'; length]))),
            2 => Just(Entry::new(Kind::Directory)),
        ];
        (plain, vec(vec(any::<u8>(), 0..200), 0..2)).prop_map(move |(mut entry, values)| {
            entry.attributes = values.into_iter().map(attribute).collect();
            entry
        })
    }

    /// Directories with names of all lengths, or of the length that leaves most of a block unused.
    fn tree() -> impl Strategy<Value = MemoryTree> {
        let length = prop_oneof![1_usize..=248, Just(248), Just(1)];
        let nodes = vec((0_u8..4, length, entry()), 0..60);
        (nodes, 0_usize..400).prop_map(|(nodes, crowd)| {
            let mut tree = MemoryTree::new();
            for (index, (directory, length, entry)) in nodes.into_iter().enumerate() {
                tree.insert(format!("{directory}/{index:_>length$}-"), entry);
            }
            for index in 0..crowd {
                tree.insert(format!("crowd/{index:_>248}"), Entry::new(Kind::Fifo));
            }
            tree
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_tree_needs_more(
            tree in tree(),
            kind in prop_oneof![Just("ext2"), Just("ext3"), Just("ext4")],
            block_size in prop_oneof![Just(1024), Just(2048), Just(4096)],
        ) {
            check(tree, kind, block_size);
        }
    }
}
