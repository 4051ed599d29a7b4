//! What a module or an input is: something on this machine, or content by CID.

use core::str::FromStr;
use std::path::{Path, PathBuf};

use lota_content::{Cid, cid_from_digest, codec};

use crate::verbs::content::name::Name;

/// Where a program sees what came from stdin.
const STDIN: &str = "/inputs/stdin";

/// A file or folder of this machine, what is piped into this command, or content by CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// On this machine.
    Path(PathBuf),
    /// Standard input.
    Stdin,
    /// By CID, or below one.
    Content(Name),
    /// A file at a URL, which providers fetch themselves.
    Url {
        url: String,
        /// Its raw CID, of the digest that stands behind the URL.
        cid: Cid,
    },
    /// A directory of the provider's, by its label.
    Directory(String),
}

/// Why a text is no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSource {
    /// Nothing of this name is there.
    #[error("there is no file or folder `{0}`, and it is not a CID either")]
    Missing(String),
    /// It is meant to be a CID.
    #[error("{0}")]
    Name(String),
    /// It is somewhere on the web.
    #[error(
        "`{0}` is a URL without a digest, and whoever runs the job must read the same bytes: write URL#sha256=DIGEST \
         (`curl -L URL | sha256sum`), or download it (`curl -LO URL`) and give the file"
    )]
    Web(String),
    /// What stands behind it is no digest.
    #[error("`{0}` does not end with #sha256= and 64 hex digits")]
    Digest(String),
    /// It is in somebody's cloud.
    #[error("`{0}` cannot be read from here; copy it to this machine, and give the file or folder")]
    Elsewhere(String),
    /// It is a path, written as a URL.
    #[error("`{0}` is a URL of a file on this machine; give its path alone")]
    File(String),
    /// It is how other programs write inputs.
    #[error("`{0}` is not how an input is written here; write SOURCE:GUEST_PATH, such as texts:/inputs")]
    Fields(String),
}

impl Source {
    /// What exists on this machine is a path; else it must be a CID. (`./` before a name makes it a path in any case.)
    ///
    /// # Errors
    /// When it is neither, with what to do instead.
    pub(crate) fn find(text: &str) -> Result<Self, NoSource> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        let path = Path::new(text);
        if path.symlink_metadata().is_ok() {
            return Ok(Self::Path(path.to_owned()));
        }
        let owned = || text.to_owned();
        if let Some(label) = text.strip_prefix("directory:") {
            return Ok(Self::Directory(label.to_owned()));
        }
        match text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            None | Some("ipfs") => {}
            Some("http" | "https") => {
                let Some((url, digest)) = text.rsplit_once("#sha256=") else { return Err(NoSource::Web(owned())) };
                let digest: [u8; 32] = hex::decode(digest)
                    .ok()
                    .and_then(|digest| digest.try_into().ok())
                    .ok_or(NoSource::Digest(owned()))?;
                return Ok(Self::Url { url: url.to_owned(), cid: cid_from_digest(codec::RAW, digest) });
            }
            Some("file") => return Err(NoSource::File(owned())),
            Some(_) if is_fields(text) => return Err(NoSource::Fields(owned())),
            Some(_) => return Err(NoSource::Elsewhere(owned())),
        }
        text.parse().map(Self::Content).map_err(|problem| {
            if is_fields(text) {
                NoSource::Fields(owned())
            } else if text.starts_with("ipfs://") || text.starts_with("/ipfs/") {
                NoSource::Name(problem)
            } else {
                NoSource::Missing(owned())
            }
        })
    }
}

/// Whether it is written like `src=ipfs://...,dst=/inputs`.
fn is_fields(text: &str) -> bool {
    ["src=", "source="].iter().any(|field| text.starts_with(field))
}

/// An input: a source, and where the program sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    source: String,
    guest_path: Option<String>,
}

impl FromStr for Mount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (source, guest_path) = match text.rsplit_once(':') {
            // `//` belongs to a URL.
            Some((source, guest)) if guest.starts_with('/') && !guest.starts_with("//") => {
                (source, Some(guest.to_owned()))
            }
            _ => (text, None),
        };
        if source.is_empty() {
            return Err(format!("`{text}` names no file, folder or CID"));
        }
        Ok(Self { source: source.to_owned(), guest_path })
    }
}

impl Mount {
    /// The source.
    ///
    /// # Errors
    /// [`NoSource`].
    pub(crate) fn source(&self) -> Result<Source, NoSource> {
        Source::find(&self.source)
    }

    /// Where the program sees it; none: where the spec's default says. `alone`: there is no other input.
    pub(crate) fn guest_path(&self, source: &Source, alone: bool) -> Option<String> {
        if self.guest_path.is_some() {
            return self.guest_path.clone();
        }
        let path = match source {
            Source::Path(path) => path,
            Source::Stdin => return Some(STDIN.to_owned()),
            // It has the name that its URL ends with, if that is one.
            Source::Url { url, .. } => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                let name = path.rsplit('/').next().filter(|name| !matches!(*name, "" | "." | ".."))?;
                return (path.matches('/').count() > 2).then(|| format!("/inputs/{name}"));
            }
            Source::Content(_) | Source::Directory(_) => return None,
        };
        if alone && path.is_dir() {
            return None;
        }
        // `.` and `..` have names, too, once they are resolved.
        let resolved = path.canonicalize().ok();
        let name = resolved.as_deref().unwrap_or(path).file_name()?.to_str()?;
        Some(format!("/inputs/{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

    fn mount(text: &str) -> Mount {
        text.parse().expect("a mount")
    }

    #[test]
    fn a_guest_path_follows_the_last_colon() {
        assert_eq!(mount("a:b/c:/data").source, "a:b/c");
        assert_eq!(mount("a:b/c:/data").guest_path.as_deref(), Some("/data"));
        assert_eq!(mount("a:b").guest_path, None);
        assert_eq!(mount("ipfs://x").source, "ipfs://x");
        assert_eq!(mount("ipfs://x/y:/data"), Mount { source: "ipfs://x/y".into(), guest_path: Some("/data".into()) });
        assert!(":/data".parse::<Mount>().is_err());
    }

    #[test]
    fn files_and_folders_have_their_places() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.txt");
        std::fs::write(&file, "a").expect("written");
        let text = file.to_str().expect("UTF-8");
        let (file, folder) = (mount(text), mount(folder.path().to_str().expect("UTF-8")));
        let place = |mount: &Mount, alone| mount.guest_path(&mount.source().expect("there"), alone);
        assert_eq!(place(&file, true).as_deref(), Some("/inputs/a.txt"));
        assert_eq!(place(&file, false).as_deref(), Some("/inputs/a.txt"));
        assert_eq!(place(&folder, true), None);
        assert!(place(&folder, false).expect("a place").starts_with("/inputs/"));
        assert_eq!(place(&mount(CID), false), None);
        assert_eq!(place(&mount(&format!("{CID}:/x")), false).as_deref(), Some("/x"));
        assert_eq!(place(&mount("-"), true).as_deref(), Some("/inputs/stdin"));
        assert_eq!(place(&mount("-:/words"), true).as_deref(), Some("/words"));
    }

    #[test]
    fn content_is_named_as_elsewhere() {
        let name: Name = CID.parse().expect("a CID");
        for text in [CID.to_owned(), format!("ipfs://{CID}"), format!("/ipfs/{CID}")] {
            assert_eq!(mount(&text).source(), Ok(Source::Content(name.clone())), "{text}");
        }
        let below = mount(&format!("ipfs://{CID}/a/b:/x")).source().expect("content");
        assert!(matches!(below, Source::Content(name) if name.segments() == ["a", "b"]));
    }

    #[test]
    fn what_providers_fetch_themselves_is_named_with_its_digest() {
        let digest = "c3c4733ec8affd06cf9e9ff50ffc6bcd2ec85a6170004bb709669c31de94391a";
        let text = format!("https://example.org:8443/data/words.csv?v=1#sha256={digest}");
        let source = mount(&text).source().expect("a URL");
        let cid = "bafkreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi".parse().expect("a CID");
        assert_eq!(source, Source::Url { url: "https://example.org:8443/data/words.csv?v=1".to_owned(), cid });
        assert_eq!(mount(&text).guest_path(&source, true).as_deref(), Some("/inputs/words.csv"));
        assert_eq!(mount(&format!("{text}:/x")).guest_path(&source, true).as_deref(), Some("/x"));
        let bare = mount(&format!("https://example.org#sha256={digest}"));
        assert_eq!(bare.guest_path(&bare.source().expect("a URL"), true), None);
        assert_eq!(mount("directory:genomes:/data").source(), Ok(Source::Directory("genomes".to_owned())));
        let error = mount("https://example.org/x#sha256=abc").source().expect_err("no digest").to_string();
        assert!(error.contains("64 hex digits"), "{error}");
    }

    #[test]
    fn what_cannot_be_read_says_what_to_do() {
        for (text, part) in [
            ("no/such.wasm", "there is no file or folder `no/such.wasm`, and it is not a CID"),
            ("https://example.org:80/a.wasm", "curl -LO"),
            ("HTTP://example.org", "curl -LO"),
            ("s3://bucket/key", "copy it to this machine"),
            ("git://example.org/x", "copy it to this machine"),
            ("file:///etc/hosts", "give its path alone"),
            ("ipfs://hello", "does not begin with a CID"),
            ("src=ipfs://x,dst=/inputs", "SOURCE:GUEST_PATH"),
            ("src=texts,dst=/inputs", "SOURCE:GUEST_PATH"),
        ] {
            let error = mount(text).source().expect_err(text).to_string();
            assert!(error.contains(part), "{error} lacks {part}");
        }
    }
}
