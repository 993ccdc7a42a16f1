//! `cellblock convert`: whatever describes a disk in, a spec in TOML out.

use super::project::Described;
use super::{Failure, print, print_json};
use crate::arguments::{ArgumentError, Convert};

pub(super) fn run(convert: &Convert) -> Result<(), Failure> {
    let described = Described::read(&convert.file, &convert.contents)?;
    described.print_notes();
    let [volume] = &described.project.volumes[..] else {
        let volumes = described.project.volumes.iter();
        let known = volumes.filter_map(|volume| volume.name.clone()).collect();
        return Err(Failure::usage(ArgumentError::SeveralVolumes { known }));
    };
    if convert.json {
        return print_json(&volume.spec.to_table().map_err(Failure::failed)?);
    }
    print(&volume.spec.to_toml().map_err(Failure::failed)?)
}
