//! The rule that gives a source's files and directories their modes.

use std::fmt;
use std::str::FromStr;

/// What becomes of modes: a number, or changes as `chmod(1)` writes them. Symbolic links keep theirs.
///
/// - `0644`: every file gets this mode. A directory gets its permissions too, with the right to search wherever there
///   is the right to read (here 0755), and without set-user-id, set-group-id and sticky.
/// - `u=rwX,go=rX`, `go-w`, `a+x`…: clauses of whom (`u`, `g`, `o`, `a`; `a` where nobody is named), `=`, `+` or `-`, and
///   `r`, `w`, `x`, `s`, `t`, or `X`, which is `x` for directories and for files that somebody may execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModeRule {
    /// A number, of at most twelve bits.
    Octal(u16),
    /// Clauses, applied in order.
    Symbolic(Vec<Clause>),
}

/// One change of a symbolic rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Bits of the user, group and others that are meant: 0o4700, 0o2070 and 0o1007 in any combination.
    whom: u16,
    change: Change,
    /// Bits, as if for everybody.
    what: u16,
    /// Whether `X` was among them.
    conditional_execute: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Set,
    Add,
    Remove,
}

const USER: u16 = 0o4700;
const GROUP: u16 = 0o2070;
const OTHERS: u16 = 0o1007;
const EXECUTE: u16 = 0o111;
const SPECIAL: u16 = 0o7000;
const ALL: u16 = 0o7777;

impl ModeRule {
    /// The mode that a node of this `mode` gets.
    #[must_use]
    pub fn apply(&self, mode: u16, is_directory: bool) -> u16 {
        match self {
            Self::Octal(file) if is_directory => {
                let permissions = file & !SPECIAL;
                permissions | ((permissions & 0o444) >> 2)
            }
            Self::Octal(file) => *file,
            Self::Symbolic(clauses) => clauses
                .iter()
                .fold(mode, |mode, clause| clause.apply(mode, is_directory)),
        }
    }
}

impl Clause {
    fn apply(&self, mode: u16, is_directory: bool) -> u16 {
        let mut what = self.what;
        if self.conditional_execute && (is_directory || mode & EXECUTE != 0) {
            what |= EXECUTE;
        }
        let bits = what & self.whom;
        match self.change {
            Change::Add => mode | bits,
            Change::Remove => mode & !bits,
            Change::Set => (mode & !self.whom) | bits,
        }
    }
}

/// Why a text is no mode rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is no mode: write octal digits up to 7777, such as 0644, or clauses such as u=rwX,go=rX"
)]
pub struct ModeRuleError {
    /// What was written.
    pub text: String,
}

/// As it is written in a spec.
impl fmt::Display for ModeRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Octal(mode) => write!(formatter, "{mode:04o}"),
            Self::Symbolic(clauses) => {
                for (index, clause) in clauses.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(formatter, "{comma}{clause}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whom = [('u', USER), ('g', GROUP), ('o', OTHERS)];
        let what = [
            ('r', 0o444),
            ('w', 0o222),
            ('x', EXECUTE),
            ('s', 0o6000),
            ('t', 0o1000),
        ];
        let letters = |bits: u16, letters: &[(char, u16)]| -> String {
            let set = letters.iter().filter(|(_, bit)| bits & bit == *bit);
            set.map(|(letter, _)| *letter).collect()
        };
        let change = match self.change {
            Change::Set => '=',
            Change::Add => '+',
            Change::Remove => '-',
        };
        let conditional = if self.conditional_execute { "X" } else { "" };
        let (whom, what) = (letters(self.whom, &whom), letters(self.what, &what));
        write!(formatter, "{whom}{change}{what}{conditional}")
    }
}

impl FromStr for ModeRule {
    type Err = ModeRuleError;

    fn from_str(text: &str) -> Result<Self, ModeRuleError> {
        let parsed = if text.starts_with(|first: char| first.is_ascii_digit()) {
            u16::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8)
                .ok()
                .filter(|mode| *mode <= ALL)
                .map(Self::Octal)
        } else {
            text.split(',')
                .map(parse_clause)
                .collect::<Option<_>>()
                .map(Self::Symbolic)
        };
        parsed.ok_or_else(|| ModeRuleError {
            text: text.to_owned(),
        })
    }
}

fn parse_clause(text: &str) -> Option<Clause> {
    let sign = text.find(['=', '+', '-'])?;
    let (whom, rest) = text.split_at(sign);
    let whom = whom.chars().try_fold(0, |bits, letter| {
        Some(
            bits | match letter {
                'u' => USER,
                'g' => GROUP,
                'o' => OTHERS,
                'a' => ALL,
                _ => return None,
            },
        )
    })?;
    let mut letters = rest.chars();
    let change = match letters.next()? {
        '=' => Change::Set,
        '+' => Change::Add,
        _ => Change::Remove,
    };
    let mut clause = Clause {
        whom: if whom == 0 { ALL } else { whom },
        change,
        what: 0,
        conditional_execute: false,
    };
    for letter in letters {
        match letter {
            'r' => clause.what |= 0o444,
            'w' => clause.what |= 0o222,
            'x' => clause.what |= EXECUTE,
            's' => clause.what |= 0o6000,
            't' => clause.what |= 0o1000,
            'X' => clause.conditional_execute = true,
            _ => return None,
        }
    }
    Some(clause)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn apply(rule: &str, mode: u16, is_directory: bool) -> u16 {
        rule.parse::<ModeRule>().unwrap().apply(mode, is_directory)
    }

    #[test]
    fn octal_lets_directories_be_searched_where_they_are_read() {
        assert_eq!(apply("0640", 0o777, false), 0o640);
        assert_eq!(apply("0640", 0o700, true), 0o750);
        assert_eq!(apply("4755", 0o700, false), 0o4755);
        assert_eq!(apply("4755", 0o700, true), 0o755);
    }

    #[test]
    fn symbolic_clauses_act_as_chmod_does() {
        assert_eq!(apply("u=rwX,go=rX", 0o600, false), 0o644);
        assert_eq!(apply("u=rwX,go=rX", 0o700, false), 0o755);
        assert_eq!(apply("u=rwX,go=rX", 0o700, true), 0o755);
        assert_eq!(apply("go-w", 0o1777, true), 0o1755);
        assert_eq!(apply("+x,u+s", 0o644, false), 0o4755);
        assert_eq!(apply("a=", 0o4777, false), 0);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "8", "0o", "17777", "u", "z=r", "u=q", "u=r,,g=r", "rw"] {
            assert!(text.parse::<ModeRule>().is_err(), "{text}");
        }
    }
}
