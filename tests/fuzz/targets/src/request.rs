//! What a formatter is asked, from bytes.

use arbitrary::{Result, Unstructured};
use cellblock_guest::{Description, Losses, Request, Timestamp, Uuid};

/// Values that options have, or nearly.
const VALUES: [&str; 40] = [
    "",
    "0",
    "1",
    "2",
    "8",
    "128",
    "256",
    "512",
    "1024",
    "2048",
    "4096",
    "8192",
    "16384",
    "65535",
    "65536",
    "1048576",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "auto",
    "yes",
    "no",
    "none",
    "5%",
    "50%",
    "0.001%",
    "100%",
    "1MiB",
    "64MiB",
    "debian-12",
    "debian-13",
    "ubuntu-22.04",
    "/mnt",
    "11111111-2222-3333-4444-555555555555",
    "^has_journal",
    "^extent",
    "inline_data",
    "^resize_inode,meta_bg",
    "none,has_journal,dir_index",
    "sparse_super2,^64bit",
];

/// A request of a size of 0.
pub(crate) fn request(bytes: &mut Unstructured<'_>, description: &Description) -> Result<Request> {
    let kind = match bytes.ratio(1, 64)? {
        true => bytes.arbitrary::<String>()?,
        false => bytes.choose(description.kinds)?.name.to_owned(),
    };
    let sector_size = match bytes.ratio(1, 32)? {
        true => bytes.arbitrary()?,
        false => *bytes.choose(&[512, 4096])?,
    };
    Ok(Request {
        kind,
        size: 0,
        disk_offset: u64::from(bytes.arbitrary::<u16>()?) << 9,
        sector_size,
        label: label(bytes)?,
        uuid: Uuid(bytes.arbitrary()?),
        seed: Uuid([7; 16]),
        time: time(bytes)?,
        drop: Losses::from_bits_truncate(bytes.arbitrary()?),
        settings: settings(bytes, description)?,
    })
}

fn label(bytes: &mut Unstructured<'_>) -> Result<String> {
    let length = bytes.int_in_range(0..=20)?;
    (0..length).map(|_| bytes.arbitrary::<char>()).collect()
}

/// A time: near ours, at an edge of what 32 or 34 bits hold, or any.
pub(crate) fn time(bytes: &mut Unstructured<'_>) -> Result<Timestamp> {
    let offset: i64 = bytes.arbitrary::<i8>()?.into();
    let edge = bytes.choose(&[
        1_700_000_000,
        0,
        1 << 31,
        1 << 32,
        1 << 34,
        315_532_800,
        4_354_819_200,
    ])?;
    let seconds = match bytes.ratio(1, 16)? {
        true => bytes.arbitrary()?,
        false => edge + offset,
    };
    Ok(Timestamp {
        seconds,
        nanoseconds: bytes.int_in_range(0..=999_999_999)?,
    })
}

fn settings(
    bytes: &mut Unstructured<'_>,
    description: &Description,
) -> Result<Vec<(String, String)>> {
    let mut settings: Vec<(String, String)> = Vec::new();
    for _ in 0..bytes.int_in_range(0..=4)? {
        let name = match bytes.ratio(1, 64)? {
            true => bytes.arbitrary()?,
            false => bytes.choose(description.options)?.name.to_owned(),
        };
        let value = match bytes.ratio(1, 4)? {
            true => bytes.arbitrary()?,
            false => (*bytes.choose(&VALUES)?).to_owned(),
        };
        if settings.iter().all(|(given, _)| *given != name) {
            settings.push((name, value));
        }
    }
    Ok(settings)
}
