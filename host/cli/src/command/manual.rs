//! `cellblock manual`: a page for the program and one for each command.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::json;

use super::{Failure, print, print_json};
use crate::arguments::{Arguments, Manual};

/// What introduces the examples in the text behind a command's options.
const EXAMPLES: [&str; 2] = ["Example:", "Examples:"];

pub(super) fn run(manual: &Manual) -> Result<(), Failure> {
    let mut pages = Vec::new();
    for (name, page) in pages_of().map_err(Failure::failed)? {
        let path = manual.directory.join(name);
        write(&path, &page)?;
        pages.push(path.display().to_string());
    }
    if manual.json {
        return print_json(&json!({ "files": pages }));
    }
    let count = pages.len();
    print(&format!(
        "{}: {count} manual pages written\n",
        manual.directory.display()
    ))
}

fn write(path: &PathBuf, page: &[u8]) -> Result<(), Failure> {
    fs::write(path, page).map_err(|error| {
        let text = format!("{}: {error}", path.display());
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Failure::usage(text),
            _ => Failure::failed(text),
        }
    })
}

/// All pages, by the names of their files.
fn pages_of() -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut program = Arguments::command().disable_help_subcommand(true);
    program.build();
    let shown = program.get_subcommands().filter(|it| !it.is_hide_set());
    let commands = shown.cloned().collect::<Vec<_>>();
    [program].into_iter().chain(commands).map(page).collect()
}

fn page(command: clap::Command) -> io::Result<(PathBuf, Vec<u8>)> {
    let mut usage = command.clone();
    let usage = usage.render_usage().to_string();
    let usage = usage
        .strip_prefix("Usage:")
        .unwrap_or(&usage)
        .trim()
        .to_owned();
    let after = command.get_after_help().map(ToString::to_string);
    let has_commands = command.has_subcommands();
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]).text([bold(usage)]);
    synopsis.to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    let (text, examples) = split(after.as_deref().unwrap_or_default());
    let mut details = Roff::new();
    text.iter().for_each(|part| add(&mut details, part));
    details.to_writer(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    if !examples.is_empty() {
        let mut section = Roff::new();
        section.control("SH", ["EXAMPLES"]);
        add(&mut section, &examples);
        section.to_writer(&mut page)?;
    }
    let name = Path::new(&man.get_filename()).to_owned();
    Ok((name, page))
}

/// The parts of a text that empty lines separate, and the lines of its examples.
fn split(text: &str) -> (Vec<String>, String) {
    let mut parts = Vec::new();
    let mut examples = String::new();
    for part in text.split("\n\n") {
        match part.split_once('\n') {
            Some((heading, lines)) if EXAMPLES.contains(&heading) => examples = lines.to_owned(),
            _ => parts.push(part.to_owned()),
        }
    }
    (parts, examples)
}

/// A paragraph, which is filled; or lines that begin with spaces, which stay as they are.
fn add(page: &mut Roff, part: &str) {
    page.control("PP", []);
    if !part.starts_with(' ') {
        page.text([roman(part)]);
        return;
    }
    page.control("nf", []);
    for line in part.lines() {
        page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    page.control("fi", []);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The columns that a page has between its margins, where a terminal has 80.
    const PAGE: usize = 73;

    fn texts() -> Vec<(String, String)> {
        let mut program = Arguments::command();
        program.build();
        let commands = program.get_subcommands().cloned();
        let all = commands.chain([program.clone()]);
        all.filter_map(|command| {
            let after = command.get_after_help()?.to_string();
            Some((command.get_name().to_owned(), after))
        })
        .collect()
    }

    #[test]
    fn nothing_is_broken_by_hand_that_is_broken_again() {
        for (name, text) in texts() {
            let (parts, examples) = split(&text);
            for part in parts {
                let stays = part.starts_with(' ');
                assert!(stays || part.lines().count() == 1, "{name}: {part}");
                let longest = part.lines().map(|line| line.chars().count()).max();
                assert!(!stays || longest.unwrap() <= PAGE + 2, "{name}: {part}");
            }
            for line in examples.lines() {
                assert!(line.chars().count() <= PAGE + 2, "{name}: {line}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page_with_its_examples_as_they_are() {
        let pages = pages_of().unwrap();
        let program = Arguments::command();
        let shown = program.get_subcommands().filter(|it| !it.is_hide_set());
        let commands = shown.count();
        assert_eq!(pages.len(), commands + 1);
        for (name, page) in pages {
            let page = String::from_utf8(page).unwrap();
            assert!(
                page.contains(".SH EXAMPLES\n.PP\n.nf\n"),
                "{name:?}: {page}"
            );
            assert!(!page.contains(".SH EXTRA"), "{name:?}");
        }
    }
}
