//! What a formatter says of each kind of file system that it makes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What tells a file system from others of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identifier {
    /// A UUID.
    Uuid,
    /// A serial number of 32 bits, such as `ABCD-1234`.
    Serial,
    /// Nothing: the format stores none.
    None,
    /// The formatter does not say.
    Untold,
}

/// What a file system of one kind is.
///
/// ```
/// use cellblock_contract::{Identifier, KindDescription};
///
/// // Of a formatter that says nothing, nothing is taken for granted.
/// let untold = KindDescription::untold("mine");
/// assert_eq!(untold.identifier, Identifier::Untold);
/// assert!(untold.compresses && !untold.uefi);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindDescription {
    /// The kind, as the spec's `filesystem` names it.
    pub name: String,
    /// What tells a file system of this kind from others.
    pub identifier: Identifier,
    /// Whether systems show its labels in capitals, so that two that differ only in case look the same.
    pub capital_labels: bool,
    /// Whether it may take less room than its content has bytes.
    pub compresses: bool,
    /// Whether UEFI firmware can read it.
    pub uefi: bool,
}

impl KindDescription {
    /// A kind of which its formatter says no more than its name: any identifier may be given, its content may be
    /// compressed, and firmware does not read it.
    #[must_use]
    pub fn untold(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            identifier: Identifier::Untold,
            capital_labels: false,
            compresses: true,
            uefi: false,
        }
    }

    /// Whether its formatter says more than its name.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.identifier != Identifier::Untold
    }
}

/// Kinds by the name that a spec has for them, which need not be the formatter's.
///
/// ```
/// use cellblock_contract::{Identifier, KindDescription, Kinds};
///
/// let swap = KindDescription { identifier: Identifier::Uuid, compresses: false, ..KindDescription::untold("swap") };
/// let kinds: Kinds = [("swap".to_owned(), swap)].into_iter().collect();
/// assert_eq!(kinds.get("swap").identifier, Identifier::Uuid);
/// assert_eq!(kinds.get("other").identifier, Identifier::Untold);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(BTreeMap<String, KindDescription>);

impl Kinds {
    /// What is known of a kind; see [`KindDescription::untold`] for one that is not among these.
    #[must_use]
    pub fn get(&self, name: &str) -> KindDescription {
        let known = self.0.get(name).cloned();
        known.unwrap_or_else(|| KindDescription::untold(name))
    }
}

impl FromIterator<(String, KindDescription)> for Kinds {
    fn from_iter<I: IntoIterator<Item = (String, KindDescription)>>(kinds: I) -> Self {
        Self(kinds.into_iter().collect())
    }
}
