//! JSON of names that may be of any bytes.

use serde_json::{Map, Value, json};

use cellblock_build::text::members;

/// Puts bytes that should be text into an object: exactly their text, or what is shown of them and all of them, in two [`members`].
pub(crate) fn put(object: &mut Map<String, Value>, key: &str, bytes: &[u8]) {
    object.extend(members(key, bytes).map(|(key, text)| (key, text.into())));
}

/// A path with the bytes that lie there.
pub(crate) fn sized(path: &[u8], bytes: u64) -> Value {
    let mut object = Map::new();
    put(&mut object, "path", path);
    object.insert("bytes".to_owned(), json!(bytes));
    object.into()
}
