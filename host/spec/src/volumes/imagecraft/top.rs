//! The keys at the top of a project file, which say nothing of the disk and which imagecraft checks all the same.

use toml::de::DeValue;

use super::super::{VolumeFault, is_given, optional};
use super::grammar::Platform;
use super::word;
use crate::Within;
use crate::fields::{Fields, wrong_type};
use crate::value::{ValueError, parse_choice};

/// Keys that may hold anything.
const OTHER_KEYS: [&str; 5] = [
    "package-repositories",
    "contact",
    "issues",
    "source-code",
    "build-slices",
];
/// Keys of words, with the fewest and the most characters.
const WORDS: [(&str, usize, usize); 5] = [
    ("title", 2, 40),
    ("summary", 0, 78),
    ("description", 0, usize::MAX),
    ("adopt-info", 0, usize::MAX),
    ("license", 0, usize::MAX),
];
/// The longest name of a project.
const MOST_NAME: usize = 40;
/// The longest version.
const MOST_VERSION: usize = 32;
const BASES: [(&str, ()); 1] = [("bare", ())];
const BUILD_BASES: [(&str, ()); 6] = [
    ("ubuntu@20.04", ()),
    ("ubuntu@22.04", ()),
    ("ubuntu@24.04", ()),
    ("ubuntu@25.10", ()),
    ("ubuntu@26.04", ()),
    ("devel", ()),
];
/// The architectures that craft-platforms knows.
const ARCHITECTURES: [&str; 7] = [
    "amd64", "arm64", "armhf", "i386", "ppc64el", "riscv64", "s390x",
];
/// What `build-for` may say besides.
const ALL: &str = "all";
/// Names that mean something in choices.
const RESERVED: [&str; 2] = ["any", "*"];

/// Checks the keys at the top; the platforms.
pub(super) fn read(top: &mut Fields<'_, '_>) -> Vec<Platform> {
    for key in OTHER_KEYS {
        top.get(key);
    }
    for (key, least, most) in WORDS {
        optional(top, key, word(|text| of_length(text, least, most)));
    }
    optional(top, "version", word(version));
    top.require("name", "name: my-image", word(project_name));
    top.require("base", "base: bare", |value| {
        word(|text| parse_choice(text, &BASES))(value)
    });
    top.require("build-base", "build-base: ubuntu@24.04", |value| {
        word(|text| parse_choice(text, &BUILD_BASES))(value)
    });
    top.require("parts", "parts: {rootfs: {plugin: nil}}", |value| {
        if value.is_table() {
            Ok(())
        } else {
            Err(wrong_type("a mapping", value))
        }
    });
    platforms(top)
}

fn of_length(text: &str, least: usize, most: usize) -> Result<(), ValueError> {
    let length = text.chars().count();
    if (least..=most).contains(&length) {
        return Ok(());
    }
    Err(ValueError::WrongLength {
        length,
        least,
        most,
    })
}

fn project_name(text: &str) -> Result<(), ValueError> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = text.bytes().all(is_allowed)
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.split('-').all(|part| !part.is_empty());
    if !is_name {
        return Err(ValueError::NotAProjectName {
            text: text.to_owned(),
        });
    }
    of_length(text, 1, MOST_NAME)
}

fn version(text: &str) -> Result<(), ValueError> {
    let is_end = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'~';
    let is_allowed = |byte: u8| is_end(byte) || matches!(byte, b':' | b'.' | b'-');
    let is_version = text.bytes().all(is_allowed)
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().last().is_some_and(is_end);
    if !is_version {
        return Err(ValueError::NotAVersion {
            text: text.to_owned(),
        });
    }
    of_length(text, 1, MOST_VERSION)
}

fn platforms(top: &mut Fields<'_, '_>) -> Vec<Platform> {
    if top
        .require("platforms", "platforms: {amd64: }", |_| Ok(()))
        .is_none()
    {
        return Vec::new();
    }
    let Some(mut platforms) = top.take_table("platforms", Within::Top) else {
        return Vec::new();
    };
    let mut read = Vec::new();
    for (name, value) in platforms.entries() {
        let within = Within::Platform {
            name: name.to_owned(),
        };
        let place = platforms.place_of(name);
        let is_architecture = ARCHITECTURES.contains(&name);
        platforms.set_within(within.clone());
        if RESERVED.contains(&name) || name.contains('/') {
            let fault = VolumeFault::Name {
                name: name.to_owned(),
                rule: "a platform has no `/` in its name, and is not called `any` or `*`",
            };
            platforms.problem(fault.into(), place.clone());
        }
        if value.get_ref().as_str() == Some("") {
            if !is_architecture {
                platforms.problem(unknown(name).into(), place);
                continue;
            }
            read.push(Platform {
                name: name.to_owned(),
                on: name.to_owned(),
                to: name.to_owned(),
            });
            continue;
        }
        let Some(mut fields) = platforms.inner_of(name, value, within) else {
            continue;
        };
        let on = fields.require("build-on", "build-on: [amd64]", build_on);
        let target = if is_architecture && !is_given(&mut fields, "build-for") {
            fields.get("build-for");
            Some(name.to_owned())
        } else {
            fields.require("build-for", "build-for: [amd64]", |value| {
                architectures(value, true)
            });
            optional(&mut fields, "build-for", |value| {
                architectures(value, true).or(Ok(String::new()))
            })
            .map(|target| target.value)
        };
        fields.finish();
        if let (Some(on), Some(to)) = (on, target) {
            read.push(Platform {
                name: name.to_owned(),
                on: on.value,
                to,
            });
        }
    }
    read
}

fn unknown(name: &str) -> VolumeFault {
    VolumeFault::NoArchitecture {
        name: name.to_owned(),
        known: ARCHITECTURES.to_vec(),
    }
}

/// The first architecture to build on, of one or more: what is built must not depend on the machine that builds it.
fn build_on(value: &DeValue<'_>) -> Result<String, ValueError> {
    let DeValue::Array(list) = value else {
        return architectures(value, false);
    };
    let names = list.iter().map(|item| architectures(item.get_ref(), false));
    let names: Vec<String> = names.collect::<Result<_, _>>()?;
    let first = names.into_iter().next();
    first.ok_or_else(|| wrong_type("one architecture or more", value))
}

/// The one architecture of a value, or of a list, perhaps with a base and a colon before it.
fn architectures(value: &DeValue<'_>, may_be_all: bool) -> Result<String, ValueError> {
    let read = |text: &str| {
        let name = text.rsplit_once(':').map_or(text, |(_, name)| name);
        if ARCHITECTURES.contains(&name) || may_be_all && name == ALL {
            Ok(name.to_owned())
        } else {
            Err(ValueError::NotAChoice {
                text: text.to_owned(),
                choices: ARCHITECTURES.to_vec(),
            })
        }
    };
    match value {
        DeValue::Array(list) => {
            let mut items = list.iter();
            match (items.next(), items.next()) {
                (Some(one), None) => word(read)(one.get_ref()),
                _ => Err(wrong_type("one architecture", value)),
            }
        }
        value => word(read)(value),
    }
}
