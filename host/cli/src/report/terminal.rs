//! What the terminal shows: colours, columns, progress.
//!
//! | Says | Means |
//! |---|---|
//! | `--color always`, `never` | as it says, over all else |
//! | `NO_COLOR` | none |
//! | `CLICOLOR_FORCE` | always, but where `NO_COLOR` is set |
//! | `TERM=dumb` | none, and no bars |
//! | `COLUMNS` | so many columns |

use std::env;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use clap::ValueEnum;

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What was typed; set once, before anything is shown.
static TYPED: OnceLock<When> = OnceLock::new();

/// Settles when colours are used.
pub fn use_colors(when: When) {
    // Whoever was first has said it already.
    let _ = TYPED.set(when);
}

/// Whether colours are shown on `stream`.
#[must_use]
pub fn color(stream: &impl IsTerminal) -> bool {
    match TYPED.get().copied().unwrap_or_default() {
        When::Always => true,
        When::Never => false,
        When::Auto if is_set("NO_COLOR") => false,
        When::Auto if is_set("CLICOLOR_FORCE") => true,
        When::Auto => stream.is_terminal() && !is_dumb(),
    }
}

/// Whether bars can be drawn on standard error.
#[must_use]
pub fn draws_bars() -> bool {
    io::stderr().is_terminal() && !is_dumb()
}

/// The columns of standard output: those of `COLUMNS`, of the terminal, or 80.
#[must_use]
pub fn columns() -> usize {
    let typed = env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let asked = || {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        Some(usize::from(size.ws_col))
    };
    let columns = typed.filter(|columns| *columns > 0).or_else(asked);
    columns.filter(|columns| *columns > 0).unwrap_or(80)
}

/// Whether a variable is there and says yes.
fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}

fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}
