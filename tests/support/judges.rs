//! Programs that we did not write, which say whether an output is right: the crate of judges, for these tests.

pub use cellblock_judges::{
    Ability, Judge, judge, judge_ext4, judge_fat, judge_table, lacks, skipped, text,
};

/// Whether the tests run as the superuser.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
