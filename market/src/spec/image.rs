//! Names of container images.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Link;

/// The longest name of an image, in bytes, its digest included.
pub(super) const MAX_IMAGE: usize = 512;

/// The image that a container is made of: in JSON a string.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Image {
    /// By the digest that registries know it by: `name@sha256:…`. (A tag alone may be another image tomorrow.)
    Named(String),
    /// An archive of it: a tar file, as `docker save` writes or with an OCI layout in it.
    Archive(Link),
}

/// What is wrong with the name of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageFault {
    /// It has no digest.
    #[error("names an image without its digest, and so may name another one tomorrow")]
    NoDigest,
    /// Its digest is none.
    #[error("has something else than `sha256:` and 64 hexadecimal digits (0-9, a-f) behind its `@`")]
    BadDigest,
    /// It names a tag beside its digest.
    #[error("has a tag beside its digest")]
    Tagged,
    /// It has characters that no name has.
    #[error(
        "is not the name of an image: that has small letters, digits, `.`, `_`, `-` and `/` only, and begins with a letter or digit"
    )]
    BadName,
    /// It is too long.
    #[error("has more than 512 bytes")]
    TooLong,
}

impl ImageFault {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NoDigest | Self::BadDigest => {
                "`docker inspect -f '{{index .RepoDigests 0}}' NAME` prints NAME@sha256:…; an image that is in no registry is given as \
                 an archive (`docker save`), by its CID"
            }
            Self::Tagged => "leave out the part between the name and the `@`",
            Self::BadName | Self::TooLong => "write it as `docker pull` takes it, such as registry/team/tool@sha256:…",
        }
    }
}

/// Checks the name of an image.
pub(super) fn fault(name: &str) -> Option<ImageFault> {
    let Some((name, digest)) = name.split_once('@') else { return Some(ImageFault::NoDigest) };
    if name.len() + digest.len() >= MAX_IMAGE {
        return Some(ImageFault::TooLong);
    }
    let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if !digest.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.bytes().all(hex)) {
        return Some(ImageFault::BadDigest);
    }
    let mut parts = name.split('/').peekable();
    let mut is_first = true;
    while let Some(part) = parts.next() {
        // A registry's port.
        let (part, port) = part.split_once(':').map_or((part, None), |(part, port)| (part, Some(port)));
        let is_host = is_first && parts.peek().is_some();
        if port.is_some() && !is_host {
            return Some(ImageFault::Tagged);
        }
        let in_name = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'_' | b'-');
        let begins = part.bytes().next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !begins || !part.bytes().all(in_name) || port.is_some_and(|port| port.parse::<u16>().is_err()) {
            return Some(ImageFault::BadName);
        }
        is_first = false;
    }
    None
}

/// Why a text names no image.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` {fault}; {}", .fault.remedy())]
pub struct ParseImageError {
    text: String,
    fault: ImageFault,
}

impl FromStr for Image {
    type Err = ParseImageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(link) = text.parse() {
            return Ok(Self::Archive(link));
        }
        match fault(text) {
            None => Ok(Self::Named(text.to_owned())),
            Some(fault) => Err(ParseImageError { text: text.to_owned(), fault }),
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Archive(link) => fmt::Display::fmt(link, f),
        }
    }
}

impl Serialize for Image {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Image {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
