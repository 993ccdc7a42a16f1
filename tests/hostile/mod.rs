//! A corpus of formatters that try what they may not: each in a build of its own, beside a partition and over an image
//! that must stay as they are. Each family prints a table: the attack, the wall that stopped it, time and memory.

mod content;
mod encoding;
mod handles;
mod imports;
mod lies;
mod memory;
mod modules;
mod partition;
mod paths;
mod reading;
pub mod runner;
pub mod template;
mod time;
mod words;
