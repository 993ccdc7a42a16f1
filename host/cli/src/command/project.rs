//! The file that says what is to be built, and what is typed beside it.

use std::io;
use std::path::Path;

use super::Failure;
use super::failure::About;
use crate::arguments::{Contents, DEFAULT_SPEC, drawn_seed};
use cellblock_build::TemplateError;
use cellblock_build::catalogue::GuestError;
use cellblock_build::cell::CellError;
use cellblock_build::component::lock::{self, Lock};
use cellblock_build::contract::FormatError;
use cellblock_build::contract::Kinds;
use cellblock_build::error::{Error, PartitionError};
use cellblock_build::footprint::Overlap;
use cellblock_build::plan::{Draft, PlanError, RawLengths};
use cellblock_build::spec::diagnostic::{Diagnostic, render};
use cellblock_build::spec::{Choices, Files, Place, Project, Subject};

/// What files describe.
pub(super) struct Described {
    files: Files,
    pub(super) project: Project,
    /// What the partitions of each volume are called.
    names: Vec<Vec<String>>,
}

impl Described {
    /// A spec that is a text, whose relative paths begin in the current folder; errors call it the spec in `path`.
    pub(super) fn of_text(path: &Path, text: &str) -> Result<Self, Failure> {
        let mut files = Files::default();
        // Relative paths count from the folder of the name that the text has here. Its lines are none of the file that it is in.
        let name = path.file_name().unwrap_or_default().display();
        files.add(format!("the spec in {name}"), text.to_owned());
        let project = Project::read(&files, &Choices::default())
            .map_err(|error| located(error.into(), &files))?;
        Self::named(files, project)
    }

    /// Reads the file, or standard input for `-`, and adds what was typed.
    pub(super) fn read(path: &Path, contents: &Contents) -> Result<Self, Failure> {
        let mut files = Files::default();
        for path in [path].into_iter().chain(contents.also()) {
            files.add(path, read_text(path)?);
        }
        let project = Project::read(&files, &contents.choices())
            .map_err(|error| located(error.into(), &files))?;
        let mut project = project;
        pin(path, &mut project)?;
        contents.seed(&mut project.volumes);
        for volume in &mut project.volumes {
            volume.spec.draw_seed(drawn_seed).map_err(Failure::usage)?;
        }
        contents.choose(&mut project).map_err(Failure::usage)?;
        let mut described = Self::named(files, project)?;
        contents
            .add_to(&mut described.project.volumes, &described.names)
            .map_err(Failure::usage)?;
        Ok(described)
    }

    /// With the names of the partitions.
    fn named(files: Files, project: Project) -> Result<Self, Failure> {
        let mut described = Self {
            files,
            project,
            names: Vec::new(),
        };
        let volumes = described.project.volumes.iter();
        let names: Vec<Vec<String>> = volumes
            .map(|volume| {
                // What file systems are has no part in the names of partitions.
                let (kinds, lengths) = (Kinds::default(), RawLengths::new());
                Ok(Draft::new(&volume.spec, &kinds, lengths)?.names())
            })
            .collect::<Result<_, _>>()
            .map_err(|error: PlanError| described.located(error.into()))?;
        described.names = names;
        Ok(described)
    }

    /// The names of the partitions of the first volume.
    pub(super) fn names(&self) -> &[String] {
        self.names.first().map_or(&[], Vec::as_slice)
    }

    /// Says on standard error what makes no difference.
    pub(super) fn print_notes(&self) {
        for note in &self.project.notes {
            let (path, line) = (
                self.files.path(note.place.file),
                self.files.line(&note.place),
            );
            tell!("note: {}:{line}: {}", path.display(), note.text);
        }
    }

    /// The failure with its line in the file, where it has one.
    pub(super) fn located(&self, error: Error) -> Failure {
        let place = match &error {
            Error::Partition { name, reason } => self.place_of(name, reason),
            Error::Guest(GuestError::Read { name, .. } | GuestError::Component { name, .. }) => {
                self.place_of_guest(name)
            }
            _ => None,
        };
        if let Some(place) = place {
            let about = About::of(&error);
            let drawn = self.drawn(error.to_string(), &place);
            return Failure { about, ..drawn }.at(&self.files, Some(&place));
        }
        located(error, &self.files)
    }

    /// The failure beside a line of the files.
    fn drawn(&self, title: String, place: &Place) -> Failure {
        let diagnostic = Diagnostic {
            title,
            place: Some((place.clone(), "here".to_owned())),
            related: None,
            help: None,
        };
        let color = super::color_of_errors();
        let rendered = Failure::rendered(render(&[diagnostic], &self.files, color));
        rendered.at(&self.files, Some(place))
    }

    /// The failure of standard input that is named twice, with the line that names it last; none where it was typed.
    pub(super) fn of_stream(&self, twice: Overlap) -> Failure {
        let volumes = self.project.volumes.iter();
        let partitions = volumes.flat_map(|it| &it.spec.partitions);
        let filesystems = partitions.filter_map(|it| it.filesystem.as_ref());
        let mut named =
            filesystems.filter_map(|it| it.content_places.get(Path::new(STANDARD_INPUT)));
        match named.next_back() {
            Some(place) => self.drawn(twice.to_string(), place),
            None => twice.into(),
        }
    }

    /// Where the files name a formatter; `None` for one that somebody typed.
    fn place_of_guest(&self, name: &str) -> Option<Place> {
        let mut volumes = self.project.volumes.iter();
        let guest = volumes.find_map(|volume| volume.spec.guests.get(name))?;
        Some(guest.file.place.clone())
    }

    /// Where the files say what a partition cannot be made of; `None` where nothing in them is wrong.
    fn place_of(&self, name: &str, reason: &PartitionError) -> Option<Place> {
        let mut volumes = self.project.volumes.iter().zip(&self.names);
        let (spec, index) = volumes.find_map(|(volume, names)| {
            let index = names.iter().position(|known| known == name)?;
            Some((&volume.spec, index))
        })?;
        spec.place_of(index, subject(reason)?)
    }
}

/// Gives the guests that have a tag alone the digests that the lock file beside the spec has for them.
fn pin(path: &Path, project: &mut Project) -> Result<(), Failure> {
    let specs = || project.volumes.iter().map(|volume| &volume.spec);
    if specs().any(|spec| lock::references(spec).any(|(_, it)| lock::is_open(it))) {
        let lock = Lock::beside(path).map_err(Failure::usage)?;
        for volume in &mut project.volumes {
            lock.pin(&mut volume.spec);
        }
    }
    Ok(())
}

/// What the spec says that is wrong, if it is the spec that is wrong.
fn subject(reason: &PartitionError) -> Option<Subject<'_>> {
    let source = match reason {
        PartitionError::Template(TemplateError::Read { file, .. }) => {
            return Some(Subject::Content(file));
        }
        PartitionError::Source(source) => source,
        PartitionError::Cell(error) => match error.bare() {
            CellError::Source(source) => source,
            CellError::Refused(refusal) => {
                return match refusal.error() {
                    FormatError::TooSmall(_) => refusal.shortage().map(|_| Subject::Size),
                    FormatError::TooLarge(_) => Some(Subject::Size),
                    FormatError::Kind => Some(Subject::Partition),
                    FormatError::Label(_) => Some(Subject::Label),
                    FormatError::Setting(setting) => Some(Subject::Option(&setting.name)),
                    _ => None,
                };
            }
            _ => return None,
        },
        _ => return None,
    };
    source.misnamed().map(Subject::Content)
}

fn located(error: Error, files: &Files) -> Failure {
    let color = super::color_of_errors();
    match error {
        Error::Spec(error) => {
            let place = error.problems.first().map(|problem| &problem.place);
            Failure::rendered(error.render(files, color)).at(files, place)
        }
        Error::Plan(error) => {
            let rendered = Failure::rendered(error.render(files, color));
            let place = error.place.clone();
            let about = About::of(&Error::Plan(error));
            Failure { about, ..rendered }.at(files, place.as_ref())
        }
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

/// The name of standard input.
const STANDARD_INPUT: &str = "-";

fn read_text(path: &Path) -> Result<String, Failure> {
    if path != Path::new(STANDARD_INPUT) {
        let read = super::read_text(path);
        // Perhaps nobody has named it.
        let is_missing = || path == Path::new(DEFAULT_SPEC) && !path.exists();
        return read.map_err(|failure| match is_missing() {
            true => Failure::usage(format_args!(
                "there is no {DEFAULT_SPEC} here: name a spec, or write one to begin with by `cellblock init`"
            )),
            false => failure,
        });
    }
    super::text_of(io::stdin().lock())
        .map_err(|error| Failure::usage(format_args!("standard input: {error}")))
}
