//! `cellblock walls`: whether the second wall stands here.

use super::{Failure, print};
use cellblock_build::cell::{Attempt, Runtime, RuntimeOptions, Walls};

pub(super) fn run() -> Result<(), Failure> {
    let options = RuntimeOptions {
        cache: cellblock_build::cache_folder(),
        walls: Walls::Process,
        ..RuntimeOptions::default()
    };
    let runtime = Runtime::new(&options).map_err(Failure::failed)?;
    let attempts = runtime.attempts().map_err(Failure::failed)?;
    print(&attempts.iter().map(line).collect::<String>())?;
    let succeeded = attempts
        .iter()
        .filter(|attempt| attempt.refusal.is_none())
        .count();
    if succeeded > 0 {
        return Err(Failure::failed(format_args!(
            "{succeeded} of {} attempts to get out succeeded",
            attempts.len()
        )));
    }
    Ok(())
}

fn line(attempt: &Attempt) -> String {
    let result = attempt.refusal.as_deref().unwrap_or("done");
    format!("{:30}  {result}\n", attempt.what)
}
