//! Capability sets of programs: `struct vfs_cap_data` and `struct vfs_ns_cap_data` of `linux/capability.h`, all little
//! endian.
//!
//! ```text
//!  0            4                      12                     20             24
//!  +------------+----------------------+----------------------+--------------+
//!  | revision,  | permitted and        | the same, for        | the user who |
//!  | flags      | inheritable, 0 to 31 | capabilities 32 on   | is root      |
//!  +------------+----------------------+----------------------+--------------+
//!  |<---------------------- revision 2 ---------------------->|              |
//!  |<------------------------------ revision 3 ---------------------------->|
//! ```

use super::NOBODY;
use super::fault::CapabilityFault;

/// Bits of the first field that hold the revision.
const REVISION_SHIFT: u32 = 24;
/// The flag that makes what is permitted effective: `VFS_CAP_FLAGS_EFFECTIVE`.
const EFFECTIVE: u32 = 1;
/// Bytes of a set, by revision from 2 on.
const LENGTHS: [usize; 2] = [20, 24];

/// Whether Linux takes this set (`cap_convert_nscap`) and gives it back. One of revision 1 it would heed where it is stored, but
/// no `setxattr` stores it, and no `getxattr` reads it.
pub(super) fn check(value: &[u8]) -> Result<(), CapabilityFault> {
    let length = value.len();
    let Some(first) = value.first_chunk() else {
        return Err(CapabilityFault::Truncated { length });
    };
    let first = u32::from_le_bytes(*first);
    let revision = first >> REVISION_SHIFT;
    let expected = match revision {
        2 => LENGTHS[0],
        3 => LENGTHS[1],
        _ => return Err(CapabilityFault::Revision { revision }),
    };
    if length != expected {
        return Err(CapabilityFault::Length {
            revision,
            length,
            expected,
        });
    }
    let flags = first - (revision << REVISION_SHIFT);
    if flags & !EFFECTIVE != 0 {
        return Err(CapabilityFault::Flags { flags });
    }
    let root = value.last_chunk().map(|root| u32::from_le_bytes(*root));
    if revision == 3 && root == Some(NOBODY) {
        return Err(CapabilityFault::Root);
    }
    Ok(())
}
