//! Registries (OCI Distribution Specification 1.1): what has a name or a digest there, for whoever has no account.
//!
//! Nothing that comes is believed: whoever asks holds it against a digest. A registry may send whoever wants a blob elsewhere, as
//! public ones do, but from `https` never to anything else, without TLS only to this machine itself, and no token goes along.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cellblock_text::excerpt;
use serde::Deserialize;
use thiserror::Error;
use ureq::http::{HeaderMap, StatusCode, Uri, header};
use ureq::{Agent, Body, http::Response};

use crate::store::{agent, patience_for};

/// How often a registry may send somebody elsewhere for one blob.
const MOST_REDIRECTS: u32 = 3;
/// The most bytes of what a token comes in.
const MOST_TOKEN: u64 = 64 << 10;

/// A repository of a registry.
pub struct Registry {
    agent: Agent,
    host: String,
    path: String,
    patience: Duration,
    /// What says that anybody may read, once it was asked for.
    token: Mutex<Option<String>>,
}

/// Why a registry did not give what was wanted.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// It could not be asked, or answered nonsense.
    #[error("{host} cannot be asked: {why}")]
    Unreachable {
        /// The registry, or whoever it sent for the bytes.
        host: String,
        /// Why.
        why: String,
    },
    /// It sends whoever asks where bytes would go over a network without TLS.
    #[error(
        "{host} sends whoever asks to {}, which is not followed: only https, and from this machine http on it, is safe from \
         whoever listens on the way", excerpt(.to)
    )]
    Redirection {
        /// The registry.
        host: String,
        /// The address.
        to: String,
    },
    /// It sends whoever asks from one place to the next.
    #[error("{host} sends whoever asks elsewhere more than {MOST_REDIRECTS} times")]
    Circles {
        /// The registry.
        host: String,
    },
    /// It refused.
    #[error("{host} answers {status}{}", hint(*.status))]
    Status {
        /// The registry.
        host: String,
        /// The status of HTTP.
        status: u16,
    },
    /// There is nothing of that name.
    #[error("{host} has no {name} in {path}")]
    Missing {
        /// The registry.
        host: String,
        /// The repository.
        path: String,
        /// The tag or digest.
        name: String,
    },
    /// It is longer than it may be.
    #[error("{host} sends more than the {most} bytes that {name} may have")]
    Endless {
        /// The registry.
        host: String,
        /// The tag or digest.
        name: String,
        /// The most that was taken.
        most: usize,
    },
    /// It wants a token, and who gives one cannot be asked.
    #[error("{host} wants a token, and {why}")]
    Token {
        /// The registry.
        host: String,
        /// What is wrong.
        why: String,
    },
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": only what anybody may read is read here, without an account",
        429 => ": it was asked too often; it may take a while",
        _ => "",
    }
}

/// What whoever gives tokens answers: under one name, the other, or both (OCI Distribution Specification 1.1 leaves it to Docker's
/// "Token Authentication Specification", which has both be the same).
#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

/// The token in such an answer.
fn token_of(answer: &[u8]) -> Result<String, String> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    let token = answer.token.or(answer.access_token);
    token
        .filter(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| "what it gives is no token".to_owned())
}

/// Who gives tokens, as `WWW-Authenticate: Bearer` has it (RFC 6750, 3).
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: Option<String>,
}

impl fmt::Debug for Registry {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Registry({}/{})", self.host, self.path)
    }
}

impl Registry {
    /// The repository `path` of the registry at `host`: over TLS, unless it is this machine itself. Nobody is asked yet.
    #[must_use]
    pub fn new(host: &str, path: &str, patience: Duration) -> Self {
        Self {
            agent: agent(1, patience),
            host: host.to_owned(),
            path: path.to_owned(),
            patience,
            token: Mutex::default(),
        }
    }

    /// The manifest of a tag or a digest, which says that it is of a type in `accept`.
    ///
    /// # Errors
    /// [`RegistryError`], also if it has more than `most` bytes.
    pub fn manifest(
        &self,
        name: &str,
        accept: &str,
        most: usize,
    ) -> Result<Vec<u8>, RegistryError> {
        self.get("manifests", name, Some(accept), most)
    }

    /// The blob of a digest.
    ///
    /// # Errors
    /// [`RegistryError`], also if it has more than `most` bytes.
    pub fn blob(&self, digest: &str, most: usize) -> Result<Vec<u8>, RegistryError> {
        self.get("blobs", digest, None, most)
    }

    fn get(
        &self,
        kind: &str,
        name: &str,
        accept: Option<&str>,
        most: usize,
    ) -> Result<Vec<u8>, RegistryError> {
        let scheme = if is_here(&self.host) { "http" } else { "https" };
        let url = format!("{scheme}://{}/v2/{}/{kind}/{name}", self.host, self.path);
        let mut response = self.ask(&url, accept, most)?;
        if response.status() == StatusCode::UNAUTHORIZED && self.token().is_none() {
            let challenge = challenge(response.headers()).ok_or_else(|| self.refused(401))?;
            let token = self.obtain(&challenge)?;
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
            response = self.ask(&url, accept, most)?;
        }
        match response.status().as_u16() {
            200 => {}
            404 => {
                return Err(RegistryError::Missing {
                    host: self.host.clone(),
                    path: self.path.clone(),
                    name: name.to_owned(),
                });
            }
            status => return Err(self.refused(status)),
        }
        let body = response.body_mut().with_config().limit(most as u64);
        body.read_to_vec().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => RegistryError::Endless {
                host: self.host.clone(),
                name: name.to_owned(),
                most,
            },
            other => self.unreachable(&other),
        })
    }

    fn ask(
        &self,
        url: &str,
        accept: Option<&str>,
        most: usize,
    ) -> Result<Response<Body>, RegistryError> {
        let patience = patience_for(most, self.patience);
        let mut address = url.to_owned();
        // Whoever the registry sends somebody to gets no token.
        let mut token = self.token();
        for _ in 0..=MOST_REDIRECTS {
            let request = self.agent.get(&address).config();
            let mut request = request.timeout_global(Some(patience)).build();
            if let Some(accept) = accept {
                request = request.header(header::ACCEPT, accept);
            }
            if let Some(token) = token.take() {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = request.call().map_err(|error| self.unreachable(&error))?;
            let location = response.headers().get(header::LOCATION);
            let Some(to) = location.filter(|_| response.status().is_redirection()) else {
                return Ok(response);
            };
            let to = String::from_utf8_lossy(to.as_bytes());
            let host = self.host.clone();
            address = redirected(&address, &to).ok_or_else(|| RegistryError::Redirection {
                host,
                to: to.into_owned(),
            })?;
        }
        Err(RegistryError::Circles {
            host: self.host.clone(),
        })
    }

    /// Asks for a token that anybody gets.
    fn obtain(&self, challenge: &Challenge) -> Result<String, RegistryError> {
        let wrong = |why: String| RegistryError::Token {
            host: self.host.clone(),
            why,
        };
        let realm = &challenge.realm;
        let is_plain = realm.strip_prefix("http://").is_some_and(is_authority_here);
        let is_safe = realm.starts_with("https://") || is_plain && is_here(&self.host);
        if !is_safe {
            let why = format!("names {realm:?} to ask for one, which is no address with https");
            return Err(wrong(why));
        }
        let failed = |error: &dyn fmt::Display| wrong(format!("{realm} gives none: {error}"));
        let scope = format!("repository:{}:pull", self.path);
        let mut request = self.agent.get(realm).query("scope", scope);
        if let Some(service) = &challenge.service {
            request = request.query("service", service);
        }
        let request = request.config().timeout_global(Some(self.patience)).build();
        let mut response = request.call().map_err(|error| failed(&error))?;
        if response.status() != StatusCode::OK {
            return Err(failed(&response.status()));
        }
        let body = response.body_mut().with_config().limit(MOST_TOKEN);
        let body = body.read_to_vec().map_err(|error| failed(&error))?;
        token_of(&body).map_err(|error| failed(&error))
    }

    fn token(&self) -> Option<String> {
        let token = self.token.lock();
        token.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refused(&self, status: u16) -> RegistryError {
        RegistryError::Status {
            host: self.host.clone(),
            status,
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> RegistryError {
        RegistryError::Unreachable {
            host: self.host.clone(),
            why: error.to_string(),
        }
    }
}

/// Whether a host is this machine, where nobody listens on the way.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|it| it.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |it: std::net::IpAddr| it.is_loopback();
    name == "localhost" || address.parse().is_ok_and(is_loopback)
}

/// The same of an address without its scheme.
fn is_authority_here(address: &str) -> bool {
    is_here(address.split(['/', '?']).next().unwrap_or_default())
}

/// Where whoever asked for `from` is sent by the location `to` (RFC 9110, 10.2.2), if that may be asked: over TLS, or without it from
/// this machine to this machine.
fn redirected(from: &str, to: &str) -> Option<String> {
    let base: Uri = from.parse().ok()?;
    let (scheme, authority) = (base.scheme_str()?, base.authority()?);
    let path = base.path();
    let folder = &path[..=path.rfind('/').unwrap_or(0)];
    // A colon before the first slash parts a scheme from the rest (RFC 3986, 4.2).
    let has_scheme = to
        .split(['/', '?', '#'])
        .next()
        .is_some_and(|it| it.contains(':'));
    let whole = match to {
        _ if has_scheme => to.to_owned(),
        _ if to.starts_with("//") => format!("{scheme}:{to}"),
        _ if to.starts_with('/') => format!("{scheme}://{authority}{to}"),
        _ => format!("{scheme}://{authority}{folder}{to}"),
    };
    let uri: Uri = whole.parse().ok()?;
    let is_plain_here = || scheme == "http" && is_here(authority.as_str());
    let is_safe = match uri.scheme_str()? {
        "https" => uri.authority().is_some(),
        "http" => is_plain_here() && is_here(uri.authority()?.as_str()),
        _ => false,
    };
    is_safe.then_some(whole)
}

fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let all = headers.get_all(header::WWW_AUTHENTICATE).iter();
    all.filter_map(|value| parse_challenge(value.to_str().ok()?))
        .next()
}

/// `Bearer realm="…",service="…"`: what is quoted has no quotes in it here.
fn parse_challenge(text: &str) -> Option<Challenge> {
    let (scheme, mut rest) = text.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let (mut realm, mut service) = (None, None);
    while let Some((name, behind)) = rest.split_once("=\"") {
        let (value, after) = behind.split_once('"')?;
        let name = name.trim_matches([',', ' ']);
        if name.eq_ignore_ascii_case("realm") {
            realm = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("service") {
            service = Some(value.to_owned());
        }
        rest = after;
    }
    Some(Challenge {
        realm: realm?,
        service,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    #[test]
    fn a_challenge_names_who_gives_tokens() {
        let of = |text| parse_challenge(text).map(|it| (it.realm, it.service));
        let ghcr = "Bearer realm=\"https://ghcr.io/token\",service=\"ghcr.io\",scope=\"repository:a/b:pull\"";
        let service = Some("ghcr.io".to_owned());
        assert_eq!(
            of(ghcr),
            Some(("https://ghcr.io/token".to_owned(), service))
        );
        let bare = "bearer error=\"x\", Realm=\"https://a/\"";
        assert_eq!(of(bare), Some(("https://a/".to_owned(), None)));
        for none in [
            "",
            "Bearer",
            "Basic realm=\"a\"",
            "Bearer realm=a",
            "Bearer realm=\"a",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_token_is_taken_under_either_name_and_under_both() {
        for answer in [
            r#"{"token":"a"}"#,
            r#"{"access_token":"a","expires_in":300}"#,
            r#"{"token":"a","access_token":"a","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}"#,
            r#"{"access_token":"a","token":null}"#,
        ] {
            assert_eq!(token_of(answer.as_bytes()).as_deref(), Ok("a"), "{answer}");
        }
        for none in ["{}", r#"{"token":""}"#, r#"{"token":"a b"}"#, "a", ""] {
            assert!(token_of(none.as_bytes()).is_err(), "{none}");
        }
    }

    #[test]
    fn only_this_machine_is_asked_without_tls() {
        for here in [
            "localhost",
            "localhost:5000",
            "127.0.0.1:1",
            "[::1]:5000",
            "127.9.0.1",
        ] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "localhost.example",
            "10.0.0.1:5000",
            "example:80",
            "1270.0.0.1",
            "[::2]:1",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
        assert!(is_authority_here("127.0.0.1:80/token?x"));
        assert!(!is_authority_here("example/127.0.0.1"));
        assert!(!is_authority_here("127.0.0.1@example/"));
    }

    #[test]
    fn a_redirection_without_tls_leads_to_this_machine_alone() {
        let here = "http://127.0.0.1:5000/v2/a/blobs/sha256:1";
        let there = "https://example/v2/a/blobs/sha256:1";
        for (from, to, expected) in [
            (here, "https://example/x?y=z", Some("https://example/x?y=z")),
            (here, "http://localhost:1/x", Some("http://localhost:1/x")),
            (here, "/x", Some("http://127.0.0.1:5000/x")),
            (here, "x", Some("http://127.0.0.1:5000/v2/a/blobs/x")),
            (here, "//[::1]:2/x", Some("http://[::1]:2/x")),
            (there, "/x", Some("https://example/x")),
            (there, "//other/x", Some("https://other/x")),
            (here, "http://192.0.2.2:1/x", None),
            (here, "HTTP://192.0.2.2:1/x", None),
            (here, "//192.0.2.2:1/x", None),
            (here, "http://127.0.0.1@192.0.2.2/x", None),
            (here, "http://127.0.0.1:80@192.0.2.2/x", None),
            (here, "ftp://127.0.0.1/x", None),
            (here, "http:x", None),
            (here, "file:///x", None),
            (there, "http://example/x", None),
            (there, "http://127.0.0.1/x", None),
            (here, "", Some("http://127.0.0.1:5000/v2/a/blobs/")),
        ] {
            assert_eq!(redirected(from, to).as_deref(), expected, "{from} {to}");
        }
    }

    /// Whoever is asked here answers once, and is never asked over the network.
    #[test]
    fn whoever_is_sent_elsewhere_without_tls_is_told_both_places() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let answer = "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://192.0.2.2:81/x\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let registry = Registry::new(&host, "a", Duration::from_secs(10));
        let error = registry.blob("sha256:1", 9).unwrap_err();
        answering.join().unwrap();
        assert!(
            matches!(error, RegistryError::Redirection { .. }),
            "{error}"
        );
        let said = error.to_string();
        assert!(
            said.contains(&host) && said.contains("http://192.0.2.2:81/x"),
            "{said}"
        );
    }
}
