//! `CID/path`.

use core::str::FromStr;

use lota_content::Cid;

/// Content by CID, and a path below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// The CID.
    pub(crate) cid: Cid,
    /// The path's parts; none for the content itself.
    pub(crate) path: Vec<String>,
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix("ipfs://").or_else(|| text.strip_prefix("/ipfs/")).unwrap_or(text);
        let mut parts = bare.split('/');
        let cid = parts.next().unwrap_or_default();
        let cid =
            lota_content::parse_cid(cid).map_err(|error| format!("`{text}` does not begin with a CID: {error}"))?;
        let path: Vec<String> = parts.filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if let Some(bad) = path.iter().find(|part| matches!(part.as_str(), "." | "..")) {
            return Err(format!("`{text}` has `{bad}` in its path, which means nothing there"));
        }
        Ok(Self { cid, path })
    }
}

impl Name {
    /// The path's parts.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    /// The last part: what a file of it would be called.
    pub(crate) fn file_name(&self) -> String {
        self.path.last().cloned().unwrap_or_else(|| self.cid.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

    #[test]
    fn a_cid_may_have_a_path() {
        let name: Name = format!("{CID}/a//b c/").parse().expect("a name");
        assert_eq!((name.cid.to_string().as_str(), name.segments()), (CID, vec!["a", "b c"]));
        assert_eq!(name.file_name(), "b c");
        let name: Name = format!("ipfs://{CID}").parse().expect("a name");
        assert_eq!(name.file_name(), CID);
        assert_eq!(format!("/ipfs/{CID}").parse::<Name>().expect("a name"), name);
    }

    #[test]
    fn nothing_climbs_and_nothing_else_is_a_cid() {
        assert!(format!("{CID}/../x").parse::<Name>().expect_err("climbs").contains("`..`"));
        assert!("hello".parse::<Name>().expect_err("no CID").contains("does not begin with a CID"));
        assert!("".parse::<Name>().is_err());
    }
}
