//! What helps at the command line: the manual, the help, and completions, as man and shells show them.

use std::path::Path;

use crate::support::bench::program;
use crate::support::{Bench, judge};

const SPEC: &str = "[[partition]]\nname = \"data\"\ntype = \"linux\"\nsize = \"4MiB\"\n\n[[partition]]\nname = \"home\"\ntype = \"linux\"\nsize = \"4MiB\"\n";

#[test]
fn the_manual_fits_a_terminal() {
    let bench = Bench::new();
    bench.create_folder("man");
    bench.done(&["manual", "man"]);
    let pages = crate::support::bench::names(&bench.path("man"));
    assert!(pages.contains(&"cellblock-repair.1".to_owned()));
    // What a farm's workers run is no command for people.
    assert!(!pages.contains(&"cellblock-action.1".to_owned()));
    let Some(groff) = judge("groff") else {
        return;
    };
    for page in pages {
        let arguments = ["-man", "-ww", "-Tutf8", "-P-c", "-rLL=80n"];
        let output = groff.run(&arguments, &bench.path(format!("man/{page}")));
        let warnings = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && warnings.is_empty(),
            "{page}: {warnings}"
        );
        let said = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<String> = said.lines().map(without_overstrikes).collect();
        for line in &lines {
            assert!(line.chars().count() <= 80, "{page}: {line}");
        }
        // Each example stands in a line of its own.
        let examples = lines.iter().position(|line| line == "EXAMPLES");
        let examples = &lines[examples.unwrap_or_else(|| panic!("{page}: {said}")) + 1..];
        let first = examples.iter().find(|line| !line.is_empty()).unwrap();
        assert!(
            first.trim_start().starts_with("cellblock")
                || first.trim_start().starts_with("truncate"),
            "{page}: {first}"
        );
    }
}

/// A line without what makes letters bold or underlined on a printer.
fn without_overstrikes(line: &str) -> String {
    let mut text = String::new();
    for letter in line.chars() {
        if letter == '\u{8}' {
            text.pop();
        } else {
            text.push(letter);
        }
    }
    text
}

/// No line of the help ends early and goes on in the next: a paragraph is broken once, by the width of the terminal.
#[test]
fn the_help_is_broken_once() {
    let bench = Bench::new();
    for command in [
        "build",
        "plan",
        "derive",
        "convert",
        "mkfs",
        "show",
        "fill",
        "splice",
        "cut",
        "repair",
        "guests",
        "walls",
        "cache",
        "init",
        "completions",
        "manual",
        "schema",
    ] {
        for width in ["80", "100"] {
            let mut run = bench.cellblock();
            let output = run.env("COLUMNS", width).args([command, "--help"]);
            let help = String::from_utf8(output.output().unwrap().stdout).unwrap();
            let columns: usize = width.parse().unwrap();
            let lines: Vec<&str> = help.lines().collect();
            for pair in lines.windows(2) {
                let (line, next) = (pair[0], pair[1]);
                assert!(line.chars().count() <= columns, "{command}: {line}");
                let indent = |line: &str| line.len() - line.trim_start().len();
                let is_text = |line: &str| !line.trim().is_empty() && indent(line) == 0;
                if !(is_text(line) && is_text(next)) || line.ends_with(':') {
                    continue;
                }
                // The first word of the next line did not fit into this one.
                let word = next.split(' ').next().unwrap().chars().count();
                let length = line.chars().count();
                assert!(length + 1 + word > columns, "{command}: {line} / {next}");
            }
        }
    }
}

/// What bash completes behind these words; the last one is the one that is typed.
fn completed(bench: &Bench, bash: &crate::support::Judge, words: &[&str]) -> Vec<String> {
    bench.write("script", bench.done(&["completions", "bash"]));
    // As readline takes words apart: `=` is one by itself.
    let mut apart: Vec<String> = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some((name, value)) => {
                apart.extend([name.to_owned(), "=".to_owned()]);
                if !value.is_empty() {
                    apart.push(value.to_owned());
                }
            }
            None => apart.push((*word).to_owned()),
        }
    }
    let typed = apart.last().unwrap().clone();
    let quoted: Vec<String> = apart.iter().map(|word| format!("'{word}'")).collect();
    let script = format!(
        "source ./script; COMP_WORDS=({}); COMP_CWORD={}; COMP_TYPE=9; \
         _clap_complete_cellblock cellblock '{typed}' ''; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        apart.len() - 1,
    );
    let folder = program().parent().unwrap();
    let path = format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = bash
        .command()
        .current_dir(bench.folder())
        .env("PATH", path)
        .args(["-c", &script])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said.lines()
        .map(str::to_owned)
        .filter(|it| !it.is_empty())
        .collect()
}

#[test]
fn a_shell_completes_kinds_losses_and_partitions() {
    let Some(bash) = judge("bash") else {
        return;
    };
    let bench = Bench::new();
    bench.write("image.toml", SPEC);
    bench.build("image.toml", "disk.img");
    let after = |words: &[&str]| completed(&bench, &bash, words);
    assert_eq!(
        after(&["cellblock", "mkfs", "ext"]),
        ["ext2", "ext3", "ext4"]
    );
    assert_eq!(
        after(&["cellblock", "mkfs", "vfat", "--drop", "sy"]),
        ["symlinks"]
    );
    assert_eq!(
        after(&["cellblock", "mkfs", "vfat", "--drop", "symlinks,ow"]),
        ["symlinks,owners"]
    );
    assert_eq!(after(&["cellblock", "cut", "disk.img", "d"]), ["data"]);
    assert_eq!(
        after(&["cellblock", "fill", "disk.img", "--label", "x", "h"]),
        ["home"]
    );
    assert_eq!(
        after(&["cellblock", "build", "image.toml", "--follow", "h"]),
        ["home"]
    );
    assert_eq!(
        after(&["cellblock", "build", "image.toml", "--drop", "d"]),
        ["data="]
    );
    // What bash replaces begins behind the `=`.
    assert_eq!(
        after(&["cellblock", "build", "image.toml", "--drop", "data=o"]),
        ["owners"]
    );
    assert_eq!(after(&["cellblock", "repa"]), ["repair"]);
    assert!(after(&["cellblock", "show", "disk"]).contains(&"disk.img".to_owned()));
    // What cannot be read completes nothing, and says nothing.
    assert!(after(&["cellblock", "cut", "image.toml", "x"]).is_empty());
}

#[test]
fn every_shell_has_a_script_and_only_its_variable_asks() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.done(&["completions", shell]);
        assert!(script.contains("CELLBLOCK_COMPLETE"), "{shell}: {script}");
        assert!(!script.contains(Path::new(program()).to_str().unwrap()));
    }
    let mut run = bench.cellblock();
    let output = run
        .env("COMPLETE", "bash")
        .arg("--version")
        .output()
        .unwrap();
    assert!(output.stdout.starts_with(b"cellblock "));
}
