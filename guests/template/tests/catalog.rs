//! Catalogs, read back. A format that others know is judged by their programs here too: see the other formatters.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use cellblock_guest::memory::{Entry, FileOutput, MemoryTree};
use cellblock_guest::{
    Attribute, FormatError, Formatter as _, Kind, LabelProblem, Losses, NodeId, NodeProblem,
    Request, SettingProblem, Shortage, Uuid,
};
use cellblock_template::CatalogFormatter;

fn request(size: u64) -> Request {
    Request {
        kind: "catalog".to_owned(),
        size,
        sector_size: 512,
        label: "test".to_owned(),
        uuid: Uuid([7; 16]),
        ..Request::default()
    }
}

/// The bytes of the partition.
fn format(request: &Request, tree: &MemoryTree) -> Result<Vec<u8>, FormatError> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("catalog-{}-{number}", std::process::id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut output = FileOutput::new(File::create(&path).unwrap(), request.size, tree).unwrap();
    let result = CatalogFormatter::format(request, &mut tree.clone(), &mut output);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    result.map(|_| bytes)
}

/// Formats in the measured size, and checks that no smaller one does.
fn format_exactly(request: &Request, tree: &MemoryTree) -> Vec<u8> {
    let mut request = request.clone();
    let needed = CatalogFormatter::measure(&request, &mut tree.clone()).unwrap();
    request.size = needed - u64::from(request.sector_size);
    let available = request.size;
    let shortage = FormatError::TooSmall(Shortage { needed, available });
    assert_eq!(format(&request, tree), Err(shortage));
    request.size = needed;
    format(&request, tree).unwrap()
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Every path with its mode, and a file's offset and content, as a reader of the format finds them.
fn read(catalog: &[u8]) -> Vec<(String, usize, usize, Vec<u8>)> {
    assert_eq!(&catalog[..8], b"CATALOG1");
    let count = number(&catalog[8..12]);
    let names = &catalog[64 + 48 * count..];
    let mut result: Vec<(String, usize, usize, Vec<u8>)> = Vec::new();
    for record in catalog[64..64 + 48 * count].chunks(48) {
        let start = number(&record[4..8]);
        let name = &names[start..start + number(&record[8..10])];
        let parent = result
            .get(number(&record[..4]))
            .map_or("", |parent| &parent.0);
        let path = format!("{parent}/{}", String::from_utf8_lossy(name));
        let offset = number(&record[32..40]);
        let content = catalog[offset..offset + number(&record[40..48])].to_vec();
        let path = path.trim_end_matches('/').to_owned();
        result.push((path, number(&record[10..12]), offset, content));
    }
    result
}

#[test]
fn a_tree_reads_back() {
    let mut tree = MemoryTree::new();
    tree.insert("etc/hostname", Entry::file(*b"cell\n"));
    tree.insert("etc/empty", Entry::file(Vec::new()));
    tree.insert("holes", Entry::sparse(9000, vec![(8990, vec![1; 10])]));
    tree.insert("var", Entry::new(Kind::Directory));
    let catalog = format_exactly(&request(0), &tree);
    let holes = [vec![0; 8990], vec![1; 10]].concat();
    let expected = [
        ("", 0o040_755, 0, Vec::new()),
        ("/etc", 0o040_755, 0, Vec::new()),
        ("/etc/empty", 0o100_644, 0, Vec::new()),
        ("/etc/hostname", 0o100_644, 4096, b"cell\n".to_vec()),
        ("/holes", 0o100_644, 8192, holes),
        ("/var", 0o040_755, 0, Vec::new()),
    ];
    let expected =
        expected.map(|(path, mode, offset, content)| (path.to_owned(), mode, offset, content));
    assert_eq!(read(&catalog), expected);
    assert_eq!(&catalog[48..64], b"test\0\0\0\0\0\0\0\0\0\0\0\0");
}

#[test]
fn alignment_is_followed() {
    let mut tree = MemoryTree::new();
    tree.insert("a", Entry::file(*b"a"));
    tree.insert("b", Entry::file(*b"b"));
    for (value, distance) in [("1", 1), ("512", 512), ("65536", 65_536)] {
        let mut request = request(0);
        request.settings = vec![("alignment".to_owned(), value.to_owned())];
        let items = read(&format_exactly(&request, &tree));
        assert_eq!(items[2].2 - items[1].2, distance);
        assert_eq!(items[1].2 % distance, 0);
    }
}

#[test]
fn what_the_format_lacks_is_refused_or_dropped() {
    let mut tree = MemoryTree::new();
    tree.insert("a", Entry::file(*b"content"));
    tree.hard_link("b", "a");
    tree.insert("c", Entry::new(Kind::symlink(b"a".to_vec())));
    tree.insert("d", Entry::new(Kind::Fifo));
    let mut entry = Entry::file(*b"x");
    entry.attributes.push(Attribute {
        name: b"user.a".to_vec(),
        value: b"1".to_vec(),
    });
    tree.insert("e", entry);
    let mut request = request(1 << 20);
    let steps = [
        (Losses::HARD_LINKS, 2, NodeProblem::HardLink),
        (Losses::SYMLINKS, 3, NodeProblem::Kind),
        (Losses::SPECIAL_FILES, 4, NodeProblem::Kind),
        (Losses::ATTRIBUTES, 5, NodeProblem::Attributes),
    ];
    for (loss, node, problem) in steps {
        let refusal = FormatError::node(NodeId(node), problem);
        assert_eq!(format(&request, &tree), Err(refusal));
        request.drop |= loss;
    }
    let paths = read(&format(&request, &tree).unwrap());
    let paths: Vec<&str> = paths.iter().map(|item| item.0.as_str()).collect();
    assert_eq!(paths, ["", "/a", "/b", "/e"]);
}

#[test]
fn what_cannot_be_is_refused() {
    let mut tree = MemoryTree::new();
    let refusal = |change: fn(&mut Request), tree: &MemoryTree| {
        let mut request = request(1 << 20);
        change(&mut request);
        format(&request, tree).unwrap_err()
    };
    let setting = |problem| FormatError::setting("alignment", problem);
    assert_eq!(
        refusal(|request| request.kind.clear(), &tree),
        FormatError::Kind
    );
    assert_eq!(
        refusal(|request| request.label = "x".repeat(17), &tree),
        FormatError::Label(LabelProblem::TooLong(16))
    );
    assert_eq!(
        refusal(
            |request| request.settings = vec![("alignment".into(), "3".into())],
            &tree
        ),
        setting(SettingProblem::Malformed)
    );
    assert_eq!(
        refusal(
            |request| request.settings = vec![("alignment".into(), "0".into())],
            &tree
        ),
        setting(SettingProblem::OutOfRange(1, 1 << 20))
    );
    tree.insert("huge", Entry::sparse(u64::MAX, Vec::new()));
    assert!(matches!(refusal(|_| (), &tree), FormatError::Node(_)));
}
