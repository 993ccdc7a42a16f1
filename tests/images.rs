//! Content from container images, against umoci.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use crate::support::reading::{assert_ext4_holds, of_ext4};
use crate::support::{Ability, Bench, Kind, Listing, is_root, judge, lacks};

fn hex(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes an image `image` of these layers, compressed with gzip, as an OCI layout: its reference is `test`.
fn layout(bench: &Bench, layers: &[Vec<u8>], config: &str) {
    bench.write("image/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    let blob = |kind: &str, bytes: &[u8]| {
        let digest = hex(bytes);
        bench.write(&format!("image/blobs/sha256/{digest}"), bytes);
        let size = bytes.len();
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"sha256:{digest}","size":{size}"#
        )
    };
    let mut described = Vec::new();
    let mut digests = Vec::new();
    for layer in layers {
        digests.push(format!(r#""sha256:{}""#, hex(layer)));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(layer).unwrap();
        described.push(blob("layer.v1.tar+gzip", &gzip.finish().unwrap()) + "}");
    }
    let digests = digests.join(",");
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","config":{config},"rootfs":{{"type":"layers","diff_ids":[{digests}]}}}}"#
    );
    let config = blob("config.v1+json", config.as_bytes());
    let described = described.join(",");
    let manifest = format!(r#"{{"schemaVersion":2,"config":{config}}},"layers":[{described}]}}"#);
    let manifest = blob("manifest.v1+json", manifest.as_bytes());
    let name = r#""annotations":{"org.opencontainers.image.ref.name":"test"}"#;
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{manifest},{name}}}]}}"#);
    bench.write("image/index.json", index);
}

/// A tar of one member behind the other.
#[derive(Default)]
struct Layer(Vec<u8>);

impl Layer {
    fn member(&mut self, name: &str, kind: EntryType, link: &str, data: &[u8], number: u64) {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode([0o755, 0o4711, 0o1777, 0o640][usize::try_from(number % 4).unwrap()]);
        header.set_uid(number % 3);
        header.set_gid(number % 5);
        header.set_mtime(1_600_000_000 + number);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }
}

/// Numbers that look random and are the same each time (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn name(&mut self) -> &'static str {
        ["a", "b", "c", "d"][usize::try_from(self.below(4)).unwrap()]
    }
}

/// A layer of random members over files that lower layers have, which it keeps up to date.
///
/// What is left out is what umoci takes otherwise, and the tests of the crate name: paths through a lower layer's symbolic links, which it
/// follows, and directories that are no members, whose metadata is nobody's.
fn layer(numbers: &mut Numbers, lower: &mut BTreeMap<String, bool>, first: bool) -> Vec<u8> {
    let mut tar = Layer::default();
    let mut own: BTreeMap<String, bool> = BTreeMap::new();
    if first {
        tar.member("./", EntryType::Directory, "", b"", 0);
    }
    let below = |path: &str, of: &str| {
        path.strip_prefix(of)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    // Links into lower layers come first: umoci would not find what a whiteout has removed.
    let files: Vec<String> = lower
        .iter()
        .filter(|(_, is_directory)| !**is_directory)
        .map(|(path, _)| path.clone())
        .collect();
    if !files.is_empty() && numbers.below(2) == 0 {
        let target = &files[usize::try_from(numbers.below(files.len() as u64)).unwrap()];
        let name = format!("link-{}", numbers.below(3));
        tar.member(&name, EntryType::Link, target, b"", 1);
        own.insert(name, false);
    }
    let mut hidden = BTreeSet::new();
    let mut opaque = BTreeSet::new();
    for number in 0..numbers.below(14) {
        let mut path = String::new();
        let mut fits = true;
        for _ in 0..numbers.below(3) {
            path = if path.is_empty() {
                numbers.name().to_owned()
            } else {
                format!("{path}/{}", numbers.name())
            };
            match own.get(&path) {
                Some(true) => {}
                Some(false) => fits = false,
                None if fits => {
                    tar.member(&format!("{path}/"), EntryType::Directory, "", b"", number);
                    own.insert(path.clone(), true);
                }
                None => {}
            }
        }
        if !fits {
            continue;
        }
        let inside = |name: &str| {
            if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}/{name}")
            }
        };
        let name = inside(numbers.name());
        let action = numbers.below(8);
        if action == 0 {
            let name = numbers.name();
            tar.member(
                &inside(&format!(".wh.{name}")),
                EntryType::Regular,
                "",
                b"",
                number,
            );
            hidden.insert(inside(name));
            continue;
        }
        if action == 1 {
            tar.member(&inside(".wh..wh..opq"), EntryType::Regular, "", b"", number);
            opaque.insert(path);
            continue;
        }
        if own.contains_key(&name) {
            continue;
        }
        match action {
            2 => tar.member(&name, EntryType::Symlink, numbers.name(), b"", number),
            3 => tar.member(&name, EntryType::Fifo, "", b"", number),
            4 | 5
                if own
                    .iter()
                    .any(|(path, is_directory)| !is_directory && !path.starts_with("link")) =>
            {
                let target = own
                    .iter()
                    .find(|(path, is_directory)| !**is_directory && !path.starts_with("link"));
                let target = target.unwrap().0.clone();
                tar.member(&name, EntryType::Link, &target, b"", number);
            }
            _ => {
                let data = vec![b'x'; usize::try_from(numbers.below(1500)).unwrap()];
                tar.member(&name, EntryType::Regular, "", &data, number);
            }
        }
        own.insert(name, false);
    }
    lower.retain(|path, _| {
        let is_hidden = hidden.iter().any(|gone| path == gone || below(path, gone));
        let is_opaque = opaque.iter().any(|of| of.is_empty() || below(path, of));
        let replaced = own
            .iter()
            .any(|(name, is_directory)| !is_directory && below(path, name));
        !is_hidden && !is_opaque && !replaced
    });
    lower.extend(own);
    tar.end()
}

#[test]
fn random_layers_become_what_umoci_unpacks() {
    let Some(umoci) = judge("umoci") else { return };
    if !is_root() {
        lacks(Ability::Superuser, "only it unpacks owners");
        return;
    }
    for seed in 0..24 {
        let bench = Bench::new();
        let mut numbers = Numbers(seed * 7_919 + 1);
        let mut lower = BTreeMap::new();
        let count = 1 + numbers.below(6);
        let layers: Vec<Vec<u8>> = (0..count)
            .map(|at| layer(&mut numbers, &mut lower, at == 0))
            .collect();
        layout(&bench, &layers, "{}");
        let output = umoci
            .command()
            .args(["unpack", "--image", "image:test", "bundle"])
            .current_dir(bench.folder())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{seed}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        bench.done(&[
            "mkfs",
            "ext4",
            "-q",
            "-o",
            "root.img",
            "--size",
            "8MiB",
            "--content",
            "oci:image",
        ]);
        let mut expected = Listing::of_directory(&bench.path("bundle/rootfs"));
        let Some(found) = of_ext4(&bench, &bench.path("root.img")) else {
            return;
        };
        // A directory out of which umoci has removed something has the time at which it did.
        for (path, entry) in &mut expected.0 {
            if entry.modified > NEWEST && entry.kind == Kind::Directory {
                let ours = found.0.get(path).map_or(NEWEST, |entry| entry.modified);
                assert!(ours <= NEWEST, "{ours:?}");
                entry.modified = ours;
            }
        }
        assert_ext4_holds(&bench, &bench.path("root.img"), expected);
    }
}

/// No member is newer.
const NEWEST: (i64, i64) = (1_600_000_100, 0);

/// An image with a program, and what is to be run.
fn system(bench: &Bench) {
    let mut tar = Layer::default();
    tar.member("./", EntryType::Directory, "", b"", 0);
    tar.member("srv/", EntryType::Directory, "", b"", 0);
    tar.member("srv/run", EntryType::Regular, "", b"#!/bin/sh\n", 0);
    let config = r#"{"Entrypoint":["/srv/run"],"Cmd":["it's"],"Env":["A=b c"],"WorkingDir":"/srv","User":"7:8","Labels":{"x.y":"z"}}"#;
    layout(bench, &[tar.end()], config);
}

#[test]
fn templates_and_the_record_know_what_the_image_says() {
    let bench = Bench::new();
    system(&bench);
    bench.write(
        "init.in",
        "cd {{ content.config.working-directory }}\nexec {{ content.config.environment }} {{ content.config.command }}\n\
         {{ content.config.user }} {{ content.config.labels.x.y }} {{ content.config.env.A }}\n",
    );
    bench.write(
        "image.toml",
        "[[partition]]\ntype = \"linux\"\nfilesystem = \"ext4\"\ncontent = [\n  { oci = \"image\", reference = \"test\", platform = \
         \"linux/amd64\" },\n  { template = \"init.in\", to = \"/init\" },\n]\n",
    );
    bench.done(&[
        "build",
        "image.toml",
        "-o",
        "disk.img",
        "--json",
        "record.json",
    ]);
    let record = fs::read_to_string(bench.path("record.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let image = &record["partitions"][0]["filesystem"]["images"][0];
    assert_eq!(image["names"][0], "test");
    assert_eq!(image["platform"], "linux/amd64");
    assert_eq!(image["config"]["working-dir"], "/srv");
    assert_eq!(image["config"]["labels"]["x.y"], "z");
    assert_eq!(image["layers"].as_array().unwrap().len(), 1);
    assert!(image["manifest"].as_str().unwrap().starts_with("sha256:"));
    let disk = fs::read(bench.path("disk.img")).unwrap();
    let expected = b"cd /srv\nexec A='b c' /srv/run 'it'\\''s'\n7:8 z b c\n";
    assert!(
        disk.windows(expected.len())
            .any(|window| window == expected)
    );
    // Without an image there is nothing to fill in.
    bench.write(
        "none.toml",
        "[[partition]]\ntype = \"linux\"\nfilesystem = \"ext4\"\ncontent = [{ template = \"init.in\", to = \"/init\" }]\n",
    );
    let outcome = bench.run(&["build", "none.toml", "-o", "none.img"]);
    assert!(
        outcome
            .stderr
            .contains("there is no value `content.config.user`"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn what_a_hostile_image_says_of_itself_is_refused_with_the_line_of_the_template() {
    let bench = Bench::new();
    let config = r#"{"Cmd":["+/bin/x"],"Env":["A=1","-S id=1"],"WorkingDir":"/a\nUser=root"}"#;
    layout(&bench, &[Layer::default().end()], config);
    bench.write(
        "unit.in",
        "[Service]\nExecStart={{ content.config.systemd.command }}\n\
         WorkingDirectory={{ content.config.working-directory }}\n# {{ content.config.environment }}\n",
    );
    bench.write(
        "image.toml",
        "[[partition]]\ntype = \"linux\"\nfilesystem = \"ext4\"\ncontent = [\n  { oci = \"image\" },\n  \
         { template = \"unit.in\", to = \"/unit\" },\n]\n",
    );
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    for said in [
        "`content.config.systemd.command` cannot be filled in: the command '+/bin/x' begins with",
        "unit.in:2:",
        "it has '\\n' in it, as byte 2",
        "unit.in:3:",
        "the image's environment has '-S id=1'",
        "unit.in:4:",
    ] {
        assert!(outcome.stderr.contains(said), "{}", outcome.stderr);
    }
    assert!(!bench.path("disk.img").exists());
}

#[test]
fn a_tar_that_is_an_image_is_recognised_and_said() {
    let bench = Bench::new();
    system(&bench);
    let Some(tar) = judge("tar") else { return };
    let folder = bench.path("image");
    let packed = tar
        .command()
        .args(["-cf", "../image.tar", "."])
        .current_dir(&folder)
        .status();
    assert!(packed.unwrap().success());
    let make = |name: &str, source: &str| {
        let arguments = [
            "mkfs",
            "ext4",
            "-o",
            name,
            "--time",
            "1700000000",
            "--content",
            source,
        ];
        let outcome = bench.run(&arguments);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        (fs::read(bench.path(name)).unwrap(), outcome.stderr)
    };
    let (asked, said) = make("one.img", "oci:image");
    assert!(!said.contains("is a container image"), "{said}");
    for source in ["image.tar", "image"] {
        let (found, said) = make("two.img", source);
        assert!(found == asked, "{source}");
        assert!(
            said.contains(&format!(
                "{source}: is a container image, whose root file system is taken"
            )),
            "{said}"
        );
    }
    let (of_tar, _) = make("three.img", "oci:image.tar");
    assert!(of_tar == asked);
    let (as_it_is, _) = make("four.img", "archive:image.tar");
    assert!(as_it_is != asked);
    let outcome = bench.run(&[
        "mkfs",
        "ext4",
        "-o",
        "five.img",
        "--content",
        "archive:image.tar,platform=linux/amd64",
    ]);
    assert!(
        outcome.stderr.contains("`platform` chooses among those"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn an_image_that_is_not_there_is_a_mistake_of_the_command_line() {
    let bench = Bench::new();
    system(&bench);
    bench.write("copied/version", "Directory Transport Version: 1.1\n");
    bench.write("copied/manifest.json", "{}");
    bench.create_folder("empty");
    for (source, words) in [
        ("oci:image,reference=absent", "image: has no image 'absent'"),
        (
            "oci:image,platform=linux/s390x",
            "image: has nothing for the platform linux/s390x",
        ),
        (
            "oci:copied",
            "copied: is no container image: it is what skopeo writes to dir:; an image is",
        ),
        ("oci:empty", "empty: is no container image: it has neither"),
    ] {
        let outcome = bench.run(&["mkfs", "ext4", "-o", "root.img", "--content", source]);
        assert!(
            outcome.code == Some(2) && outcome.stderr.contains(words),
            "{source}: {:?} {}",
            outcome.code,
            outcome.stderr
        );
    }
}

#[test]
fn nothing_is_written_into_a_layout_or_of_a_broken_one() {
    let bench = Bench::new();
    system(&bench);
    let outcome = bench.run(&[
        "mkfs",
        "ext4",
        "-o",
        "image/root.img",
        "--content",
        "oci:image",
    ]);
    assert!(
        outcome
            .stderr
            .contains("lies in image, a folder that this run reads"),
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.code, Some(2));
    let blobs = bench.path("image/blobs/sha256");
    let largest = fs::read_dir(&blobs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| is_gzip(path));
    let largest = largest.unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&largest, bytes).unwrap();
    let outcome = bench.run(&["mkfs", "ext4", "-o", "root.img", "--content", "oci:image"]);
    assert!(
        outcome.stderr.contains("image: layer 1 of 1 (sha256:")
            && outcome.stderr.contains("its bytes have the digest"),
        "{}",
        outcome.stderr
    );
    assert_ne!(outcome.code, Some(0));
    assert_eq!(bench.names(), ["image"]);
}

fn is_gzip(path: &Path) -> bool {
    fs::read(path).unwrap().starts_with(&[0x1f, 0x8b])
}

#[test]
fn an_image_comes_through_standard_input_too() {
    let bench = Bench::new();
    system(&bench);
    let Some(tar) = judge("tar") else { return };
    let mut pack = tar.command();
    pack.args(["-cf", "../image.tar", "."]);
    assert!(
        pack.current_dir(bench.path("image"))
            .status()
            .unwrap()
            .success()
    );
    let line = ["mkfs", "erofs", "-q", "--time", "1700000000", "--content"];
    bench.done(&[&line[..], &["oci:image.tar", "-o", "file.img"]].concat());
    for (archive, pack) in [("image.tar", false), ("image.tar.gz", true)] {
        let bytes = fs::read(bench.path("image.tar")).unwrap();
        if pack {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&bytes).unwrap();
            bench.write(archive, gzip.finish().unwrap());
        }
        let mut piped = std::process::Command::new("cat");
        let mut piped = piped
            .arg(bench.path(archive))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut command = bench.cellblock();
        command.args(line).args(["oci:-", "-o", "piped.img"]);
        let output = command
            .stdin(piped.stdout.take().unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{archive}: {output:?}");
        piped.wait().unwrap();
        let same = crate::support::bench::assert_same_bytes;
        same(&bench.path("piped.img"), &bench.path("file.img"));
    }
}
