//! What is typed: `grpc://[WHO@]HOST[:PORT][/INSTANCE]`.

use std::fmt;

use base64ct::{Base64, Encoding as _};
use thiserror::Error;
use tonic::metadata::{Ascii, MetadataValue};

/// Where a server is.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    is_secure: bool,
    /// The host, and perhaps the port.
    host: String,
    instance: String,
    /// Who asks: `USER:PASSWORD`, or a token.
    who: Option<String>,
}

/// Why a text names no server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Another protocol.
    #[error("the address of a server begins with grpc:// or grpcs://")]
    Scheme,
    /// It is not shown, since it may hold a password.
    #[error(
        "the address has no host, or something behind it that does not belong there: give grpc://HOST:PORT/INSTANCE"
    )]
    Address,
}

impl fmt::Debug for Address {
    /// Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_string())
    }
}

impl fmt::Display for Address {
    /// Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "grpcs" } else { "grpc" };
        write!(formatter, "{scheme}://{}", self.host)?;
        if !self.instance.is_empty() {
            write!(formatter, "/{}", self.instance)?;
        }
        Ok(())
    }
}

impl Address {
    /// What `text` names. The path is the server's instance, and what stands before the host who asks: `USER:PASSWORD`, or a token.
    ///
    /// ```
    /// use cellblock_reapi::Address;
    ///
    /// let address = Address::parse("grpcs://secret@cache.example:8980/main").unwrap();
    /// assert_eq!(address.to_string(), "grpcs://cache.example:8980/main");
    /// assert!(Address::parse("https://cache.example").is_err());
    /// ```
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        let is_secure = match &*scheme.to_ascii_lowercase() {
            "grpc" => false,
            "grpcs" => true,
            _ => return Err(AddressError::Scheme),
        };
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (who, host) = match authority.rsplit_once('@') {
            Some((who, host)) => (Some(who.to_owned()), host),
            None => (None, authority),
        };
        let is_plain = |part: &str| {
            part.bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"?#\\\"<>@%".contains(&byte))
        };
        let is_graphic = |who: &String| who.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || !is_plain(host) || !is_plain(path) || !who.iter().all(is_graphic) {
            return Err(AddressError::Address);
        }
        Ok(Self {
            is_secure,
            host: host.to_owned(),
            instance: path.trim_matches('/').to_owned(),
            who,
        })
    }

    /// The same for a client of HTTP/2.
    pub(crate) fn uri(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        format!("{scheme}://{}", self.host)
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }

    /// The header that says who asks.
    pub(crate) fn authorization(&self) -> Option<MetadataValue<Ascii>> {
        let who = self.who.as_ref()?;
        let value = if who.contains(':') {
            format!("Basic {}", Base64::encode_string(who.as_bytes()))
        } else {
            format!("Bearer {who}")
        };
        let mut value: MetadataValue<Ascii> = value.parse().ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}
