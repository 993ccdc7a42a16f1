//! Labels for SELinux, as the tools of SELinux would set them.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::support::debugfs::read_ext4;
use crate::support::judges::judge;
use crate::support::{Ability, Bench, lacks, text};

/// A small root of everything that an ordinary user can make.
fn bench() -> Bench {
    let bench = Bench::new();
    for file in [
        "etc/passwd",
        "etc/shadow",
        "etc/hosts",
        "usr/bin/passwd",
        "var/log/messages",
        "home/u/x",
    ] {
        bench.write(&format!("root/{file}"), file);
    }
    symlink("usr/bin", bench.path("root/bin")).unwrap();
    symlink("hosts", bench.path("root/etc/link")).unwrap();
    bench.write(
        "fc",
        "/.* system_u:object_r:default_t:s0\n/ -d system_u:object_r:root_t:s0\n/etc(/.*)? system_u:object_r:etc_t:s0\n\
         /etc/shadow.* -- system_u:object_r:shadow_t:s0\n/usr/bin/.* -- system_u:object_r:bin_t:s0\n/var/log(/.*)? \
         system_u:object_r:log_t:s0\n/etc/.*link -l system_u:object_r:link_t:s0\n/home/[^/]+ -d <<none>>\n",
    );
    bench.write("fc.local", "/home/[^/]+/.+ system_u:object_r:user_t:s0\n");
    bench.write("fc.subs", "/bin /usr/bin\n");
    bench
}

fn spec(kind: &str) -> String {
    format!(
        "[disk]\ntable = \"none\"\n[[partition]]\noffset = 0\nfilesystem = \"{kind}\"\nsize = \"minimum + 1MiB\"\n\
         content = [{{ directory = \"root\", owner = \"0:0\" }}]\nselinux = {{ contexts = \"fc\" }}\n"
    )
}

/// What the program says as it refuses what is asked.
fn refused(bench: &Bench, arguments: &[&str]) -> String {
    let outcome = bench.run(arguments);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    outcome.stderr
}

/// What setfiles would write, by path; none if it is not there.
fn expected(bench: &Bench) -> Option<BTreeMap<String, String>> {
    let setfiles = judge("setfiles")?;
    let root = bench.path("root");
    let mut command = setfiles.command();
    command.args(["-n", "-v", "-F", "-r"]).arg(&root);
    let output = command.arg(bench.path("fc")).arg(&root).output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    let lines = said.lines().filter_map(|line| {
        let (path, rest) = line.strip_prefix("Would relabel ")?.split_once(" from ")?;
        let (_, context) = rest.rsplit_once(" to ")?;
        let path = path.strip_prefix(root.to_str().unwrap()).unwrap();
        Some((path.to_owned(), context.to_owned()))
    });
    let found: BTreeMap<_, _> = lines.collect();
    if found.is_empty() {
        lacks(
            Ability::Attributes,
            &format!("setfiles labels nothing: {}", text(&output)),
        );
        return None;
    }
    Some(found)
}

#[test]
fn ext4_has_the_labels_of_setfiles() {
    let bench = bench();
    bench.write("image.toml", spec("ext4"));
    bench.done(&["build", "image.toml", "-o", "a.img"]);
    let (Some(expected), Some(listing)) =
        (expected(&bench), read_ext4(&bench, &bench.path("a.img")))
    else {
        return;
    };
    let labels = listing.0.iter().filter_map(|(path, entry)| {
        let value = entry.attributes.get(&b"security.selinux"[..])?;
        let path = String::from_utf8([&b"/"[..], path].concat()).unwrap();
        let path = path.trim_end_matches('/').to_owned();
        let label = value.strip_suffix(b"\0").expect("a NUL at the end");
        Some((path, String::from_utf8(label.to_vec()).unwrap()))
    });
    let labels: BTreeMap<_, _> = labels.filter(|(path, _)| path != "/lost+found").collect();
    assert_eq!(labels, expected);
    assert!(!labels.contains_key("/home/u") && labels["/home/u/x"].contains("user_t"));
    assert!(labels["/bin"].contains("default_t") && labels["/etc/link"].contains("link_t"));
}

#[test]
fn read_only_formats_have_the_labels_of_setfiles() {
    let bench = bench();
    let Some(expected) = expected(&bench) else {
        return;
    };
    if !rustix::process::geteuid().is_root() {
        return lacks(
            Ability::Superuser,
            "only root sets labels on what is taken out",
        );
    }
    let Some(getfattr) = judge("getfattr") else {
        return;
    };
    for (kind, judge_name) in [("erofs", "fsck.erofs"), ("squashfs", "unsquashfs")] {
        let Some(extract) = judge(judge_name) else {
            continue;
        };
        bench.write("image.toml", spec(kind));
        let (image, out) = (bench.path(format!("{kind}.img")), bench.path(kind));
        bench.done(&["build", "image.toml", "-o", image.to_str().unwrap()]);
        let mut command = extract.command();
        if kind == "erofs" {
            command
                .arg(format!("--extract={}", out.display()))
                .args(["--preserve", "--xattrs"]);
        } else {
            command.args(["-no-progress", "-xattrs", "-dest"]).arg(&out);
        }
        let output = command.arg(&image).output().unwrap();
        if kind == "erofs" && text(&output).contains("unrecognized option") {
            lacks(
                Ability::Attributes,
                "this fsck.erofs takes out no attributes",
            );
            continue;
        }
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!(labels_in(&getfattr.command(), &out), expected, "{kind}");
    }
}

fn labels_in(getfattr: &Command, folder: &Path) -> BTreeMap<String, String> {
    let mut command = Command::new(getfattr.get_program());
    command.args([
        "-R",
        "-h",
        "-P",
        "--absolute-names",
        "-n",
        "security.selinux",
        "-e",
        "text",
    ]);
    let output = command.arg(folder).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut labels = BTreeMap::new();
    let mut path = String::new();
    for line in said.lines() {
        if let Some(file) = line.strip_prefix("# file: ") {
            file.strip_prefix(folder.to_str().unwrap())
                .unwrap()
                .clone_into(&mut path);
        } else if let Some(value) = line.strip_prefix("security.selinux=") {
            let value = value.trim_matches('"').trim_end_matches("\\000");
            labels.insert(path.clone(), value.to_owned());
        }
    }
    labels
}

#[test]
fn what_stores_no_labels_is_an_error_at_the_line() {
    let bench = bench();
    bench.write("image.toml", spec("vfat"));
    let said = refused(&bench, &["build", "image.toml", "-o", "a.img"]);
    assert!(
        said.contains("vfat stores none") && said.contains("image.toml:8:"),
        "{said}"
    );
    bench.write("image.toml", spec("ext4"));
    bench.write("fc", "/ok u:r:t\n/a(/.* u:r:t\n");
    let said = refused(&bench, &["build", "image.toml", "-o", "a.img"]);
    assert!(
        said.contains("fc: line 2 has the expression '/a(/.*'") && said.contains("image.toml:8:"),
        "{said}"
    );
    assert!(!bench.path("a.img").exists());
}

#[test]
fn another_policy_is_another_fill_and_no_output() {
    let bench = bench();
    bench.write("image.toml", spec("ext4"));
    let key = |bench: &Bench| {
        let json = bench.done(&["build", "image.toml", "-o", "a.img", "--json", "-"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json["partitions"][0]["fill-key"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = key(&bench);
    assert_eq!(key(&bench), first);
    bench.write("fc.local", "/home/[^/]+/.+ system_u:object_r:other_t:s0\n");
    assert_ne!(key(&bench), first);
    for output in ["fc", "fc.local"] {
        let said = refused(&bench, &["build", "image.toml", "-o", output]);
        assert!(said.contains("the file contexts"), "{said}");
    }
}

#[test]
fn a_file_system_without_a_spec_has_labels_too() {
    let bench = bench();
    bench.write("image.toml", spec("erofs"));
    bench.done(&["build", "image.toml", "-o", "spec.img"]);
    let line = ["mkfs", "erofs", "-q", "--content", "root,owner=0:0"];
    bench.done(&[&line[..], &["--contexts", "fc", "-o", "mkfs.img"]].concat());
    bench.done(&[&line[..], &["-o", "bare.img"]].concat());
    let labels = |image: &str| -> Vec<(String, String)> {
        let listed = bench.done(&["ls", "-R", "--json", image]);
        let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
        let nodes = listed.as_array().unwrap().iter();
        nodes
            .filter_map(|node| {
                let attribute = node["attributes"].as_array()?.first()?;
                assert_eq!(attribute["name"], "security.selinux");
                Some((node["path"].to_string(), attribute["value"].to_string()))
            })
            .collect()
    };
    let found = labels("mkfs.img");
    assert!(found.len() > 10, "{found:?}");
    assert_eq!(found, labels("spec.img"));
    assert!(labels("bare.img").is_empty());
    let line = ["mkfs", "vfat", "--content", "root", "--size", "4MiB"];
    let said = refused(
        &bench,
        &[&line[..], &["--contexts", "fc", "-o", "x.img"]].concat(),
    );
    assert!(
        said.contains("--contexts") && said.contains("stores none"),
        "{said}"
    );
    let line = ["mkfs", "squashfs", "--content", "root", "--contexts", "fc"];
    let without = ["--option", "no-xattrs=yes", "-o", "x.img"];
    let said = refused(&bench, &[&line[..], &without].concat());
    assert!(said.contains("squashfs stores none"), "{said}");
    let line = ["mkfs", "ext4", "--content", "root", "-o", "fc"];
    let said = refused(&bench, &[&line[..], &["--contexts", "fc"]].concat());
    assert!(
        said.contains("is both the image and the file contexts"),
        "{said}"
    );
}
