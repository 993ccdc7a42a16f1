//! A corpus of readers that try what they may not. Each looks at an image that must stay as it is, and what it tells becomes
//! an archive only if a tree can be so.

mod answers;
mod bounds;
mod listing;
mod reader;
mod runner;
mod said;
