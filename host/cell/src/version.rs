//! Which versions of the contract this host serves.
//!
//! A formatter names the version that it was built for in what it imports and exports, as `cellblock:format/tree@0.1.0`. An
//! older one of the same line runs: a later version of a line only adds. While the first number is 0, the second one counts
//! the lines and the third one the additions, as Cargo and the component model have it.

use std::fmt;

/// The package of the contract.
const PACKAGE: &str = "cellblock:format";
/// Its text, which tells the version.
const CONTRACT: &str = include_str!("../contract/cellblock.wit");

/// A version: three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u64,
    minor: u64,
    patch: u64,
}

impl Version {
    /// Three decimal numbers with points between them, and nothing else: the contract has no versions to try out.
    fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> = text.split('.').map(|number| number.parse().ok()).collect();
        match numbers?[..] {
            [major, minor, patch] => Some(Self {
                major,
                minor,
                patch,
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The version of the contract that a component names, and this host does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unserved(pub(super) String);

/// The version of the contract that this host has.
pub(super) fn ours() -> Version {
    let package = format!("package {PACKAGE}@");
    let version = CONTRACT.lines().find_map(|line| {
        let version = line.strip_prefix(&package)?.strip_suffix(';')?;
        Version::parse(version)
    });
    version.expect("the contract has a version")
}

/// The first of these names of interfaces that is of another version of the contract than those that a host of version `ours`
/// serves.
pub(super) fn first_unserved<'n>(
    names: impl IntoIterator<Item = &'n str>,
    ours: Version,
) -> Option<Unserved> {
    names.into_iter().find_map(|name| {
        let (interface, version) = name.split_once('@')?;
        let (package, _) = interface.split_once('/')?;
        let served = || Version::parse(version).is_some_and(|theirs| serves(ours, theirs));
        (package == PACKAGE && !served()).then(|| Unserved(version.to_owned()))
    })
}

/// Whether a host of version `ours` serves a guest built for `theirs`.
fn serves(ours: Version, theirs: Version) -> bool {
    let line = |version: Version| match version.major {
        0 => (0, version.minor),
        major => (major, 0),
    };
    line(ours) == line(theirs) && theirs <= ours
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version([major, minor, patch]: [u64; 3]) -> Version {
        Version {
            major,
            minor,
            patch,
        }
    }

    fn check(ours: [u64; 3], theirs: [u64; 3]) -> bool {
        serves(version(ours), version(theirs))
    }

    #[test]
    fn older_versions_of_a_line_are_served() {
        assert!(check([0, 1, 0], [0, 1, 0]));
        assert!(check([0, 1, 7], [0, 1, 0]));
        assert!(check([1, 4, 0], [1, 0, 9]));
        assert!(!check([0, 1, 0], [0, 1, 1]));
        assert!(!check([0, 2, 0], [0, 1, 0]));
        assert!(!check([0, 1, 0], [0, 2, 0]));
        assert!(!check([1, 4, 0], [1, 5, 0]));
        assert!(!check([1, 0, 0], [0, 1, 0]));
        assert!(!check([2, 0, 0], [1, 9, 9]));
    }

    #[test]
    fn names_tell_the_version() {
        let ours = version([0, 1, 3]);
        let first = |names: &[&str]| first_unserved(names.iter().copied(), ours);
        let unserved = |version: &str| Some(Unserved(version.to_owned()));
        assert_eq!(first(&["cellblock:format/tree@0.1.0", "run"]), None);
        assert_eq!(first(&["wasi:filesystem/types@0.2.99"]), None);
        assert_eq!(
            first(&[
                "cellblock:format/tree@0.1.3",
                "cellblock:format/formatter@0.1.4"
            ]),
            unserved("0.1.4")
        );
        assert_eq!(first(&["cellblock:format/new@0.2.0"]), unserved("0.2.0"));
        assert_eq!(first(&["cellblock:format/new@x"]), unserved("x"));
    }

    #[test]
    fn the_contract_tells_ours() {
        assert!(CONTRACT.contains(&format!("package {PACKAGE}@{};", ours())));
    }
}
