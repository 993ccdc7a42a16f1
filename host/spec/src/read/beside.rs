//! What is said in TOML beside a file that describes disks in YAML.

use std::collections::BTreeMap;

use super::super::boot::BootSpec;
use super::super::cache::CacheSpec;
use super::super::error::{Problem, ProblemKind, Within};
use super::super::fields::Fields;
use super::super::{DiskSpec, GuestSpec, Place, Placed, Spec, TableName};
use super::{boot, cache, disk, guests};

/// What a spec beside YAML may say.
pub(crate) struct Beside {
    disk: DiskSpec,
    boot: BootSpec,
    guests: BTreeMap<String, GuestSpec>,
    cache: Option<CacheSpec>,
}

/// Reads what is said beside volumes with this kind of table.
pub(crate) fn read_beside(top: &mut Fields<'_, '_>, table: TableName) -> Beside {
    let disk = match top.take_table("disk", Within::Disk) {
        Some(mut fields) => {
            let disk = disk(&mut fields, table);
            let derived = [
                ("alignment", place(disk.alignment.as_ref())),
                ("sector-size", place(disk.sector_size.as_ref())),
            ];
            for (key, place) in derived {
                if let Some(place) = place {
                    fields.problem(ProblemKind::DecidedByVolume { key }, place);
                }
            }
            fields.finish();
            disk
        }
        None => DiskSpec::default(),
    };
    let guests = match top.take_table("guests", Within::Top) {
        Some(mut fields) => guests(&mut fields),
        None => BTreeMap::new(),
    };
    Beside {
        disk,
        boot: boot(top),
        guests,
        cache: cache(top),
    }
}

fn place<T>(value: Option<&Placed<T>>) -> Option<Place> {
    value.map(|value| value.place.clone())
}

impl Beside {
    /// Adds it to the spec of a volume. The size of the disk follows from the volume where nothing is said; a kind of table
    /// and an identifier are said once.
    pub(crate) fn add_to(&self, spec: &mut Spec, problems: &mut Vec<Problem>) {
        let Self {
            disk,
            boot,
            guests,
            cache,
        } = self;
        let given_twice = [
            (
                "table",
                place(spec.disk.table.as_ref()),
                place(disk.table.as_ref()),
            ),
            ("id", place(spec.disk.id.as_ref()), place(disk.id.as_ref())),
        ];
        for (key, first, second) in given_twice {
            if let (Some(first), Some(place)) = (first, second) {
                let key = key.to_owned();
                problems.push(Problem {
                    kind: ProblemKind::GivenTwice { key, first },
                    place,
                    within: Within::Disk,
                });
            }
        }
        let of_volume = std::mem::take(&mut spec.disk);
        spec.disk = DiskSpec {
            table: of_volume.table.or(disk.table.clone()),
            size: disk.size.clone().or(of_volume.size),
            sector_size: of_volume.sector_size,
            seed: disk.seed.clone(),
            id: of_volume.id.or(disk.id.clone()),
            time: disk.time.clone(),
            alignment: of_volume.alignment,
            layout: disk.layout.clone().or(of_volume.layout),
            raw: of_volume.raw.into_iter().chain(disk.raw.clone()).collect(),
        };
        spec.boot = boot.clone();
        spec.guests.clone_from(guests);
        spec.cache.clone_from(cache);
    }
}
