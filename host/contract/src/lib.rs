//! What both sides of cellblock's walls speak of, as plain values: no engine, no bindings, no I/O.
//!
//! ```text
//!     host                                            guest
//!       Request ───────────────────────────────────>   measure, format
//!               <─────────────────────── Description   describe
//!               <─────────────────────────  Placement  "put these bytes of this file there"
//!               <────────────── Summary, FormatError   what came of it
//! ```
//!
//! All sizes and offsets are in bytes unless an item says otherwise.

#![forbid(unsafe_code)]

mod command_line;
mod description;
mod kind;
mod limits;
mod log;
mod loss;
mod partition;
mod reading;
mod refusal;
mod request;

pub use command_line::{Argument, CommandLine, CommandLineError, Placeholder, Word};
pub use description::{Description, OptionDescription, Property, Summary};
pub use kind::{Identifier, KindDescription, Kinds};
pub use limits::Limits;
pub use log::{Level, Log, LogLine};
pub use loss::{Loss, Losses};
pub use partition::{EncodedCounts, Part, Partition, PiecePlacement, Placement, Run};
pub use reading::{ReaderDescription, ReaderError, Volume};
pub use refusal::{
    FormatError, LabelProblem, NodeError, NodeProblem, PlaceError, ReadError, SettingError,
    SettingProblem, Shortage,
};
pub use request::{Request, Setting};
