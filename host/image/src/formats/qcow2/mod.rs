//! qcow2, version 3: clusters that are there are found through two levels of tables, and each cluster of the file is counted.
//!
//! Clusters of zeros take no room. The others, if they are compressed or differ from those of a backing file, stand one behind the other, to
//! the byte, with the tables between and behind them. If they are neither, they stand where the disk has them ([`uncompressed`]).
//!
//! ```text
//!     header | data, second-level tables, full blocks of counts | first-level table | table of counts | last blocks of counts
//! ```

mod clusters;
mod counts;
mod header;
mod uncompressed;

use std::sync::Arc;

use cellblock_codec::{Method, Settings};
use cellblock_text::exact;

use super::blocks::{Hand, Packed, in_order_together};
use super::options::Options;
use super::{Base, Disk, Format, FormatError, Kind, Writer};
use crate::ImageError;
use cellblock_table::ReadAt as _;
use clusters::Clusters;
use header::{Head, Tables};

pub(super) static KIND: Kind = Kind {
    name: "qcow2",
    also: &[],
    suffix: "qcow2",
    suffixes: &["qcow2"],
    about: "QEMU's, of version 3 (compat=1.1)",
    options: &[
        (
            "compression_type",
            "none, zlib or zstd: whether clusters are compressed, and how; none if nothing is said",
        ),
        (
            "compression_level",
            "of zlib 1 to 12, 6 if nothing is said; of zstd 1 to 22, 3 if nothing is said",
        ),
        (
            "cluster_size",
            "512 bytes to 2MiB; 64KiB if nothing is said",
        ),
        (
            "backing_file",
            "a disk, from the output's folder on: only the clusters that differ from it are stored",
        ),
        (
            "backing_fmt",
            "raw or qcow2: what that disk is; if nothing is said, what its first bytes say",
        ),
    ],
    is_beside: false,
    make: |options| Ok(Arc::new(Qcow2::of(options)?)),
};

/// The most bytes of a first-level table that QEMU takes.
const MOST_FIRST_LEVEL: u64 = 32 << 20;
/// The most bytes of the name of another file (qcow2's description, "backing_file_size").
const MOST_NAME: usize = 1023;
/// The bytes of an entry of both levels of tables.
const ENTRY: u64 = 8;

#[derive(Debug)]
struct Qcow2 {
    /// The logarithm of a cluster's bytes.
    cluster_bits: u32,
    settings: Option<Settings>,
    base: Option<Base>,
}

impl Qcow2 {
    fn of(options: &Options<'_>) -> Result<Self, FormatError> {
        let cluster = options.power("cluster_size", 64 << 10, 512..=2 << 20)?;
        let types = [
            ("none", None),
            ("zlib", Some(Method::Deflate)),
            ("zstd", Some(Method::Zstd)),
        ];
        let method = options.choice("compression_type", &types)?;
        let level = |usual, most| options.number("compression_level", usual, 1..=most);
        let settings = match method {
            None if options.text("compression_level").is_some() => {
                return Err(options.needs("compression_level", "compression_type"));
            }
            None => None,
            Some(Method::Zstd) => Some(Settings::new(Method::Zstd, level(3, 22)?)),
            Some(method) => Some(Settings::new(method, level(6, 12)?)),
        };
        Ok(Self {
            cluster_bits: cluster.trailing_zeros(),
            settings,
            base: Self::base_of(options)?,
        })
    }

    /// What stands before the tables, if there is room for it.
    fn head(&self, disk: &Disk<'_>) -> Result<Head<'_>, ImageError> {
        let base = self.base.as_ref().zip(disk.base);
        let head = Head {
            base: base.map(|(base, disk)| (&*base.name, disk.plain_file().is_none())),
        };
        let (length, cluster) = (head.length(), 1 << self.cluster_bits);
        if length <= cluster {
            return Ok(head);
        }
        Err(ImageError::Unfit {
            format: KIND.name,
            reason: format!(
                "the name of the backing file and what stands before it take {}, and a cluster has {}: say a larger cluster_size",
                exact(length),
                exact(cluster)
            ),
        })
    }

    fn base_of(options: &Options<'_>) -> Result<Option<Base>, FormatError> {
        let kinds = [("raw", Some(false)), ("qcow2", Some(true))];
        let Some(name) = options.text("backing_file") else {
            return match options.text("backing_fmt") {
                Some(_) => Err(options.needs("backing_fmt", "backing_file")),
                None => Ok(None),
            };
        };
        // QEMU takes what stands before a colon for a protocol.
        let first = name.split('/').next().unwrap_or_default();
        if name.is_empty() || name.len() > MOST_NAME || first.contains(':') {
            let expected = "it is the name of a file of at most 1023 bytes; one with a colon begins with ./ or /";
            return Err(options.wrong("backing_file", name, expected));
        }
        let is_qcow2 = match options.text("backing_fmt") {
            None => None,
            Some(_) => options.choice("backing_fmt", &kinds)?,
        };
        Ok(Some(Base {
            name: name.to_owned(),
            path: options.path(name),
            is_qcow2,
        }))
    }
}

impl Format for Qcow2 {
    fn takes_file(&self) -> bool {
        self.settings.is_none() && self.base.is_none()
    }

    fn base(&self) -> Option<&Base> {
        self.base.as_ref()
    }

    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        disk.in_units(
            KIND.name,
            512,
            "give it a size in whole sectors of 512 bytes",
        )?;
        let cluster = 1_u64 << self.cluster_bits;
        // What one cluster of the second level maps, for each entry of the first.
        disk.at_most(
            KIND.name,
            MOST_FIRST_LEVEL / ENTRY * (cluster / ENTRY) * cluster,
        )?;
        let head = self.head(disk)?;
        let tables = if self.takes_file() {
            uncompressed::write(disk, cluster, to)?
        } else {
            self.write_clusters(disk, to)?
        };
        let is_zstd = self
            .settings
            .is_some_and(|settings| settings.method == Method::Zstd);
        to.at(
            0,
            &head.bytes(self.cluster_bits, disk.size, is_zstd, &tables),
        )
    }
}

impl Qcow2 {
    /// Writes clusters one behind the other, and all but the header.
    fn write_clusters(&self, disk: &Disk<'_>, to: &Writer<'_>) -> Result<Tables, ImageError> {
        let cluster = 1_u64 << self.cluster_bits;
        let length = usize::try_from(cluster).expect("a cluster has at most 2 MiB");
        let mut clusters = Clusters::new(to, self.cluster_bits, disk.size);
        let work = |hand: &mut Hand<'_>, offsets: &[u64]| {
            let mut own = Vec::with_capacity(offsets.len());
            for offset in offsets {
                if !is_as_base(disk, *offset, length)? {
                    own.push(*offset);
                }
            }
            let packed: Result<Vec<Packed>, ImageError> = match &self.settings {
                None => own.iter().map(|at| hand.plain(*at, length)).collect(),
                Some(settings) => hand.encoded_together(&own, length, settings),
            };
            let mut packed = own.into_iter().zip(packed?).peekable();
            let take_own = |offset: &u64| packed.next_if(|(own, _)| own == offset);
            let made = offsets.iter().map(take_own);
            Ok(made.map(|own| own.map(|(_, packed)| packed)).collect())
        };
        let take = |index, packed| match packed {
            None => Ok(()),
            // They hide what the base has there.
            Some(Packed::Zeros) if disk.base.is_some() => clusters.zeros(index),
            Some(Packed::Zeros) => Ok(()),
            Some(Packed::Plain(bytes)) => clusters.plain(index, &bytes),
            Some(Packed::Kept(bytes)) => clusters.compressed(index, &bytes),
        };
        in_order_together(disk, to.watch, cluster, work, take)?;
        clusters.finish()
    }
}

/// Whether the disk has in a cluster what its base has there. What is beyond the end of the base is zeros, for QEMU too.
fn is_as_base(disk: &Disk<'_>, offset: u64, length: usize) -> Result<bool, ImageError> {
    let Some(base) = disk.base else {
        return Ok(false);
    };
    let there = crate::copy::at_most(disk.size - offset, length);
    let (mut own, mut other) = (vec![0; there], vec![0; there]);
    let of_base = base.size().saturating_sub(offset);
    let of_base = crate::copy::at_most(of_base, there);
    let mut read = disk.bytes.read(offset, &mut own);
    if of_base > 0 {
        read = read.and_then(|()| base.read_at(offset, &mut other[..of_base]));
    }
    read.map_err(|source| ImageError::Read { offset, source })?;
    Ok(own == other)
}
