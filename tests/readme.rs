//! What README.md and the pages in docs/ say is so: their commands are run, in order, in one folder for each page, and what
//! they print is compared with what the page shows.
//!
//! | Block | What becomes of it |
//! |---|---|
//! | `console` | `$ COMMAND` is run, and must print the lines that follow; `…` stands for anything in a line, and alone for any lines |
//! | `toml`, `text` | whose first line is `# NAME`: written to that file |
//! | indented, of lines `cellblock … ` | each is run, up to the two spaces before its description |
//!
//! `<!-- not run: REASON -->` before a block leaves it out; `<!-- needs: PROGRAM /PATH … -->` does where one of these is missing.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::bench::{case, program, repository};
use crate::support::{Bench, judge, skipped, text};

/// A block of a page, with the line that it begins at.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    line: usize,
    /// What is said in a comment before it.
    comment: String,
    /// The word behind the fence; nothing for an indented block.
    kind: String,
    lines: Vec<String>,
}

/// The blocks of a page.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut comment = String::new();
    let mut lines = page.lines().enumerate().peekable();
    let mut after_blank = true;
    while let Some((at, line)) = lines.next() {
        let mut block = Block {
            line: at + 1,
            comment: std::mem::take(&mut comment),
            kind: String::new(),
            lines: Vec::new(),
        };
        if let Some(kind) = line.strip_prefix("```") {
            block.kind = kind.to_owned();
            for (_, line) in lines.by_ref() {
                if line == "```" {
                    break;
                }
                block.lines.push(line.to_owned());
            }
            blocks.push(block);
        } else if after_blank && let Some(first) = line.strip_prefix("    ") {
            block.lines.push(first.to_owned());
            while let Some(next) = lines.peek().and_then(|(_, line)| line.strip_prefix("    ")) {
                block.lines.push(next.to_owned());
                lines.next();
            }
            blocks.push(block);
        } else if let Some(said) = line.strip_prefix("<!-- ") {
            said.trim_end_matches(" -->").clone_into(&mut comment);
        }
        after_blank = line.is_empty();
    }
    blocks
}

/// Whether a line is what a pattern shows, in which `…` stands for anything.
fn line_matches(pattern: &str, line: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('…') else {
        return pattern == line;
    };
    line.strip_prefix(start).is_some_and(|line| {
        (0..=line.len())
            .filter(|at| line.is_char_boundary(*at))
            .any(|at| line_matches(rest, &line[at..]))
    })
}

/// Whether lines are what patterns show, of which `…` stands for any number of lines.
fn lines_match(patterns: &[String], lines: &[&str]) -> bool {
    match patterns {
        [] => lines.is_empty(),
        [pattern, rest @ ..] if pattern == "…" => {
            (0..=lines.len()).any(|at| lines_match(rest, &lines[at..]))
        }
        [pattern, rest @ ..] => lines.split_first().is_some_and(|(line, more)| {
            line_matches(pattern, line.trim_end()) && lines_match(rest, more)
        }),
    }
}

/// Runs a command of a page as a shell does; whether it succeeded, and what it said.
fn run(bench: &Bench, command: &str) -> (bool, String) {
    let mut path = program().parent().unwrap().as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path.push(":/usr/sbin:/sbin");
    // Those of the bench: the cache that tests share, no time from the environment.
    let environment = bench.cellblock();
    let output = Command::new("bash")
        .args(["-ec", &format!("exec 2>&1; {command}")])
        .current_dir(bench.folder())
        .envs(
            environment
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env_remove("SOURCE_DATE_EPOCH")
        .env("PATH", path)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    (output.status.success(), text(&output))
}

/// Runs the commands of a `console` block and compares what they say.
fn run_console(bench: &Bench, place: &str, lines: &[String]) {
    let mut rest = lines;
    while let [first, after @ ..] = rest {
        let command = first
            .strip_prefix("$ ")
            .unwrap_or_else(|| panic!("{place}: output before the first command"));
        let shown = after
            .iter()
            .take_while(|line| !line.starts_with("$ "))
            .count();
        let expected = &after[..shown];
        rest = &after[shown..];
        let (succeeded, said) = run(bench, command);
        let fails = expected.iter().any(|line| line.starts_with("error: "));
        assert_eq!(succeeded, !fails, "{place}: {command}\n{said}");
        let got: Vec<&str> = said.trim_end().lines().collect();
        assert!(
            lines_match(expected, &got),
            "{place}: {command}\nshown:\n{}\nsaid:\n{said}",
            expected.join("\n")
        );
    }
}

/// What a block needs and the machine lacks.
fn is_missing(needs: &str) -> bool {
    needs.split_whitespace().any(|need| {
        if need.starts_with('/') {
            let missing = !Path::new(need).exists();
            if missing {
                skipped(need, "not installed");
            }
            missing
        } else {
            judge(need).is_none()
        }
    })
}

/// Runs a page in a folder; how many commands it has.
fn run_page(bench: &Bench, page: &str) -> usize {
    let content = fs::read_to_string(repository(page)).unwrap();
    let mut commands = 0;
    for block in blocks(&content) {
        let place = format!("{page}:{}", block.line);
        if block.comment.starts_with("not run: ")
            || block
                .comment
                .strip_prefix("needs: ")
                .is_some_and(is_missing)
        {
            continue;
        }
        match (block.kind.as_str(), block.lines.first()) {
            ("console", _) => {
                run_console(bench, &place, &block.lines);
                commands += block
                    .lines
                    .iter()
                    .filter(|line| line.starts_with("$ "))
                    .count();
            }
            ("toml" | "text", Some(first)) => {
                let name = first.strip_prefix("# ");
                let name = name.unwrap_or_else(|| panic!("{place}: its first line names no file"));
                bench.write(name, block.lines.join("\n") + "\n");
            }
            ("", Some(first)) if first.starts_with("cellblock ") => {
                for line in &block.lines {
                    let command = line.split_once("  ").map_or(line.as_str(), |(it, _)| it);
                    let (succeeded, said) = run(bench, command);
                    assert!(succeeded, "{place}: {command}\n{said}");
                    commands += 1;
                }
            }
            ("", _) => {}
            (kind, _) => panic!("{place}: say why a block of kind '{kind}' is not run"),
        }
    }
    commands
}

/// A folder with what the pages take for granted.
fn prepared() -> Bench {
    let bench = Bench::with_case("gadget");
    for name in ["esp", "overlay", "fstab", "rootfs.tar"] {
        bench.copy_case(&format!("demo/{name}"), name);
    }
    fs::copy(
        case("imagecraft").join("imagecraft.yaml"),
        bench.path("imagecraft.yaml"),
    )
    .unwrap();
    bench.write("root/etc/hostname", "cell\n");
    // What stands for a kernel and its initial RAM disk.
    bench.write("vmlinuz", vec![0x4d; 100_003]);
    bench.write("initrd.img", vec![1; 70_001]);
    bench.write("DIR/rootfs/etc/hostname", "cell\n");
    bench.write("DIR/efi/EFI/BOOT/BOOTX64.EFI", "");
    bench
}

#[test]
fn the_readme_does_what_it_says() {
    assert!(run_page(&prepared(), "README.md") > 15);
}

#[test]
fn the_page_on_imagecraft_does_what_it_says() {
    assert!(run_page(&prepared(), "docs/imagecraft.md") > 4);
}

#[test]
fn the_page_for_those_who_come_from_other_tools_does_what_it_says() {
    assert!(run_page(&prepared(), "docs/coming-from.md") > 1);
}

#[test]
fn an_output_is_compared() {
    let shown = ["one", "…", "4 … 6", "…end"].map(str::to_owned);
    assert!(lines_match(
        &shown,
        &["one", "two", "three", "4 5 6", "the end"]
    ));
    assert!(lines_match(&shown, &["one", "4  6", "end"]));
    assert!(!lines_match(&shown, &["one", "4 5 7", "end"]));
    assert!(!lines_match(&shown, &["one", "two"]));
    assert!(!lines_match(&[], &["anything"]));
}

#[test]
fn blocks_are_found_with_what_is_said_of_them() {
    let page = "text\n\n    cellblock show  what\n    more\n\n<!-- needs: sfdisk -->\n```console\n$ true\n```\n";
    let found = blocks(page);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].lines, ["cellblock show  what", "more"]);
    assert_eq!(
        (found[1].kind.as_str(), found[1].comment.as_str()),
        ("console", "needs: sfdisk")
    );
}

#[test]
fn the_pages_name_files_that_are_there() {
    for page in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "BENCHMARKS.md",
    ] {
        let content = fs::read_to_string(repository(page)).unwrap();
        let in_links = content
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next());
        let in_words = content.split('`').skip(1).step_by(2).filter(|word| {
            ["host/", "guests/", "tests/", ".ci/", "wit/", "docs/"]
                .iter()
                .any(|top| word.starts_with(top))
                && word.is_ascii()
                && !word.contains(['*', ' ', '<'])
                && !word.contains("NAME")
        });
        for path in in_links.chain(in_words) {
            if path.is_empty() || path.starts_with("http") || path.contains("dist-work") {
                continue;
            }
            assert!(
                repository(path).exists(),
                "{page} names {path}, which is not there"
            );
        }
    }
}
