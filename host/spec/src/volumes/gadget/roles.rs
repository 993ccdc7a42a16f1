//! The roles of a gadget's structures: what they are for, the labels that follow from them, and which of them need one
//! another. They are counted over all volumes together, as snapd does.

use toml::de::DeValue;

use super::super::super::fields::Fields;
use super::super::super::{Place, Placed, Within};
use super::super::VolumeFault;

/// The label of a structure that has a role without saying so.
pub(super) const SYSTEM_BOOT: &str = "system-boot";
/// Labels that only structures with a role have.
const RESERVED: [&str; 2] = ["ubuntu-seed", "ubuntu-data"];
/// Those that are so too once there is a seed.
const RESERVED_WITH_SEED: [&str; 2] = ["ubuntu-boot", "ubuntu-save"];

/// What a structure is for, as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    BootCode,
    Boot,
    Data,
    Seed,
    SeedNull,
    Save,
    BootState,
    Other,
}

pub(super) const ROLES: [(&str, Role); 13] = [
    ("mbr", Role::BootCode),
    ("system-boot", Role::Boot),
    ("system-data", Role::Data),
    ("system-seed", Role::Seed),
    ("system-seed-null", Role::SeedNull),
    ("system-save", Role::Save),
    ("system-boot-state", Role::BootState),
    ("system-boot-image", Role::Other),
    ("system-boot-select", Role::Other),
    ("system-seed-image", Role::Other),
    ("system-seed-select", Role::Other),
    ("bootimg", Role::Other),
    ("bootselect", Role::Other),
];

impl Role {
    /// How it is written, if it is one that a single structure has.
    fn of_one(self) -> Option<&'static str> {
        match self {
            Self::Boot
            | Self::Data
            | Self::Seed
            | Self::SeedNull
            | Self::Save
            | Self::BootState => ROLES
                .iter()
                .find(|(_, role)| *role == self)
                .map(|(name, _)| *name),
            Self::BootCode | Self::Other => None,
        }
    }

    /// Whether both are the seed of one system.
    fn is_same(self, other: Self) -> bool {
        let is_seed = |role| matches!(role, Self::Seed | Self::SeedNull);
        self == other || is_seed(self) && is_seed(other)
    }
}

/// The seed of a system, which roles and labels follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seed {
    /// There is none: a system without modes.
    None,
    /// `system-seed`, of Ubuntu Core 20 or later.
    Core,
    /// `system-seed-null`, of a classic system with modes.
    Classic,
}

impl Seed {
    /// The seed among the volumes, before they are read.
    pub(super) fn among<'a, 'text: 'a>(volumes: impl Iterator<Item = &'a DeValue<'text>>) -> Self {
        let structures = volumes.flat_map(|volume| {
            let list = member(volume, "structure").and_then(DeValue::as_array);
            list.into_iter()
                .flatten()
                .map(|structure| structure.get_ref())
        });
        let roles = structures.filter_map(|structure| member(structure, "role")?.as_str());
        let mut found = Self::None;
        for role in roles {
            match role {
                "system-seed" if found == Self::None => found = Self::Core,
                "system-seed-null" => found = Self::Classic,
                _ => {}
            }
        }
        found
    }

    /// The label that follows from a role.
    pub(super) fn implied_label(self, role: Role) -> Option<&'static str> {
        match (role, self) {
            (Role::Data, Self::None) => Some("writable"),
            (Role::Data, _) => Some("ubuntu-data"),
            (Role::Seed | Role::SeedNull, _) => Some("ubuntu-seed"),
            (Role::Boot, Self::Core | Self::Classic) => Some("ubuntu-boot"),
            (Role::Save, Self::Core | Self::Classic) => Some("ubuntu-save"),
            _ => None,
        }
    }

    /// Refuses a label of a structure that its role gives another one, or that only another role gives.
    pub(super) fn check_label(
        self,
        fields: &mut Fields<'_, '_>,
        label: &Placed<String>,
        role: Option<Role>,
        is_fat: bool,
    ) {
        let text = &label.value;
        let is = |other: &str| text == other || is_fat && text.eq_ignore_ascii_case(other);
        // A boot partition's label is free, but on a classic system with modes.
        let implied = role
            .filter(|role| *role != Role::Boot || self == Self::Classic)
            .and_then(|role| self.implied_label(role));
        let with_seed = RESERVED_WITH_SEED.iter().filter(|_| self != Self::None);
        let is_reserved = RESERVED.iter().chain(with_seed).any(|other| is(other));
        let fault = match (role, implied) {
            (_, Some(implied)) if !is(implied) => VolumeFault::LabelOfRole {
                label: text.clone(),
                implied,
            },
            (None, _) if is_reserved => VolumeFault::ReservedLabel {
                label: text.clone(),
            },
            _ => return,
        };
        fields.problem(fault.into(), label.place.clone());
    }
}

fn member<'a, 'text>(value: &'a DeValue<'text>, key: &str) -> Option<&'a DeValue<'text>> {
    let table = value.as_table()?;
    let (_, value) = table.iter().find(|(name, _)| name.get_ref() == key)?;
    Some(value.get_ref())
}

/// A role that a structure says it has.
struct Held {
    role: Role,
    name: &'static str,
    place: Place,
    /// The number of the volume, in the order of the file.
    volume: usize,
    /// What errors call the structure.
    within: Within,
}

/// The roles that single structures have, over all volumes.
pub(super) struct Roles {
    pub(super) seed: Seed,
    held: Vec<Held>,
    volume: usize,
}

impl Roles {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            seed,
            held: Vec::new(),
            volume: 0,
        }
    }

    /// What follows is in another volume.
    pub(super) fn next_volume(&mut self) {
        self.volume += 1;
    }

    /// Notes a role, which no other structure may have.
    pub(super) fn add(&mut self, fields: &mut Fields<'_, '_>, role: &Placed<Role>) {
        let Some(name) = role.value.of_one() else {
            return;
        };
        let same = self.held.iter().find(|held| held.role.is_same(role.value));
        if let Some(first) = same {
            let fault = VolumeFault::SecondRole {
                role: name,
                first: first.place.clone(),
            };
            fields.problem(fault.into(), role.place.clone());
        }
        self.held.push(Held {
            role: role.value,
            name,
            place: role.place.clone(),
            volume: self.volume,
            within: fields.within(),
        });
    }

    fn of(&self, role: Role) -> Option<&Held> {
        self.held.iter().find(|held| held.role == role)
    }

    /// Refuses roles that need others, once all volumes are read.
    pub(super) fn check(&self, fields: &mut Fields<'_, '_>) {
        const CORE: [(Role, Role); 2] = [(Role::Seed, Role::Data), (Role::Save, Role::Seed)];
        const CLASSIC: [(Role, Role); 2] =
            [(Role::SeedNull, Role::Boot), (Role::SeedNull, Role::Data)];
        let needs: &[(Role, Role)] = match self.seed {
            Seed::None | Seed::Core => &CORE,
            Seed::Classic => &CLASSIC,
        };
        let missing = needs.iter().filter_map(|(role, other)| {
            let held = self.of(*role)?;
            let needed = other.of_one().filter(|_| self.of(*other).is_none())?;
            let role = held.name;
            Some((held, VolumeFault::MissingRole { role, needed }))
        });
        let main = self
            .of(Role::Seed)
            .filter(|_| self.seed == Seed::Core)
            .or_else(|| self.of(Role::SeedNull).and(self.of(Role::Boot)));
        // The root file system of a classic system may lie anywhere.
        let beside: &[Role] = match self.seed {
            Seed::None | Seed::Core => &[Role::Boot, Role::Data, Role::Save],
            Seed::Classic => &[Role::SeedNull, Role::Save],
        };
        let elsewhere = main.into_iter().flat_map(|main| {
            let held = beside.iter().filter_map(|role| self.of(*role));
            held.filter(|held| held.volume != main.volume).map(|held| {
                let fault = VolumeFault::RoleElsewhere {
                    role: held.name,
                    main: main.name,
                    first: main.place.clone(),
                };
                (held, fault)
            })
        });
        let found: Vec<_> = missing.chain(elsewhere).collect();
        let within = fields.within();
        for (held, fault) in found {
            fields.set_within(held.within.clone());
            fields.problem(fault.into(), held.place.clone());
        }
        fields.set_within(within);
    }
}
