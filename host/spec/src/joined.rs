//! Several files of TOML as one table: tables of one name are one table, and everything else is written once.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::{Problem, ProblemKind, SpecError, Within};
use super::place::{FileId, Files};

/// The table of `files`, whose places are counted in the bytes of all of them.
///
/// # Errors
/// When one of them is not TOML, or a key is there twice.
pub(super) fn joined<'text>(
    files: &'text Files,
    ids: impl IntoIterator<Item = FileId>,
) -> Result<DeTable<'text>, SpecError> {
    let mut whole = DeTable::new();
    let mut problems = Vec::new();
    for id in ids {
        match parse(files, id) {
            Ok(table) => join(&mut whole, table, files, &mut problems),
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() {
        Ok(whole)
    } else {
        Err(SpecError { problems })
    }
}

fn parse(files: &Files, id: FileId) -> Result<DeTable<'_>, Box<Problem>> {
    let start = files.start(id);
    let table = DeTable::parse(files.text(id)).map_err(|error| {
        Box::new(Problem {
            kind: ProblemKind::Syntax {
                message: error.message().to_owned(),
            },
            place: files.place(shifted(error.span().unwrap_or(0..0), start)),
            within: Within::Top,
        })
    })?;
    let table = table.into_inner();
    Ok(if start == 0 {
        table
    } else {
        shifted_table(table, start)
    })
}

/// Puts what is in `other` into the table.
fn join<'text>(
    table: &mut DeTable<'text>,
    other: DeTable<'text>,
    files: &Files,
    problems: &mut Vec<Problem>,
) {
    for (key, value) in other {
        let Some((first, _)) = table.get_key_value(&key) else {
            table.insert(key, value);
            continue;
        };
        let first = files.place(first.span());
        let Some(known) = table.get_mut(&key) else {
            continue;
        };
        let place = files.place(key.span());
        match (known.get_mut(), value.into_inner()) {
            (DeValue::Table(known), DeValue::Table(more)) => join(known, more, files, problems),
            _ => problems.push(Problem {
                kind: ProblemKind::GivenTwice {
                    key: key.into_inner().into_owned(),
                    first,
                },
                place,
                within: Within::Top,
            }),
        }
    }
}

fn shifted(range: Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

fn shifted_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let entries = table.into_iter().map(|(key, value)| {
        let place = shifted(key.span(), by);
        (
            Spanned::new(place, key.into_inner()),
            shifted_value(value, by),
        )
    });
    entries.collect()
}

fn shifted_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let place = shifted(value.span(), by);
    let value = match value.into_inner() {
        DeValue::Array(array) => {
            let mut moved = DeArray::new();
            for item in array {
                moved.push(shifted_value(item, by));
            }
            DeValue::Array(moved)
        }
        DeValue::Table(table) => DeValue::Table(shifted_table(table, by)),
        other => other,
    };
    Spanned::new(place, value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use crate::{Choices, Files, Project, Spec};

    const MAIN: &str =
        "[disk]\ntable = \"mbr\"\n[[partition]]\ntype = \"linux\"\nsize = \"1MiB\"\n";

    fn two(first: (&str, &str), second: &str) -> Files {
        let mut files = Files::one(first.0, first.1);
        files.add("more/more.toml", second);
        files
    }

    #[test]
    fn tables_are_joined_and_paths_start_where_they_are_written() {
        let more = "[disk]\nsize = \"8MiB\"\n[boot]\nunified-kernels = [\"a.efi\"]\n[guests]\nm = { file = \"m.wasm\" }\n";
        let files = two(("here/image.toml", MAIN), more);
        let spec = Spec::read(&files).unwrap();
        let [crate::UnifiedKernel::Whole(kernel)] = &spec.boot.unified_kernels[..] else {
            panic!("{:?}", spec.boot.unified_kernels)
        };
        assert_eq!(kernel.value, Path::new("more/a.efi"));
        assert_eq!(
            spec.guests["m"].file.value.path(),
            Some(Path::new("more/m.wasm"))
        );
        let size = spec.disk.size.unwrap().place;
        assert_eq!(&files.text(size.file)[size.range], "\"8MiB\"");
    }

    #[test]
    fn what_is_given_twice_shows_both_places() {
        let files = two(("image.toml", MAIN), "\n[disk]\ntable = \"gpt\"\n");
        assert_eq!(
            Spec::read(&files).unwrap_err().render(&files, false),
            "\
error: the key `table` is given twice
 --> more/more.toml:3:1
  |
3 | table = \"gpt\"
  | ^^^^^ here
  |
 ::: image.toml:2:1
  |
2 | table = \"mbr\"
  | ----- the other one
  |
  = help: keep one of them: of two files the tables are joined, and not their values"
        );
        let files = two(("image.toml", MAIN), "[[partition]]\ntype = \"esp\"\n");
        let error = Spec::read(&files).unwrap_err().to_string();
        assert_eq!(error, "the key `partition` is given twice");
    }

    #[test]
    fn every_error_names_its_file() {
        let files = two(("image.toml", MAIN), "[dsk]\n");
        let error = Spec::read(&files).unwrap_err().render(&files, false);
        assert!(error.contains(" --> more/more.toml:1:2\n"), "{error}");
        let files = two(("image.toml", MAIN), "x = \n");
        let error = Spec::read(&files).unwrap_err().render(&files, false);
        assert!(error.contains(" --> more/more.toml:1:"), "{error}");
    }

    #[test]
    fn beside_yaml_the_rest_is_said_in_toml() {
        let yaml = "volumes:\n  pc:\n    bootloader: grub\n    schema: mbr\n    structure: [{name: p, type: '83', size: 1M}]\n";
        let more =
            "[disk]\nsize = \"8MiB\"\nid = \"0x0000002a\"\n[boot.grub-efi]\nimage = \"g.efi\"\n";
        let files = two(("gadget.yaml", yaml), more);
        let project = Project::read(&files, &Choices::default()).unwrap();
        let spec = &project.volumes[0].spec;
        let printed = spec.to_toml().unwrap();
        assert!(
            printed.starts_with("[disk]\ntable = \"mbr\"\nsize = \"8MiB\"\nid = \"0x0000002a\"\n"),
            "{printed}"
        );
        assert!(printed.ends_with("image = \"more/g.efi\"\n"), "{printed}");
        for (more, expected) in [
            (
                "[disk]\ntable = \"gpt\"\n",
                "the key `table` is given twice",
            ),
            (
                "[disk]\nalignment = 512\n",
                "`alignment` follows from the volume",
            ),
            ("[[partition]]\ntype = \"esp\"\n", "unknown key `partition`"),
        ] {
            let files = two(("gadget.yaml", yaml), more);
            let error = Project::read(&files, &Choices::default())
                .unwrap_err()
                .render(&files, false);
            assert!(
                error.contains(expected) && error.contains("more/more.toml"),
                "{error}"
            );
        }
    }
}
