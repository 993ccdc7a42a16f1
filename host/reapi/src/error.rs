//! Why a server did not do what was asked.

use thiserror::Error;
use tonic::{Code, Status};

/// The most characters of what a server says that are kept.
const MOST_SAID: usize = 300;

/// Why a server did not do what was asked. It may hold what the server said.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReapiError {
    /// Nobody is there, or nobody who speaks gRPC.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It has no such thing.
    #[error("it has no such blob")]
    Missing,
    /// It took too long.
    #[error("it is too slow")]
    Slow,
    /// It refused.
    #[error("it answers {code}{}", said(text))]
    Refused {
        /// The status of gRPC by its name.
        code: String,
        /// What it says.
        text: String,
    },
    /// It answered what cannot be.
    #[error("{0}")]
    Nonsense(String),
}

fn said(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!(": {text}"),
    }
}

fn short(text: &str) -> String {
    text.chars().take(MOST_SAID).collect()
}

impl ReapiError {
    pub(crate) fn of(status: &Status) -> Self {
        match status.code() {
            Code::NotFound => Self::Missing,
            Code::DeadlineExceeded | Code::Cancelled => Self::Slow,
            Code::Unavailable => Self::Unreachable(short(status.message())),
            Code::OutOfRange if status.message().contains("message length too large") => {
                Self::Nonsense("it sends more than was asked for".to_owned())
            }
            code => Self::Refused {
                code: format!("{code:?}"),
                text: short(status.message()),
            },
        }
    }

    /// With the reasons that stand behind it.
    pub(crate) fn unreachable(error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut at = error.source();
        while let Some(source) = at {
            text = format!("{text}: {source}");
            at = source.source();
        }
        Self::Unreachable(short(&text))
    }
}
