//! What is typed after `--cache`.

use std::fmt;
use std::path::PathBuf;

use cellblock_reapi as reapi;
use thiserror::Error;

/// Where a cache is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A server that speaks HTTP.
    Http(Address),
    /// A server of the Remote Execution API.
    Grpc(reapi::Address),
}

/// A server that speaks HTTP.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// What paths begin with: without a slash at its end, and without who asks.
    pub(crate) base: String,
    /// Who asks: `USER:PASSWORD`.
    pub(crate) user: Option<String>,
}

impl fmt::Debug for Address {
    /// Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.base)
    }
}

/// Why a text names no cache.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// It is another protocol.
    #[error(
        "'{0}://' is not supported: give a folder, or an address that begins with http://, https://, grpc:// or grpcs://"
    )]
    Scheme(String),
    /// The address cannot be one. It is not shown, since it may hold a password.
    #[error(
        "the address has no host, or something behind it that does not belong there: give http://HOST:PORT/PATH"
    )]
    Address,
    /// There is nothing.
    #[error(
        "it is empty: give a folder, or an address that begins with http://, https://, grpc:// or grpcs://"
    )]
    Empty,
}

impl Place {
    /// What `text` names: an address, or a folder.
    ///
    /// ```
    /// use cellblock_cache::Place;
    ///
    /// assert!(matches!(Place::parse("cache"), Ok(Place::Folder(_))));
    /// let place = Place::parse("https://ci:secret@cache.example/images/").unwrap();
    /// assert_eq!(place.to_string(), "https://cache.example/images");
    /// assert!(Place::parse("gopher://cache.example").is_err());
    /// ```
    ///
    /// # Errors
    /// [`PlaceError`].
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        if text.is_empty() {
            return Err(PlaceError::Empty);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::Folder(PathBuf::from(text)));
        };
        let scheme = scheme.to_ascii_lowercase();
        if ["grpc", "grpcs"].contains(&&*scheme) {
            let address = reapi::Address::parse(text);
            return address.map(Self::Grpc).map_err(|_| PlaceError::Address);
        }
        if !["http", "https"].contains(&&*scheme) {
            return Err(PlaceError::Scheme(scheme));
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        let is_plain = |part: &str| {
            part.bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#\\\"<>@".contains(&byte))
        };
        if host.is_empty() || !is_plain(host) || !is_plain(path) {
            return Err(PlaceError::Address);
        }
        Ok(Self::Http(Address {
            base: format!("{scheme}://{host}{}", path.trim_end_matches('/')),
            user,
        }))
    }
}

impl fmt::Display for Place {
    /// Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(formatter),
            Self::Http(address) => formatter.write_str(&address.base),
            Self::Grpc(address) => address.fmt(formatter),
        }
    }
}
