#![allow(clippy::unwrap_used)]
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use cellblock_judges::{Ability, judge, lacks};

use super::{ContextsError, FileContexts};
use crate::Kind;
use crate::source::{ReadOptions, Source, SourceError, What, read_sources};

const FILE: Kind = Kind::File {
    size: 0,
    sparse: false,
};

fn parse(text: &str) -> FileContexts {
    FileContexts::parse(Path::new("fc"), text.as_bytes()).unwrap()
}

fn refused(text: &str) -> (usize, ContextsError) {
    match FileContexts::parse(Path::new("fc"), text.as_bytes()).unwrap_err() {
        SourceError::Contexts { line, error, .. } => (line, error),
        other => panic!("{other}"),
    }
}

#[test]
fn the_last_expression_wins_and_a_path_that_is_written_out_wins_over_all() {
    let contexts = parse(
        "/a/lit u:r:literal\n/.* u:r:any\n/a(/.*)? u:r:a\n/a/b.* u:r:b\n/a/b/escaped\\.txt u:r:escaped\n/a/b/e.* u:r:late\n",
    );
    let context = |path: &str| contexts.lookup(path.as_bytes(), &FILE).unwrap();
    assert_eq!(context("/x"), "u:r:any");
    assert_eq!(context("/a"), "u:r:a");
    assert_eq!(context("/ab"), "u:r:any");
    assert_eq!(context("/a/lit"), "u:r:literal");
    assert_eq!(context("/a/lit2"), "u:r:a");
    assert_eq!(context("/a/b/e"), "u:r:late");
    assert_eq!(context("/a/b/escaped.txt"), "u:r:escaped");
    assert_eq!(context("/a/b/escaped-txt"), "u:r:late");
}

#[test]
fn types_are_told_apart_and_none_is_nothing() {
    let contexts = parse(
        "/d -d u:r:directory\n/d -- u:r:file\n/d -l u:r:link\n/d -c u:r:character\n/d -b u:r:block\n/d -p u:r:pipe\n\
         /d -s u:r:socket\n/t(/.*)? u:r:t\n/t/n.* <<none>>\n",
    );
    let context = |kind: &Kind| contexts.lookup(b"/d", kind).unwrap();
    assert_eq!(context(&Kind::Directory), "u:r:directory");
    assert_eq!(context(&FILE), "u:r:file");
    assert_eq!(context(&Kind::Symlink((*b"x").into())), "u:r:link");
    let (major, minor) = (1, 3);
    assert_eq!(
        context(&Kind::CharacterDevice { major, minor }),
        "u:r:character"
    );
    assert_eq!(context(&Kind::BlockDevice { major, minor }), "u:r:block");
    assert_eq!(context(&Kind::Fifo), "u:r:pipe");
    assert_eq!(context(&Kind::Socket), "u:r:socket");
    assert_eq!(contexts.lookup(b"/t/none", &FILE), None);
    assert_eq!(contexts.lookup(b"/unknown", &FILE), None);
}

#[test]
fn what_the_crate_reads_otherwise_is_translated() {
    let contexts = parse(
        "/a[[x&&y~~z]+ u:r:class\n/b[]x]+ u:r:bracket\n/c[^]x] u:r:not\n/d[[:digit:]_]+ u:r:digits\n/e\\<f\\>g.? u:r:angle\n\
         /f|/g u:r:choice\n/h..j u:r:bytes\n",
    );
    let context = |path: &[u8]| contexts.lookup(path, &FILE);
    assert_eq!(context(b"/a[x&y~z"), Some("u:r:class"));
    assert_eq!(context(b"/aw"), None);
    assert_eq!(context(b"/b]x"), Some("u:r:bracket"));
    assert_eq!(context(b"/cy"), Some("u:r:not"));
    assert_eq!(context(b"/c]"), None);
    assert_eq!(context(b"/d1_2"), Some("u:r:digits"));
    assert_eq!(context(b"/e<f>gh"), Some("u:r:angle"));
    // The first alternative is anchored at the beginning alone, the last one at the end.
    for path in [&b"/f"[..], b"/g", b"/fx", b"/x/g"] {
        assert_eq!(context(path), Some("u:r:choice"));
    }
    assert_eq!(context(b"/gx"), None);
    assert_eq!(context(b"/h\xff\nj"), Some("u:r:bytes"));
}

#[test]
fn a_line_that_cannot_be_is_named() {
    let long = format!("/a{} u:r:t", "(b{1,100}){1,100}".repeat(9));
    let faults = [
        ("# c\n\n/a -x u:r:t", 3, "has the type '-x'"),
        ("/a", 1, "write EXPRESSION [TYPE] CONTEXT"),
        ("/a -- u:r:t x", 1, "write EXPRESSION [TYPE] CONTEXT"),
        ("/a u:r", 1, "write USER:ROLE:TYPE"),
        ("/a <<nothing>>", 1, "write USER:ROLE:TYPE"),
        (
            "/ok u:r:t\n/a(/.* u:r:t",
            2,
            "is not understood: unclosed group",
        ),
        ("/(a)\\1 u:r:t", 1, "is not understood"),
        ("/a(?=b).* u:r:t", 1, "is not understood"),
        ("/a[b u:r:t", 1, "without its ']'"),
        ("/a[+--]b u:r:t", 1, "'--' in a class"),
        ("/a.\\ u:r:t", 1, "ends with a backslash"),
        (&long, 1, "bytes of memory"),
        (
            "/ok.* u:r:t\n/a.*+b u:r:t",
            2,
            "has a possessive quantifier",
        ),
        ("/a.++b u:r:t", 1, "has a possessive quantifier"),
        ("/a.?+b u:r:t", 1, "has a possessive quantifier"),
        ("/a.{2}+b u:r:t", 1, "has a possessive quantifier"),
        ("/a.** u:r:t", 1, "repeats what is repeated already"),
        ("/a.*?+ u:r:t", 1, "repeats what is repeated already"),
        (
            "/a.* u:r:t\n/b u:r:t\n/a.* u:r:t\n/a.* u:r:x",
            4,
            "'/a.*', which has the context u:r:x here and u:r:t in line 1",
        ),
        (
            "/a -d u:r:t\n/a -- u:r:x\n/a -d <<none>>",
            3,
            "'/a', which has the context <<none>> here and u:r:t in line 1",
        ),
        (
            "/a -- u:r:t\n/a u:r:x",
            2,
            "'/a', which has the context u:r:x here and u:r:t in line 1",
        ),
    ];
    // What is no quantifier stays.
    parse(
        "/a.*?b u:r:t\n/(?:a)+ u:r:t\n/c[*+]+ u:r:t\n/d\\*+ u:r:t\n/e u:r:t\n/e u:r:t\n/f -d u:r:t\n/f -- u:r:x\n",
    );
    for (text, line, reason) in faults {
        let (at, error) = refused(text);
        let told = error.to_string();
        assert!(at == line && told.contains(reason), "{text}: {at}: {told}");
    }
}

#[test]
fn what_lies_beside_is_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fc");
    std::fs::write(&file, "/x(/.*)? u:r:x\n/home/.* u:r:base\n/y(/.*)? u:r:y\n").unwrap();
    std::fs::write(
        folder.path().join("fc.homedirs"),
        "/home/.* u:r:homes\n/home/l.* u:r:h\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("fc.local"), "/home/l.* u:r:local\n").unwrap();
    std::fs::write(folder.path().join("fc.subs"), "/a /x\n/a/b /y\n# c\n").unwrap();
    std::fs::write(
        folder.path().join("fc.subs_dist"),
        "/c /a\n/x/home /home\n/root /\n",
    )
    .unwrap();
    let contexts = FileContexts::read(&file).unwrap();
    let context = |path: &str| contexts.lookup(path.as_bytes(), &FILE);
    assert_eq!(context("/home/u"), Some("u:r:homes"));
    assert_eq!(context("/home/lu"), Some("u:r:local"));
    assert_eq!(context("/a/f"), Some("u:r:x"));
    // The last alias that fits counts, and one of the distribution follows one of `.subs`.
    assert_eq!(context("/a/b/f"), Some("u:r:y"));
    assert_eq!(context("/ab"), None);
    assert_eq!(context("/a/home/u"), Some("u:r:homes"));
    assert_eq!(context("/c/f"), None);
    assert_eq!(context("/root/x"), Some("u:r:x"));
    assert_eq!(FileContexts::files(&file).len(), 5);
}

#[test]
fn every_node_is_labelled_and_none_keeps_what_its_source_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fc");
    std::fs::write(
        &file,
        "/.* u:r:any\n/ -d u:r:root\n/etc -d u:r:etc\n/etc/none <<none>>\n/two -- u:r:two\n",
    )
    .unwrap();
    let archive = folder.path().join("a.tar");
    std::fs::write(&archive, archive_of(&["etc/none", "one", "two"])).unwrap();
    let options = ReadOptions {
        contexts: Some(file),
        ..ReadOptions::within(0)
    };
    let no_spool = || Err(std::io::ErrorKind::Unsupported.into());
    let sources = [Source::new(What::Archive(archive))];
    let with_own = ReadOptions {
        lost_and_found: true,
        ..options.clone()
    };
    let own = read_sources(&sources, &no_spool, &with_own).unwrap().tree;
    let folder = own.nodes().find(|node| node.name == b"lost+found").unwrap();
    let values: Vec<_> = folder.attributes.iter().map(|it| &*it.value).collect();
    assert_eq!((folder.mode, values), (0o700, vec![&b"u:r:any\0"[..]]));
    let read = read_sources(&sources, &no_spool, &options).unwrap();
    let labels: Vec<_> = read
        .tree
        .nodes()
        .map(|node| {
            let path = String::from_utf8(read.tree.path(node.id)).unwrap();
            let values: Vec<_> = node.attributes.iter().map(|it| it.value.clone()).collect();
            (path, values)
        })
        .collect();
    let labelled = |path: &str, value: &[u8]| (path.to_owned(), vec![value.to_vec()]);
    let expected = [
        labelled("/", b"u:r:root\0"),
        labelled("/etc", b"u:r:etc\0"),
        ("/etc/none".to_owned(), vec![]),
        labelled("/one", b"u:r:any\0"),
        labelled("/two", b"u:r:any\0"),
    ];
    assert_eq!(labels, expected);
    let told: Vec<String> = read.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("different contexts for /one and /two"),
        "{told:?}"
    );
}

/// Files that each have a label of their own; the last is a link to the one before.
fn archive_of(names: &[&str]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (index, name) in names.iter().enumerate() {
        archive
            .append_pax_extensions([("SCHILY.xattr.security.selinux", &b"u:r:own\0"[..])])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o644);
        if index + 1 == names.len() {
            header.set_entry_type(tar::EntryType::Link);
            archive
                .append_link(&mut header, name, names[index - 1])
                .unwrap();
        } else {
            archive.append_data(&mut header, name, &b""[..]).unwrap();
        }
    }
    archive.into_inner().unwrap()
}

/// The policy of Debian, if it is installed.
fn policy() -> Option<PathBuf> {
    let path = PathBuf::from("/etc/selinux/default/contexts/files/file_contexts");
    if !path.exists() {
        cellblock_judges::skipped("selinux-policy-default", "not installed");
        return None;
    }
    Some(path)
}

#[test]
fn the_machine_is_labelled_as_setfiles_would() {
    const FOLDERS: [&str; 6] = [
        "/etc",
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib/systemd",
        "/var/log",
        "/dev",
    ];
    let (Some(setfiles), Some(policy)) = (judge("setfiles"), policy()) else {
        return;
    };
    let mut command = setfiles.command();
    // It says what it would do, and does nothing.
    command.args(["-n", "-v", "-F"]).arg(&policy).args(FOLDERS);
    let output = command.output().unwrap();
    let contexts = FileContexts::read(&policy).unwrap();
    let mut compared = 0;
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let Some(line) = line.strip_prefix(b"Would relabel ") else {
            continue;
        };
        let Some((path, context)) = split(line) else {
            continue;
        };
        let Some(kind) = kind_of(path) else { continue };
        let found = contexts.lookup(path, &kind).map(str::as_bytes);
        assert_eq!(found, Some(context), "{}", String::from_utf8_lossy(path));
        compared += 1;
    }
    if compared == 0 {
        // It asks for labels that are there, which not every kernel answers.
        return lacks(Ability::Attributes, "setfiles finds nothing to label");
    }
    assert!(compared > 1000, "{compared}");
}

/// A path and the context that it would get.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = str::from_utf8(line).ok()?;
    let (path, rest) = text.rsplit_once(" from ")?;
    let (_, context) = rest.rsplit_once(" to ")?;
    Some((path.as_bytes(), context.as_bytes()))
}

fn kind_of(path: &[u8]) -> Option<Kind> {
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let found = std::fs::symlink_metadata(path).ok()?.file_type();
    let (major, minor) = (1, 1);
    Some(match found {
        it if it.is_dir() => Kind::Directory,
        it if it.is_symlink() => Kind::Symlink((*b"x").into()),
        it if it.is_char_device() => Kind::CharacterDevice { major, minor },
        it if it.is_block_device() => Kind::BlockDevice { major, minor },
        it if it.is_fifo() => Kind::Fifo,
        it if it.is_socket() => Kind::Socket,
        _ => FILE,
    })
}

#[test]
fn every_kind_of_entry_is_as_matchpathcon_has_it() {
    const FILES: [(&str, &str); 4] = [
        (
            "fc",
            "/a(/.*)? u:r:a:s0\n/a/[[:digit:]]+ u:r:digits:s0\n/a/[^x]* -- u:r:nox:s0\n/lit u:r:early:s0\n/l.t u:r:late:s0\n\
             /a/esc\\.d/.* u:r:esc:s0\n/a/plus\\+ u:r:plus:s0\n/a/b? -d u:r:opt:s0\n/a/none <<none>>\n/a/n{2} u:r:twice:s0\n\
             /(u|v)(/.*)? u:r:choice:s0\n/a/[[x]y u:r:open:s0\n/a/[]x]y u:r:close:s0\n\
             /m|/n u:r:alt:s0\n/stem/a|/other/b u:r:stem:s0\n/w/a|/w/.b|/w/c u:r:three:s0\n",
        ),
        ("fc.homedirs", "/a/home/.* u:r:home:s0\n"),
        ("fc.local", "/a/home/l.* u:r:local:s0\n"),
        ("fc.subs_dist", "/alias /a\n/alias/home /u\n/top /\n"),
    ];
    const PATHS: [&str; 43] = [
        "/m",
        "/mx",
        "/m/x",
        "/n",
        "/nx",
        "/x/n",
        "/stem/a",
        "/stem/ab",
        "/stem/x/other/b",
        "/stem",
        "/other/b",
        "/w/ax",
        "/w/q/w/.b",
        "/w/xb",
        "/w/x/w/c",
        "/w/c",
        "/x/w/c",
        "/m/",
        "/q/stem/a",
        "/a",
        "/a/12",
        "/a/1x",
        "/a/x",
        "/lit",
        "/lot",
        "/a/esc.d/f",
        "/a/escxd/f",
        "/a/plus+",
        "/a/b",
        "/a/none",
        "/a/nn",
        "/u",
        "/v/w",
        "/uv",
        "/a/[y",
        "/a/]y",
        "/a/home/u",
        "/a/home/lu",
        "/alias/12",
        "/alias/home/x",
        "/aliased",
        "/top/u/1",
        "/top",
    ];
    let Some(matchpathcon) = judge("matchpathcon") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in FILES {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let file = folder.path().join("fc");
    let contexts = FileContexts::read(&file).unwrap();
    for (mode, kind) in [
        ("file", FILE),
        ("dir", Kind::Directory),
        ("pipe", Kind::Fifo),
    ] {
        for path in PATHS {
            let mut command = matchpathcon.command();
            command
                .args(["-n", "-m", mode, "-f"])
                .args([&file, Path::new(path)]);
            let output = command.output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let expected = match said.trim() {
                "" | "<<none>>" => None,
                context => Some(context),
            };
            assert_eq!(
                contexts.lookup(path.as_bytes(), &kind),
                expected,
                "{mode} {path}"
            );
        }
    }
}

#[test]
fn files_that_setfiles_refuses_are_refused_and_what_it_takes_is_taken() {
    let Some(setfiles) = judge("setfiles") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fc");
    std::fs::create_dir(folder.path().join("root")).unwrap();
    for text in [
        "/a u:o:x:s0\n/b u:o:y:s0\n",
        "/a u:o:x:s0\n/a u:o:y:s0\n",
        "/a.* -d u:o:x:s0\n/a.* -- u:o:y:s0\n",
        "/a.* u:o:x:s0\n/a.* -- u:o:y:s0\n",
        "/a.* <<none>>\n/a.* u:o:y:s0\n",
        "/a.** u:o:y:s0\n",
    ] {
        std::fs::write(&file, text).unwrap();
        let mut command = setfiles.command();
        let root = folder.path().join("root");
        command.args(["-n", "-r"]).args([&root, &file, &root]);
        let output = command.output().unwrap();
        assert_eq!(
            FileContexts::read(&file).is_ok(),
            output.status.success(),
            "{text}: {}",
            cellblock_judges::text(&output)
        );
    }
}
