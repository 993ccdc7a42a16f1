//! Plans of what imagecraft and snapd describe.

use std::path::Path;

use cellblock_spec::Project;

use super::plan;

const IMAGECRAFT: &str = include_str!("../../../../../tests/cases/volumes/imagecraft.yaml");
const GADGET: &str = include_str!("../../../../../tests/cases/volumes/gadget.yaml");

/// What stands in a spec may be of any size, and no arithmetic on it fails.
#[test]
fn numbers_of_any_size_are_read_or_refused() {
    let largest = u64::MAX.to_string();
    for (source, from) in [
        (IMAGECRAFT, "3 G"),
        (GADGET, "1M\n        offset-write"),
        (GADGET, "2M"),
        (GADGET, "mbr+92"),
    ] {
        let name = if source == GADGET {
            "gadget.yaml"
        } else {
            "imagecraft.yaml"
        };
        for number in [&largest, "17179869183G", "18446744073709551615G", "0"] {
            let to = from.replacen(|c: char| c.is_ascii_digit(), number, 1);
            let source = source.replace(from, &to);
            let Ok(project) = Project::parse(&source, Path::new(name)) else {
                continue;
            };
            for volume in project.volumes {
                let _ = plan(&volume.spec, &Default::default(), &Default::default(), None);
            }
        }
    }
}
