//! What a format may lose instead of refusing a tree.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that a format may lose instead of refusing the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Symbolic links are left out.
    Symlinks,
    /// Devices, fifos and sockets are left out.
    SpecialFiles,
    /// Each name of a file gets its own copy of the content.
    HardLinks,
    /// Owners and groups are forgotten.
    Owners,
    /// Permission bits are forgotten.
    Permissions,
    /// Extended attributes are forgotten.
    Attributes,
}

impl Loss {
    /// Every loss, ascending.
    pub const ALL: [Self; 6] = [
        Self::Symlinks,
        Self::SpecialFiles,
        Self::HardLinks,
        Self::Owners,
        Self::Permissions,
        Self::Attributes,
    ];

    /// The name in a spec.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Symlinks => "symlinks",
            Self::SpecialFiles => "special-files",
            Self::HardLinks => "hard-links",
            Self::Owners => "owners",
            Self::Permissions => "permissions",
            Self::Attributes => "attributes",
        }
    }

    /// What is lost, in a sentence.
    #[must_use]
    pub const fn documentation(self) -> &'static str {
        match self {
            Self::Symlinks => "Symbolic links are left out.",
            Self::SpecialFiles => "Devices, fifos and sockets are left out.",
            Self::HardLinks => "Each name of a file gets its own copy of the content.",
            Self::Owners => "Owners and groups are forgotten.",
            Self::Permissions => "Permission bits are forgotten.",
            Self::Attributes => "Extended attributes are forgotten.",
        }
    }

    /// The loss of this name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|loss| loss.name() == name)
    }
}

/// A set of losses.
///
/// ```
/// use cellblock_contract::{Loss, Losses};
///
/// let losses: Losses = [Loss::Owners, Loss::Symlinks].into_iter().collect();
/// assert!(losses.contains(Loss::Owners) && !losses.contains(Loss::Attributes));
/// assert_eq!(losses.to_string(), "symlinks, owners");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses(u8);

impl Losses {
    /// No losses.
    #[must_use]
    pub const fn none() -> Self {
        Self(0)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `loss` is in it.
    #[must_use]
    pub const fn contains(self, loss: Loss) -> bool {
        self.0 & bit(loss) != 0
    }

    /// What is in it, ascending.
    pub fn iter(self) -> impl Iterator<Item = Loss> {
        Loss::ALL
            .into_iter()
            .filter(move |loss| self.contains(*loss))
    }
}

const fn bit(loss: Loss) -> u8 {
    1 << loss as u8
}

impl FromIterator<Loss> for Losses {
    fn from_iter<I: IntoIterator<Item = Loss>>(losses: I) -> Self {
        Self(losses.into_iter().fold(0, |bits, loss| bits | bit(loss)))
    }
}

impl fmt::Display for Losses {
    /// The names, ascending.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, loss) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", loss.name())?;
        }
        Ok(())
    }
}
