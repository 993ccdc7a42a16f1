//! qcow2, version 3: clusters that are there are found through two levels of tables, and each cluster of the file is counted.
//!
//! ```text
//!     header | data, second-level tables, full blocks of counts | first-level table | table of counts | last blocks of counts
//! ```
//!
//! Compressed clusters stand one behind the other, to the byte. Clusters of zeros take no room.

mod clusters;
mod counts;
mod header;

use std::sync::Arc;

use cellblock_codec::{Method, Settings};

use super::blocks::{Hand, Packed, in_order};
use super::options::Options;
use super::{Disk, Format, FormatError, Kind, Writer};
use crate::ImageError;
use clusters::Clusters;

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
    ],
    is_beside: false,
    make: |options| Ok(Arc::new(Qcow2::of(options)?)),
};

/// The most bytes of a first-level table that QEMU takes.
const MOST_FIRST_LEVEL: u64 = 32 << 20;
/// The bytes of an entry of both levels of tables.
const ENTRY: u64 = 8;

#[derive(Debug)]
struct Qcow2 {
    /// The logarithm of a cluster's bytes.
    cluster_bits: u32,
    settings: Option<Settings>,
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
        })
    }
}

impl Format for Qcow2 {
    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        let cluster = 1_u64 << self.cluster_bits;
        // What one cluster of the second level maps, for each entry of the first.
        disk.at_most(
            KIND.name,
            MOST_FIRST_LEVEL / ENTRY * (cluster / ENTRY) * cluster,
        )?;
        let length = usize::try_from(cluster).expect("a cluster has at most 2 MiB");
        let work = |hand: &mut Hand<'_>, offset: u64| match &self.settings {
            None => hand.plain(offset, length),
            Some(settings) => hand.encoded(offset, length, settings, &mut |_| {}),
        };
        let watch = to.watch;
        let mut clusters = Clusters::new(to, self.cluster_bits, disk.size);
        in_order(disk, watch, cluster, work, |index, packed| match packed {
            Packed::Zeros => Ok(()),
            Packed::Plain(bytes) => clusters.plain(index, &bytes),
            Packed::Kept(bytes) => clusters.compressed(index, &bytes),
        })?;
        let tables = clusters.finish()?;
        let is_zstd = self
            .settings
            .is_some_and(|settings| settings.method == Method::Zstd);
        let header = header::bytes(self.cluster_bits, disk.size, is_zstd, &tables);
        to.at(0, &header)
    }
}
