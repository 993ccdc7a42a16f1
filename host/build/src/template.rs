//! Templates: texts in which `{{ partition.root.uuid }}` stands for what that is.
//!
//! A placeholder begins and ends on one line. `{{{{` stands for two braces.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::named_file;
use crate::plan::{Fact, Facts};
use cellblock_spec::diagnostic::{Diagnostic, render as draw};
use cellblock_spec::{Files, Place, Template};
use cellblock_text::nearest;
use cellblock_tree::source::{Source, What};

/// The most bytes of a template.
const LARGEST: u64 = 16 << 20;
const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// Why a template cannot be filled in.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("{}: {why}", file.display())]
    Read {
        /// The template.
        file: PathBuf,
        /// What the system says.
        why: String,
    },
    /// They ask for other values than when the order of the work was decided.
    #[error("a template was changed during the build: build again when nothing writes to it")]
    Changed,
    /// Placeholders that cannot be filled in.
    #[error("{}", Faults(.file, .text, .faults))]
    Placeholders {
        /// The template.
        file: PathBuf,
        /// Its text.
        text: String,
        /// What is wrong with it, in the order of the text; at least one.
        faults: Vec<Fault>,
    },
}

/// One placeholder that cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it is, in bytes of the text.
    pub place: Range<usize>,
    /// What is wrong with it.
    pub reason: FaultReason,
}

/// What is wrong with a placeholder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultReason {
    /// It does not end.
    #[error("`{{{{` is not closed on its line")]
    Open,
    /// It names nothing.
    #[error("there is no value `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// The name of a value that is spelled most like it.
        nearest: Option<String>,
        /// All names.
        known: Vec<String>,
    },
    /// What it names has a value that no text can have as it is.
    #[error("`{name}` cannot be filled in: {why}")]
    Unusable {
        /// The name.
        name: String,
        /// Why.
        why: String,
    },
}

impl FaultReason {
    fn label(&self) -> String {
        match self {
            Self::Open => "this one".to_owned(),
            Self::Unknown {
                nearest: Some(nearest),
                ..
            } => format!("did you mean `{nearest}`?"),
            Self::Unknown { .. } => "nothing has this name".to_owned(),
            Self::Unusable { .. } => "this one".to_owned(),
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Open => "write `}}` behind the name, or `{{{{` for two braces".to_owned(),
            Self::Unknown { known, .. } => format!("the values are {}", known.join(", ")),
            Self::Unusable { .. } => {
                "the record of a build has the image's configuration as it is; write what you mean in the place of this value"
                    .to_owned()
            }
        }
    }
}

/// Faults with their lines.
struct Faults<'a>(&'a Path, &'a str, &'a [Fault]);

impl fmt::Display for Faults<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(file, text, faults) = self;
        for (index, fault) in faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            let line = text[..fault.place.start].matches('\n').count() + 1;
            let file = file.display();
            write!(formatter, "{separator}{file}:{line}: {}", fault.reason)?;
        }
        Ok(())
    }
}

impl TemplateError {
    /// Draws the error of the partition `name` beside the template's lines. The result ends without a newline.
    #[must_use]
    pub fn render(&self, name: &str, color: bool) -> String {
        let title = |what: &dyn fmt::Display| format!("partition '{name}': {what}");
        match self {
            Self::Read { .. } | Self::Changed => format!("error: {}", title(self)),
            Self::Placeholders { file, text, faults } => {
                let diagnostics: Vec<Diagnostic> = faults
                    .iter()
                    .map(|fault| Diagnostic {
                        title: title(&fault.reason),
                        place: Some((
                            Place {
                                range: fault.place.clone(),
                                ..Place::default()
                            },
                            fault.reason.label(),
                        )),
                        related: None,
                        help: Some(fault.reason.help()),
                    })
                    .collect();
                draw(&diagnostics, &Files::one(file, text), color)
            }
        }
    }
}

/// The text of a template, filled in as [`filled`] does.
pub(crate) fn text(
    file: &Path,
    facts: &Facts,
    awaited: &mut Awaited,
) -> Result<String, TemplateError> {
    let text = read(file)?;
    fill(&text, facts, awaited).map_err(|faults| TemplateError::Placeholders {
        file: file.to_owned(),
        text,
        faults,
    })
}

/// The derived values that a template names. What is wrong with it is found when it is filled in.
pub(crate) fn scan(file: &Path, facts: &Facts, awaited: &mut Awaited) {
    drop(text(file, facts, awaited));
}

/// Derived values that a text names, and that are not known yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Awaited {
    /// Their names.
    pub(crate) names: BTreeSet<String>,
    /// The partitions that must be made first, by index.
    pub(crate) partitions: BTreeSet<usize>,
}

/// The file that a template becomes. What is not known yet is zeros in it, as long as it will be, and `awaited` is told.
pub(crate) fn filled(
    template: &Template,
    facts: &Facts,
    awaited: &mut Awaited,
) -> Result<Source, TemplateError> {
    let bytes = text(&template.file, facts, awaited)?;
    Ok(Source {
        to: Some(template.to.clone()),
        owner: template.owner,
        mode: template.mode.clone(),
        ..Source::new(What::Bytes(bytes.into_bytes()))
    })
}

fn read(file: &Path) -> Result<String, TemplateError> {
    let failed = |why: String| TemplateError::Read {
        file: file.to_owned(),
        why,
    };
    let bytes = named_file::whole(file, LARGEST).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
}

/// The name in the first placeholder of a text that names a value which there is.
pub(crate) fn placeholder<'t>(text: &'t str, facts: &Facts) -> Option<&'t str> {
    let inside = text.split(OPEN).skip(1);
    let names = inside.filter_map(|rest| Some(rest.split_once(CLOSE)?.0.trim()));
    names.into_iter().find(|name| facts.get(name).is_some())
}

/// The text with every placeholder filled in.
fn fill(text: &str, facts: &Facts, awaited: &mut Awaited) -> Result<String, Vec<Fault>> {
    let mut filled = String::with_capacity(text.len());
    let mut faults = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find(OPEN).map(|distance| at + distance) {
        filled.push_str(&text[at..open]);
        let inside = open + OPEN.len();
        let rest = &text[inside..];
        if rest.starts_with(OPEN) {
            filled.push_str(OPEN);
            at = inside + OPEN.len();
            continue;
        }
        let line = rest.lines().next().unwrap_or_default();
        let Some(close) = line.find(CLOSE) else {
            faults.push(Fault {
                place: open..inside,
                reason: FaultReason::Open,
            });
            at = inside + line.len();
            continue;
        };
        let name = line[..close].trim();
        let place = || {
            let start = inside + line.find(name).unwrap_or(0);
            start..start + name.len()
        };
        match facts.get(name) {
            Some(Fact {
                unusable: Some(why),
                ..
            }) => faults.push(Fault {
                place: place(),
                reason: FaultReason::Unusable {
                    name: name.to_owned(),
                    why: why.clone(),
                },
            }),
            Some(fact) => {
                filled.push_str(&fact.text);
                if let Some(from) = fact.from {
                    awaited.names.insert(name.to_owned());
                    awaited.partitions.insert(from);
                }
            }
            None => faults.push(unknown(name, place(), facts)),
        }
        at = inside + close + CLOSE.len();
    }
    filled.push_str(&text[at..]);
    if faults.is_empty() {
        Ok(filled)
    } else {
        Err(faults)
    }
}

fn unknown(name: &str, place: Range<usize>, facts: &Facts) -> Fault {
    Fault {
        place,
        reason: FaultReason::Unknown {
            name: name.to_owned(),
            nearest: nearest(name, facts.names()).map(str::to_owned),
            known: facts.names().map(str::to_owned).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use cellblock_spec::Spec;

    fn facts() -> Facts {
        let source = "[disk]\ntable = \"mbr\"\nid = \"0x0000002a\"\n\
                      [[partition]]\nname = \"root\"\ntype = \"linux\"\nsize = 512\n";
        let spec = Spec::parse(source, Path::new("")).unwrap();
        crate::plan::Draft::new(&spec, &Default::default(), Default::default())
            .unwrap()
            .facts()
    }

    #[test]
    fn placeholders_become_values_and_all_else_stays() {
        for (text, expected) in [
            ("", ""),
            ("a {b} ${c} }} ${d%{}", "a {b} ${c} }} ${d%{}"),
            ("{{disk.id}}", "0000002a"),
            (
                "root=PARTUUID={{ partition.root.uuid }}\r\n{{partition.root.number }}\n",
                "root=PARTUUID=0000002a-01\r\n1\n",
            ),
            ("{{{{ disk.id }}", "{{ disk.id }}"),
            ("${{{{disk.id}}{{disk.id}}}", "${{disk.id}}0000002a}"),
        ] {
            assert_eq!(
                fill(text, &facts(), &mut Awaited::default()).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn faults_are_named_with_their_places() {
        let faults = fill(
            "ä {{ disk.od }}\n{{ disk.id\n}} {{}}",
            &facts(),
            &mut Awaited::default(),
        )
        .unwrap_err();
        let found: Vec<(Range<usize>, String)> = faults
            .iter()
            .map(|fault| (fault.place.clone(), fault.reason.to_string()))
            .collect();
        let expected = [
            (6..13, "there is no value `disk.od`"),
            (17..19, "`{{` is not closed on its line"),
            (33..33, "there is no value ``"),
        ];
        assert_eq!(
            found,
            expected.map(|(place, reason)| (place, reason.to_owned()))
        );
        assert_eq!(faults[0].reason.label(), "did you mean `disk.id`?");
    }

    proptest! {
        #[test]
        fn any_text_is_filled_in_or_refused(text in "[{} a\nä.dik]{0,40}") {
            if let Err(faults) = fill(&text, &facts(), &mut Awaited::default()) {
                let error = TemplateError::Placeholders { file: "t".into(), text, faults };
                prop_assert!(!error.render("root", false).is_empty());
            }
        }
    }
}
