//! Where a partition table's own parts lie: keys of `[disk]` for boards whose boot loaders or firmware want them elsewhere.

use schemars::JsonSchema;

use super::Placed;
use super::schema;

/// Where a partition table's own parts lie, as far as it is not as usual.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub struct TableSpec {
    /// Where the primary entries of a GPT begin, from the start of the disk; behind the header when absent. Between the
    /// header and them is room for a boot loader that a board reads from there.
    #[schemars(with = "Option<schema::Size>")]
    pub gpt_location: Option<Placed<u64>>,
    /// Whether a GPT has a backup at the end of the disk; true when absent. Partitions may reach the end without.
    #[schemars(with = "Option<bool>")]
    pub gpt_backup: Option<Placed<bool>>,
    /// The number in the MBR of the extended partition, 1 to 4; 4 when absent. Partitions without a number of their own are
    /// primary before it and logical from it on.
    #[schemars(with = "Option<schema::MbrNumber>")]
    pub extended_number: Option<Placed<u32>>,
    /// The type of the extended partition: "extended" (0x0f, addressed by sectors), "extended-chs" (0x05) or
    /// "linux-extended" (0x85); "extended" when absent.
    #[schemars(with = "Option<schema::MbrTypeName>")]
    pub extended_type: Option<Placed<u8>>,
    /// The space before each logical partition of an MBR that belongs to its boot record; 1 MiB when absent.
    #[schemars(with = "Option<schema::Size>")]
    pub boot_record_space: Option<Placed<u64>>,
    /// The number, 1 to 4, of the entry in a hybrid MBR that protects the GPT (type 0xee); 1 when absent. The partitions
    /// with an `mbr-type` take the others, in their order.
    #[schemars(with = "Option<schema::MbrNumber>")]
    pub protective_number: Option<Placed<u32>>,
}

impl TableSpec {
    /// What is given here, and else what `other` gives.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            gpt_location: self.gpt_location.or(other.gpt_location),
            gpt_backup: self.gpt_backup.or(other.gpt_backup),
            extended_number: self.extended_number.or(other.extended_number),
            extended_type: self.extended_type.or(other.extended_type),
            boot_record_space: self.boot_record_space.or(other.boot_record_space),
            protective_number: self.protective_number.or(other.protective_number),
        }
    }
}
