//! Nothing is lost: no output is an input or another output, and what can fail beforehand fails before anything is
//! replaced.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use crate::support::bench::program;
use crate::support::{Ability, Bench, Outcome, is_root, judge, lacks, trace};

const SPEC: &str = "[[partition]]\nname = \"data\"\ntype = \"linux\"\nsize = \"4MiB\"\n";

/// A bench with a spec that reads each kind of file.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("source.bin", "content");
    bench.write("fstab.in", "{{ disk.id }}\n");
    bench.write("raw.bin", vec![7; 512]);
    bench.write("root.tar", vec![0; 1024]);
    let content = "filesystem = \"ext2\"\ncontent = [{ file = \"source.bin\", to = \"/a\" }, \
                   { template = \"fstab.in\", to = \"/b\" }, { archive = \"root.tar\" }]\n";
    let raw = "[[partition]]\nname = \"raw\"\ntype = \"linux\"\nraw = [{ file = \"raw.bin\", offset = 0 }]\n";
    bench.write("image.toml", format!("{SPEC}{content}{raw}"));
    symlink("image.toml", bench.path("link")).unwrap();
    bench
}

#[test]
fn no_output_is_an_input_or_another_output() {
    let build = ["build", "image.toml"];
    for (arguments, path, other) in [
        (vec!["-o", "image.toml"], "image.toml", "the spec"),
        (vec!["-o", "link"], "link", "the spec (image.toml)"),
        (vec!["-o", "source.bin"], "source.bin", "the source"),
        (vec!["-o", "fstab.in"], "fstab.in", "the template"),
        (vec!["-o", "raw.bin"], "raw.bin", "the raw file"),
        (
            vec!["-o", "root.tar", "--output-format", "raw"],
            "root.tar",
            "the archive",
        ),
        (
            vec!["-o", "v.img", "--json", "image.toml"],
            "image.toml",
            "the spec",
        ),
        (
            vec!["-o", "v.img", "--json", "./v.img"],
            "./v.img",
            "the image",
        ),
    ] {
        let bench = bench();
        let names = bench.names();
        let before = fs::read(bench.path("image.toml")).unwrap();
        let outcome = bench.run(&[&build[..], &arguments].concat());
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
        let message = &outcome.stderr;
        assert!(
            message.starts_with(&format!("error: {path}: is both the ")) && message.contains(other),
            "{arguments:?}: {message}"
        );
        assert_eq!(bench.names(), names, "{arguments:?}");
        assert!(fs::read(bench.path("image.toml")).unwrap() == before);
    }
}

/// Every option and key that names a file to read.
#[test]
fn whatever_a_run_reads_is_not_written_over() {
    let bench = bench();
    bench.write("more.toml", "[disk]\ntime = 0\n");
    bench.write("added.bin", "added");
    bench.write("boot.img", vec![0; 512]);
    bench.write("core.img", vec![0; 1024]);
    bench.write("loader.efi", "MZ");
    bench.write("loader.conf", "timeout 1\n");
    bench.write("kernel.efi", "MZ");
    bench.write("mine.wasm", "\0asm");
    bench.write("own.wasm", "\0asm");
    let boot = "[boot]\nunified-kernels = [\"kernel.efi\"]\n[boot.grub-bios]\nboot-image = \"boot.img\"\ncore-image = \"core.img\"\n\
                [boot.systemd-boot]\nimage = \"loader.efi\"\nconfig = \"loader.conf\"\n[guests]\nmine = \"mine.wasm\"\n";
    bench.write("boot.toml", boot);
    let options = [
        "build",
        "image.toml",
        "--also",
        "more.toml",
        "--also",
        "boot.toml",
        "--content",
        "data=file:added.bin,to=/c",
        "--guest",
        "own=own.wasm",
    ];
    for (read, what) in [
        ("more.toml", "the spec"),
        ("boot.toml", "the spec"),
        ("added.bin", "the source"),
        ("boot.img", "GRUB's boot image"),
        ("core.img", "GRUB's core image"),
        ("loader.efi", "systemd-boot"),
        ("loader.conf", "the boot file"),
        ("kernel.efi", "the kernel"),
        ("mine.wasm", "the guest 'mine'"),
        ("own.wasm", "the guest 'own'"),
    ] {
        let before = fs::read(bench.path(read)).unwrap();
        for output in [&["-o", read][..], &["-o", "v.img", "--json", read]] {
            let outcome = bench.run(&[&options[..], output].concat());
            assert_eq!(outcome.code, Some(2), "{read}: {}", outcome.stderr);
            let message = format!("error: {read}: is both the ");
            assert!(
                outcome.stderr.starts_with(&message) && outcome.stderr.contains(what),
                "{read}: {}",
                outcome.stderr
            );
        }
        assert!(fs::read(bench.path(read)).unwrap() == before, "{read}");
    }
}

/// `<`, `>>` and `-`.
#[test]
fn streams_are_files_too() {
    let bench = bench();
    bench.write("plain.toml", SPEC);
    let image = bench.build("plain.toml", "disk.img");
    let run = |arguments: &[&str], input: &str, output: Option<&str>| {
        let mut command = bench.cellblock();
        command.args(arguments);
        command.stdin(fs::File::open(bench.path(input)).unwrap());
        if let Some(output) = output {
            let file = fs::File::options().append(true).open(bench.path(output));
            command.stdout(file.unwrap());
        }
        Outcome::of(&mut command)
    };
    for (arguments, input, output) in [
        (&["build", "-", "-o", "plain.toml"][..], "plain.toml", None),
        (
            &["build", "plain.toml", "-o", "-"],
            "raw.bin",
            Some("plain.toml"),
        ),
        (
            &[
                "mkfs",
                "ext4",
                "--content",
                "archive:-",
                "-o",
                "root.tar",
                "--output-format",
                "raw",
            ],
            "root.tar",
            None,
        ),
        (
            &["mkfs", "ext4", "--content", "root.tar", "-o", "-"],
            "raw.bin",
            Some("root.tar"),
        ),
        // What is said, and what programs are told of a failure, goes there too: of a spec, even of one that is wrong.
        (
            &["build", "plain.toml", "-o", "other.img"],
            "raw.bin",
            Some("plain.toml"),
        ),
        (
            &["build", "plain.toml", "-o", "other.img", "--json", "-"],
            "raw.bin",
            Some("plain.toml"),
        ),
        (
            &["plan", "plain.toml", "--also", "raw.bin", "--json", "-"],
            "raw.bin",
            Some("plain.toml"),
        ),
        (
            &["mkfs", "ext4", "--content", "root.tar", "-o", "other.img"],
            "raw.bin",
            Some("root.tar"),
        ),
        (
            &[
                "mkfs",
                "ext4",
                "--content",
                "root.tar",
                "-o",
                "other.img",
                "--json",
                "-",
            ],
            "raw.bin",
            Some("root.tar"),
        ),
        (&["show", "disk.img", "--json"], "raw.bin", Some("disk.img")),
        (&["ls", "disk.img:data", "-R"], "raw.bin", Some("disk.img")),
        (
            &["diff", "plain.toml", "disk.img"],
            "raw.bin",
            Some("disk.img"),
        ),
        (&["splice", "disk.img", "data", "-"], "disk.img", None),
        (
            &["cut", "disk.img", "data", "-o", "-"],
            "raw.bin",
            Some("disk.img"),
        ),
    ] {
        let before =
            ["plain.toml", "root.tar", "disk.img"].map(|name| fs::read(bench.path(name)).unwrap());
        let outcome = run(arguments, input, output);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains("is both"),
            "{arguments:?}: {}",
            outcome.stderr
        );
        let after =
            ["plain.toml", "root.tar", "disk.img"].map(|name| fs::read(bench.path(name)).unwrap());
        assert!(before == after, "{arguments:?}");
    }
    assert!(image.is_file());
}

#[test]
fn the_archive_of_a_file_system_is_not_written_over() {
    let bench = bench();
    for output in ["root.tar", "./root.tar"] {
        let outcome = bench.run(&[
            "mkfs",
            "ext4",
            "-o",
            output,
            "--content",
            "archive:root.tar",
        ]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    }
    let bytes = fs::read(bench.path("root.tar")).unwrap();
    assert!(bytes == vec![0; 1024]);
}

#[test]
fn a_partition_is_not_cut_into_its_image() {
    let bench = bench();
    bench.write("empty.toml", SPEC);
    let image = bench.build_text(SPEC);
    let before = fs::read(&image).unwrap();
    let name = image.file_name().unwrap().to_str().unwrap().to_owned();
    symlink(&name, bench.path("alias.img")).unwrap();
    let outcome = bench.run(&["cut", &name, "data", "-o", "alias.img"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(fs::read(&image).unwrap() == before);
}

#[test]
fn a_record_that_cannot_be_written_leaves_the_image_that_was() {
    for (record, code) in [("absent/record.json", 2), ("folder", 2), ("/dev/full", 1)] {
        let bench = bench();
        bench.create_folder("folder");
        bench.write("disk.img", "the one before");
        bench.write("plain.toml", SPEC);
        let outcome = bench.run(&["build", "plain.toml", "-o", "disk.img", "--json", record]);
        assert_eq!(outcome.code, Some(code), "{record}: {}", outcome.stderr);
        let kept = fs::read_to_string(bench.path("disk.img")).unwrap();
        assert_eq!(kept, "the one before", "{record}");
    }
}

#[test]
fn what_cannot_be_replaced_is_found_before_anything_is() {
    if !is_root() {
        return lacks(
            Ability::Superuser,
            "files of others, and what chattr makes of files",
        );
    }
    let (Some(setpriv), Some(chattr)) = (judge("setpriv"), judge("chattr")) else {
        return;
    };
    let bench = crate::unprivileged::bench();
    let shared = bench.path("out");
    std::os::unix::fs::chown(&shared, Some(0), Some(0)).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    for (name, attribute, why) in [
        (
            "others",
            None,
            "it belongs to user 0, and its folder lets only owners replace files",
        ),
        (
            "fixed",
            Some("+i"),
            "it is immutable; `chattr -i` ends that",
        ),
        (
            "growing",
            Some("+a"),
            "it can only be appended to; `chattr -a` ends that",
        ),
    ] {
        let taken = shared.join(name);
        fs::write(&taken, "the one before").unwrap();
        let set = |attribute: &str| {
            let mut command = Command::new(chattr.program());
            assert!(
                command
                    .arg(attribute)
                    .arg(&taken)
                    .status()
                    .unwrap()
                    .success()
            );
        };
        if let Some(attribute) = attribute {
            std::os::unix::fs::chown(&taken, Some(65534), None).unwrap();
            set(attribute);
        }
        for others in [
            ["-o", "out/new.img", "-o"],
            ["--json", "out/new.json", "-o"],
        ] {
            let mut command = Command::new(setpriv.program());
            command.args(crate::unprivileged::without_rights());
            command.current_dir(bench.folder()).arg("./cellblock");
            command
                .args(["mkfs", "swap", "--size", "1MiB", "-q"])
                .args(others);
            let output = command.arg(&taken).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{name}: {said}");
            assert!(
                said.contains("cannot be replaced: ") && said.contains(why),
                "{said}"
            );
        }
        if let Some(attribute) = attribute {
            set(&attribute.replace('+', "-"));
        }
        assert_eq!(fs::read_to_string(&taken).unwrap(), "the one before");
        fs::remove_file(&taken).unwrap();
        assert!(crate::support::bench::names(&shared).is_empty());
    }
}

#[test]
fn outputs_that_are_new_already_are_named_where_a_later_one_fails() {
    let bench = Bench::new();
    let mut command = bench.cellblock();
    command.args([
        "mkfs", "swap", "--size", "1MiB", "-q", "-o", "new.img", "-o", "-",
    ]);
    command.stdout(fs::File::create("/dev/full").unwrap());
    let outcome = Outcome::of(&mut command);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let told = outcome
        .stderr
        .trim_end()
        .ends_with("; new.img is new already");
    assert_eq!(told, bench.path("new.img").exists(), "{}", outcome.stderr);
    assert!(told);
}

#[test]
fn a_full_standard_output_leaves_the_image_that_was() {
    let bench = Bench::new();
    bench.write("plain.toml", SPEC);
    bench.build("plain.toml", "disk.img");
    bench.done(&["mkfs", "ext4", "-q", "--size", "4MiB", "-o", "root.img"]);
    for (arguments, output) in [
        (&["build", "plain.toml"][..], "out.img"),
        (&["mkfs", "ext4", "--size", "4MiB"], "out.img"),
        (&["export", "disk.img"], "out.img"),
        (&["cut", "disk.img", "data"], "out.img"),
        (&["export", "root.img"], "out.tar"),
        (&["tar", "root.img"], "out.tar"),
    ] {
        bench.write(output, "the one before");
        let mut command = bench.cellblock();
        command.args(arguments).args(["-o", output]);
        command.args(["--json", "record.json"]);
        command.stdout(fs::File::create("/dev/full").unwrap());
        let outcome = Outcome::of(&mut command);
        let message = "standard output: No space left on device (os error 28)";
        assert_eq!(outcome.code, Some(1), "{arguments:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
        let kept = fs::read_to_string(bench.path(output)).unwrap();
        assert_eq!(kept, "the one before", "{arguments:?}");
        assert!(!bench.path("record.json").exists(), "{arguments:?}");
    }
}

#[test]
fn what_is_replaced_keeps_its_permissions() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    bench.write("disk.img", "the one before");
    let path = bench.path("disk.img");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let outcome = bench.run(&["build", "image.toml", "-o", "disk.img"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_long_name_is_replaced_as_it_is_built() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let name = format!("{}.img", "n".repeat(251));
    for _ in 0..2 {
        let outcome = bench.run(&["build", "image.toml", "-o", &name]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    }
    assert_eq!(bench.names(), ["image.toml", &name]);
}

#[test]
fn builds_to_one_name_do_not_fail_each_other() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    std::thread::scope(|scope| {
        let build = || {
            for _ in 0..10 {
                let outcome = bench.run(&["build", "image.toml", "-o", "disk.img", "--no-cache"]);
                assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
            }
        };
        for _ in 0..6 {
            scope.spawn(build);
        }
    });
    assert_eq!(bench.names(), ["disk.img", "image.toml"]);
}

#[test]
fn a_name_of_another_format_is_refused() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let outcome = bench.run(&["build", "image.toml", "-o", "z.vdi"]);
    let expected = "error: --output z.vdi: the name says a VDI image, which is not written: name it .img or .raw, or say with \
                    --output-format what it is: raw, qcow2, vmdk, vhd, vhdx, ova, raw.zst, raw.gz, raw.xz, simg, bmap\n";
    assert_eq!((outcome.code, &*outcome.stderr), (Some(2), expected));
    assert_eq!(bench.names(), ["image.toml"]);
}

#[test]
fn a_folder_that_is_not_there_is_made_for_images() {
    let bench = Bench::new();
    let structure = "      - {name: a, type: 0FC63DAF-8483-4772-8E79-3D69D8477DE4, size: 1M}\n";
    let volume = |name: &str| format!("  {name}:\n    schema: gpt\n    structure:\n{structure}");
    let text = format!(
        "volumes:\n{}    bootloader: grub\n{}",
        volume("one"),
        volume("two")
    );
    bench.write("gadget.yaml", text);
    bench.done(&[
        "build",
        "gadget.yaml",
        "--without-root",
        "-q",
        "-o",
        "images/",
    ]);
    let made = crate::support::bench::names(&bench.path("images"));
    assert_eq!(made, ["one.img", "two.img"]);
}

/// A name that ends in `/` is that of a folder, whatever is there.
#[test]
fn a_name_of_a_folder_is_one() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    bench.done(&["build", "image.toml", "-q", "-o", "images/"]);
    let made = crate::support::bench::names(&bench.path("images"));
    assert_eq!(made, ["image.img"]);
    let before = bench.names();
    for (command, name) in [
        (&["mkfs", "swap", "-o", "absent/"][..], "absent/"),
        (
            &["mkfs", "swap", "-o", "out.img", "--json", "absent/"],
            "absent/",
        ),
        (
            &["export", "images/image.img", "-o", "absent/."],
            "absent/.",
        ),
        (
            &["cut", "images/image.img", "data", "-o", "absent/"],
            "absent/",
        ),
    ] {
        let outcome = bench.run(command);
        let expected = format!("error: {name}: is a directory; name the image's file in it\n");
        assert_eq!((outcome.code, outcome.stderr), (Some(2), expected));
        assert_eq!(outcome.stdout, "", "{command:?}");
        assert_eq!(bench.names(), before, "{command:?}");
    }
}

/// The calls that give names and that flush, as `strace` sees them.
fn flushes(bench: &Bench, arguments: &[&str]) -> Option<Vec<String>> {
    let strace = judge("strace")?;
    let calls = "trace=fsync,fdatasync,linkat,renameat,renameat2,rename";
    let mut command = strace.command();
    command
        .args(["-f", "-qq", "-o", "calls", "-e", calls])
        .arg(program())
        .args(arguments)
        .current_dir(bench.folder());
    let outcome = Outcome::of(&mut command);
    if outcome.stderr.contains("ptrace") {
        lacks(Ability::Trace, "strace may not trace here");
        return None;
    }
    assert_eq!(outcome.code, Some(0), "{arguments:?}: {}", outcome.stderr);
    let calls = trace::calls(&fs::read_to_string(bench.path("calls")).unwrap());
    let names = calls.iter().filter_map(|line| {
        let call = line.split_whitespace().nth(1)?;
        // What was not done is not counted.
        (!line.contains("= -1")).then(|| call.split('(').next().map(str::to_owned))?
    });
    Some(names.collect())
}

/// What is written beside an image, too: the partitions' files, their list, the record and the provenance.
#[test]
fn with_sync_every_file_is_on_the_disk_before_it_gets_its_name() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    let command = [
        "build",
        "image.toml",
        "-q",
        "--sync",
        "-o",
        "disk.img",
        "--split",
        "parts",
        "--json",
        "record.json",
        "--provenance",
        "provenance.json",
    ];
    let Some(calls) = flushes(&bench, &command) else {
        return;
    };
    let names: Vec<usize> = (0..calls.len())
        .filter(|index| calls[*index] == "linkat")
        .collect();
    let files = fs::read_dir(bench.path("parts")).unwrap().count() + 3;
    assert_eq!(names.len(), files, "{calls:?}");
    for name in names {
        // The file before, and its folder behind.
        for near in [name.checked_sub(1), Some(name + 1)] {
            let call = near.and_then(|it| calls.get(it));
            assert_eq!(call.map(String::as_str), Some("fsync"), "{name} {calls:?}");
        }
    }
}

/// README: "What survives a power cut".
#[test]
fn what_is_done_is_on_the_disk_where_that_is_said() {
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    bench.write("content", vec![7; 4096]);
    let is_flush = |call: &String| call.ends_with("sync");
    let make = [
        &["build", "image.toml", "-q", "-o", "disk.img"][..],
        &["mkfs", "swap", "--size", "1MiB", "-q", "-o", "swap.img"],
        &["cut", "disk.img", "data", "-q", "-o", "cut.img"],
        &["export", "root.img", "-q", "-o", "root.tar"],
    ];
    bench.done(&["mkfs", "ext4", "--size", "4MiB", "-q", "-o", "root.img"]);
    for command in make {
        let Some(calls) = flushes(&bench, command) else {
            return;
        };
        assert!(!calls.iter().any(is_flush), "{command:?}: {calls:?}");
        fs::remove_file(bench.path(command.last().unwrap())).unwrap();
        let calls = flushes(&bench, &[command, &["--sync"]].concat()).unwrap();
        let flushed = calls.iter().position(&is_flush);
        let named = calls.iter().position(|call| call == "linkat");
        assert!(
            flushed.is_some() && flushed < named,
            "{command:?}: {calls:?}"
        );
        // The folder too, once the name is in it.
        assert!(is_flush(calls.last().unwrap()), "{command:?}: {calls:?}");
    }
    for command in [
        &["splice", "disk.img", "data", "content", "-q"][..],
        &["fill", "disk.img", "data", "ext2", "-q"],
        &[
            "splice", "disk.img", "data", "content", "-q", "--atomic", "always",
        ],
        &[
            "fill", "disk.img", "data", "ext2", "-q", "--atomic", "always",
        ],
    ] {
        let calls = flushes(&bench, command).unwrap();
        let flushed = calls.iter().position(&is_flush);
        assert!(flushed.is_some(), "{command:?}: {calls:?}");
        if command.contains(&"always") {
            // The file before it takes the image's name, and the folder behind it.
            let named = calls.iter().position(|call| call.starts_with("rename"));
            assert!(flushed < named, "{calls:?}");
            assert!(is_flush(calls.last().unwrap()), "{calls:?}");
        }
    }
}
