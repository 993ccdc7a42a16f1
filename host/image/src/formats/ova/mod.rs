//! OVA: one virtual machine with this disk, as VMware, VirtualBox and most clouds import it (DMTF's DSP0243, "OVF package as a
//! single file").
//!
//! ```text
//!     tar:  NAME.ovf, the machine | NAME.mf, digests | NAME-disk1.vmdk, streamOptimized
//! ```
//!
//! The disk is compressed where it will stand in the archive, and what stands before it is written afterwards: its length does
//! not depend on the disk's.

mod machine;

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use cellblock_table::{ReadAt, Scheme, Table};
use cellblock_text::hexadecimal;
use cellblock_tree::pax::{self, Member, MemberKind};
use sha2::{Digest as _, Sha256};

use super::options::Options;
use super::vmdk::Vmdk;
use super::{Disk, Format, FormatError, Kind, Writer};
use crate::{Bytes, ImageError};
use machine::{Controller, Firmware, Machine};

pub(super) static KIND: Kind = Kind {
    name: "ova",
    also: &[],
    suffix: "ova",
    suffixes: &["ova"],
    about: "a virtual machine with this disk, as VMware and VirtualBox import it",
    options: &[
        (
            "name",
            "of the machine; the output's name if nothing is said",
        ),
        ("cpus", "1 to 768; 1 if nothing is said"),
        ("memory", "in MiB; 1024 if nothing is said"),
        (
            "firmware",
            "bios or efi; if nothing is said, efi for a GPT with an EFI system partition and without a bios-boot one",
        ),
        (
            "controller",
            "of the disk: sata, lsilogic or pvscsi; the first if nothing is said",
        ),
        (
            "network",
            "what its network card is connected to, or none for no card; 'VM Network' if nothing is said",
        ),
        ("compression_level", "1 to 9; 6 if nothing is said"),
    ],
    is_beside: false,
    make: |options| Ok(Arc::new(Ova::of(options)?)),
};

/// The blocks that end an archive (POSIX.1-2017, pax, "ustar Interchange Format").
const END: usize = 2 * pax::BLOCK;

#[derive(Debug)]
struct Ova {
    name: Option<String>,
    cpus: u32,
    memory: u32,
    /// If none was named, what the disk's table says.
    firmware: Option<Firmware>,
    controller: Controller,
    network: Option<String>,
    disk: Vmdk,
}

impl Ova {
    fn of(options: &Options<'_>) -> Result<Self, FormatError> {
        let firmwares = [("bios", Some(Firmware::Bios)), ("efi", Some(Firmware::Efi))];
        let controllers = [
            ("sata", Controller::Sata),
            ("lsilogic", Controller::LsiLogic),
            ("pvscsi", Controller::ParaVirtual),
        ];
        let text = |key| options.text(key).map(str::to_owned);
        let network = text("network").unwrap_or_else(|| "VM Network".to_owned());
        Ok(Self {
            name: text("name"),
            cpus: options.number("cpus", 1, 1..=768)?,
            memory: options.number("memory", 1024, 4..=24 << 20)?,
            firmware: match options.text("firmware") {
                None => None,
                Some(_) => options.choice("firmware", &firmwares)?,
            },
            controller: options.choice("controller", &controllers)?,
            network: (network != "none").then_some(network),
            disk: Vmdk::stream("lsilogic", options.number("compression_level", 6, 1..=9)?),
        })
    }
}

impl Format for Ova {
    fn write(&self, disk: &Disk<'_>, to: &mut Writer<'_>) -> Result<(), ImageError> {
        let stem = Path::new(disk.name).file_stem().and_then(OsStr::to_str);
        let stem = stem.filter(|stem| *stem != "-").unwrap_or("disk");
        let file = file_name(stem);
        let machine = Machine {
            name: self.name.as_deref().unwrap_or(stem),
            cpus: self.cpus,
            memory: self.memory,
            firmware: self.firmware.unwrap_or_else(|| firmware_of(disk)),
            controller: self.controller,
            network: self.network.as_deref(),
            disk: &format!("{file}-disk1.vmdk"),
            capacity: disk.size,
        };
        let archive = Archive {
            file: &file,
            machine: &machine,
            time: disk.time.unwrap_or_default(),
        };
        // Whatever the disk becomes, what stands before it takes as much room.
        let before = archive.before(0, &[0; 32]).len() as u64;
        let mut inner = to.behind(before);
        self.disk.write(disk, &mut inner)?;
        let length = inner.position;
        let digest = inner.digest(length)?;
        to.append(&archive.before(length, &digest))?;
        assert_eq!(
            to.position, before,
            "what stands before the disk has one length"
        );
        to.position += length;
        to.append(&vec![0; pax::padding(length) + END])
    }
}

/// The members of the archive.
struct Archive<'a> {
    /// What they are named after.
    file: &'a str,
    machine: &'a Machine<'a>,
    /// When all of them were modified, in seconds since 1970.
    time: i64,
}

impl Archive<'_> {
    /// All that stands before the bytes of the disk's file, which has so many of them, and this digest.
    fn before(&self, length: u64, digest: &[u8; 32]) -> Vec<u8> {
        let descriptor = self.machine.descriptor(length);
        let described = Sha256::digest(descriptor.as_bytes());
        let manifest = format!(
            "SHA256({}.ovf)= {}\nSHA256({})= {}\n",
            self.file,
            hexadecimal(&described),
            self.machine.disk,
            hexadecimal(digest),
        );
        let mut bytes = Vec::new();
        for (name, content) in [("ovf", &descriptor), ("mf", &manifest)] {
            let length = content.len() as u64;
            bytes.extend(self.header(&format!("{}.{name}", self.file), length));
            bytes.extend(content.as_bytes());
            bytes.resize(bytes.len() + pax::padding(length), 0);
        }
        bytes.extend(self.header(self.machine.disk, length));
        bytes
    }

    /// The header of a file; without an extended one, so that its length is always that of a block. GNU tar, libarchive and
    /// Python read sizes of 8 GiB and more as the binary numbers that stand there.
    fn header(&self, path: &str, length: u64) -> Vec<u8> {
        let mut headers = pax::headers(&Member {
            path: path.as_bytes().to_vec(),
            kind: MemberKind::File,
            value: length,
            target: Vec::new(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            seconds: self.time.max(0),
            nanoseconds: 0,
            attributes: Vec::new(),
        });
        headers.split_off(headers.len() - pax::BLOCK)
    }
}

/// A name for files that every importer takes, and that is a URI as it is: other bytes become `_`.
fn file_name(stem: &str) -> String {
    /// What is left of a name of 100 bytes, as a header holds it.
    const MOST: usize = 80;
    let is_kept = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '_' | '-');
    let name = stem.chars().take(MOST);
    name.map(|it| if is_kept(it) { it } else { '_' }).collect()
}

/// What starts a disk: EFI where its GPT has an EFI system partition and no place for a boot loader of a BIOS.
fn firmware_of(disk: &Disk<'_>) -> Firmware {
    let Ok(decoded) = Table::decode(disk) else {
        return Firmware::Bios;
    };
    let table = &decoded.table;
    let has = |name| {
        let mut kinds = table.partitions.iter().map(|partition| partition.kind);
        kinds.any(|kind| kind.name() == Some(name))
    };
    if table.scheme() == Scheme::Gpt && has("esp") && !has("bios-boot") {
        Firmware::Efi
    } else {
        Firmware::Bios
    }
}

impl ReadAt for Disk<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.bytes.read(offset, buffer)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.size)
    }
}

impl<'a> Writer<'a> {
    /// What writes from `start` on, as if the file began there.
    fn behind(&self, start: u64) -> Writer<'a> {
        Writer {
            start: self.start + start,
            position: 0,
            ..*self
        }
    }

    /// The SHA-256 of the first `length` bytes.
    fn digest(&self, length: u64) -> Result<[u8; 32], ImageError> {
        let range = self.start..self.start + length;
        Bytes::File(self.file).digest(range, |offset, source| {
            let left = self.start + length - offset;
            self.scratch.transfer_error("reading", offset, left, source)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_of_files_are_uris() {
        assert_eq!(file_name("debian-12.5_x"), "debian-12.5_x");
        assert_eq!(file_name("a b&ü/"), "a_b___");
        assert_eq!(file_name(&"x".repeat(200)).len(), 80);
    }
}
