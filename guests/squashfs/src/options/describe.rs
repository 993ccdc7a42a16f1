//! What this formatter says of itself.

use cellblock_guest::{Description, Identifier, KindDescription, Losses, OptionDescription};

const YES_OR_NO: &str = "yes|no";

const fn option(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    documentation: &'static str,
) -> OptionDescription {
    OptionDescription {
        name,
        value,
        default,
        documentation,
    }
}

/// What this formatter is.
pub(crate) const DESCRIPTION: Description = Description {
    name: "squashfs",
    version: env!("CARGO_PKG_VERSION"),
    summary: "Makes squashfs 4.0: read-only, compressed, without access control lists",
    kinds: &[KindDescription {
        compresses: true,
        ..KindDescription::plain("squashfs", Identifier::None)
    }],
    options: &[
        option(
            "always-use-fragments",
            YES_OR_NO,
            "no",
            "Whether the ends of all files are packed into fragment blocks, and not only files shorter than a block \
             (mksquashfs -tailends).",
        ),
        option(
            "bcj",
            "NAME,...",
            "none",
            "With xz: filters for machine code, of which each block takes what makes it shortest: up to three of x86, \
             powerpc, ia64, arm, armthumb, sparc, arm64, riscv. Linux reads ia64 up to 6.7, and \
             the last two since 6.12.",
        ),
        option(
            "block-size",
            "SIZE",
            "128KiB",
            "The bytes of a block of a file: a power of two from 4KiB to 1MiB.",
        ),
        option(
            "compression",
            "none|gzip|lz4|lz4hc|xz|zstd[,level=NUMBER]",
            "zstd",
            "The codec. Linux reads zstd since 4.14 and lz4 since 3.19; gzip is mksquashfs's default. none is gzip with \
             no-compression=all.",
        ),
        option(
            "dictionary-size",
            "SIZE",
            "that of a block",
            "With xz: the bytes of the dictionary, from 8KiB to the size of a block: a power of two, or one and a half of one.",
        ),
        option(
            "level",
            "NUMBER",
            "gzip 9, lz4hc 12, xz 6, zstd 15",
            "How hard to try: 1 to 9 with gzip, 1 to 12 with lz4hc, 0 to 9 with xz (as xz's presets), 1 to 22 with zstd.",
        ),
        option(
            "no-compression",
            "NAME,...",
            "none",
            "What is stored as it is: inodes (with directories), ids, data, fragments, xattrs, or all.",
        ),
        option(
            "no-duplicates",
            YES_OR_NO,
            "no",
            "Whether equal content is stored as often as it is there.",
        ),
        option(
            "no-exports",
            YES_OR_NO,
            "no",
            "Whether the table that NFS needs is left out.",
        ),
        option(
            "no-fragments",
            YES_OR_NO,
            "no",
            "Whether each file has blocks of its own.",
        ),
        option(
            "no-xattrs",
            YES_OR_NO,
            "no",
            "Whether all extended attributes are left out.",
        ),
        option(
            "padding",
            "SIZE",
            "4KiB",
            "Of what the size is a multiple: a power of two up to 1MiB, or 0 for the least that the kernel reads, 1KiB and whole \
             sectors (mksquashfs -nopad).",
        ),
        option(
            "sort",
            "PATH=PRIORITY,...",
            "none",
            "What content comes first: priorities from -32768 to 32767, higher ones first, of files or of all below \
             directories. The rest has 0, and is in the order of the tree.",
        ),
    ],
    label_limit: 0,
    lacks: Losses::empty(),
};
