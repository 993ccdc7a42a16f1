//! The volume's label.

use cellblock_guest::{FormatError, LabelProblem};

use crate::format::NO_LABEL;

/// The longest label in bytes.
pub(crate) const LABEL_LIMIT: u32 = 11;

/// A label as the volume keeps it: padded with spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) [u8; 11]);

impl Label {
    /// Takes `label` as it is typed; `None` if it is empty, or the name for having none.
    pub(crate) fn new(label: &str) -> Result<Option<Self>, FormatError> {
        if label.len() > LABEL_LIMIT as usize {
            return Err(FormatError::Label(LabelProblem::TooLong(LABEL_LIMIT)));
        }
        let wrong = label.chars().enumerate().find(|(index, character)| {
            !is_allowed(*character) || (*index == 0 && *character == ' ')
        });
        if let Some((_, character)) = wrong {
            return Err(FormatError::Label(LabelProblem::Character(character)));
        }
        let mut padded = [b' '; 11];
        padded[..label.len()].copy_from_slice(label.as_bytes());
        let none = padded == [b' '; 11] || padded == NO_LABEL;
        Ok((!none).then_some(Self(padded)))
    }

    /// Whether systems that know only upper case may show the label wrongly.
    pub(crate) fn has_lower_case(self) -> bool {
        self.0.iter().any(u8::is_ascii_lowercase)
    }
}

/// A label is encoded in a code page that the volume does not name, so that only ASCII means the same everywhere.
fn is_allowed(character: char) -> bool {
    matches!(character, ' '..='~') && !"\"*+,./:;<=>?[\\]|".contains(character)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_label_is_kept_as_typed() {
        let label = Label::new("Uefi 1~").unwrap().unwrap();
        assert_eq!(&label.0, b"Uefi 1~    ");
        assert!(label.has_lower_case());
        assert!(!Label::new("UEFI").unwrap().unwrap().has_lower_case());
    }

    #[test]
    fn no_label_is_none() {
        assert_eq!(Label::new("").unwrap(), None);
        assert_eq!(Label::new("NO NAME").unwrap(), None);
    }

    #[test]
    fn what_a_label_cannot_be_is_refused() {
        let problem = |label| match Label::new(label) {
            Err(FormatError::Label(problem)) => problem,
            other => panic!("{label}: {other:?}"),
        };
        assert_eq!(problem("ABCDEFGHIJKL"), LabelProblem::TooLong(11));
        assert_eq!(problem("A.B"), LabelProblem::Character('.'));
        assert_eq!(problem(" AB"), LabelProblem::Character(' '));
        assert_eq!(problem("É"), LabelProblem::Character('É'));
        assert_eq!(problem("A\u{7F}"), LabelProblem::Character('\u{7F}'));
    }
}
