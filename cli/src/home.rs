//! `$LOTA_HOME`: where everything lives.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use lota_api::ApiFile;

use crate::failure::Usage;

/// The folder that holds settings, keys, daemons' data and the file that says where the running daemon is.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// The folder named by `--home` or `LOTA_HOME`, else `~/.lota`. It need not exist.
    ///
    /// # Errors
    /// When no folder is named and the user has no home directory.
    pub(crate) fn find(named: Option<PathBuf>) -> anyhow::Result<Self> {
        match named {
            Some(path) if path.as_os_str().is_empty() => {
                Err(Usage("LOTA_HOME is empty; name a folder, or leave it unset for ~/.lota".to_owned()).into())
            }
            Some(path) => std::path::absolute(&path)
                .map(Self)
                .with_context(|| format!("{} cannot be made an absolute path", path.display())),
            None => dirs::home_dir()
                .map(|user| Self(user.join(".lota")))
                .ok_or_else(|| Usage("you have no home directory; set LOTA_HOME or give --home".to_owned()).into()),
        }
    }

    /// The folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The settings file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    /// The file that says where the running daemon is.
    pub(crate) fn api_file(&self) -> PathBuf {
        self.0.join("api.json")
    }

    /// Where encrypted keys are.
    pub(crate) fn keystore(&self) -> PathBuf {
        self.0.join("keystore")
    }

    /// Where the node of this name keeps its data.
    pub(crate) fn node(&self, name: &str) -> PathBuf {
        self.0.join("nodes").join(name)
    }

    /// Where the devnet keeps its data.
    pub(crate) fn devnet(&self) -> PathBuf {
        self.0.join("devnet")
    }

    /// Where the devnet on Anvil keeps its data whose jobs are paid in test dollars.
    pub(crate) fn devnet_in_dollars(&self) -> PathBuf {
        self.0.join("devnet-anvil-usd")
    }

    /// Where the devnet on Anvil keeps its data.
    pub(crate) fn devnet_on_anvil(&self) -> PathBuf {
        self.0.join("devnet-anvil")
    }

    /// Where the devnet on the mock keeps its data.
    pub(crate) fn devnet_on_mock(&self) -> PathBuf {
        self.0.join("devnet-mock")
    }

    /// Where the mock keeps its data.
    pub(crate) fn mock_market(&self) -> PathBuf {
        self.0.join("mock-market")
    }

    /// Where the FIL+ registry keeps its data.
    pub(crate) fn fil_plus(&self) -> PathBuf {
        self.0.join("fil-plus")
    }

    /// Where a notary's service keeps its data.
    pub(crate) fn notary(&self) -> PathBuf {
        self.0.join("notary")
    }

    /// Makes the folder, readable by its owner only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create(&self) -> anyhow::Result<()> {
        create_private(&self.0)
    }

    /// Reads [`Home::api_file`]; none: there is no such file.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(crate) fn read_api_file(&self) -> anyhow::Result<Option<ApiFile>> {
        let path = self.api_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        serde_json::from_str(&text)
            .map(Some)
            .with_context(|| format!("{} is not a daemon's file; remove it and start the daemon again", path.display()))
    }

    /// Writes [`Home::api_file`], readable by its owner only, in one step.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write_api_file(&self, api: &ApiFile) -> anyhow::Result<()> {
        let path = self.api_file();
        let text = serde_json::to_vec_pretty(api).context("cannot write JSON")?;
        write_private(&path, &text)
    }

    /// Removes [`Home::api_file`], if it is still the one that this daemon wrote.
    pub(crate) fn remove_api_file(&self, api: &ApiFile) {
        if let Ok(Some(found)) = self.read_api_file()
            && found.token == api.token
        {
            let _ = fs::remove_file(self.api_file());
        }
    }
}

/// Makes a folder and those above it; the new ones are readable by their owner only.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn create_private(path: &Path) -> anyhow::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| format!("cannot make the folder {}", path.display()))
}

/// Writes a file that only its owner can read: whoever looks sees the old bytes or the new ones, never a part.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        io::Write::write_all(&mut file, bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(token: &str) -> ApiFile {
        ApiFile { url: "http://127.0.0.1:1".to_owned(), token: token.to_owned(), pid: 1, node: "client".to_owned() }
    }

    #[test]
    fn the_api_file_is_for_its_owner_only_and_goes_with_its_daemon() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::find(Some(folder.path().join("home"))).expect("a home");
        home.create().expect("made");
        assert!(home.read_api_file().expect("no file is no error").is_none());
        home.write_api_file(&api("a")).expect("written");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
            assert_eq!(mode(&home.api_file()), 0o600);
            assert_eq!(mode(home.path()), 0o700);
        }
        home.remove_api_file(&api("b"));
        assert_eq!(home.read_api_file().expect("read").expect("still there").token, "a");
        home.remove_api_file(&api("a"));
        assert!(home.read_api_file().expect("read").is_none());
    }

    #[test]
    fn a_damaged_api_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::find(Some(folder.path().to_owned())).expect("a home");
        fs::write(home.api_file(), "{").expect("written");
        let error = home.read_api_file().expect_err("damaged").to_string();
        assert!(error.contains("api.json") && error.contains("remove it"), "{error}");
    }

    #[test]
    fn an_empty_home_is_refused() {
        assert!(Home::find(Some(PathBuf::new())).expect_err("empty").to_string().contains("LOTA_HOME is empty"));
    }
}
