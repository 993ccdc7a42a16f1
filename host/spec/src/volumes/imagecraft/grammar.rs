//! Lists that choose by the platform: `- for amd64: […]`, `- on amd64 to arm64: […]`, `- else: […]`.
//!
//! What is chosen takes the place of the choice before anything is read, as in craft-grammar: entries of lists in the order
//! of the file, an `else` for the choice before it. A list without choices stays as it is.

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::super::VolumeFault;
use crate::Within;
use crate::error::Problem;
use crate::place::Files;

/// The platform that is built for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    /// Its name, which `for` asks for.
    pub(crate) name: String,
    /// The architecture that is built on, which `on` asks for.
    pub(crate) on: String,
    /// The architecture that is built for, which `to` asks for.
    pub(crate) to: String,
}

/// The name that every platform has besides its own.
const ANY: &str = "any";
/// What an item is that fails unless something before it was chosen.
const ELSE_FAIL: &str = "else fail";

/// What a key of an item asks for.
enum Clause {
    /// It is chosen, or not.
    If(bool),
    /// It is chosen if the one before is not.
    Else,
}

/// Whether a key makes a choice.
pub(super) fn chooses(key: &str) -> bool {
    key == "else"
        || key == "try"
        || ["for ", "on ", "to "]
            .iter()
            .any(|word| key.starts_with(word))
}

impl Platform {
    fn clause(&self, key: &str) -> Option<Clause> {
        let one = |selectors: &str, wanted: &str| selectors.trim() == wanted;
        if key == "else" {
            return Some(Clause::Else);
        }
        if key == "try" {
            return Some(Clause::If(true));
        }
        if let Some(name) = key.strip_prefix("for ") {
            return Some(Clause::If(one(name, &self.name) || one(name, ANY)));
        }
        if let Some(to) = key.strip_prefix("to ") {
            return Some(Clause::If(one(to, &self.to)));
        }
        let on = key.strip_prefix("on ")?.trim();
        Some(Clause::If(match on.split_once(char::is_whitespace) {
            Some((on, to)) => {
                let to = to.trim().strip_prefix("to ").unwrap_or_default();
                one(on, &self.on) && one(to, &self.to)
            }
            None => one(on, &self.on),
        }))
    }

    /// Chooses in `volumes: VOLUME: structure` and in `filesystems: default`.
    pub(crate) fn choose<'text>(&self, table: &mut DeTable<'text>, files: &Files) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut choose = |value: &mut DeValue<'text>| {
            if let DeValue::Array(list) = value {
                let items = std::mem::replace(list, DeArray::new());
                *list = self.chosen(items, files, &mut problems);
            }
        };
        for (key, value) in table.iter_mut() {
            let DeValue::Table(inner) = value.get_mut() else {
                continue;
            };
            match &**key.get_ref() {
                "volumes" => {
                    let volumes =
                        inner
                            .iter_mut()
                            .filter_map(|(_, volume)| match volume.get_mut() {
                                DeValue::Table(volume) => Some(volume),
                                _ => None,
                            });
                    for volume in volumes {
                        let lists = volume
                            .iter_mut()
                            .filter(|(key, _)| &**key.get_ref() == "structure");
                        lists.for_each(|(_, list)| choose(list.get_mut()));
                    }
                }
                "filesystems" => inner
                    .iter_mut()
                    .for_each(|(_, list)| choose(list.get_mut())),
                _ => {}
            }
        }
        problems
    }

    fn chosen<'text>(
        &self,
        items: DeArray<'text>,
        files: &Files,
        problems: &mut Vec<Problem>,
    ) -> DeArray<'text> {
        let mut chosen = DeArray::new();
        // Whether the choice before has been made; `None` where there is none before.
        let mut made: Option<bool> = None;
        for item in items {
            let place = item.span();
            let table = match item.into_inner() {
                DeValue::Table(table) if table.keys().any(|key| chooses(key.get_ref())) => table,
                DeValue::String(text) if text == ELSE_FAIL => {
                    if made == Some(false) {
                        problems.push(self.problem(VolumeFault::ElseFail, files.place(place)));
                    }
                    made = None;
                    continue;
                }
                other => {
                    made = None;
                    chosen.push(Spanned::new(place, other));
                    continue;
                }
            };
            for (key, value) in table {
                let taken = match (self.clause(key.get_ref()), made) {
                    (Some(Clause::If(holds)), _) => {
                        made = Some(holds);
                        holds
                    }
                    (Some(Clause::Else), Some(before)) => {
                        made = Some(true);
                        !before
                    }
                    (Some(Clause::Else) | None, _) => {
                        let key = key.get_ref().to_string();
                        let fault = VolumeFault::NoChoice { key };
                        problems.push(self.problem(fault, files.place(place.clone())));
                        false
                    }
                };
                if taken {
                    let place = value.span();
                    let items = match value.into_inner() {
                        DeValue::Array(items) => items,
                        other => {
                            let mut one = DeArray::new();
                            one.push(Spanned::new(place, other));
                            one
                        }
                    };
                    for item in self.chosen(items, files, problems) {
                        chosen.push(item);
                    }
                }
            }
        }
        chosen
    }

    fn problem(&self, fault: VolumeFault, place: crate::Place) -> Problem {
        Problem {
            kind: fault.into(),
            place,
            within: Within::Platform {
                name: self.name.clone(),
            },
        }
    }
}
