//! What is asked of a farm: the calls of the Remote Execution API, as far as they are needed here. Whoever embeds this library brings
//! the client.

use std::fmt::Debug;

pub use cellblock_cache::reapi::{BlobName, Executed};

/// A server of the Remote Execution API. What goes wrong is told in words, and soon: nothing here waits less than a farm does.
pub trait Farm: Debug + Send + Sync {
    /// What became of an action before, if that is known.
    ///
    /// # Errors
    /// If the server cannot be asked, or does not do it.
    fn known(&self, action: &BlobName) -> Result<Option<Executed>, String>;

    /// Those of `blobs` that are not there.
    ///
    /// # Errors
    /// If the server cannot be asked, or does not do it.
    fn missing(&self, blobs: &[BlobName]) -> Result<Vec<BlobName>, String>;

    /// Puts blobs there.
    ///
    /// # Errors
    /// If the server cannot be asked, or does not do it.
    fn upload(&self, blobs: &[(BlobName, Vec<u8>)]) -> Result<(), String>;

    /// Has an action executed; `anew` whatever is known of it.
    ///
    /// # Errors
    /// If the server cannot be asked, or does not do it.
    fn execute(&self, action: &BlobName, anew: bool) -> Result<Executed, String>;

    /// The bytes of blobs, in their order: each was held to its digest, and nobody does it again.
    ///
    /// # Errors
    /// If one of them is not there or has another digest, or the server cannot be asked.
    fn download(&self, blobs: &[BlobName]) -> Result<Vec<Vec<u8>>, String>;
}
