//! Small translations between the host's values and those of the contract.

use super::bindings::cellblock::format::tree::Timestamp as ContractTimestamp;
use super::bindings::exports::cellblock::format::formatter::Identifier;
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
