//! What an image is for, and whether that is what was asked for.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What an image is for, such as `linux/arm64/v8`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct ImagePlatform {
    /// The operating system, as Go calls it.
    pub os: String,
    /// The processor, as Go calls it.
    pub architecture: String,
    /// Which of its kinds, if that is said.
    pub variant: Option<String>,
}

/// How well a platform fits the one that is asked for; the better one is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    /// No variant was asked for, and this has one that is not the usual one.
    AnyVariant,
    /// Both mean the same.
    Same,
}

impl ImagePlatform {
    /// What is stated of an image, if it is.
    pub(super) fn stated(os: &str, architecture: &str, variant: Option<&str>) -> Option<Self> {
        if os.is_empty() || architecture.is_empty() {
            return None;
        }
        Some(Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.filter(|it| !it.is_empty()).map(str::to_owned),
        })
    }

    /// How well `found` fits this one, which is asked for.
    pub(super) fn fit(&self, found: &Self) -> Fit {
        let (wanted, there) = (self.normalized(), found.normalized());
        if wanted == there {
            Fit::Same
        } else if self.variant.is_none()
            && (&wanted.os, &wanted.architecture) == (&there.os, &there.architecture)
        {
            Fit::AnyVariant
        } else {
            Fit::No
        }
    }

    /// Whether it stands for none, as that of what BuildKit attests.
    pub(super) fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }

    /// The one form of all that mean the same, by containerd's rules (github.com/containerd/platforms, `Normalize`).
    fn normalized(&self) -> Self {
        let lower = |text: &str| text.to_ascii_lowercase();
        let os = match &*lower(&self.os) {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let architecture = lower(&self.architecture);
        let variant = lower(self.variant.as_deref().unwrap_or_default());
        let (architecture, variant) = match (&*architecture, &*variant) {
            ("i386", _) => ("386", String::new()),
            ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", String::new()),
            ("x86_64" | "x86-64" | "amd64", _) => ("amd64", variant),
            ("aarch64" | "arm64", "8" | "v8" | "8.0" | "v8.0") => ("arm64", String::new()),
            ("aarch64" | "arm64", "9" | "9.0" | "v9.0") => ("arm64", "v9".to_owned()),
            ("aarch64" | "arm64", _) => ("arm64", variant),
            ("armhf", _) | ("arm", "" | "7") => ("arm", "v7".to_owned()),
            ("armel", _) => ("arm", "v6".to_owned()),
            ("arm", "5" | "6" | "8") => ("arm", format!("v{variant}")),
            (other, _) => (other, variant),
        };
        Self {
            os,
            architecture: architecture.to_owned(),
            variant: Some(variant).filter(|it| !it.is_empty()),
        }
    }
}

impl fmt::Display for ImagePlatform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(formatter, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl From<ImagePlatform> for String {
    fn from(platform: ImagePlatform) -> Self {
        platform.to_string()
    }
}

/// A text that is no platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no platform: write it as OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64"
)]
pub struct NotAPlatform;

impl FromStr for ImagePlatform {
    type Err = NotAPlatform;

    fn from_str(text: &str) -> Result<Self, NotAPlatform> {
        let mut parts = text.split('/');
        let mut part = || parts.next().filter(|part| is_word(part)).map(str::to_owned);
        let (os, architecture) = (part().ok_or(NotAPlatform)?, part().ok_or(NotAPlatform)?);
        let variant = text
            .split('/')
            .nth(2)
            .map(|_| part().ok_or(NotAPlatform))
            .transpose()?;
        if text.split('/').count() > 3 {
            return Err(NotAPlatform);
        }
        Ok(Self {
            os,
            architecture,
            variant,
        })
    }
}

fn is_word(part: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !part.is_empty() && part.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn platforms_mean_what_they_mean_to_containerd() {
        let fit = |wanted: &str, found: &str| {
            let parse = |text: &str| text.parse::<ImagePlatform>().unwrap();
            parse(wanted).fit(&parse(found))
        };
        for (one, other) in [
            ("linux/arm64", "linux/arm64/v8"),
            ("linux/aarch64", "linux/arm64/v8"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/arm/6", "linux/armel"),
            ("linux/x86_64", "linux/amd64"),
            ("Linux/AMD64", "linux/amd64/v1"),
            ("linux/i386", "linux/386"),
            ("macos/arm64", "darwin/arm64"),
        ] {
            assert_eq!(fit(one, other), Fit::Same, "{one} {other}");
            assert_eq!(fit(other, one), Fit::Same, "{other} {one}");
        }
        // Where no variant is asked for, one that is there is better than none.
        assert_eq!(fit("linux/arm", "linux/arm/v6"), Fit::AnyVariant);
        assert_eq!(fit("linux/amd64", "linux/amd64/v3"), Fit::AnyVariant);
        for (wanted, found) in [
            ("linux/arm/v7", "linux/arm/v6"),
            ("linux/arm64/v9", "linux/arm64"),
            ("linux/amd64", "linux/arm64"),
            ("linux/amd64", "windows/amd64"),
        ] {
            assert_eq!(fit(wanted, found), Fit::No, "{wanted} {found}");
        }
    }
}
