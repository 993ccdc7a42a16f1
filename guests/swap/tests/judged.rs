//! Swap spaces, judged by mkswap, swaplabel and blkid.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use cellblock_guest::memory::{Entry, FileOutput, MemoryTree};
use cellblock_guest::{
    FormatError, Formatter as _, LabelProblem, NodeId, NodeProblem, Request, SettingProblem,
    Shortage, Uuid,
};
use cellblock_judges::judge;
use cellblock_swap::SwapFormatter;

const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn request(size: u64) -> Request {
    Request {
        kind: "swap".to_owned(),
        size,
        sector_size: 512,
        uuid: Uuid([
            0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0x01, 0x23, 0x45, 0x67, 0x89, 0xAB,
            0xCD, 0xEF,
        ]),
        ..Request::default()
    }
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("swap-{}-{name}", std::process::id()))
}

fn format(request: &Request, path: &Path) -> Result<(), FormatError> {
    let mut tree = MemoryTree::new();
    let mut output = FileOutput::new(File::create(path).unwrap(), request.size, &tree).unwrap();
    SwapFormatter::format(request, &mut tree, &mut output).map(drop)
}

#[test]
fn every_byte_is_that_of_mkswap() {
    let (ours, theirs) = (scratch("ours"), scratch("theirs"));
    for (size, label, page_size) in [
        (40 << 10, "", 4096),
        (64 << 20, "swap", 4096),
        ((64 << 20) + 5 * 512, "fifteen letters", 4096),
        (16 << 20, "large pages", 65_536),
    ] {
        let mut request = request(size);
        request.label = label.to_owned();
        request.settings = vec![("page-size".to_owned(), page_size.to_string())];
        format(&request, &ours).unwrap();
        let Some(mkswap) = judge("mkswap") else {
            continue;
        };
        File::create(&theirs).unwrap().set_len(size).unwrap();
        let mut mkswap = mkswap.command();
        mkswap.args(["-q", "-U", UUID, "-p", &page_size.to_string()]);
        if !label.is_empty() {
            mkswap.args(["-L", label]);
        }
        let output = mkswap.arg(&theirs).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(
            fs::read(&ours).unwrap() == fs::read(&theirs).unwrap(),
            "{size} differs"
        );
    }
    let _ = fs::remove_file(ours);
    let _ = fs::remove_file(theirs);
}

/// The longest; mkswap would cut it to 15 bytes, swaplabel and blkid take it.
const LABEL: &str = "sixteen_letters!";

#[test]
fn label_and_uuid_are_found() {
    let path = scratch("found");
    let mut request = request(1 << 20);
    request.label = LABEL.to_owned();
    format(&request, &path).unwrap();
    if let Some(swaplabel) = judge("swaplabel") {
        let output = swaplabel.run(&[], &path);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains(&format!("LABEL: {LABEL}")) && text.contains(UUID),
            "{text}"
        );
    }
    if let Some(blkid) = judge("blkid") {
        let output = blkid.run(&["-p", "-o", "export"], &path);
        let text = String::from_utf8(output.stdout).unwrap();
        for line in [
            "TYPE=swap",
            "VERSION=1",
            &format!("LABEL={LABEL}"),
            &format!("UUID={UUID}"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
    let _ = fs::remove_file(path);
}

#[test]
fn measure_is_the_smallest_size() {
    let path = scratch("smallest");
    let mut request = request(0);
    let needed = SwapFormatter::measure(&request, &mut MemoryTree::new()).unwrap();
    assert_eq!(needed, 40_960);
    request.size = needed - 512;
    let available = request.size;
    assert_eq!(
        format(&request, &path),
        Err(FormatError::TooSmall(Shortage { needed, available }))
    );
    request.size = needed;
    assert_eq!(format(&request, &path), Ok(()));
    request.size = (4096 << 32) + 4096;
    let result = SwapFormatter::format(&request, &mut MemoryTree::new(), &mut Nowhere);
    assert_eq!(result.err(), Some(FormatError::TooLarge(4096 << 32)));
    let _ = fs::remove_file(path);
}

/// Where nothing may be written.
struct Nowhere;

impl cellblock_guest::Output for Nowhere {
    fn write(&mut self, _: u64, _: &[u8]) -> Result<(), FormatError> {
        panic!("a refused request writes nothing");
    }

    fn place(&mut self, _: &[cellblock_guest::Placement]) -> Result<(), FormatError> {
        panic!("a refused request places nothing");
    }

    fn compose(
        &mut self,
        _: u64,
        _: &[u8],
        _: &[cellblock_guest::Placement],
    ) -> Result<(), FormatError> {
        panic!("a refused request composes nothing");
    }

    fn warn(&mut self, _: &str) {}
}

#[test]
fn what_cannot_be_is_refused() {
    let refusal = |request: &Request, tree: &mut MemoryTree| {
        let measured = SwapFormatter::measure(request, tree).unwrap_err();
        let formatted = SwapFormatter::format(request, tree, &mut Nowhere).unwrap_err();
        assert_eq!(measured, formatted);
        formatted
    };
    let mut tree = MemoryTree::new();
    tree.insert("file", Entry::file(*b"x"));
    let kind = FormatError::node(NodeId(1), NodeProblem::Kind);
    assert_eq!(refusal(&request(1 << 20), &mut tree), kind);

    let mut empty = MemoryTree::new();
    let mut long = request(1 << 20);
    long.label = "seventeen letters".to_owned();
    assert_eq!(
        refusal(&long, &mut empty),
        FormatError::Label(LabelProblem::TooLong(16))
    );

    let mut settings = request(1 << 20);
    settings.settings = vec![("page-size".to_owned(), "4K".to_owned())];
    assert_eq!(
        refusal(&settings, &mut empty),
        FormatError::setting("page-size", SettingProblem::Malformed)
    );
    settings.settings = vec![("pagesize".to_owned(), "4096".to_owned())];
    assert_eq!(
        refusal(&settings, &mut empty),
        FormatError::setting("pagesize", SettingProblem::Unknown)
    );
}
