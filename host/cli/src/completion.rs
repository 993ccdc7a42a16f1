//! What a shell completes: commands, options and files, and what only this program knows: kinds of file systems, what a format
//! may lose, and the names of the partitions of an image or a spec.
//!
//! The script of `cellblock completions SHELL` calls the program with the words that are typed so far, and with a variable that
//! says so. Nothing is written, and whatever cannot be read completes nothing.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::{ArgMatches, Command};
use clap_complete::Shell;
use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter as _, complete};
use clap_complete::env::Shells;

use cellblock_build::catalogue::{built_in, built_in_kinds};
use cellblock_build::cell::{Runtime, RuntimeOptions};
use cellblock_build::contract::{Kinds, Loss};
use cellblock_build::image::formats::described;
use cellblock_build::plan::{Draft, RawLengths};
use cellblock_build::spec::{Choices, Files, Project};
use cellblock_build::table::Partition;
use cellblock_build::tree::volume::Decoders;
use cellblock_build::{OpenedImage, Seen};

/// The variable with the name of the shell that asks.
const VARIABLE: &str = "CELLBLOCK_COMPLETE";
/// The name of the program, as shells find it.
const PROGRAM: &str = "cellblock";
/// Where bash says which word is completed, counted from 0.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";
/// What bash wants between two answers.
const SEPARATOR: &str = "_CLAP_IFS";
/// Makes the definition of the command line anew; set once a shell asks.
static DEFINITION: OnceLock<fn() -> Command> = OnceLock::new();

/// The characters that are words of their own for bash, wherever they stand.
const BREAKS: [&str; 2] = ["=", ":"];

/// Writes the script for a shell.
///
/// # Errors
/// When the output cannot be written.
pub fn write_script(shell: Shell, output: &mut dyn Write) -> io::Result<()> {
    let shells = Shells::builtins();
    let completer = shells
        .completer(&shell.to_string())
        .ok_or_else(|| io::Error::other(format!("{shell} cannot be completed")))?;
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    output.write_all(&script)
}

/// Answers a shell that asks for completions of the command line that `definition` makes; false if none does.
///
/// # Errors
/// When the shell is unknown, or standard output cannot be written.
pub fn answer(definition: fn() -> Command) -> io::Result<bool> {
    let Some(shell) = env::var_os(VARIABLE).filter(|it| !it.is_empty()) else {
        return Ok(false);
    };
    // Nobody has set it before.
    let _ = DEFINITION.set(definition);
    let words = typed();
    let folder = env::current_dir().ok();
    let mut answer = Vec::new();
    if shell == "bash" {
        answer_bash(definition(), words, folder.as_deref(), &mut answer)?;
    } else {
        let shells = Shells::builtins();
        let completer = shell.to_str().and_then(|name| shells.completer(name));
        let completer =
            completer.ok_or_else(|| io::Error::other(format!("{VARIABLE}: no shell {shell:?}")))?;
        completer.write_complete(&mut definition(), words, folder.as_deref(), &mut answer)?;
    }
    io::stdout().write_all(&answer)?;
    Ok(true)
}

/// The words that were typed so far, with the program's name, as the script hands them over.
fn typed() -> Vec<OsString> {
    env::args_os()
        .skip_while(|word| word != "--")
        .skip(1)
        .collect()
}

/// To bash, `NAME=VALUE` is three words, and what it replaces is the last of them.
fn answer_bash(
    mut definition: Command,
    words: Vec<OsString>,
    folder: Option<&Path>,
    answer: &mut dyn Write,
) -> io::Result<()> {
    let index = env::var(INDEX).ok().and_then(|text| text.parse().ok());
    let (words, index, kept) = rejoined(words, index.unwrap_or_default());
    let found = complete(&mut definition, words, index, folder)?;
    let separator = env::var(SEPARATOR).unwrap_or_else(|_| "\n".to_owned());
    let values: Vec<String> = found
        .iter()
        .map(|candidate| candidate.get_value().to_string_lossy().into_owned())
        .filter_map(|value| Some(value.get(kept..)?.to_owned()))
        .collect();
    write!(answer, "{}", values.join(&separator))
}

/// The words with those put together that bash has taken apart, the index of the one that is completed, and how many bytes of
/// that bash keeps as they are.
fn rejoined(words: Vec<OsString>, index: usize) -> (Vec<OsString>, usize, usize) {
    let is_break = |word: &OsString| BREAKS.iter().any(|it| word == it);
    let (mut joined, mut new_index, mut kept) = (Vec::<OsString>::new(), 0, 0);
    let mut follows_break = false;
    for (number, word) in words.into_iter().enumerate() {
        let breaks = is_break(&word);
        let mut before = 0;
        match joined.last_mut() {
            Some(last) if breaks || follows_break => {
                before = last.len();
                // The break itself stays in front of what is completed behind it.
                last.push(&word);
                if breaks {
                    before = last.len();
                }
            }
            _ => joined.push(word),
        }
        follows_break = breaks;
        if number == index {
            (new_index, kept) = (joined.len().saturating_sub(1), before);
        }
    }
    (joined, new_index, kept)
}

/// The kinds of file systems that built-in formatters make.
pub(crate) fn kinds() -> Vec<CompletionCandidate> {
    let told = |kind: &'static str| {
        let by = built_in(kind).map(|guest| format!("made by {}", guest.name));
        CompletionCandidate::new(kind).help(by.map(Into::into))
    };
    built_in_kinds().map(told).collect()
}

/// The same, and files.
pub(crate) fn kind_or_file(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut found = beginning_with(kinds(), current);
    found.extend(PathCompleter::any().complete(current));
    found
}

/// The formats of outputs.
pub(crate) fn formats() -> Vec<CompletionCandidate> {
    let told = |(name, about, _): (&'static str, &'static str, _)| {
        CompletionCandidate::new(name).help(Some(about.into()))
    };
    described().map(told).collect()
}

/// What a format may lose.
pub(crate) fn losses() -> Vec<CompletionCandidate> {
    let told = |loss: &Loss| {
        CompletionCandidate::new(loss.name()).help(Some(loss.documentation().to_owned().into()))
    };
    Loss::ALL.iter().map(told).collect()
}

/// The partitions of the image that was typed: by name, and by number where the name is none or not theirs alone.
pub(crate) fn partitions_of_image(current: &OsStr) -> Vec<CompletionCandidate> {
    let partitions = |image: &PathBuf| {
        let Ok(runtime) = Runtime::new(&RuntimeOptions::default()) else {
            return Vec::new();
        };
        let decoders: Arc<dyn Decoders> = runtime.codecs();
        let opened = OpenedImage::open(image, None, &decoders);
        match opened.map(|image| image.look()) {
            Ok(Ok(Seen::Disk { decoded, .. })) => decoded.table.partitions,
            _ => Vec::new(),
        }
    };
    let partitions = typed_before("image", partitions).unwrap_or_default();
    let is_alone = |name: &str| partitions.iter().filter(|it| it.name == name).count() == 1;
    let told = |partition: &Partition| {
        let name = match &*partition.name {
            name if !name.is_empty() && is_alone(name) => name.to_owned(),
            _ => partition.number.to_string(),
        };
        let what = format!("partition {}, {}", partition.number, partition.kind);
        CompletionCandidate::new(name).help(Some(what.into()))
    };
    beginning_with(partitions.iter().map(told).collect(), current)
}

/// `NAME=` for each partition of the spec that was typed, and files behind it.
pub(crate) fn name_and_source(current: &OsStr) -> Vec<CompletionCandidate> {
    name_and(current, |rest| PathCompleter::any().complete(rest))
}

/// `NAME=` for each partition of the spec that was typed, and what its format may lose behind it.
pub(crate) fn name_and_loss(current: &OsStr) -> Vec<CompletionCandidate> {
    name_and(current, |rest| {
        let rest = rest.to_string_lossy();
        let (typed, last) = match rest.rsplit_once(',') {
            Some((typed, last)) => (format!("{typed},"), last),
            None => (String::new(), &*rest),
        };
        let found = beginning_with(losses(), OsStr::new(last)).into_iter();
        found.map(|it| it.add_prefix(typed.clone())).collect()
    })
}

/// The name of each partition of the spec that was typed.
pub(crate) fn names_in_spec(current: &OsStr) -> Vec<CompletionCandidate> {
    let names = typed_before("spec", |spec: &PathBuf| names_in(spec)).flatten();
    let names = names.unwrap_or_default().into_iter();
    beginning_with(names.map(CompletionCandidate::new).collect(), current)
}

fn name_and(
    current: &OsStr,
    values: impl Fn(&OsStr) -> Vec<CompletionCandidate>,
) -> Vec<CompletionCandidate> {
    let text = current.to_string_lossy();
    if let Some((name, rest)) = text.split_once('=') {
        let found = values(OsStr::new(rest)).into_iter();
        return found.map(|it| it.add_prefix(format!("{name}="))).collect();
    }
    let names = names_in_spec(current).into_iter().map(|it| {
        let mut name = it.get_value().to_owned();
        name.push("=");
        CompletionCandidate::new(name)
    });
    names.collect()
}

fn beginning_with(found: Vec<CompletionCandidate>, current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.as_encoded_bytes();
    let begins = |it: &CompletionCandidate| it.get_value().as_encoded_bytes().starts_with(current);
    found.into_iter().filter(begins).collect()
}

/// What is made of the path that was typed for an argument, `image` or `spec`.
fn typed_before<T>(argument: &str, of: impl FnOnce(&PathBuf) -> T) -> Option<T> {
    let mut words = typed();
    // The word that is being typed may be no argument yet.
    words.pop();
    let definition = DEFINITION.get()?();
    let matches = definition
        .ignore_errors(true)
        .try_get_matches_from(words)
        .ok()?;
    let (_, matches) = matches.subcommand()?;
    let typed: Option<&PathBuf> = known(matches, argument);
    typed.map(of)
}

/// The names of the partitions in a spec.
fn names_in(spec: &Path) -> Option<Vec<String>> {
    let mut files = Files::default();
    files.add(spec, std::fs::read_to_string(spec).ok()?);
    let project = Project::read(&files, &Choices::default()).ok()?;
    // What file systems are has no part in the names of partitions.
    let kinds = Kinds::default();
    let names = project.volumes.iter().filter_map(|volume| {
        let draft = Draft::new(&volume.spec, &kinds, RawLengths::new()).ok()?;
        Some(draft.names())
    });
    Some(names.flatten().collect())
}

fn known<'m>(matches: &'m ArgMatches, argument: &str) -> Option<&'m PathBuf> {
    matches.try_get_one(argument).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(Into::into).collect()
    }

    #[test]
    fn what_bash_takes_apart_is_put_together() {
        let typed = ["cellblock", "build", "--drop", "root", "=", "own"];
        assert_eq!(
            rejoined(words(&typed), 5),
            (
                words(&["cellblock", "build", "--drop", "root=own"]),
                3,
                "root=".len()
            )
        );
        let typed = ["cellblock", "build", "--drop", "root", "="];
        assert_eq!(
            rejoined(words(&typed), 4),
            (
                words(&["cellblock", "build", "--drop", "root="]),
                3,
                "root=".len()
            )
        );
        let typed = ["cellblock", "mkfs", "ex"];
        assert_eq!(rejoined(words(&typed), 2), (words(&typed), 2, 0));
    }
}
