//! What a formatter says of itself, and of what it made.

use serde::{Deserialize, Serialize};

use crate::{KindDescription, Losses};

/// What a formatter is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The name.
    pub name: String,
    /// The version.
    pub version: String,
    /// What it makes, in a sentence.
    pub summary: String,
    /// The kinds that it makes.
    pub kinds: Vec<KindDescription>,
    /// The options.
    pub options: Vec<OptionDescription>,
    /// The longest label in bytes.
    pub label_limit: u32,
    /// What the format has no room for.
    pub lacks: Losses,
}

/// An option that a formatter knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionDescription {
    /// The name, in lower case with hyphens.
    pub name: String,
    /// The form of its values, as `PERCENT` or `yes|no`.
    pub value: String,
    /// What it is if not given.
    pub default: String,
    /// What it does, in a sentence.
    pub documentation: String,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The bytes of the partition that hold metadata or content.
    pub used: u64,
    /// What else is worth telling, in a fixed order.
    pub properties: Vec<Property>,
}

/// Something worth telling of a finished file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// What it is, as `block size`.
    pub name: String,
    /// Its value.
    pub value: String,
}
