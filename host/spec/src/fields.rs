//! A table of the spec, taken key by key; what is left over is unknown.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Problem, ProblemKind, SpecError, Within};
use super::guest::GuestFile;
use super::place::{Files, Place, Placed};
use super::value::ValueError;
use cellblock_contract::Loss;
use cellblock_text::nearest;

/// The files that are read, and what is wrong with them so far.
pub(super) struct Findings<'text> {
    pub(super) files: &'text Files,
    pub(super) problems: Vec<Problem>,
}

impl<'text> Findings<'text> {
    pub(super) fn new(files: &'text Files) -> Self {
        Self {
            files,
            problems: Vec::new(),
        }
    }

    /// What was read, unless something is wrong with it.
    pub(super) fn none_or<T>(mut self, read: T) -> Result<T, SpecError> {
        if self.problems.is_empty() {
            return Ok(read);
        }
        self.problems
            .sort_by_key(|problem| (problem.place.file, problem.place.range.start));
        Err(SpecError {
            problems: self.problems,
        })
    }
}

/// The keys of one table, and the problems found so far in the whole spec.
pub(super) struct Fields<'a, 'text> {
    table: &'a DeTable<'text>,
    /// Where the table stands.
    pub(super) place: Place,
    within: Within,
    known: Vec<&'static str>,
    /// Whether keys that nobody asked for are left alone.
    allows_others: bool,
    /// How many problems there were before this table.
    found_before: usize,
    findings: &'a mut Findings<'text>,
}

impl<'a, 'text> Fields<'a, 'text> {
    pub(super) fn new(
        table: &'a DeTable<'text>,
        place: Place,
        within: Within,
        findings: &'a mut Findings<'text>,
    ) -> Self {
        Self {
            table,
            place,
            within,
            known: Vec::new(),
            allows_others: false,
            found_before: findings.problems.len(),
            findings,
        }
    }

    /// The value of a key as it stands in the file, and its place; the key is known from here on.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'text>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map(|(_, value)| value)
    }

    /// The value of a key, read by `read`; a value that cannot be read is a problem.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, ValueError>,
    ) -> Option<Placed<T>> {
        let value = self.get(key)?;
        self.read(key, value, read)
    }

    /// The value of a key that must be there; `example` shows how to write it.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        example: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, ValueError>,
    ) -> Option<Placed<T>> {
        let Some(value) = self.get(key) else {
            self.problem(ProblemKind::MissingKey { key, example }, self.place.clone());
            return None;
        };
        self.read(key, value, read)
    }

    /// The elements of the array under a key, each read by `read`.
    pub(super) fn take_list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Result<T, ValueError>,
    ) -> Vec<Placed<T>> {
        self.array(key, "an array of values")
            .into_iter()
            .filter_map(|value| self.read(key, value, &read))
            .collect()
    }

    /// The tables of the array under a key, each read by `read`, which gets its place in the array.
    pub(super) fn take_tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(usize, &mut Fields<'_, 'text>) -> Option<T>,
    ) -> Vec<T> {
        let values = self.array(key, "an array of tables");
        let tables = values.into_iter().enumerate().filter_map(|(index, value)| {
            let table = self.table_of(key, value)?;
            let place = self.at(value);
            let mut fields = Fields::new(table, place, self.within.clone(), &mut *self.findings);
            let read = read(index, &mut fields);
            fields.finish();
            read
        });
        tables.collect()
    }

    /// The table under a key, or nothing.
    pub(super) fn take_table<'b>(
        &'b mut self,
        key: &'static str,
        within: Within,
    ) -> Option<Fields<'b, 'text>>
    where
        'a: 'b,
    {
        let value = self.get(key)?;
        let table = self.table_of(key, value)?;
        let place = self.at(value);
        Some(Fields::new(table, place, within, &mut *self.findings))
    }

    /// Every key of a table whose keys are free, in the order of the file; all of them are known.
    pub(super) fn entries(&self) -> Vec<(&'a str, &'a Spanned<DeValue<'text>>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| (key, (&**key.get_ref(), value)))
            .collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Where a key stands, or else the table.
    pub(super) fn place_of(&self, key: &str) -> Place {
        let found = self.table.keys().find(|name| name.get_ref() == key);
        found.map_or(self.place.clone(), |key| self.at(key))
    }

    /// Where a value or a key stands.
    pub(super) fn at<T>(&self, value: &Spanned<T>) -> Place {
        self.findings.files.place(value.span())
    }

    /// What is written for a value.
    pub(super) fn source<T>(&self, value: &Spanned<T>) -> &'text str {
        let place = self.at(value);
        let text = self.findings.files.text(place.file);
        text.get(place.range).unwrap_or_default()
    }

    /// The path under a key; a relative one starts from the folder of the file that it is in.
    pub(super) fn take_path(&mut self, key: &'static str) -> Option<Placed<PathBuf>> {
        let value = self.get(key)?;
        self.read_path(key, value)
    }

    /// The path that is the value of a key.
    pub(super) fn read_path(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Placed<PathBuf>> {
        let path = self.read(key, value, text)?;
        Some(Placed {
            value: self.resolved(&path),
            place: path.place,
        })
    }

    /// The path that must be there; `example` shows how to write it.
    pub(super) fn require_path(
        &mut self,
        key: &'static str,
        example: &'static str,
    ) -> Option<Placed<PathBuf>> {
        let path = self.require(key, example, text)?;
        Some(Placed {
            value: self.resolved(&path),
            place: path.place,
        })
    }

    /// A path as the host opens it.
    pub(super) fn resolved(&self, path: &Placed<String>) -> PathBuf {
        let file = self.findings.files.path(path.place.file);
        file.parent().map_or_else(
            || PathBuf::from(&path.value),
            |folder| folder.join(&path.value),
        )
    }

    /// A guest whose relative path starts from the folder of the file that it is in.
    pub(super) fn beside(&self, guest: Placed<GuestFile>) -> Placed<GuestFile> {
        let file = self.findings.files.path(guest.place.file);
        let folder = file.parent().unwrap_or(Path::new(""));
        Placed {
            value: guest.value.within(folder),
            place: guest.place,
        }
    }

    /// What errors call the table.
    pub(super) fn within(&self) -> Within {
        self.within.clone()
    }

    /// The keys of the same table under another name for errors.
    pub(super) fn set_within(&mut self, within: Within) {
        self.within = within;
    }

    /// Leaves keys that nobody asks for alone.
    pub(super) fn allow_others(&mut self) {
        self.allows_others = true;
    }

    /// The fields of the table that is the value of a free key, which anything else is a problem for.
    pub(super) fn inner_of<'b>(
        &'b mut self,
        key: &str,
        value: &'b Spanned<DeValue<'text>>,
        within: Within,
    ) -> Option<Fields<'b, 'text>> {
        let table = self.table_of(key, value)?;
        let place = self.at(value);
        Some(self.inner(table, place, within))
    }

    /// The fields of a table that is the value of a free key.
    pub(super) fn inner<'b>(
        &'b mut self,
        table: &'b DeTable<'text>,
        place: Place,
        within: Within,
    ) -> Fields<'b, 'text> {
        Fields::new(table, place, within, &mut *self.findings)
    }

    /// Reads a value; one that cannot be read is a problem.
    pub(super) fn read<T>(
        &mut self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, ValueError>,
    ) -> Option<Placed<T>> {
        match read(value.get_ref()) {
            Ok(read) => Some(Placed {
                value: read,
                place: self.at(value),
            }),
            Err(error) => {
                self.problem(
                    ProblemKind::Value {
                        key: key.to_owned(),
                        error,
                    },
                    self.at(value),
                );
                None
            }
        }
    }

    /// Notes a problem.
    pub(super) fn problem(&mut self, kind: ProblemKind, place: Place) {
        self.findings.problems.push(Problem {
            kind,
            place,
            within: self.within.clone(),
        });
    }

    /// Ends the table: every key that nobody asked for is a problem. One that is spelled like a key that is missing is one
    /// mistake, and no second one.
    pub(super) fn finish(self) {
        let (mut meant, mut unknown) = (Vec::new(), Vec::new());
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref();
            if self.allows_others || self.known.contains(&name) {
                continue;
            }
            let nearest = nearest(name, self.known.iter().copied());
            if let Some(known) = nearest
                && !meant.contains(&known)
            {
                meant.push(known);
            }
            let kind = ProblemKind::UnknownKey {
                key: name.to_owned(),
                nearest,
                known: self.known.clone(),
            };
            let place = self.at(key);
            unknown.push(Problem {
                kind,
                place,
                within: self.within.clone(),
            });
        }
        // Once for all of them: a table may have any number of keys.
        if !meant.is_empty() {
            let of_this = self.findings.problems.split_off(self.found_before);
            let is_second = |it: &Problem| meant.iter().any(|known| it.kind.is_lack_of(known));
            let others = of_this.into_iter().filter(|it| !is_second(it));
            self.findings.problems.extend(others);
        }
        self.findings.problems.extend(unknown);
    }

    /// The elements of the array under a key.
    pub(super) fn array(
        &mut self,
        key: &'static str,
        expected: &'static str,
    ) -> Vec<&'a Spanned<DeValue<'text>>> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        match value.get_ref() {
            DeValue::Array(array) => array.iter().collect(),
            other => {
                let error = wrong_type(expected, other);
                self.problem(
                    ProblemKind::Value {
                        key: key.to_owned(),
                        error,
                    },
                    self.at(value),
                );
                Vec::new()
            }
        }
    }

    fn table_of<'b>(
        &mut self,
        key: &str,
        value: &'b Spanned<DeValue<'text>>,
    ) -> Option<&'b DeTable<'text>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            let error = wrong_type("a table", value.get_ref());
            self.problem(
                ProblemKind::Value {
                    key: key.to_owned(),
                    error,
                },
                self.at(value),
            );
        }
        table
    }
}

/// The error for a value of another type than `expected`.
pub(super) fn wrong_type(expected: &'static str, found: &DeValue<'_>) -> ValueError {
    let found = match found {
        DeValue::String(text) if text.is_empty() => "empty",
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    ValueError::WrongType { expected, found }
}

/// A string, read further by `parse`.
pub(super) fn parsed<T>(
    parse: impl Fn(&str) -> Result<T, ValueError>,
) -> impl Fn(&DeValue<'_>) -> Result<T, ValueError> {
    move |value| match value {
        DeValue::String(text) => parse(text),
        other => Err(wrong_type("a string", other)),
    }
}

/// A string that is not empty.
pub(super) fn text(value: &DeValue<'_>) -> Result<String, ValueError> {
    parsed(|text| {
        if text.is_empty() {
            Err(ValueError::Empty)
        } else {
            Ok(text.to_owned())
        }
    })(value)
}

/// `true` or `false`.
pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, ValueError> {
    value
        .as_bool()
        .ok_or_else(|| wrong_type("true or false", value))
}

/// An integer from `least` to `most`.
pub(super) fn integer(value: &DeValue<'_>, least: u64, most: u64) -> Result<u64, ValueError> {
    let DeValue::Integer(integer) = value else {
        return Err(wrong_type("an integer", value));
    };
    u64::from_str_radix(integer.as_str(), integer.radix())
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| ValueError::OutOfRange {
            text: integer.to_string(),
            least,
            most,
        })
}

/// The name of a loss.
pub(super) fn loss(value: &DeValue<'_>) -> Result<Loss, ValueError> {
    parsed(crate::value::parse_loss)(value)
}
