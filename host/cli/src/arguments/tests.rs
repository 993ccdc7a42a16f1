#![allow(clippy::unwrap_used)]

use clap::CommandFactory as _;

use super::environment::epoch;
use super::*;
use cellblock_build::Output;
use cellblock_build::contract::Loss;
use cellblock_build::spec::{FilesystemId, SizeRule};
use cellblock_build::tree::source::What;

fn parse(line: &[&str]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from([&["cellblock"], line].concat())
}

fn mkfs(line: &[&str]) -> Mkfs {
    match parse(&[&["mkfs"], line].concat()).unwrap().command {
        Command::Mkfs(mkfs) => mkfs,
        other => panic!("{other:?} is not mkfs"),
    }
}

#[test]
fn the_definition_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn the_image_is_named_after_the_spec() {
    let Command::Build(build) = parse(&["build", "specs/demo.toml"]).unwrap().command else {
        panic!("not build")
    };
    let spec = "[[partition]]\ntype = \"linux\"\nsize = 512\n";
    let project = cellblock_build::spec::Project::parse(spec, &build.spec).unwrap();
    let targets = build.targets(&project.volumes).unwrap();
    let outputs = targets.iter().flatten().map(|it| &it.output);
    assert!(outputs.eq([&Output::File("demo.img".into())]));
    assert_eq!(
        (build.run.limits.memory_limit, build.run.limits.time_limit),
        (1 << 30, 3600)
    );
    assert!(build.run.says());
}

#[test]
fn mkfs_says_what_is_asked_for() {
    let request = mkfs(&[
        "vfat",
        "-o",
        "esp.img",
        "--size",
        "minimum + 10%",
        "--uuid",
        "ABCD-1234",
        "--time",
        "-1",
        "--option",
        "fat=16",
        "--option",
        "a=b=c",
        "--drop",
        "owners,symlinks",
        "--content",
        "directory:esp,to=/EFI",
    ])
    .request()
    .unwrap();
    assert_eq!(request.size, SizeRule::parse("minimum + 10%").unwrap());
    let request = request.filesystem;
    assert_eq!(
        (request.uuid, request.time),
        (Some(FilesystemId::Serial(0xABCD_1234)), Some(-1))
    );
    let options: Vec<_> = request.options.into_iter().collect();
    assert_eq!(
        options,
        [("a".into(), "b=c".into()), ("fat".into(), "16".into())]
    );
    assert_eq!(request.drop, [Loss::Owners, Loss::Symlinks]);
    assert_eq!(request.sources[0].what, What::Directory("esp".into()));
    assert_eq!(request.sources[0].to, Some(b"/EFI".to_vec()));
}

#[test]
fn wrong_values_are_refused_with_what_to_write() {
    for (line, message) in [
        (
            &["mkfs", "ext4", "-o", "x", "--size", "4GB"][..],
            "write \"4GiB\"",
        ),
        (
            &["mkfs", "ext4", "-o", "x", "--drop", "links"],
            "`links` is none of `symlinks`",
        ),
        (
            &["mkfs", "ext4", "-o", "x", "--option", "k"],
            "write KEY=VALUE",
        ),
        (
            &["mkfs", "ext4", "-o", "x", "--guest", "=a"],
            "write NAME=FILE",
        ),
        (
            &["mkfs", "ext4", "-o", "x", "--sector-size", "520"],
            "`520` is none of `512`, `4096`",
        ),
        (
            &["mkfs", "ext4", "-o", "x", "--content", "a,owner=me"],
            "write two numbers",
        ),
        (&["mkfs", "ext4"], "--output"),
        (&["build", "x", "--jobs", "0"], "write 1 or more"),
        (&["build", "x", "-j", "two"], "it is no number"),
        (&["tar", "x", "-o", "y", "-j", "0"], "write 1 or more"),
        #[cfg(feature = "cache")]
        (&["action", "x", "-o", "y", "-j", "0"], "write 1 or more"),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(
            error.to_string().contains(message),
            "{message} is not in\n{error}"
        );
    }
}

#[test]
fn a_missing_source_is_named() {
    let error = mkfs(&["ext4", "-o", "x", "--content", "absent/file"])
        .request()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("--content absent/file: No such file"),
        "{error}"
    );
}

#[test]
fn the_environments_time_is_a_number() {
    assert_eq!(epoch("1700000000".into()).unwrap(), 1_700_000_000);
    assert!(
        epoch("today".into())
            .unwrap_err()
            .to_string()
            .contains("\"today\"")
    );
}

#[test]
fn every_command_shows_an_example() {
    for command in Arguments::command().get_subcommands() {
        let help = command.clone().render_long_help().to_string();
        assert!(help.contains("Example"), "{} has none", command.get_name());
    }
}
