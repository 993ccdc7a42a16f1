//! The structures of virtual disks that the reader (`disk`) and the writer (`formats`) both know, each described once.

pub(crate) mod qcow2;
pub(crate) mod vhd;
pub(crate) mod vmdk;
