//! Small translations between the host's values and those of the contract.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bindings::cellblock::format::tree::Timestamp as ContractTimestamp;
use super::bindings::exports::cellblock::format::formatter::{Identifier, Losses};
use crate::tree::Timestamp;

/// 16 bytes, in the order in which a UUID is written, as the contract has them.
#[must_use]
pub fn identifier(bytes: [u8; 16]) -> Identifier {
    let [high, low] = [0, 8].map(|start| {
        bytes[start..start + 8]
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    });
    Identifier { high, low }
}

/// A moment, as the contract has it.
#[must_use]
pub fn timestamp(moment: Timestamp) -> ContractTimestamp {
    ContractTimestamp {
        seconds: moment.seconds,
        nanoseconds: moment.nanoseconds,
    }
}

impl Serialize for Losses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        LOSSES.map(|loss| self.contains(loss)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Losses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let contained = <[bool; 6]>::deserialize(deserializer)?;
        Ok(LOSSES
            .into_iter()
            .zip(contained)
            .filter(|(_, contained)| *contained)
            .fold(Self::empty(), |losses, (loss, _)| losses | loss))
    }
}

const LOSSES: [Losses; 6] = [
    Losses::SYMLINKS,
    Losses::SPECIAL_FILES,
    Losses::HARD_LINKS,
    Losses::OWNERS,
    Losses::PERMISSIONS,
    Losses::ATTRIBUTES,
];
