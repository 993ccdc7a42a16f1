//! What registries and layouts say, as bytes that somebody makes up.

use cellblock_spec::{OciPlace, OciReference};
use cellblock_text::acts_on_terminal;
use sha2::{Digest as _, Sha256};

use super::document::Manifest;
use super::layout::chosen;
use super::{ComponentError, Source, taken};
use cellblock_cell::LARGEST_COMPONENT;

/// What every blob of the made-up registry is.
const BLOB: &[u8] = b"component";

/// A registry whose every manifest is the one that it was given.
struct MadeUp<'a>(&'a [u8]);

impl Source for MadeUp<'_> {
    fn manifest(&self, _digest: &[u8; 32]) -> Result<Vec<u8>, ComponentError> {
        Ok(self.0.to_vec())
    }

    fn blob(&self, _digest: &[u8; 32], size: u64) -> Result<Vec<u8>, ComponentError> {
        assert!(size <= LARGEST_COMPONENT, "{size} bytes are asked for");
        Ok(BLOB.to_vec())
    }
}

/// Reads the bytes as a manifest and as an index.
///
/// # Panics
/// If a component is taken that has another digest than its manifest says, one is chosen that is not meant, or words of a
/// document would act on a terminal.
pub fn fuzz(bytes: &[u8]) {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let nothing = reference(None, None);
    let other = taken(&nothing, [0; 32], &MadeUp(bytes));
    let other = other.expect_err("the manifest has another digest");
    assert!(matches!(other, ComponentError::Digest { .. }));
    if let Some(component) = plain(taken(&nothing, digest, &MadeUp(bytes))) {
        assert_eq!(component.bytes, BLOB);
        assert_eq!(component.reference.digest, Some(digest));
        let layer = Manifest::parse(bytes).and_then(Manifest::component);
        let named = layer.expect("it was read before").digest;
        let wanted: String = Sha256::digest(BLOB)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(named.to_ascii_lowercase(), format!("sha256:{wanted}"));
    }

    // A name or a digest chooses one of those that are there, or nothing.
    let alone = plain(chosen(bytes, &nothing));
    let tagged = plain(chosen(bytes, &reference(Some("1"), None)));
    if let (Some(alone), Some(tagged)) = (alone, tagged) {
        assert_eq!(alone, tagged, "there is one, and the name leads to another");
    }
    for found in [alone, tagged].into_iter().flatten() {
        if let Some(again) = plain(chosen(bytes, &reference(None, Some(found)))) {
            assert_eq!(again, found);
        }
    }
    if let Some(found) = alone {
        let missing = found.map(|byte| !byte);
        let missing = chosen(bytes, &reference(None, Some(missing)));
        assert!(matches!(missing, Err(ComponentError::Choice { .. })));
    }
}

/// What came, if it did: what is said where it did not is fit for a terminal.
fn plain<T>(result: Result<T, ComponentError>) -> Option<T> {
    result
        .map_err(|error| {
            let said = error.to_string();
            assert!(!said.contains(acts_on_terminal), "{said:?}");
            assert!(said.chars().count() < 1000, "{said:?}");
        })
        .ok()
}

fn reference(tag: Option<&str>, digest: Option<[u8; 32]>) -> OciReference {
    OciReference {
        place: OciPlace::Layout("layout".into()),
        tag: tag.map(str::to_owned),
        digest,
    }
}
