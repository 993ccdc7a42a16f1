//! What a panic says: a line of the log, with its place, that the host tells with the trap behind it.

use std::panic::{self, PanicHookInfo};

/// Has the panics of this instance told by `log`. Standard error leads nowhere.
pub(super) fn tell_by(log: fn(&str)) {
    panic::set_hook(Box::new(move |info| log(&line(info))));
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let what = info.payload_as_str().unwrap_or("it does not say why");
    match info.location() {
        Some(place) => format!("panicked at {place}: {what}"),
        None => format!("panicked: {what}"),
    }
}
