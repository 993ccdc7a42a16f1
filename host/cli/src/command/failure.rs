//! How a command fails: what is said to people, and what to programs.

use std::fmt::Display;

use cellblock_build::catalogue::GuestError;
use cellblock_build::cell::CellError;
use cellblock_build::error::{Error, PartitionError};
use cellblock_build::footprint::Overlap;
use cellblock_build::image::ImageError;
use cellblock_build::spec::{Files, Place};
use serde::Serialize;

/// What is said when a command fails, and how the program exits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// The message, as people read it.
    pub message: String,
    /// The exit code: 1 if something failed, 2 if the command line or the spec is wrong.
    pub code: u8,
    /// Whether nothing may be added to standard output: it is a file that the run reads, or it has the whole JSON already.
    #[serde(skip)]
    pub keeps_stdout: bool,
    /// What it is about, where that is known.
    #[serde(flatten)]
    pub about: Box<About>,
}

/// What a failure is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct About {
    /// The name of the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// The file of the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The line of that file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The bytes that are needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<u64>,
    /// The bytes that there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<u64>,
}

impl Failure {
    fn new(message: String, code: u8) -> Self {
        Self {
            message,
            code,
            keeps_stdout: false,
            about: Box::default(),
        }
    }

    /// Something failed.
    pub(super) fn failed(error: impl Display) -> Self {
        Self::new(format!("error: {error}"), 1)
    }

    /// What was compared is not the same, and standard output has all of it if JSON goes there.
    pub(super) fn different(how: impl Display) -> Self {
        Self {
            keeps_stdout: true,
            ..Self::new(how.to_string(), 1)
        }
    }

    /// The command line or the spec is wrong.
    pub(super) fn usage(error: impl Display) -> Self {
        Self::new(format!("error: {error}"), 2)
    }

    /// What was looked at is not sound, and standard output has all of it if JSON goes there.
    pub(super) fn told(error: impl Display) -> Self {
        Self {
            keeps_stdout: true,
            ..Self::failed(error)
        }
    }

    /// The message as it is, because it has been rendered.
    pub(super) fn rendered(message: String) -> Self {
        Self::new(message, 2)
    }

    /// With the place that it is about.
    pub(super) fn at(mut self, files: &Files, place: Option<&Place>) -> Self {
        if let Some(place) = place {
            self.about.path = Some(files.path(place.file).display().to_string());
            self.about.line = Some(files.line(place));
        }
        self
    }
}

impl About {
    /// What an error is about.
    pub(super) fn of(error: &Error) -> Box<Self> {
        let (partition, reason) = match error {
            Error::Partition { name, reason } => (Some(name.clone()), Some(reason)),
            Error::Filesystem(reason) => (None, Some(reason)),
            Error::Plan(error) => (error.partition.as_ref().map(|it| it.name.clone()), None),
            _ => (None, None),
        };
        let shortage = match reason.map(|reason| &**reason) {
            Some(PartitionError::Cell(error)) => match error.bare() {
                CellError::Refused(refusal) => refusal.shortage(),
                _ => None,
            },
            _ => None,
        };
        Box::new(Self {
            partition,
            needed: shortage.map(|(needed, _)| needed),
            available: shortage.map(|(_, available)| available),
            ..Self::default()
        })
    }
}

impl From<Overlap> for Failure {
    fn from(overlap: Overlap) -> Self {
        let keeps_stdout = overlap.is_of_stdout();
        Self {
            keeps_stdout,
            ..Self::usage(overlap)
        }
    }
}

impl From<GuestError> for Failure {
    fn from(error: GuestError) -> Self {
        Error::Guest(error).into()
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        Error::Image(error).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let about = About::of(&error);
        let failure = if error.is_usage() {
            Self::usage(error)
        } else {
            Self::failed(error)
        };
        Self { about, ..failure }
    }
}
