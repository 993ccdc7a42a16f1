//! The file that says what is to be built, and what is typed beside it.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::arguments::Contents;
use cellblock_build::error::{Error, PartitionError};
use cellblock_build::plan::{Draft, PlanError, RawLengths};
use cellblock_build::spec::Project;

/// A file with what it describes.
pub(super) struct Described {
    path: PathBuf,
    text: String,
    pub(super) project: Project,
}

impl Described {
    /// Reads the file, and adds what was typed.
    pub(super) fn read(path: &Path, contents: &Contents) -> Result<Self, Failure> {
        let text = super::read_text(path)?;
        let project =
            Project::parse(&text, path).map_err(|error| located(error.into(), path, &text))?;
        let mut described = Self {
            path: path.to_owned(),
            text,
            project,
        };
        contents
            .choose(&mut described.project)
            .map_err(Failure::usage)?;
        let volumes = described.project.volumes.iter();
        let names: Vec<Vec<String>> = volumes
            .map(|volume| Ok(Draft::new(&volume.spec, RawLengths::new())?.names()))
            .collect::<Result<_, _>>()
            .map_err(|error: PlanError| described.located(error.into()))?;
        contents
            .add_to(&mut described.project.volumes, &names)
            .map_err(Failure::usage)?;
        Ok(described)
    }

    /// Says on standard error what makes no difference.
    pub(super) fn print_notes(&self) {
        for note in &self.project.notes {
            let line = note.line(&self.text);
            eprintln!("note: {}:{line}: {}", self.path.display(), note.text);
        }
    }

    /// The failure with its line in the file, where it has one.
    pub(super) fn located(&self, error: Error) -> Failure {
        located(error, &self.path, &self.text)
    }
}

fn located(error: Error, path: &Path, text: &str) -> Failure {
    let name = path.display().to_string();
    let color = super::color_of_errors();
    match error {
        Error::Spec(error) => Failure::rendered(error.render(&name, text, color)),
        Error::Plan(error) => Failure::rendered(error.render(&name, text, color)),
        Error::Partition { name, reason } => match *reason {
            PartitionError::Template(error) => Failure::rendered(error.render(&name, color)),
            reason => Error::Partition {
                name,
                reason: Box::new(reason),
            }
            .into(),
        },
        other => other.into(),
    }
}
