//! `cargo guests` as it is typed: `--check` beside a compiler that did not build what is checked in, and `--crate`.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cellblock_guests_build::Workspace;
use cellblock_guests_build::build::Role;

/// A folder with a compiler in it that says another version; it ends with its value.
struct Other(PathBuf);

impl Other {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        let compiler = folder.join("rustc");
        let script = format!(
            "#!/bin/sh\ncase $1 in\n--version) echo 'rustc 0.0.1 (other)' ;;\n*) echo '{}' ;;\nesac\n",
            folder.display()
        );
        fs::write(&compiler, script).unwrap();
        fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).unwrap();
        Self(compiler)
    }

    fn check(&self, judges: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cellblock-guests-build"));
        command
            .args(["--check", "swap"])
            .env("RUSTC", &self.0)
            .env_remove("CELLBLOCK_JUDGES");
        command.envs(judges.map(|judges| ("CELLBLOCK_JUDGES", judges)));
        command.output().unwrap()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[test]
fn another_compiler_is_a_visible_skip() {
    let output = Other::new("visible").check(None);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("skipped: swap: bytes not compared: built with rustc "));
    assert!(
        said.ends_with(", and here is rustc 0.0.1 (other)\n"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn another_compiler_is_a_failure_where_judges_are_required() {
    let output = Other::new("required").check(Some("required"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_is_missing_of_a_crate_is_told() {
    for (typed, missing) in [
        (&["--crate", "guests/template", "-o"][..], "-o FILE"),
        (&["--crate", "-o", "out.wasm"], "--crate DIR"),
        (&["-o", "out.wasm"], "--crate DIR"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cellblock-guests-build"));
        let output = command.args(typed).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            said,
            format!("error: {missing} is missing: write `cargo guests --crate DIR -o FILE`\n")
        );
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn a_component_that_exports_nothing_is_no_guest() {
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
    let error = Role::of(EMPTY).unwrap_err().to_string();
    assert!(
        error.starts_with("the crate exports no formatter, "),
        "{error}"
    );
    let dist = |name: &str| fs::read(Workspace::here().dist(name)).unwrap();
    assert_eq!(Role::of(&dist("swap")).unwrap(), Role::Formatter);
    assert_eq!(Role::of(&dist("read-fat")).unwrap(), Role::Reader);
}
