//! qcow2, versions 2 and 3: clusters, found through two levels of tables.
//!
//! By QEMU's docs/interop/qcow2.txt. Snapshots within the file are left aside: the disk is what it is now.

use std::io;

use zerocopy::{BE, U32};

use super::{DiskFault, Layout, Mapping, Packed, Piece, Snapshots, Stored, called, each_once};
use crate::structures::qcow2::entry::{COMPRESSED, IS_ZERO, OFFSET, offset_bits};
use crate::structures::qcow2::{COMPRESSION, Header, Header3, features};
use cellblock_text::PathBytes;
use cellblock_tree::volume::Coding;

/// The extension that has the name of the file with the data.
const DATA_FILE_NAME: u32 = 0x4441_5441;
/// The longest name of a file (1023 bytes in the format's description; extensions fit into a cluster).
const LONGEST_NAME: u32 = 1023;
/// The most extensions that are looked through.
const MOST_EXTENSIONS: usize = 64;
const SECTOR: u64 = 512;
/// The parts of a cluster that has parts.
const SUBCLUSTERS: u64 = 32;

#[derive(Debug)]
pub(super) struct Qcow2 {
    size: u64,
    cluster_bits: u32,
    coding: Coding,
    /// Whether entries of the second level tell of parts of clusters.
    has_subclusters: bool,
    /// Whether entries can say that a cluster is zeros: in version 2 their bit for it is reserved.
    has_zeros: bool,
    /// Where the tables of the second level are; 0 for one that is not there.
    first_level: Vec<u64>,
    snapshots: Option<Snapshots>,
}

impl Qcow2 {
    pub(super) fn open(stored: &Stored) -> io::Result<Self> {
        let header: Header = stored.get("its header", 0)?;
        let version = header.version.get();
        let (features, compression) = match version {
            2 => (0, 0),
            3 => Self::version_3(stored)?,
            _ => {
                let read = "versions 2 and 3";
                return Err(DiskFault::Version { version, read }.into());
            }
        };
        Self::refuse(stored, &header, features)?;
        let cluster_bits = header.cluster_bits.get();
        let has_subclusters = features & features::SUBCLUSTERS != 0;
        let least = if has_subclusters { 14 } else { 9 };
        if !(least..=21).contains(&cluster_bits) {
            let fault = DiskFault::Number {
                what: "the logarithm of the bytes of a cluster",
                value: cluster_bits.into(),
                expected: format!("{least} to 21"),
            };
            return Err(fault.into());
        }
        let is_marked = features & features::COMPRESSION != 0;
        let coding = match (compression, is_marked) {
            (0, false) => Coding::Deflate,
            (1, true) => Coding::Zstd,
            (kind, _) => {
                let expected = "0 (zlib) without the incompatible feature for another kind (bit 3), or 1 (zstd) with it";
                let fault = DiskFault::Number {
                    what: "the kind of compression",
                    value: kind.into(),
                    expected: expected.to_owned(),
                };
                return Err(fault.into());
            }
        };
        let mut qcow2 = Self {
            // What is not a whole sector no machine sees.
            size: header.size.get() / SECTOR * SECTOR,
            cluster_bits,
            coding,
            has_subclusters,
            has_zeros: version >= 3,
            first_level: Vec::new(),
            snapshots: Snapshots::read(stored, header.snapshots.get(), header.snapshot_table.get()),
        };
        let wanted = qcow2.size.div_ceil(qcow2.of_table());
        let entries = u64::from(header.first_level_entries.get());
        if entries < wanted {
            let fault = DiskFault::Number {
                what: "the number of entries of its first table",
                value: entries,
                expected: format!("{wanted} for a disk of its size"),
            };
            return Err(fault.into());
        }
        let what = "its first table";
        let table = stored.table(what, header.first_level.get(), wanted)?;
        let places = table.into_iter().map(|it| u64::from_be_bytes(it) & OFFSET);
        qcow2.first_level = places.collect();
        let there = || qcow2.first_level.iter().copied().filter(|it| *it != 0);
        if let Some(offset) = there().find(|it| it % qcow2.cluster() != 0) {
            return Err(Self::unaligned("the offset of a second-level table", offset).into());
        }
        each_once("a second-level table", there())?;
        Ok(qcow2)
    }

    /// The features and the kind of compression.
    fn version_3(stored: &Stored) -> io::Result<(u64, u8)> {
        let header: Header3 = stored.get("its header", size_of::<Header>() as u64)?;
        let features = header.incompatible.get();
        let has_compression = u64::from(header.length.get()) > COMPRESSION;
        let compression = if has_compression {
            stored.get::<u8>("its header", COMPRESSION)?
        } else {
            0
        };
        Ok((features, compression))
    }

    fn unaligned(what: &'static str, offset: u64) -> DiskFault {
        DiskFault::Number {
            what,
            value: offset,
            expected: "a multiple of a cluster's bytes".to_owned(),
        }
    }

    /// Refuses what leads out of the file, and what is not known.
    fn refuse(stored: &Stored, header: &Header, features: u64) -> io::Result<()> {
        use features::{CORRUPT, DATA_FILE, DIRTY};
        if header.backing_file.get() != 0 {
            let length = header.backing_file_length.get().min(LONGEST_NAME);
            let base = name(stored, header.backing_file.get(), length)?;
            return Err(DiskFault::Base { base }.into());
        }
        if features & DATA_FILE != 0 {
            let file = data_file(stored)?;
            let is_plain = false;
            return Err(DiskFault::DataFile { file, is_plain }.into());
        }
        let method = match header.encryption.get() {
            0 => None,
            1 => Some("AES".to_owned()),
            2 => Some("LUKS".to_owned()),
            other => Some(format!("method {other}")),
        };
        if let Some(method) = method {
            return Err(DiskFault::Encrypted { method }.into());
        }
        if features & CORRUPT != 0 {
            return Err(DiskFault::MarkedCorrupt.into());
        }
        let bits = features & !(DIRTY | features::COMPRESSION | features::SUBCLUSTERS);
        if bits != 0 {
            return Err(DiskFault::Features { bits }.into());
        }
        Ok(())
    }

    fn cluster(&self) -> u64 {
        1 << self.cluster_bits
    }

    /// The bytes of an entry of the second level.
    fn entry(&self) -> u64 {
        if self.has_subclusters { 16 } else { 8 }
    }

    /// The bytes of the disk that a table of the second level tells of.
    fn of_table(&self) -> u64 {
        self.cluster() / self.entry() * self.cluster()
    }

    fn packed(&self, entry: u64, file: u64) -> Result<Packed, DiskFault> {
        let bits = offset_bits(self.cluster_bits);
        let offset = entry & ((1 << bits) - 1);
        let sectors = (entry & (COMPRESSED - 1)) >> bits;
        let length = (sectors + 1) * 512 - offset % 512;
        // The last sector may be cut short by the end of the file.
        let there = file.checked_sub(offset).filter(|there| *there > 0);
        let there = there.ok_or(DiskFault::Outside {
            what: "what is compressed",
            offset,
            length,
            file,
        })?;
        Ok(Packed {
            coding: self.coding,
            offset,
            length: u32::try_from(length.min(there)).expect("at most 4 MiB, by the bits"),
        })
    }
}

/// The name of another file.
fn name(stored: &Stored, offset: u64, length: u32) -> io::Result<PathBytes> {
    let mut name = vec![0; length as usize];
    stored.read("the name of another file", offset, &mut name)?;
    Ok(called(&name))
}

/// What the file with the data is called.
fn data_file(stored: &Stored) -> io::Result<PathBytes> {
    let header: Header3 = stored.get("its header", size_of::<Header>() as u64)?;
    let mut at = u64::from(header.length.get());
    for _ in 0..MOST_EXTENSIONS {
        let [kind, length]: [U32<BE>; 2] = stored.get("an extension of its header", at)?;
        let (kind, length) = (kind.get(), length.get());
        match kind {
            0 => break,
            DATA_FILE_NAME => return name(stored, at + 8, length.min(LONGEST_NAME)),
            _ => at += 8 + u64::from(length).next_multiple_of(8),
        }
    }
    Ok(called(b""))
}

impl Layout for Qcow2 {
    fn size(&self) -> u64 {
        self.size
    }

    fn snapshots(&self) -> Option<&Snapshots> {
        self.snapshots.as_ref()
    }

    fn piece(&self, stored: &Stored, at: u64) -> io::Result<Piece> {
        let of_table = self.of_table();
        let index = usize::try_from(at / of_table).expect("the first level is in memory");
        let table = self.first_level[index];
        if table == 0 {
            let start = at / of_table * of_table;
            return Ok(Piece {
                range: start..start.saturating_add(of_table),
                mapping: Mapping::Zeros,
            });
        }
        let (cluster, what) = (self.cluster(), "an entry of a second-level table");
        let start = at / cluster * cluster;
        let offset = table + at % of_table / cluster * self.entry();
        let entry = u64::from_be_bytes(stored.entry(what, offset)?);
        let whole = |mapping| Piece {
            range: start..start.saturating_add(cluster),
            mapping,
        };
        if entry & COMPRESSED != 0 {
            return Ok(whole(Mapping::Packed(self.packed(entry, stored.length)?)));
        }
        let data = entry & OFFSET;
        if !data.is_multiple_of(cluster) {
            return Err(Self::unaligned("the offset of a cluster", data).into());
        }
        if self.has_subclusters {
            let bits = u64::from_be_bytes(stored.entry(what, offset + 8)?);
            return Ok(subcluster(start, cluster, data, bits, at));
        }
        let is_zero = entry & IS_ZERO != 0;
        if is_zero && !self.has_zeros {
            let fault = DiskFault::Number {
                what: "the lowest bit of an entry of a second-level table",
                value: 1,
                expected: "0, as it is reserved in version 2".to_owned(),
            };
            return Err(fault.into());
        }
        Ok(whole(if data == 0 || is_zero {
            Mapping::Zeros
        } else {
            Mapping::Plain(data)
        }))
    }
}

/// The parts of a cluster about one, as far as they are alike. The low half of the bits says which are there, the high half
/// which are zeros.
fn subcluster(start: u64, cluster: u64, data: u64, bits: u64, at: u64) -> Piece {
    let length = cluster / SUBCLUSTERS;
    let is_data = |part: u64| bits >> part & 1 == 1 && bits >> (part + 32) & 1 == 0 && data != 0;
    let first = (at - start) / length;
    let is = is_data(first);
    let end = (first..SUBCLUSTERS).find(|part| is_data(*part) != is);
    let end = end.unwrap_or(SUBCLUSTERS);
    let mapping = if is {
        Mapping::Plain(data + first * length)
    } else {
        Mapping::Zeros
    };
    Piece {
        range: start + first * length..start.saturating_add(end * length),
        mapping,
    }
}
