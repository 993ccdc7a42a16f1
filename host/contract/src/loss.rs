//! What a format may lose instead of refusing a tree.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The one list of losses: what each is, its name in a spec, and a sentence. All else derives from it.
macro_rules! losses {
    ($($loss:ident $name:literal $documentation:literal;)*) => {
        /// Something that a format may lose instead of refusing the tree.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Loss {
            $(#[doc = $documentation] $loss,)*
        }

        impl Loss {
            /// Every loss, ascending.
            pub const ALL: &[Self] = &[$(Self::$loss),*];

            /// The name in a spec.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$loss => $name,)*
                }
            }

            /// What is lost, in a sentence.
            #[must_use]
            pub const fn documentation(self) -> &'static str {
                match self {
                    $(Self::$loss => $documentation,)*
                }
            }
        }
    };
}

losses! {
    Symlinks "symlinks" "Symbolic links are left out.";
    SpecialFiles "special-files" "Devices, fifos and sockets are left out.";
    HardLinks "hard-links" "Each name of a file gets its own copy of the content.";
    Owners "owners" "Owners and groups are forgotten.";
    Permissions "permissions" "Permission bits are forgotten.";
    Attributes "attributes" "Extended attributes are forgotten.";
}

impl Loss {
    /// The loss of this name, if there is one.
    ///
    /// ```
    /// use cellblock_contract::Loss;
    ///
    /// assert_eq!(Loss::parse("hard-links"), Some(Loss::HardLinks));
    /// assert_eq!(Loss::parse("HardLinks"), None);
    /// ```
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|loss| loss.name() == name)
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
            .iter()
            .copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_losses_is_told_by_its_members() {
        for bits in 0..1_u32 << Loss::ALL.len() {
            let members = |loss: &Loss| bits >> *loss as u32 & 1 == 1;
            let expected: Vec<Loss> = Loss::ALL.iter().copied().filter(members).collect();
            let set: Losses = expected.iter().copied().collect();
            assert_eq!(set.iter().collect::<Vec<_>>(), expected);
            assert_eq!(set.is_empty(), expected.is_empty());
            let names: Vec<&str> = expected.iter().map(|loss| loss.name()).collect();
            assert_eq!(set.to_string(), names.join(", "));
        }
    }

    #[test]
    fn a_name_is_that_of_one_loss() {
        for loss in Loss::ALL {
            assert_eq!(Loss::parse(loss.name()), Some(*loss));
        }
    }
}
