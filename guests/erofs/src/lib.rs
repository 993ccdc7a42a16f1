//! The formatter of erofs, the read-only file system of immutable systems: plain, or compressed by the host.
//!
//! ```text
//!     block 0                                              metadata
//!     +------+------------+---------+---------+-----------+--------------------------------------------+
//!     | free | superblock | content | targets | blocks of | free | root | shared     | inodes, each with |
//!     | 1024 | and what   |         |         | direc-    |  32  |      | attributes | attributes, index |
//!     |      | belongs to it        |         | tories    |      |      |            | and tail          |
//!     +------+------------+---------+---------+-----------+--------------------------------------------+
//! ```
//!
//! Little-endian. Blocks have 4 to 64 KiB. Content is in the tree's order, each that is equal to one before left out. An inode's
//! number is its distance from the beginning of the metadata, in steps of 32 bytes; the last part of its content stands behind
//! it if that saves a block. The layout is the kernel's: Documentation/filesystems/erofs.rst, fs/erofs/erofs_fs.h.

#![deny(unsafe_code)]

mod attributes;
mod census;
mod contents;
mod directory;
mod format;
mod index;
mod inodes;
mod layout;
mod options;
mod packer;
mod write;

#[cfg(target_arch = "wasm32")]
#[allow(
    unsafe_code,
    reason = "what the bindings of the contract export and import"
)]
mod component;

use cellblock_guest::{
    Description, Encoder, EncodingFormatter, FormatError, Identifier, KindDescription, Losses,
    Output, Property, Request, Summary, Tree,
};

use crate::census::Census;
use crate::contents::{Contents, Stage};
use crate::layout::{FIRST_CONTENT_BLOCK, Layout};
use crate::options::Options;
use crate::write::Writer;

const KINDS: &[KindDescription] = &[KindDescription {
    compresses: true,
    ..KindDescription::plain("erofs", Identifier::Uuid)
}];

/// Makes erofs file systems.
pub struct Erofs;

impl EncodingFormatter for Erofs {
    fn describe() -> Description {
        Description {
            name: "erofs",
            version: env!("CARGO_PKG_VERSION"),
            summary: "Makes erofs file systems, which are read-only, plain or compressed, with mkfs.erofs's options.",
            kinds: KINDS,
            options: options::DESCRIPTIONS,
            label_limit: options::LABEL_LIMIT,
            lacks: Losses::empty(),
        }
    }

    fn measure(
        request: &Request,
        tree: &mut dyn Tree,
        encoder: &mut dyn Encoder,
    ) -> Result<u64, FormatError> {
        let options = checked_options(request)?;
        let census = Census::take(&options, tree)?;
        let mut stage = Stage::measuring(encoder);
        let contents = Contents::plan(&options, &census, tree, &mut stage, FIRST_CONTENT_BLOCK)?;
        Ok(Layout::new(&options, &census, &contents)?.bytes(&options))
    }

    fn format(
        request: &Request,
        tree: &mut dyn Tree,
        encoder: &mut dyn Encoder,
        output: &mut dyn Output,
    ) -> Result<Summary, FormatError> {
        let options = checked_options(request)?;
        let census = Census::take(&options, tree)?;
        let mut stage = Stage::formatting(encoder, output, request.size);
        let contents = Contents::plan(&options, &census, tree, &mut stage, FIRST_CONTENT_BLOCK)?;
        let layout = Layout::new(&options, &census, &contents)?;
        layout.check_room(&options, request)?;
        let (encoder, output) = stage.into_parts();
        let writer = Writer {
            options: &options,
            census: &census,
            contents: &contents,
            layout: &layout,
            encoder,
        };
        if let Some(output) = output {
            writer.write(output)?;
        }
        Ok(summary(&options, &census, &layout))
    }
}

fn checked_options(request: &Request) -> Result<Options, FormatError> {
    let description = Erofs::describe();
    if !description.makes(&request.kind) {
        return Err(FormatError::Kind);
    }
    request.check_settings(&description)?;
    Options::new(request)
}

fn summary(options: &Options, census: &Census, layout: &Layout) -> Summary {
    let property = |name, value: String| Property { name, value };
    Summary {
        used: layout.bytes(options),
        properties: vec![
            property("block size", options.block_size().to_string()),
            property("inodes", census.inodes.len().to_string()),
        ],
    }
}
