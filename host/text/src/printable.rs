//! Text that comes from images and specs, made fit for a terminal.

/// The text with every character replaced that would act on a terminal instead of showing:
/// controls, and what changes the direction of writing. An image's names are not to be trusted.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// The same of a text of several lines, in which ends of lines and tabs stay.
#[must_use]
pub fn printable_lines(text: &str) -> String {
    let stays = |letter| matches!(letter, '\n' | '\t');
    let letters = text.chars();
    letters
        .map(|letter| if stays(letter) { letter } else { shown(letter) })
        .collect()
}

fn shown(letter: char) -> char {
    if acts_on_terminal(letter) {
        char::REPLACEMENT_CHARACTER
    } else {
        letter
    }
}

/// The same of a text that may have any length: of a longer one than 500 characters, the first, and that there are more.
#[must_use]
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}…", printable(&text[..end])),
        None => printable(text),
    }
}

/// The most characters of an [`excerpt`].
const EXCERPT: usize = 500;

/// Whether a character acts on a terminal instead of showing.
#[must_use]
pub fn acts_on_terminal(letter: char) -> bool {
    let turns = matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    letter.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::{EXCERPT, excerpt, printable, printable_lines};

    #[test]
    fn nothing_in_a_name_reaches_the_terminal_as_a_command() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{202e}c\u{9b}\n"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}\u{fffd}"
        );
        assert_eq!(
            printable_lines("a\u{1b}[2J\n\tb\u{202e}\r"),
            "a\u{fffd}[2J\n\tb\u{fffd}\u{fffd}"
        );
        assert_eq!(printable("efi ünï 根"), "efi ünï 根");
    }

    #[test]
    fn of_a_long_text_the_beginning_is_told() {
        let long = "根".repeat(EXCERPT);
        assert_eq!(excerpt(&long), long);
        assert_eq!(excerpt(&format!("{long}\u{1b}")), format!("{long}…"));
        assert_eq!(excerpt("a\u{1b}b"), "a\u{fffd}b");
    }
}
