//! The keys at the top of a gadget, which say nothing of the disk and which snapd checks all the same.

use toml::de::DeValue;

use super::super::super::Within;
use super::super::super::fields::{Fields, parsed, wrong_type};
use super::super::super::value::ValueError;
use super::super::{VolumeFault, is_given};

/// Keys that may hold anything.
const OTHER_KEYS: [&str; 4] = [
    "kernel-cmdline",
    "device-tree",
    "device-tree-origin",
    "format",
];
/// The system itself, in the place of a snap's identifier.
const SYSTEM: &str = "system";
/// The length of a snap's identifier.
const SNAP_ID: usize = 32;
/// Where devices lie that can be named beforehand.
const DEVICES: [&str; 2] = ["/dev/disk/by-path", "/dev/disk/by-id"];

/// Checks the keys at the top, other than `volumes`.
pub(super) fn check(top: &mut Fields<'_, '_>) {
    for key in OTHER_KEYS {
        top.get(key);
    }
    check_defaults(top);
    check_connections(top);
    check_assignments(top);
}

fn is_snap_id(text: &str) -> bool {
    text.len() == SNAP_ID && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn check_defaults(top: &mut Fields<'_, '_>) {
    if !is_given(top, "defaults") {
        return;
    }
    let Some(mut defaults) = top.take_table("defaults", Within::Top) else {
        return;
    };
    for (name, value) in defaults.entries() {
        if name != SYSTEM && !is_snap_id(name) {
            let fault = VolumeFault::NoSnap {
                text: name.to_owned(),
            };
            defaults.problem(fault.into(), defaults.place_of(name));
        }
        defaults.read(name, value, |value| {
            if value.is_table() || value.as_str() == Some("") {
                Ok(())
            } else {
                Err(wrong_type("a mapping", value))
            }
        });
    }
}

fn check_connections(top: &mut Fields<'_, '_>) {
    if !is_given(top, "connections") {
        return;
    }
    top.take_tables("connections", |_, connection| {
        connection.require("plug", "plug: system:network", end);
        if is_given(connection, "slot") {
            connection.take("slot", end);
        }
        Some(())
    });
}

/// The end of a connection: a snap, or the system, and a name.
fn end(value: &DeValue<'_>) -> Result<(), ValueError> {
    parsed(|text| {
        let parts: Vec<&str> = text.split(':').collect();
        match parts[..] {
            [snap, name] if !snap.is_empty() && !name.is_empty() => Ok(()),
            _ => Err(ValueError::NotAConnection {
                text: text.to_owned(),
            }),
        }
    })(value)
}

fn check_assignments(top: &mut Fields<'_, '_>) {
    if !is_given(top, "volume-assignments") {
        return;
    }
    let volumes = top
        .get("volumes")
        .and_then(|value| value.get_ref().as_table());
    let mut volumes: Vec<_> = volumes.into_iter().flat_map(|table| table.keys()).collect();
    volumes.sort_by_key(|name| name.span().start);
    let volumes: Vec<&str> = volumes.iter().map(|name| &**name.get_ref()).collect();
    top.take_tables("volume-assignments", |_, variant| {
        variant.get("assignment-name");
        let example = "assignment: {pc: {device: /dev/disk/by-path/pci-0000:00:1f.2}}";
        variant.require("assignment", example, |value| match value.as_table() {
            Some(table) if !table.is_empty() => Ok(()),
            _ => Err(wrong_type("a mapping of volumes", value)),
        })?;
        let mut assignment = variant.take_table("assignment", Within::Top)?;
        for (name, value) in assignment.entries() {
            if !volumes.contains(&name) {
                let fault = VolumeFault::UnknownVolume {
                    name: name.to_owned(),
                    known: volumes.iter().map(|&known| known.to_owned()).collect(),
                };
                assignment.problem(fault.into(), assignment.place_of(name));
            }
            if let Some(mut of_volume) = assignment.inner_of(name, value, Within::Top) {
                of_volume.require("device", "device: /dev/disk/by-id/ata-disk", |value| {
                    parsed(|text| {
                        if DEVICES.iter().any(|start| text.starts_with(start)) {
                            return Ok(());
                        }
                        Err(ValueError::NotADevice {
                            text: text.to_owned(),
                        })
                    })(value)
                });
                of_volume.finish();
            }
        }
        Some(())
    });
}
