//! A tree of everything, in every form that options give it: the kernel, unsquashfs and another reader find what it was made of.
#![allow(clippy::unwrap_used)]

mod judge;
mod trees;

use cellblock_guest::memory::MemoryTree;
use cellblock_guest::{FormatError, Shortage};
use judge::{Image, make, make_smallest, mount};

/// Has all judges look at an image of the smallest size, and at what is refused below.
fn judge_all(tree: &mut MemoryTree, settings: &[(&str, &str)]) -> Image {
    let image = make_smallest(tree, settings);
    mount::compare(&image, tree);
    judge::compare_unpacked(&image, tree);
    let needed = image.path.metadata().unwrap().len();
    let available = needed - 512;
    let error = make(tree, available, settings).err();
    let shortage = Shortage { needed, available };
    assert_eq!(error, Some(FormatError::TooSmall(shortage)), "{settings:?}");
    image
}

#[test]
fn every_codec_holds_everything() {
    for (codec, more) in [
        ("none", None),
        ("gzip", None),
        ("gzip", Some(("level", "1"))),
        ("lz4", None),
        ("lz4hc", None),
        ("lz4hc", Some(("level", "3"))),
        ("zstd", None),
        ("zstd", Some(("level", "3"))),
        ("zstd", Some(("level", "22"))),
        ("xz", Some(("level", "1"))),
        ("xz", Some(("dictionary-size", "48KiB"))),
        ("xz", Some(("bcj", "x86,arm"))),
    ] {
        let mut settings = vec![("compression", codec)];
        settings.extend(more);
        judge_all(&mut trees::everything(128 << 10), &settings);
    }
}

#[test]
fn attributes_may_be_large() {
    for settings in [&[][..], &[("no-compression", "xattrs")]] {
        let mut tree = trees::large_attributes();
        mount::compare(&make_smallest(&mut tree, settings), &mut tree);
    }
}

#[test]
fn every_option_holds_everything() {
    for settings in [
        &[("block-size", "4096")][..],
        &[("block-size", "4KiB"), ("always-use-fragments", "yes")],
        &[("block-size", "1MiB"), ("always-use-fragments", "yes")],
        &[("no-fragments", "yes")],
        &[("no-duplicates", "yes")],
        &[("no-exports", "yes")],
        &[("no-compression", "inodes,xattrs")],
        &[("no-compression", "data"), ("compression", "lz4")],
        &[("no-compression", "fragments,ids"), ("compression", "gzip")],
        &[("padding", "0")],
        &[("padding", "1MiB")],
        &[("sort", "files=-5,/equal/text-2=100,files/1=7")],
    ] {
        judge_all(&mut trees::everything(64 << 10), settings);
    }
}
