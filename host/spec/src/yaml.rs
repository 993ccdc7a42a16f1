//! YAML, read into the tree of values that TOML is read into too, so that one set of readers serves both.
//!
//! Every scalar becomes a string, as it is written without its quotes: what it means is its reader's business, and a
//! size, a type such as `0C` and a name need no quotes to be told apart. Or else unquoted words are what they are to
//! PyYAML: a number becomes a string with its value, `yes` is true. A value that is left out (`key:`, `~`, `null`)
//! is the empty string. A mapping or a list stands where its first key or item stands.
//!
//! Anchors, aliases and merge keys (`<<`) are followed. What they may multiply a text to is limited, and so is depth.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};
use toml::value::Datetime;

use thiserror::Error;

use super::place::{FileId, Place};
use super::scalar::{Word, resolved};

/// The most values that a text may hold, each use of an alias counted with all that is in it.
const MOST_VALUES: usize = 100_000;
/// The deepest that lists and mappings may lie in one another.
const MOST_DEPTH: usize = 64;
/// The key whose value's entries are taken over (YAML 1.1, "Merge Key").
const MERGE: &str = "<<";

/// Why a text cannot be read, before anybody asks what it says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum YamlFault {
    /// The text is not YAML.
    #[error("not valid YAML: {message}")]
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// There is nothing but comments.
    #[error("there is nothing in this file")]
    Empty,
    /// The text is something else than a mapping.
    #[error("the file must be a mapping: keys with values")]
    NoMapping,
    /// Two documents in one file.
    #[error("a second document begins here, and only one is read")]
    SecondDocument,
    /// A list or a mapping in the place of a key.
    #[error("a key must be a word, not a list or a mapping")]
    KeyIsNoText,
    /// A key for the second time.
    #[error("the key `{key}` is there twice")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it stands for the first time.
        first: Place,
    },
    /// What looks like a value, and is none to PyYAML.
    #[error("PyYAML makes nothing of `{word}` without quotes")]
    NoValue {
        /// The word.
        word: String,
    },
    /// An alias that nothing is anchored by.
    #[error("nothing before this has that anchor")]
    UnknownAnchor,
    /// A merge key with something else than mappings.
    #[error("`<<` takes over the keys of a mapping, or of a list of them, and this is none")]
    MergeOfNoMapping,
    /// Lists and mappings are nested too deep.
    #[error("lists and mappings are nested deeper than {most}")]
    TooDeep {
        /// The deepest that is read.
        most: usize,
    },
    /// More values than anybody writes, as aliases of aliases make them.
    #[error("with its aliases followed, the file has more than {most} values")]
    TooManyValues {
        /// The most that is read.
        most: usize,
    },
}

impl YamlFault {
    /// Where its other half stands.
    pub(super) fn related(&self) -> Option<Place> {
        match self {
            Self::DuplicateKey { first, .. } => Some(first.clone()),
            _ => None,
        }
    }
}

/// Why a text cannot be read, and where it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) value: YamlFault,
    pub(super) place: Place,
}

type Value<'text> = Spanned<DeValue<'text>>;

/// What unquoted words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Words {
    /// Strings, which is what Go's decoder makes of them where a string is asked for.
    AsWritten,
    /// What PyYAML takes them for; keys stay as they are written.
    Python,
}

/// Reads a text of one document, which is a mapping.
///
/// # Errors
/// The first problem: it is no YAML, or more of it than is allowed, or a key is there twice.
pub(super) fn parse(source: &str, words: Words) -> Result<DeTable<'_>, Problem> {
    let mut builder = Builder::new(source, words);
    let mut parser = Parser::new_from_str(source);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.syntax(&error))?;
        builder.event(event, span)?;
    }
    let Some(document) = builder.document else {
        return Err(problem(YamlFault::Empty, 0..0));
    };
    let place = document.span();
    match document.into_inner() {
        DeValue::Table(table) => Ok(table),
        _ => Err(problem(YamlFault::NoMapping, place)),
    }
}

/// A place in the text, which is that of the first file: what is read beside it is no YAML.
fn in_first_file(range: Range<usize>) -> Place {
    Place {
        file: FileId::default(),
        range,
    }
}

fn problem(fault: YamlFault, range: Range<usize>) -> Problem {
    Problem {
        value: fault,
        place: in_first_file(range),
    }
}

/// How much there is of a value.
#[derive(Clone, Copy)]
struct Bulk {
    /// How many values it consists of, itself among them.
    values: usize,
    /// How many lists and mappings lie in one another in it.
    height: usize,
}

impl Bulk {
    const SCALAR: Self = Self {
        values: 1,
        height: 0,
    };
}

/// A list or a mapping that has begun and not ended.
struct Open<'text> {
    place: Range<usize>,
    anchor: usize,
    /// What there is of it so far.
    bulk: Bulk,
    inside: Inside<'text>,
}

enum Inside<'text> {
    List(DeArray<'text>),
    Mapping {
        table: DeTable<'text>,
        key: Key<'text>,
        merged: Vec<Value<'text>>,
    },
}

/// The key whose value comes next.
enum Key<'text> {
    Awaited,
    Named(Spanned<DeString<'text>>),
    Merge,
}

struct Builder<'text> {
    words: Words,
    /// Where each character begins, in bytes, and where the text ends: the parser counts characters.
    characters: Vec<usize>,
    open: Vec<Open<'text>>,
    /// What an anchor names.
    anchors: BTreeMap<usize, (Value<'text>, Bulk)>,
    counted: usize,
    document: Option<Value<'text>>,
}

impl<'text> Builder<'text> {
    fn new(source: &str, words: Words) -> Self {
        let characters = source.char_indices().map(|(place, _)| place);
        Self {
            words,
            characters: characters.chain([source.len()]).collect(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            counted: 0,
            document: None,
        }
    }

    fn event(&mut self, event: Event<'text>, span: Span) -> Result<(), Problem> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_merge = style == ScalarStyle::Plain && text == MERGE;
                let value = match self.words {
                    Words::Python if tag.is_none() && !self.awaits_key() => {
                        python(text, style).map_err(|fault| problem(fault, place.clone()))?
                    }
                    _ => DeValue::String(scalar(text, style)),
                };
                self.count(Bulk::SCALAR, &place)?;
                self.value(Spanned::new(place, value), anchor, Bulk::SCALAR, is_merge)
            }
            Event::SequenceStart(anchor, _) => {
                self.begin(place, anchor, Inside::List(DeArray::new()))
            }
            Event::MappingStart(anchor, _) => {
                let mapping = Inside::Mapping {
                    table: DeTable::new(),
                    key: Key::Awaited,
                    merged: Vec::new(),
                };
                self.begin(place, anchor, mapping)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some((value, bulk)) = self.anchors.get(&anchor).cloned() else {
                    return Err(problem(YamlFault::UnknownAnchor, place));
                };
                self.count(bulk, &place)?;
                self.value(value, 0, bulk, false)
            }
            Event::DocumentStart(_) if self.document.is_some() => {
                Err(problem(YamlFault::SecondDocument, place))
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    /// Whether what comes next is a key.
    fn awaits_key(&self) -> bool {
        self.open.last().is_some_and(|open| {
            matches!(
                open.inside,
                Inside::Mapping {
                    key: Key::Awaited,
                    ..
                }
            )
        })
    }

    fn begin(
        &mut self,
        place: Range<usize>,
        anchor: usize,
        inside: Inside<'text>,
    ) -> Result<(), Problem> {
        let bulk = Bulk {
            values: 1,
            height: 1,
        };
        self.count(bulk, &place)?;
        self.open.push(Open {
            place,
            anchor,
            bulk,
            inside,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let (value, first) = match open.inside {
            Inside::List(list) => {
                let first = list.iter().next().map(Spanned::span);
                (DeValue::Array(list), first)
            }
            Inside::Mapping { table, merged, .. } => {
                let keys = table.keys().map(Spanned::span);
                let first = keys.min_by_key(|place| place.start);
                (DeValue::Table(merge(table, merged)?), first)
            }
        };
        let place = first.unwrap_or(open.place);
        self.value(Spanned::new(place, value), open.anchor, open.bulk, false)
    }

    /// Puts a value that is complete where it belongs.
    fn value(
        &mut self,
        value: Value<'text>,
        anchor: usize,
        bulk: Bulk,
        is_merge: bool,
    ) -> Result<(), Problem> {
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), bulk));
        }
        let Some(open) = self.open.last_mut() else {
            self.document = Some(value);
            return Ok(());
        };
        open.bulk.values += bulk.values;
        open.bulk.height = open.bulk.height.max(bulk.height + 1);
        match &mut open.inside {
            Inside::List(list) => list.push(value),
            Inside::Mapping { table, key, merged } => match std::mem::replace(key, Key::Awaited) {
                Key::Awaited if is_merge => *key = Key::Merge,
                Key::Awaited => *key = Key::Named(new_key(table, value)?),
                Key::Merge => merged.push(value),
                Key::Named(key) => {
                    table.insert(key, value);
                }
            },
        }
        Ok(())
    }

    /// Refuses a value that is too much, where it is to be put.
    fn count(&mut self, bulk: Bulk, place: &Range<usize>) -> Result<(), Problem> {
        self.counted = self.counted.saturating_add(bulk.values);
        let kind = if self.counted > MOST_VALUES {
            YamlFault::TooManyValues { most: MOST_VALUES }
        } else if self.open.len() + bulk.height > MOST_DEPTH {
            YamlFault::TooDeep { most: MOST_DEPTH }
        } else {
            return Ok(());
        };
        Err(problem(kind, place.clone()))
    }

    fn place(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start);
        start..self.byte(span.end).max(start)
    }

    fn byte(&self, marker: Marker) -> usize {
        let end = self.characters.last().copied().unwrap_or(0);
        self.characters.get(marker.index()).copied().unwrap_or(end)
    }

    fn syntax(&self, error: &saphyr_parser::ScanError) -> Problem {
        let at = self.byte(*error.marker());
        let message = error.info().to_owned();
        problem(YamlFault::Syntax { message }, at..at)
    }
}

/// A scalar as PyYAML has it.
fn python(text: Cow<'_, str>, style: ScalarStyle) -> Result<DeValue<'_>, YamlFault> {
    let word = match style {
        ScalarStyle::Plain => resolved(&text),
        _ => Word::Text,
    };
    Ok(match word {
        Word::Number(number) => DeValue::String(Cow::Owned(number)),
        Word::Boolean(value) => DeValue::Boolean(value),
        Word::Nothing => {
            return Err(YamlFault::NoValue {
                word: text.into_owned(),
            });
        }
        Word::Date => DeValue::Datetime(Datetime {
            date: None,
            time: None,
            offset: None,
        }),
        Word::Text => DeValue::String(scalar(text, style)),
    })
}

/// A scalar without its quotes; one that means "no value" is empty.
fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> DeString<'_> {
    let absent = ["~", "null", "Null", "NULL"];
    if style == ScalarStyle::Plain && absent.contains(&&*text) {
        return Cow::Borrowed("");
    }
    text
}

/// A value in the place of a key: a scalar that is not there yet.
fn new_key<'text>(
    table: &DeTable<'text>,
    value: Value<'text>,
) -> Result<Spanned<DeString<'text>>, Problem> {
    let place = value.span();
    let DeValue::String(text) = value.into_inner() else {
        return Err(problem(YamlFault::KeyIsNoText, place));
    };
    let key = Spanned::new(place.clone(), text);
    if let Some((first, _)) = table.get_key_value(&key) {
        let first = in_first_file(first.span());
        let key = key.into_inner().into_owned();
        return Err(problem(YamlFault::DuplicateKey { key, first }, place));
    }
    Ok(key)
}

/// The table with the entries of those that are merged into it, of which an earlier one wins.
fn merge<'text>(
    mut table: DeTable<'text>,
    merged: Vec<Value<'text>>,
) -> Result<DeTable<'text>, Problem> {
    let flat = merged.into_iter().flat_map(|value| {
        let place = value.span();
        match value.into_inner() {
            DeValue::Array(list) => list.into_iter().collect(),
            other => vec![Spanned::new(place, other)],
        }
    });
    for value in flat {
        let place = value.span();
        let DeValue::Table(other) = value.into_inner() else {
            return Err(problem(YamlFault::MergeOfNoMapping, place));
        };
        for (key, value) in other {
            if !table.contains_key(&key) {
                table.insert(key, value);
            }
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// The values of a text with the text at their places, depth first.
    fn shown(source: &str) -> Vec<(String, String)> {
        fn show(value: &Value<'_>, source: &str, shown: &mut Vec<(String, String)>) {
            let place = &source[value.span()];
            match value.get_ref() {
                DeValue::String(text) => shown.push((text.to_string(), place.to_owned())),
                DeValue::Array(list) => list.iter().for_each(|item| show(item, source, shown)),
                DeValue::Table(table) => {
                    for (key, value) in table {
                        shown.push((key.get_ref().to_string(), source[key.span()].to_owned()));
                        show(value, source, shown);
                    }
                }
                other => panic!("{other:?} is not made"),
            }
        }
        let table = parse(source, Words::AsWritten).unwrap();
        let mut values = Vec::new();
        let whole = Spanned::new(0..source.len(), DeValue::Table(table));
        show(&whole, source, &mut values);
        values
    }

    fn fault(source: &str) -> (YamlFault, String) {
        let problem = parse(source, Words::AsWritten).unwrap_err();
        let place = source
            .get(problem.place.range.clone())
            .unwrap_or("?")
            .to_owned();
        (problem.value, place)
    }

    #[test]
    fn every_value_has_its_place() {
        let source = "# ä comment 😀\r\nname: über  # ünder\r\nlist: [a, 'b c', \"d\\te\"]\r\nsize: 3G\r\n\
                      text: |\r\n  line\r\nnothing:\r\ntilde: ~\r\nquoted: '~'\r\n";
        let values = shown(source);
        for (value, place) in [
            ("name", "name"),
            ("über", "über"),
            ("a", "a"),
            ("b c", "'b c'"),
            ("d\te", "\"d\\te\""),
            ("3G", "3G"),
            ("~", "'~'"),
        ] {
            assert!(
                values.contains(&(value.to_owned(), place.to_owned())),
                "{value} at {place}: {values:?}"
            );
        }
        let empty = values.iter().filter(|(value, _)| value.is_empty()).count();
        assert_eq!(empty, 2, "{values:?}");
    }

    #[test]
    fn aliases_and_merges_are_followed() {
        let source = "base: &base {size: 1M, type: '83'}\none: {<<: *base, size: 2M}\n\
                      two: {<<: [{type: 0C}, *base]}\n";
        let table = parse(source, Words::AsWritten).unwrap();
        let get = |outer: &str, inner: &str| {
            let table = table.get(outer).unwrap().get_ref().as_table().unwrap();
            table
                .get(inner)
                .unwrap()
                .get_ref()
                .as_str()
                .unwrap()
                .to_owned()
        };
        assert_eq!(
            (get("one", "size"), get("one", "type")),
            ("2M".into(), "83".into())
        );
        assert_eq!(
            (get("two", "size"), get("two", "type")),
            ("1M".into(), "0C".into())
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_at_its_place() {
        let duplicate = YamlFault::DuplicateKey {
            key: "a".to_owned(),
            first: in_first_file(0..1),
        };
        for (source, expected, place) in [
            ("a: 1\nb: 2\n'a': 3\n", duplicate, "'a'"),
            ("", YamlFault::Empty, ""),
            ("# nothing\n", YamlFault::Empty, ""),
            ("- a\n", YamlFault::NoMapping, "a"),
            ("a: 1\n---\nb: 2\n", YamlFault::SecondDocument, "---"),
            ("[a]: 1\n", YamlFault::KeyIsNoText, "a"),
            ("<<: 5\n", YamlFault::MergeOfNoMapping, "5"),
        ] {
            assert_eq!(fault(source), (expected, place.to_owned()), "{source}");
        }
        assert!(matches!(fault("a: [").0, YamlFault::Syntax { .. }));
        assert!(matches!(fault("a: *b").0, YamlFault::Syntax { .. }));
    }

    #[test]
    fn aliases_of_aliases_do_not_fill_the_memory() {
        let mut source = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            source += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
        }
        assert!(matches!(
            fault(&source).0,
            YamlFault::TooManyValues { most: MOST_VALUES }
        ));
        let mut deep = "a0: &a0 [x]\n".to_owned();
        for level in 1..200 {
            deep += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
        }
        assert!(matches!(fault(&deep).0, YamlFault::TooDeep { .. }));
        let brackets = format!("a: {}", "[".repeat(100_000));
        assert!(parse(&brackets, Words::AsWritten).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let source = String::from_utf8_lossy(&bytes);
            let _ = parse(&source, Words::Python);
        }

        #[test]
        fn random_signs_never_panic(signs in prop::collection::vec(
            prop::sample::select(&["a", ":", " ", "\n", "- ", "[", "]", "{", "}", "&a", "*a", "<<: ", "'", "\"", "|", ">", "# ", "---", "ä", "\t", "!", "%", "?", ",", "\r"][..]),
            0..60,
        )) {
            let source = signs.concat();
            if let Ok(table) = parse(&source, Words::AsWritten) {
                for key in table.keys() {
                    prop_assert!(source.get(key.span()).is_some());
                }
            }
        }
    }
}
