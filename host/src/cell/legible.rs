//! What a guest says, made fit to be shown: without characters that act on a terminal, and of a bounded length.

use super::bindings::exports::cellblock::format::formatter::{
    FormatError, OptionDescription, SettingError, SettingProblem,
};
use super::{Description, Property, Summary};

/// The longest text of a guest in characters, before escaping.
pub(super) const CHARACTERS: usize = 1000;
/// The most entries of a list of a guest.
const ENTRIES: usize = 1000;

/// The text with its control characters and its changes of direction escaped, cut after [`CHARACTERS`].
pub(super) fn legible(text: &str) -> String {
    let mut legible = String::with_capacity(text.len().min(CHARACTERS));
    for character in text.chars().take(CHARACTERS) {
        if acts(character) {
            legible.extend(character.escape_default());
        } else {
            legible.push(character);
        }
    }
    legible
}

fn acts(character: char) -> bool {
    let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns
}

/// The last lines of a command, which are few.
pub(super) fn lines(told: &[String]) -> Vec<String> {
    const LINES: usize = 10;
    told.iter().take(LINES).map(|line| legible(line)).collect()
}

/// What a formatter says that it is.
pub(super) fn description(told: Description) -> Description {
    let option = |option: OptionDescription| OptionDescription {
        name: legible(&option.name),
        value: legible(&option.value),
        default: legible(&option.default),
        documentation: legible(&option.documentation),
    };
    Description {
        name: legible(&told.name),
        version: legible(&told.version),
        summary: legible(&told.summary),
        kinds: told
            .kinds
            .iter()
            .take(ENTRIES)
            .map(|kind| legible(kind))
            .collect(),
        options: told.options.into_iter().take(ENTRIES).map(option).collect(),
        ..told
    }
}

/// What a formatter says of a file system.
pub(super) fn summary(told: Summary) -> Summary {
    let property = |property: Property| Property {
        name: legible(&property.name),
        value: legible(&property.value),
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
    match told {
        FormatError::Setting(SettingError { name, problem }) => {
            FormatError::Setting(SettingError {
                name: legible(&name),
                problem: match problem {
                    SettingProblem::Conflict(other) => SettingProblem::Conflict(legible(&other)),
                    other => other,
                },
            })
        }
        other => other,
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
