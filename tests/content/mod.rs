//! A corpus of content that hurts: each in a build of its own, over an image that must stay as it is unless the new one is
//! right. Each family prints a table: the content, how the build ended, time, memory, and disk for files without a name.

pub mod archive;
mod bombs;
mod changing;
mod forged;
mod large;
mod names;
pub mod runner;
mod unreadable;
