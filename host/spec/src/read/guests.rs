//! `[guests]`: formatters that somebody brings.

use std::collections::BTreeMap;

use toml::de::DeValue;

use crate::error::{ProblemKind, Within};
use crate::fields::{Fields, parsed};
use crate::value::{ValueError, parse_sha256};
use crate::{GuestFile, GuestSpec};
use cellblock_contract::{Argument, CommandLine, Word};

pub(super) fn guests(fields: &mut Fields<'_, '_>) -> BTreeMap<String, GuestSpec> {
    let mut guests = BTreeMap::new();
    for (name, value) in fields.entries() {
        let within = Within::Guest {
            name: name.to_owned(),
        };
        let guest = match value.get_ref().as_table() {
            Some(table) => {
                let place = fields.at(value);
                let mut inner = fields.inner(table, place, within);
                let file = inner.require("file", "file = \"minix.wasm\"", guest_file);
                let file = file.map(|file| inner.beside(file));
                let sha256 = inner
                    .take("sha256", parsed(parse_sha256))
                    .map(|digest| digest.value);
                let command = command(&mut inner);
                inner.finish();
                file.map(|file| GuestSpec {
                    file,
                    sha256,
                    command,
                })
            }
            None => fields.read(name, value, guest_file).map(|file| GuestSpec {
                file: fields.beside(file),
                sha256: None,
                command: None,
            }),
        };
        guests.extend(guest.map(|guest| (name.to_owned(), guest)));
    }
    guests
}

fn guest_file(value: &DeValue<'_>) -> Result<GuestFile, ValueError> {
    parsed(|text| Ok(GuestFile::parse(text)?))(value)
}

/// How a guest is called: words, and lists of words that stay or go together.
fn command(fields: &mut Fields<'_, '_>) -> Option<CommandLine> {
    let value = fields.get("command")?;
    let place = fields.at(value);
    let read = fields.take_list("command", argument);
    let count = read.len();
    let arguments = read.into_iter().map(|argument| argument.value).collect();
    match CommandLine::new(arguments) {
        Ok(line) => Some(line),
        Err(error) => {
            // With a word that could not be read, that is the problem to show.
            let written = fields
                .get("command")
                .and_then(|value| value.get_ref().as_array());
            if written.is_some_and(|written| written.len() == count) {
                let key = "command".to_owned();
                let error = error.into();
                fields.problem(ProblemKind::Value { key, error }, place);
            }
            None
        }
    }
}

fn argument(value: &DeValue<'_>) -> Result<Argument, ValueError> {
    match value {
        DeValue::Array(words) => {
            let words: Result<_, _> = words.iter().map(|value| word(value.get_ref())).collect();
            words.map(Argument::Group)
        }
        value => word(value).map(Argument::Word),
    }
}

fn word(value: &DeValue<'_>) -> Result<Word, ValueError> {
    parsed(|text| Ok(Word::parse(text)?))(value)
}
