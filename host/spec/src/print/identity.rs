//! What tells a spec from others, as text.

use super::{Lines, print_disk_size, print_partition, print_table_name, quoted};
use crate::size::{MIB, written};
use crate::{DiskSize, Spec};

/// How the text is made: a change of it changes every identifier that derives from it.
const VERSION: &str = "# cellblock identity 1\n";

impl Spec {
    /// What tells the disk from others, as text in one form for everything that means the same: the table, and of every
    /// partition what it is called, its type, place and size, its file system, label and options. Paths and content are
    /// no part of it, nor are the seed and the time: two builds of one spec in different folders have one identity.
    pub fn identity(&self) -> String {
        let mut text = VERSION.to_owned();
        let mut disk = Lines::new("[disk]");
        let size = self
            .disk
            .size
            .as_ref()
            .map_or(DiskSize::Auto, |size| size.value);
        let sector_size = self
            .disk
            .sector_size
            .as_ref()
            .map_or(512, |size| size.value);
        let alignment = self
            .disk
            .alignment
            .as_ref()
            .map_or(MIB, |alignment| alignment.value);
        disk.add("table", Some(print_table_name(self.disk.table_name())));
        disk.add("size", Some(print_disk_size(size)));
        disk.add("sector-size", Some(sector_size.to_string()));
        disk.add(
            "id",
            self.disk
                .id
                .as_ref()
                .map(|id| quoted(&id.value.to_string())),
        );
        disk.add("alignment", Some(quoted(&written(alignment))));
        self.disk.layout.print(&mut disk);
        text += &disk.0;
        for partition in &self.partitions {
            let mut bare = partition.clone();
            bare.raw.clear();
            if let Some(filesystem) = &mut bare.filesystem {
                filesystem.content.clear();
            }
            let signature = bare.verity_signature.take();
            // Without paths, nothing is left that TOML cannot write.
            if let Ok(lines) = print_partition(&bare) {
                text += &lines;
            }
            // Who signs has no part in it: a key that is elsewhere is the same key.
            if let Some(signature) = signature {
                let of = quoted(&signature.of.value);
                text += &format!("verity-signature = {{ of = {of} }}\n");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;

    const SPEC: &str = "[disk]\nseed = \"random\"\ntime = 5\nraw = [{ file = \"boot.img\" }]\n\
        [[partition]]\ntype = \"linux-generic\"\nfilesystem = \"ext4\"\nlabel = \"L\"\nsize = 1048576\n\
        content = [{ directory = \"root\" }]\noptions = { journal = false }\n";

    fn identity(source: &str, folder: &str) -> String {
        Spec::parse(source, Path::new(folder)).unwrap().identity()
    }

    #[test]
    fn paths_seeds_and_times_do_not_tell_disks_apart() {
        let expected = "# cellblock identity 1\n[disk]\ntable = \"gpt\"\nsize = \"auto\"\nsector-size = 512\n\
            alignment = \"1MiB\"\n[[partition]]\ntype = \"linux-generic\"\nsize = \"1MiB\"\n\
            filesystem = \"ext4\"\nlabel = \"L\"\noptions = { journal = \"false\" }\n";
        assert_eq!(identity(SPEC, "/here"), expected);
        let other = SPEC
            .replace("time = 5", "table = \"gpt\"\nsize = \"auto\"")
            .replace("\"root\"", "\"other\"")
            .replace("1048576", "\"1MiB\"");
        assert_eq!(identity(&other, "/there"), expected);
    }

    #[test]
    fn who_signs_does_not_tell_disks_apart() {
        let signed = |by: &str, folder: &str| {
            let signature =
                format!("verity-signature = {{ of = \"root\", certificate = \"c\", {by} }}");
            identity(
                &format!("[[partition]]\ntype = \"linux-generic\"\n{signature}\n"),
                folder,
            )
        };
        let expected = signed("key = \"k\"", "/here");
        assert!(
            expected.ends_with("verity-signature = { of = \"root\" }\n"),
            "{expected}"
        );
        assert_eq!(signed("signature = \"s\"", "/there"), expected);
    }

    #[test]
    fn whatever_else_is_said_tells_them_apart() {
        let mut seen = vec![identity(SPEC, "")];
        for (from, to) in [
            ("time = 5", "table = \"hybrid\""),
            ("time = 5", "size = \"8MiB\""),
            ("time = 5", "sector-size = 4096"),
            ("time = 5", "gpt-location = 4096"),
            ("time = 5", "gpt-backup = false"),
            ("linux-generic", "home"),
            ("ext4", "ext3"),
            ("\"L\"", "\"M\""),
            ("1048576", "1048577"),
            ("journal = false", "journal = true"),
            ("label", "name = \"n\"\nlabel"),
        ] {
            let source = SPEC.replace(from, to);
            assert_ne!(source, SPEC, "{from}");
            seen.push(identity(&source, ""));
        }
        let count = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
