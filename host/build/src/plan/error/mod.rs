//! Why a spec cannot become a plan, and where in the spec it shows.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::space::Named;
use cellblock_spec::diagnostic::{Diagnostic, render};
use cellblock_spec::{Files, Place, Placed};

mod reason;
mod words;

pub use reason::Reason;

/// A spec that cannot become a plan: the reason, the partition, and where in the spec it shows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{reason}", Prefix(.partition))]
pub struct PlanError {
    /// Why.
    pub reason: Box<Reason>,
    /// The partition, unless it is the disk as a whole.
    pub partition: Option<Named>,
    /// Where in the spec.
    pub place: Option<Place>,
    /// The other place that it has to do with.
    pub related: Option<Place>,
}

impl PlanError {
    /// Draws the error beside its line in `files`, which the spec was read from. The result ends without a newline.
    pub fn render(&self, files: &Files, color: bool) -> String {
        let diagnostic = Diagnostic {
            title: self.to_string(),
            place: self.place.clone().map(|place| (place, "here".to_owned())),
            related: self
                .related
                .clone()
                .map(|place| (place, "the other one".to_owned())),
            help: None,
        };
        render(&[diagnostic], files, color)
    }

    /// The error of a file that the spec names and that cannot be used.
    pub fn unusable(file: &Placed<PathBuf>, why: impl fmt::Display) -> Self {
        let reason = Reason::RawFile {
            file: file.value.clone(),
            why: why.to_string(),
        };
        reason.at(Some(file.place.clone()))
    }

    /// The error of what stands there in the spec.
    pub(crate) fn at(reason: Reason, place: &Place) -> Self {
        Locate::at(reason, Some(place.clone()))
    }

    /// The error of what no spec says.
    pub(crate) fn of_reason(reason: Reason) -> Self {
        Locate::at(reason, None)
    }

    /// The same error with the partition that it is about.
    pub(super) fn of(self, named: Named) -> Self {
        Self {
            partition: Some(named),
            ..self
        }
    }

    pub(super) fn with_related(self, related: Place) -> Self {
        Self {
            related: Some(related),
            ..self
        }
    }
}

/// The partition before its error.
struct Prefix<'a>(&'a Option<Named>);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_ref()
            .map_or(Ok(()), |named| write!(formatter, "{named}: "))
    }
}

/// Makes an error of a reason.
pub(super) trait Locate {
    /// The error at a place of the spec, if it has one.
    fn at(self, place: Option<Place>) -> PlanError;
}

impl Locate for Reason {
    fn at(self, place: Option<Place>) -> PlanError {
        PlanError {
            reason: Box::new(self),
            partition: None,
            place,
            related: None,
        }
    }
}
