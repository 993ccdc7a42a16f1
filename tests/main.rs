//! End-to-end tests of the program: what it makes is judged by programs that know nothing of it.
//!
//! A judge that is not installed, or a right that the user lacks, is named on standard error as `skipped: …`.

#![forbid(unsafe_code)]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used
)]

mod bazel;
mod boot;
mod build;
#[cfg(feature = "cache")]
mod cache;
mod changed;
mod codecs;
mod commands;
mod content;
mod contract;
mod crowds;
mod damaged;
mod debian;
mod determinism;
mod encoding;
mod erofs;
mod every_byte;
mod exact;
mod existing;
mod genimage;
mod guests;
mod help;
mod holds;
mod hostile;
mod images;
mod json;
mod keys;
mod killed;
mod layouts;
mod looking;
mod lost;
mod newcomer;
mod outputs;
mod ova;
mod plugins;
mod provenance;
mod raw;
mod readme;
mod refusals;
#[cfg(feature = "cache")]
mod registry;
#[cfg(feature = "cache")]
mod remote;
mod report;
mod selinux;
mod show;
mod signatures;
mod sources;
mod splices;
mod split;
mod squashfs;
mod support;
mod tables;
mod times;
mod told;
mod unprivileged;
mod verify;
mod verity;
mod virtual_disks;
mod volumes;
mod walls;
