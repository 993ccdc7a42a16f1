//! What a guest says, made fit to be shown: without characters that act on a terminal, and of a bounded length.

use cellblock_contract::{
    Description, FormatError, KindDescription, LogLine, OptionDescription, Property,
    ReaderDescription, ReaderError, SettingError, SettingProblem, Summary, Volume,
};
use cellblock_text::acts_on_terminal;

/// The longest text of a guest in characters, before escaping.
const CHARACTERS: usize = LogLine::LIMIT;
/// The most entries of a list of a guest.
const ENTRIES: usize = 1000;

/// The text with its control characters and its changes of direction escaped, cut after [`CHARACTERS`].
pub(super) fn legible(text: &str) -> String {
    let mut legible = String::with_capacity(text.len().min(CHARACTERS));
    for character in text.chars().take(CHARACTERS) {
        if acts_on_terminal(character) {
            legible.extend(character.escape_default());
        } else {
            legible.push(character);
        }
    }
    legible
}

/// The text cut as [`legible`] cuts it.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(CHARACTERS).collect()
}

/// The last lines of a command, which are few.
pub(super) fn lines(told: &[String]) -> Vec<String> {
    const LINES: usize = 10;
    told.iter().take(LINES).map(|line| legible(line)).collect()
}

/// What a formatter says that it is.
pub(super) fn description(told: Description) -> Description {
    description_with(told, legible)
}

/// The same with every text of it as `fit` makes it.
pub(super) fn description_with(told: Description, fit: fn(&str) -> String) -> Description {
    let option = |option: OptionDescription| OptionDescription {
        name: fit(&option.name),
        value: fit(&option.value),
        default: fit(&option.default),
        documentation: fit(&option.documentation),
    };
    Description {
        name: fit(&told.name),
        version: fit(&told.version),
        summary: fit(&told.summary),
        kinds: told
            .kinds
            .into_iter()
            .take(ENTRIES)
            .map(|kind| KindDescription {
                name: fit(&kind.name),
                ..kind
            })
            .collect(),
        options: told.options.into_iter().take(ENTRIES).map(option).collect(),
        ..told
    }
}

/// What a formatter says of a file system.
pub(super) fn summary(told: Summary) -> Summary {
    summary_with(told, legible)
}

/// The same with every text of it as `fit` makes it.
pub(super) fn summary_with(told: Summary, fit: fn(&str) -> String) -> Summary {
    let property = |property: Property| Property {
        name: fit(&property.name),
        value: fit(&property.value),
    };
    Summary {
        properties: told
            .properties
            .into_iter()
            .take(ENTRIES)
            .map(property)
            .collect(),
        ..told
    }
}

/// Why a formatter says that there can be no file system.
pub(super) fn error(told: FormatError) -> FormatError {
    error_with(told, legible)
}

/// The same with every text of it as `fit` makes it.
pub(super) fn error_with(told: FormatError, fit: fn(&str) -> String) -> FormatError {
    match told {
        FormatError::Setting(SettingError { name, problem }) => {
            FormatError::Setting(SettingError {
                name: fit(&name),
                problem: match problem {
                    SettingProblem::Conflict(other) => SettingProblem::Conflict(fit(&other)),
                    other => other,
                },
            })
        }
        FormatError::Partition(code) => FormatError::Partition(fit(&code)),
        other => other,
    }
}

/// What a reader says that it is, with every text as `fit` makes it.
pub(super) fn reader_with(told: ReaderDescription, fit: fn(&str) -> String) -> ReaderDescription {
    let kinds = told.kinds.iter().take(ENTRIES).map(|kind| fit(kind));
    ReaderDescription {
        kinds: kinds.collect(),
        name: fit(&told.name),
        version: fit(&told.version),
        summary: fit(&told.summary),
    }
}

/// What a reader says of a file system, with every text as `fit` makes it.
pub(super) fn volume_with(told: Volume, fit: fn(&str) -> String) -> Volume {
    let property = |property: &Property| Property {
        name: fit(&property.name),
        value: fit(&property.value),
    };
    Volume {
        kind: fit(&told.kind),
        label: fit(&told.label),
        identifier: fit(&told.identifier),
        properties: told.properties.iter().take(ENTRIES).map(property).collect(),
        ..told
    }
}

/// Why a reader does not read a file system, with every text as `fit` makes it.
pub(super) fn reader_error_with(told: ReaderError, fit: fn(&str) -> String) -> ReaderError {
    match told {
        ReaderError::Unrecognised => ReaderError::Unrecognised,
        ReaderError::Unsupported(what) => ReaderError::Unsupported(fit(&what)),
        ReaderError::Damaged {
            structure,
            offset,
            problem,
        } => ReaderError::Damaged {
            structure: fit(&structure),
            offset,
            problem: fit(&problem),
        },
        ReaderError::Partition(code) => ReaderError::Partition(fit(&code)),
        ReaderError::Decoding(what) => ReaderError::Decoding(fit(&what)),
    }
}

#[cfg(test)]
mod tests {
    use super::{CHARACTERS, legible};

    #[test]
    fn what_acts_on_a_terminal_is_escaped() {
        assert_eq!(legible("\u{1b}[2Jä\n\u{202e}"), "\\u{1b}[2Jä\\n\\u{202e}");
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(legible(&"x".repeat(1 << 20)).len(), CHARACTERS);
    }
}
