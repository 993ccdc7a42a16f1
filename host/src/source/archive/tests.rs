//! Archives, made by tests and by GNU tar.
