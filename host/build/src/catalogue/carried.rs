//! The formatters and readers that the program carries.

/// A guest that the program carries.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// The names of the file systems that it makes or reads, known before it is run. What they are it says itself.
    pub kinds: &'static [&'static str],
    /// The component.
    pub bytes: &'static [u8],
}

/// Embeds components of `guests/dist/`, a line each: the name of the guest, and those of its kinds.
macro_rules! embed {
    ($(#[$told:meta])* $all:ident: $($name:literal: $($kind:literal),+;)+) => {
        $(#[$told])*
        pub const $all: &[BuiltIn] = &[$(BuiltIn {
            name: $name,
            kinds: &[$($kind),+],
            bytes: include_bytes!(concat!("../../guests/", $name, ".wasm")),
        }),+];
    };
}

embed! {
    /// All formatters that the program carries.
    BUILT_IN:
    "erofs": "erofs";
    "ext4": "ext2", "ext3", "ext4";
    "squashfs": "squashfs";
    "swap": "swap";
    "vfat": "vfat", "fat12", "fat16", "fat32";
}

embed! {
    /// All readers that the program carries.
    BUILT_IN_READERS:
    "read-erofs": "erofs";
    "read-ext": "ext2", "ext3", "ext4";
    "read-fat": "vfat", "fat12", "fat16", "fat32", "exfat";
    "read-squashfs": "squashfs";
}

/// The file systems that built-in formatters make.
pub fn built_in_kinds() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().flat_map(|guest| guest.kinds).copied()
}

/// The built-in formatter that makes `name`, or that has this name.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static BuiltIn> {
    let by_name = || BUILT_IN.iter().find(|guest| guest.name == name);
    makers(name).next().or_else(by_name)
}

/// The built-in formatters that make `kind`: one, or none.
pub(super) fn makers(kind: &str) -> impl Iterator<Item = &'static BuiltIn> {
    BUILT_IN
        .iter()
        .filter(move |guest| guest.kinds.contains(&kind))
}

/// Whether a built-in reader reads this kind of file system.
pub(crate) fn is_read(kind: &str) -> bool {
    let mut readers = BUILT_IN_READERS.iter();
    readers.any(|reader| reader.kinds.contains(&kind))
}
