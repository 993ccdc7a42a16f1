//! File systems of very many blocks, groups and inodes.
#![allow(clippy::unwrap_used)]

mod judge;

use std::fs::File;

use cellblock_ext4::Ext4;
use cellblock_guest::memory::{FileOutput, MemoryTree};
use cellblock_guest::{
    Batch, FormatError, Formatter as _, Kind, Node, NodeId, Range, ReadError, Shortage, Summary,
    Timestamp, Totals, Tree,
};
use cellblock_judges::{Ability, lacks};
use judge::{Image, fsck, path_for, request, run};

const TEBIBYTE: u64 = 1 << 40;

/// Empty files in directories of a thousand, made up as they are asked for.
struct Crowd {
    files: u32,
    position: u32,
}

impl Crowd {
    const OF_DIRECTORY: u32 = 1001;

    fn of(files: u32) -> Self {
        Self { files, position: 0 }
    }

    /// The nodes, with the root and the directories.
    fn all(&self) -> u32 {
        1 + self.files + self.files.div_ceil(Self::OF_DIRECTORY - 1)
    }

    fn node(&self, id: u32) -> Node<'static> {
        let (kind, parent) = match id {
            0 => (Kind::Directory, 0),
            _ if id % Self::OF_DIRECTORY == 1 => (Kind::Directory, 0),
            _ => {
                let file = Kind::File {
                    size: 0,
                    sparse: false,
                };
                (file, (id - 1) / Self::OF_DIRECTORY * Self::OF_DIRECTORY + 1)
            }
        };
        Node {
            parent: NodeId(parent),
            name: if id == 0 {
                Vec::new()
            } else {
                format!("{id:0>10}").into_bytes()
            }
            .into(),
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            modified: Timestamp::default(),
            attributes: Vec::new().into(),
        }
    }
}

impl Tree for Crowd {
    fn next(&mut self, limit: u32) -> Batch {
        let end = self.all().min(self.position + limit);
        let nodes = (self.position..end).map(|id| self.node(id)).collect();
        self.position = end;
        nodes
    }

    fn rewind(&mut self) {
        self.position = 0;
    }

    fn totals(&mut self, unit: u32) -> Totals {
        (0..self.all()).fold(Totals::default(), |totals, id| {
            totals.with(&self.node(id), unit)
        })
    }

    fn ranges(&mut self, _: NodeId) -> Result<Vec<Range>, ReadError> {
        Ok(Vec::new())
    }

    fn read(&mut self, _: NodeId, _: u64, _: u32) -> Result<Vec<u8>, ReadError> {
        Err(ReadError::OutOfRange)
    }
}

/// An image without content; none if the machine has no file of that size.
fn make(tree: &mut dyn Tree, size: u64, settings: &[(&str, &str)]) -> Option<Image> {
    let path = path_for(size);
    let file = File::create_new(&path).unwrap();
    let mut image = Image {
        path,
        kind: "ext4".into(),
        inode_size: 256,
        summary: Summary::default(),
        warnings: Vec::new(),
    };
    let Ok(mut output) = FileOutput::new(file, size, &MemoryTree::new()) else {
        lacks(Ability::Room, &format!("no file of {size} bytes"));
        return None;
    };
    image.summary = Ext4::format(&request(size, settings), tree, &mut output).unwrap();
    Some(image)
}

fn described(image: &Image, what: &str) -> Option<String> {
    let (_, said) = run("dumpe2fs", &["-h"], &image.path)?;
    let line = said.lines().find(|line| line.starts_with(what))?;
    line.split_once(':')
        .map(|(_, value)| value.trim().to_owned())
}

#[test]
fn a_million_empty_files_have_smaller_groups() {
    for settings in [
        [].as_slice(),
        &[("features", "^resize_inode,^flex_bg")],
        &[("block-size", "1024")],
    ] {
        let mut tree = Crowd::of(1_000_000);
        let needed = Ext4::measure(&request(0, settings), &mut tree).unwrap();
        println!("{needed} {settings:?}");
        assert!(needed < 500 << 20, "{needed}");
        let available = needed - 512;
        let mut nowhere = judge::Nowhere;
        let error = Ext4::format(&request(available, settings), &mut tree, &mut nowhere);
        let shortage = Shortage { needed, available };
        assert_eq!(error.err(), Some(FormatError::TooSmall(shortage)));
        fsck(&make(&mut tree, needed, settings).unwrap());
        fsck(&make(&mut tree, 2 * needed, settings).unwrap());
    }
}

#[test]
fn twenty_tebibytes_are_clean() {
    for settings in [
        [].as_slice(),
        &[("features", "meta_bg,^resize_inode,sparse_super2")],
    ] {
        let mut tree = Crowd::of(5000);
        let Some(image) = make(&mut tree, 20 * TEBIBYTE, settings) else {
            return;
        };
        fsck(&image);
    }
}

#[test]
fn descriptors_of_very_many_groups_stand_with_them() {
    let mut tree = Crowd::of(5000);
    let settings = [("block-size", "1024")];
    let Some(image) = make(&mut tree, TEBIBYTE, &settings) else {
        return;
    };
    if let Some(features) = described(&image, "Filesystem features") {
        assert!(features.contains("meta_bg"), "{features}");
        assert!(!features.contains("resize_inode"), "{features}");
    }
    fsck(&image);
}

/// The most memory that this process ever had. KiB.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_pebibyte_has_bounded_tables() {
    let mut tree = MemoryTree::new();
    let mut nowhere = judge::Nowhere;
    let pebibyte = 1 << 50;
    let summary = Ext4::format(&request(pebibyte, &[]), &mut tree, &mut nowhere).unwrap();
    assert!(summary.used > 0);
    println!("{:?} KiB of memory at most", peak_memory());
    let error = Ext4::format(&request(pebibyte + 4096, &[]), &mut tree, &mut nowhere);
    assert_eq!(error.err(), Some(FormatError::TooLarge(pebibyte)));
}
