//! What a module or an input is: something on this machine, or a CID.

use core::str::FromStr;
use std::path::{Path, PathBuf};

use lota_content::Cid;

/// A file or folder of this machine, or content by CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// On this machine.
    Path(PathBuf),
    /// By CID.
    Cid(Cid),
}

/// Why a text is no source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no file or folder `{0}`, and it is not a CID either")]
pub(crate) struct NoSource(String);

impl Source {
    /// What exists on this machine is a path; else it must be a CID. (`./` before a name makes it a path in any case.)
    ///
    /// # Errors
    /// When it is neither.
    pub(crate) fn find(text: &str) -> Result<Self, NoSource> {
        let path = Path::new(text);
        if path.symlink_metadata().is_ok() {
            return Ok(Self::Path(path.to_owned()));
        }
        lota_content::parse_cid(text).map(Self::Cid).map_err(|_| NoSource(text.to_owned()))
    }
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
            Some((source, guest)) if guest.starts_with('/') => (source, Some(guest.to_owned())),
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
        let Source::Path(path) = source else { return None };
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
    }

    #[test]
    fn what_does_not_exist_must_be_a_cid() {
        assert!(matches!(Source::find(CID), Ok(Source::Cid(_))));
        let error = Source::find("no/such.wasm").expect_err("neither").to_string();
        assert!(error.contains("no/such.wasm") && error.contains("not a CID"), "{error}");
    }
}
