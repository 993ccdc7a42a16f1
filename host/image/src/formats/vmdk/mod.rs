//! VMDK in one file: grains of 64 KiB that are found through two levels of tables, with the descriptor inside.
//!
//! ```text
//!     streamOptimized:   header | descriptor | marker, grain | ... | marker, table | ... | marker, directory | footer | end
//!     monolithicSparse:  header | descriptor | directory, tables | the same again | grains, where the disk has them
//! ```
//!
//! The first is what clouds and ESXi import: grains are zlib streams. The second is what Workstation runs.

mod format;
mod sparse;
mod stream;

use std::sync::Arc;

use cellblock_codec::{Method, Settings};

use super::options::Options;
use super::{Disk, Format, FormatError, Kind, Writer};
use crate::ImageError;
use format::Descriptor;

pub(super) static KIND: Kind = Kind {
    name: "vmdk",
    also: &[],
    suffix: "vmdk",
    suffixes: &["vmdk"],
    about: "VMware's",
    options: &[
        (
            "subformat",
            "streamOptimized (compressed, as clouds import it) or monolithicSparse; the first if nothing is said",
        ),
        (
            "adapter_type",
            "ide, lsilogic, buslogic or legacyESX; the first if nothing is said",
        ),
        (
            "hwversion",
            "the version of the virtual machine; 4 if nothing is said",
        ),
        (
            "compression_level",
            "1 to 9; 6 if nothing is said; of streamOptimized",
        ),
    ],
    is_beside: false,
    make: |options| Ok(Arc::new(Vmdk::of(options)?)),
};

/// The most bytes of an extent of such a file.
const MOST_BYTES: u64 = 2 << 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subformat {
    StreamOptimized,
    MonolithicSparse,
}

#[derive(Debug)]
pub(super) struct Vmdk {
    subformat: Subformat,
    adapter: &'static str,
    hardware: u32,
    settings: Settings,
}

impl Vmdk {
    fn of(options: &Options<'_>) -> Result<Self, FormatError> {
        let subformats = [
            ("streamOptimized", Subformat::StreamOptimized),
            ("monolithicSparse", Subformat::MonolithicSparse),
        ];
        let adapters = ["ide", "lsilogic", "buslogic", "legacyESX"].map(|name| (name, name));
        let subformat = options.choice("subformat", &subformats)?;
        if subformat == Subformat::MonolithicSparse && options.text("compression_level").is_some() {
            return Err(options.needs("compression_level", "subformat=streamOptimized"));
        }
        Ok(Self {
            subformat,
            adapter: options.choice("adapter_type", &adapters)?,
            hardware: options.number("hwversion", 4, 1..=99)?,
            settings: Settings::new(Method::Zlib, options.number("compression_level", 6, 1..=9)?),
        })
    }

    /// What an archive of a machine holds.
    pub(super) fn stream(adapter: &'static str, level: u32) -> Self {
        Self {
            subformat: Subformat::StreamOptimized,
            adapter,
            hardware: 4,
            settings: Settings::new(Method::Zlib, level),
        }
    }
}

impl Format for Vmdk {
    fn takes_file(&self) -> bool {
        self.subformat == Subformat::MonolithicSparse
    }

    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        disk.at_most(KIND.name, MOST_BYTES)?;
        let sectors = disk.in_units(KIND.name, format::SECTOR, format::ADVICE)?;
        let content = disk.identifier("vmdk content")?;
        let descriptor = Descriptor {
            subformat: self.subformat,
            adapter: self.adapter,
            hardware: self.hardware,
            sectors,
            content: u32::from_le_bytes([content[0], content[1], content[2], content[3]]),
            name: disk.name,
        };
        match self.subformat {
            Subformat::StreamOptimized => {
                stream::write(disk, sectors, &descriptor, &self.settings, to)
            }
            Subformat::MonolithicSparse => sparse::write(disk, sectors, &descriptor, to),
        }
    }
}
