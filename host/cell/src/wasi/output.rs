//! What a command writes to standard output and standard error: lines of its log.

use std::collections::VecDeque;

use crate::bindings::cellblock::format::progress::Level;
use crate::files::Fault;
use crate::legible::legible;
use crate::resources::Stream;
use crate::state::Services;
use cellblock_contract::LogLine;

/// The lines that an error repeats.
const LAST_WORDS: usize = 10;
/// A line is cut after this many bytes.
const LINE: usize = 4 * LogLine::LIMIT;

/// The lines so far.
#[derive(Default)]
pub(super) struct Output {
    /// The lines that the streams have begun.
    output: Vec<u8>,
    error: Vec<u8>,
    last_words: VecDeque<String>,
}

impl Output {
    pub(super) fn write(
        &mut self,
        services: &mut impl Services,
        stream: Stream,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        for part in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (part, ends) = match part.split_last() {
                Some((b'\n' | b'\r', rest)) => (rest, true),
                _ => (part, false),
            };
            let line = self.begun(stream);
            let room = LINE.saturating_sub(line.len());
            line.extend(&part[..part.len().min(room)]);
            if ends {
                self.end_line(services, stream)?;
            }
        }
        Ok(())
    }

    /// Logs what has been begun: the last lines of standard error.
    pub(super) fn finish(&mut self, services: &mut impl Services) -> Result<Vec<String>, Fault> {
        for stream in [Stream::Output, Stream::Error] {
            self.end_line(services, stream)?;
        }
        Ok(std::mem::take(&mut self.last_words).into())
    }

    fn begun(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Output => &mut self.output,
            Stream::Error => &mut self.error,
        }
    }

    fn end_line(&mut self, services: &mut impl Services, stream: Stream) -> Result<(), Fault> {
        let line = std::mem::take(self.begun(stream));
        if line.is_empty() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        if stream == Stream::Error {
            if self.last_words.len() == LAST_WORDS {
                self.last_words.pop_front();
            }
            self.last_words.push_back(legible(&text));
        }
        services.log(level(stream), text)?;
        Ok(())
    }
}

fn level(stream: Stream) -> Level {
    match stream {
        Stream::Output => Level::Info,
        Stream::Error => Level::Warning,
    }
}
