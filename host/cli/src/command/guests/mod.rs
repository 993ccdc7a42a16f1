//! `cellblock guests`: what the formatters are, and what they may do.

mod lock;

use std::path::Path;

use super::{Failure, print, print_json};
use crate::arguments::Guests;
use cellblock_build::catalogue::{
    self, Portrait, Says, built_in_portrait, built_in_portraits, foreign_portrait, portrait_of,
};
use cellblock_build::cell::{Runtime, RuntimeOptions, Wall};
use cellblock_build::component::{self, Fetch};
use cellblock_build::contract::{Identifier, KindDescription, Loss, Losses};
use cellblock_build::spec::GuestFile;
use cellblock_build::text::{hexadecimal, human, printable};

/// What is typed in place of a formatter to pin those of a spec.
const LOCK: &str = "lock";

pub(super) fn run(guests: &Guests) -> Result<(), Failure> {
    if guests.guest.as_deref() == Some(Path::new(LOCK)) {
        return lock::run(guests);
    }
    if guests.spec.is_some() || guests.update {
        let why = "a spec and --update belong to `cellblock guests lock`";
        return Err(Failure::usage(why));
    }

    let options = RuntimeOptions {
        cache: cellblock_build::cache_folder(),
        walls: guests.walls(),
        ..RuntimeOptions::default()
    };
    let runtime = Runtime::new(&options).map_err(Failure::failed)?;
    let named = guests.guest.as_ref();
    let built_in = named.and_then(|guest| catalogue::built_in(guest.to_str()?));
    let portraits = match (built_in, named) {
        (Some(guest), _) => vec![built_in_portrait(&runtime, guest)?],
        (None, Some(file)) => return brought(guests, &runtime, file),
        (None, None) => built_in_portraits(&runtime)?,
    };
    show(guests, &portraits)
}

/// Tells of one that is not built in: of a file, or of what a registry or a layout has, and with which digest.
fn brought(guests: &Guests, runtime: &Runtime, file: &Path) -> Result<(), Failure> {
    let named = file.to_str().map(GuestFile::parse).transpose();
    let Some(GuestFile::Oci(reference)) = named.map_err(Failure::usage)? else {
        return show(guests, &[foreign_portrait(runtime, file)?]);
    };
    let found = component::find(&reference, Fetch::Keep);
    let found = found.map_err(|error| match error.is_usage() {
        true => Failure::usage(error),
        false => Failure::failed(error),
    })?;
    let called = found.reference.to_string();
    show(guests, &[portrait_of(runtime, &called, &found.bytes)?])
}

fn show(guests: &Guests, portraits: &[Portrait]) -> Result<(), Failure> {
    if guests.json {
        let portraits: Vec<_> = portraits.iter().map(as_json).collect();
        return print_json(&portraits);
    }
    let texts: Vec<String> = portraits.iter().map(as_text).collect();
    print(&texts.join("\n"))
}

fn as_text(portrait: &Portrait) -> String {
    let file = format!(
        "{}, sha256 {}",
        human(portrait.size),
        hexadecimal(&portrait.digest)
    );
    let walls = format!("  walls         {}", walls(&portrait.wall));
    let mut lines = match &portrait.says {
        Says::Formatter(description) => vec![
            format!(
                "{} {}: {}",
                portrait.name, description.version, description.summary
            ),
            format!("  makes         {}", names(&description.kinds)),
            format!("  identified by {}", identifiers(&description.kinds)),
            format!("  component     {file}"),
            walls,
            format!("  label         at most {} bytes", description.label_limit),
            format!("  cannot store  {}", lacks(description.lacks)),
        ],
        Says::Reader(description) => vec![
            format!(
                "{} {}: {}",
                portrait.name, description.version, description.summary
            ),
            format!("  reads         {}", description.kinds.join(", ")),
            "  is a reader   --reader NAME=FILE has images read by it, and what is read back"
                .to_owned(),
            format!("  component     {file}"),
            walls,
        ],
        Says::Nothing => vec![
            format!("{}: a WASI command", portrait.name),
            format!("  command       {file}"),
            walls,
        ],
    };
    for (index, import) in portrait.imports.iter().enumerate() {
        let heading = if index == 0 { "capabilities" } else { "" };
        lines.push(format!("  {heading:12}  {import}"));
    }
    let options = match &portrait.says {
        Says::Formatter(description) => &description.options[..],
        Says::Reader(_) | Says::Nothing => &[],
    };
    for (index, option) in options.iter().enumerate() {
        let heading = if index == 0 { "options" } else { "" };
        lines.push(format!(
            "  {heading:12}  {}={} (default: {})",
            option.name, option.value, option.default
        ));
        lines.push(format!("  {:12}      {}", "", option.documentation));
    }
    lines
        .iter()
        .map(|line| format!("{}\n", printable(line)))
        .collect()
}

fn names(kinds: &[KindDescription]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| &*kind.name).collect();
    names.join(", ")
}

/// What tells the file systems of a formatter from others: one word where that is the same for all.
fn identifiers(kinds: &[KindDescription]) -> String {
    let word = |kind: &KindDescription| match kind.identifier {
        Identifier::Uuid => "a UUID",
        Identifier::Serial => "a serial number of 32 bits",
        Identifier::None => "nothing",
        Identifier::Untold => "what it does not say",
    };
    match kinds {
        [first, rest @ ..] if rest.iter().all(|kind| word(kind) == word(first)) => {
            word(first).to_owned()
        }
        _ => {
            let each = kinds
                .iter()
                .map(|kind| format!("{}: {}", kind.name, word(kind)));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

fn walls(wall: &Wall) -> String {
    match &wall.missing {
        Some(missing) => format!("{}, without {missing}", wall.wall),
        None => wall.wall.to_string(),
    }
}

fn lacks(losses: Losses) -> String {
    if losses.is_empty() {
        "nothing: it stores all that a tree has".to_owned()
    } else {
        losses.to_string()
    }
}

fn as_json(portrait: &Portrait) -> serde_json::Value {
    let description = match &portrait.says {
        Says::Formatter(description) => description,
        Says::Reader(description) => {
            return serde_json::json!({
                "name": portrait.name,
                "version": description.version,
                "summary": description.summary,
                "reads": description.kinds,
                "size": portrait.size,
                "sha256": hexadecimal(&portrait.digest),
                "capabilities": portrait.imports,
                "wall": portrait.wall.wall,
            });
        }
        Says::Nothing => {
            return serde_json::json!({
                "name": portrait.name,
                "command": true,
                "size": portrait.size,
                "sha256": hexadecimal(&portrait.digest),
                "capabilities": portrait.imports,
                "wall": portrait.wall.wall,
            });
        }
    };
    let names: Vec<&str> = description.kinds.iter().map(|kind| &*kind.name).collect();
    let kinds: Vec<_> = description
        .kinds
        .iter()
        .filter(|kind| kind.is_told())
        .map(|kind| {
            serde_json::json!({
                "name": kind.name,
                "identifier": kind.identifier,
                "capital-labels": kind.capital_labels,
                "compresses": kind.compresses,
                "uefi": kind.uefi,
            })
        })
        .collect();
    let options: Vec<_> = description
        .options
        .iter()
        .map(|option| {
            serde_json::json!({
                "name": option.name,
                "value": option.value,
                "default": option.default,
                "documentation": option.documentation,
            })
        })
        .collect();
    serde_json::json!({
        "name": portrait.name,
        "version": description.version,
        "summary": description.summary,
        "kinds": names,
        "kind-descriptions": kinds,
        "size": portrait.size,
        "sha256": hexadecimal(&portrait.digest),
        "capabilities": portrait.imports,
        "wall": portrait.wall.wall,
        "label-limit": description.label_limit,
        "lacks": description.lacks.iter().map(Loss::name).collect::<Vec<_>>(),
        "options": options,
    })
}
