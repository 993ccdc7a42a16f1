//! The keys at the top of a project file, which say nothing of the disk and which imagecraft checks all the same.

use toml::de::DeValue;

use super::super::{VolumeFault, is_given, optional};
use super::grammar::Platform;
use super::word;
use crate::Within;
use crate::fields::{Fields, wrong_type};
use crate::value::{ValueError, parse_choice};

/// Keys that may be there.
const OTHER_KEYS: [&str; 11] = [
    "title",
    "version",
    "summary",
    "description",
    "package-repositories",
    "adopt-info",
    "license",
    "contact",
    "issues",
    "source-code",
    "build-slices",
];
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
    top.require("name", "name: my-image", |value| {
        word(|text| Ok(text.to_owned()))(value)
    });
    top.require("base", "base: bare", |value| {
        word(|text| parse_choice(text, &BASES))(value)
    });
    top.require("build-base", "build-base: ubuntu@24.04", |value| {
        word(|text| parse_choice(text, &BUILD_BASES))(value)
    });
    top.require("parts", "parts: {rootfs: {plugin: nil}}", |value| {
        if value.is_table() || value.as_str() == Some("") {
            Ok(())
        } else {
            Err(wrong_type("a mapping", value))
        }
    });
    platforms(top)
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
        let on = fields.require("build-on", "build-on: [amd64]", |value| {
            architectures(value, false)
        });
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
