//! Templates know what `blkid` will say.

use std::collections::BTreeMap;

use super::assert_holds;
use crate::support::disk::cut_out;
use crate::support::judges::{judge_ext4, judge_fat};
use crate::support::{Bench, judge, text};

/// A template for each value of a partition.
const TEMPLATE: &str = "\
disk={{ disk.id }}
number={{ partition.NAME.number }} uuid={{partition.NAME.uuid}}
filesystem={{ partition.NAME.filesystem-uuid }} label={{ partition.NAME.label }}
${{{{ kept }} {as} }} it is\n";

fn spec(table: &str, type_name: &str) -> String {
    format!(
        "[disk]
table = \"{table}\"
time = \"2024-03-01T12:00:00Z\"

[[partition]]
name = \"efi part\"
type = \"esp\"
size = \"8MiB\"
filesystem = \"vfat\"
label = \"UEFI\"
content = [{{ template = \"efi.in\", to = \"/values\" }}]

[[partition]]
name = \"root\"
type = \"{type_name}\"
size = \"8MiB\"
filesystem = \"ext4\"
label = \"the root\"
content = [
    {{ template = \"root.in\", to = \"/etc/values\", owner = \"7:8\", mode = \"0600\" }},
    {{ text = \"{{{{ disk.id }}}}\", to = \"/etc/text\" }},
]
"
    )
}

/// What blkid says of a file.
fn blkid(file: &std::path::Path) -> Option<BTreeMap<String, String>> {
    let output = judge("blkid")?.run(&["-p", "-o", "export"], file);
    let said = text(&output);
    let pairs = said.lines().filter_map(|line| line.split_once('='));
    Some(
        pairs
            .map(|(key, value)| (key.to_owned(), value.replace('\\', "")))
            .collect(),
    )
}

#[test]
fn templates_say_what_blkid_says() {
    for (table, type_name) in [("gpt", "root-x86-64"), ("mbr", "linux")] {
        let bench = Bench::new();
        bench.write("efi.in", TEMPLATE.replace("NAME", "efi part"));
        bench.write("root.in", TEMPLATE.replace("NAME", "root"));
        let image = bench.build_text(&spec(table, type_name));
        // The names of an MBR's partitions are only in the spec.
        let names = match table {
            "gpt" => ["efi part", "root"],
            _ => ["1", "2"],
        };
        let [efi, root] = names.map(|name| cut_out(&bench, &image, name));
        judge_fat(&efi);
        judge_ext4(&root);
        let Some(disk) = blkid(&image) else { return };
        let Some(sfdisk) = judge("sfdisk") else {
            return;
        };
        for (number, partition, path) in [(1, &efi, "::/values"), (2, &root, "/etc/values")] {
            let id = if table == "gpt" {
                let said = sfdisk.run(
                    &["--part-uuid", image.to_str().unwrap()],
                    number.to_string().as_ref(),
                );
                text(&said).trim().to_lowercase()
            } else {
                format!("{}-{number:02x}", disk["PTUUID"])
            };
            let known = blkid(partition).unwrap();
            let expected = format!(
                "disk={}\nnumber={number} uuid={id}\nfilesystem={} label={}\n${{{{ kept }}}} {{as}} }}}} it is\n",
                disk["PTUUID"], known["UUID"], known["LABEL"]
            );
            assert_holds(partition, path, expected);
        }
        assert_holds(&root, "/etc/text", "{{ disk.id }}");
    }
}

#[test]
fn a_value_that_is_not_there_is_named_with_its_line() {
    let bench = Bench::new();
    bench.write("efi.in", "a\nb={{ partition.efi part.number\nc\n");
    bench.write("root.in", "# root\nUUID={{ partition.rood.uuid }}\n");
    let refused = |spec: &str| {
        bench.write("image.toml", spec);
        let names = bench.names();
        let outcome = bench.run(&["build", "image.toml"]);
        assert_eq!(outcome.code, Some(2));
        assert_eq!(bench.names(), names);
        outcome.stderr
    };
    assert_eq!(
        refused(&spec("gpt", "root-x86-64")),
        "\
error: partition 'efi part': `{{` is not closed on its line
 --> efi.in:2:3
  |
2 | b={{ partition.efi part.number
  |   ^^ this one
  |
  = help: write `}}` behind the name, or `{{{{` for two braces
"
    );
    bench.write("efi.in", "");
    assert_eq!(
        refused(&spec("gpt", "root-x86-64")),
        "\
error: partition 'root': there is no value `partition.rood.uuid`
 --> root.in:2:9
  |
2 | UUID={{ partition.rood.uuid }}
  |         ^^^^^^^^^^^^^^^^^^^ did you mean `partition.root.uuid`?
  |
  = help: the values are disk.id, partition.efi part.digest, partition.efi part.filesystem-uuid, partition.efi part.label, \
partition.efi part.number, partition.efi part.uuid, partition.root.digest, partition.root.filesystem-uuid, partition.root.label, \
partition.root.number, partition.root.uuid
"
    );
    let absent = spec("gpt", "root-x86-64").replace("root.in", "absent.in");
    assert_eq!(
        refused(&absent),
        "\
error: partition 'root': absent.in: No such file or directory (os error 2)
  --> image.toml:20:18
   |
20 |     { template = \"absent.in\", to = \"/etc/values\", owner = \"7:8\", mode = \"0600\" },
   |                  ^^^^^^^^^^^ here
"
    );
}
