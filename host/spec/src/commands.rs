//! What partitions ask of formatters that are WASI commands: a command measures nothing, and gets what its command line
//! names.

use super::{PartitionSpec, Place, Problem, ProblemKind, SizeRule, Spec, SpecError, Within};
use cellblock_contract::{CommandLine, Placeholder};

impl Spec {
    /// Checks the partitions whose file system a command makes: `line_of` tells how, by the file system's name.
    ///
    /// # Errors
    /// [`SpecError`] with a problem for each size that would have to be measured, and for each value that would be lost.
    pub fn check_commands<'a>(
        &self,
        line_of: impl Fn(&str) -> Option<&'a CommandLine>,
    ) -> Result<(), SpecError> {
        let problems: Vec<Problem> = self
            .partitions
            .iter()
            .enumerate()
            .flat_map(|(index, partition)| {
                let within = Within::Partition {
                    position: index + 1,
                    name: partition.name.as_ref().map(|name| name.value.clone()),
                };
                let line = partition
                    .filesystem
                    .as_ref()
                    .and_then(|filesystem| line_of(&filesystem.kind.value));
                line.map_or_else(Vec::new, |line| problems(partition, line))
                    .into_iter()
                    .map(move |(kind, place)| Problem {
                        kind,
                        place,
                        within: within.clone(),
                    })
            })
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(SpecError { problems })
        }
    }
}

fn problems(partition: &PartitionSpec, line: &CommandLine) -> Vec<(ProblemKind, Place)> {
    let Some(filesystem) = &partition.filesystem else {
        return Vec::new();
    };
    let mut problems = Vec::new();
    if let SizeRule::Minimum(_) = partition.size_rule() {
        let size = partition.size.as_ref().map(|size| size.place.clone());
        let place = size.unwrap_or_else(|| filesystem.kind.place.clone());
        problems.push((ProblemKind::Unmeasured, place));
    }
    let has = |placeholder: Placeholder| line.placeholders().any(|named| *named == placeholder);
    let mut lost = |what: String, placeholder: &str, place: &Place| {
        let kind = ProblemKind::NotInCommandLine {
            what,
            placeholder: placeholder.to_owned(),
        };
        problems.push((kind, place.clone()));
    };
    if let Some(label) = &filesystem.label
        && !has(Placeholder::Label)
    {
        lost("label".to_owned(), "{label}", &label.place);
    }
    if let Some(uuid) = &filesystem.uuid
        && !has(Placeholder::Uuid)
        && !has(Placeholder::Serial)
    {
        lost("uuid".to_owned(), "{uuid}", &uuid.place);
    }
    for (name, value) in &filesystem.options {
        if !has(Placeholder::Option(name.clone())) {
            let placeholder = format!("{{option:{name}}}");
            lost(format!("option {name}"), &placeholder, &value.place);
        }
    }
    problems
}
