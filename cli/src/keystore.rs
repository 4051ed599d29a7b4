//! Encrypted keys: Web3 secret storage, version 3, one file for each account under `$LOTA_HOME/keystore/`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use alloy::signers::{
    k256::elliptic_curve::rand_core::OsRng,
    local::{LocalSigner, LocalSignerError, PrivateKeySigner},
};
use anyhow::{Context as _, bail};
use lota_market::Address;
use serde::{Deserialize, Serialize};

use crate::{
    failure::Usage,
    home::{self, Home},
};

/// The longest name of a key.
const MAX_NAME: usize = 64;

/// A key as the keystore lists it, without opening it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Listed {
    /// Its name.
    pub(crate) name: String,
    /// Its account.
    pub(crate) address: Address,
    /// Its file.
    pub(crate) file: PathBuf,
}

/// The keys of one home.
pub(crate) struct Keystore {
    folder: PathBuf,
}

/// What of a key's file is not secret.
#[derive(Deserialize)]
struct Public {
    address: Option<String>,
}

/// What is checked of a key's file before it is decrypted: eth-keystore panics on other sizes, and takes as much memory and
/// time as the file asks for.
#[derive(Deserialize)]
struct Envelope {
    version: u64,
    crypto: Crypto,
}

#[derive(Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdfparams: KdfParams,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Deserialize)]
struct KdfParams {
    dklen: u64,
    n: Option<u64>,
    r: Option<u64>,
    p: Option<u64>,
    c: Option<u64>,
}

impl Envelope {
    /// The most memory that scrypt may take, in bytes.
    const MAX_SCRYPT: u64 = 1 << 30;
    /// The most rounds of PBKDF2, and of scrypt's parallel part.
    const MAX_ROUNDS: u64 = 10_000_000;

    fn problem(&self) -> Option<&'static str> {
        let KdfParams { dklen, n, r, p, c } = self.crypto.kdfparams;
        let n = n.unwrap_or(2);
        let memory = n.checked_mul(r.unwrap_or(1)).and_then(|blocks| blocks.checked_mul(128));
        if self.version != 3 {
            Some("its version is not 3")
        } else if self.crypto.cipher != "aes-128-ctr" {
            Some("its cipher is not aes-128-ctr")
        } else if self.crypto.cipherparams.iv.len() != 32 || self.crypto.ciphertext.len() != 64 || dklen != 32 {
            Some("the sizes of its key, initialisation vector or ciphertext are not those of an account's key")
        } else if !n.is_power_of_two() || n < 2 || memory.is_none_or(|bytes| bytes > Self::MAX_SCRYPT) {
            Some("its scrypt parameters are damaged, or ask for more than 1 GiB of memory")
        } else if p.unwrap_or(1) > 16 || c.unwrap_or(1) > Self::MAX_ROUNDS {
            Some("it asks for too many rounds")
        } else {
            None
        }
    }
}

impl Keystore {
    /// The keystore of this home; it need not exist.
    pub(crate) fn of(home: &Home) -> Self {
        Self { folder: home.keystore() }
    }

    /// Where the key of this name is or would be.
    ///
    /// # Errors
    /// When it is not a name.
    pub(crate) fn file(&self, name: &str) -> anyhow::Result<PathBuf> {
        let ok = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(ok) {
            return Err(
                Usage(format!("`{name}` cannot name a key; take 1 to {MAX_NAME} letters, digits, `-` or `_`")).into()
            );
        }
        Ok(self.folder.join(format!("{name}.json")))
    }

    /// Makes sure that a new key may have this name.
    ///
    /// # Errors
    /// When there is one already, or it is not a name.
    pub(crate) fn check_free(&self, name: &str) -> anyhow::Result<()> {
        self.refuse_existing(name, &self.file(name)?)
    }

    /// Makes a new key and keeps it encrypted with `password`. Never replaces one.
    ///
    /// # Errors
    /// When there is a key of this name, or it cannot be written.
    pub(crate) fn create(&self, name: &str, password: &str) -> anyhow::Result<Listed> {
        self.keep(name, &PrivateKeySigner::random(), password)
    }

    /// Keeps a key encrypted with `password`. Never replaces one.
    ///
    /// # Errors
    /// As [`Keystore::create`].
    pub(crate) fn keep(&self, name: &str, signer: &PrivateKeySigner, password: &str) -> anyhow::Result<Listed> {
        let file = self.file(name)?;
        self.refuse_existing(name, &file)?;
        home::create_private(&self.folder)?;
        // Encrypted in a folder of its own first: alloy writes the file in place and readable by all.
        let scratch =
            tempfile::tempdir_in(&self.folder).with_context(|| format!("cannot write in {}", self.folder.display()))?;
        LocalSigner::encrypt_keystore(scratch.path(), &mut OsRng, signer.to_bytes(), password, Some("key"))
            .context("cannot encrypt the key")?;
        let path = scratch.path().join("key");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut document: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&text).context("the encrypted key is not JSON")?;
        document.insert("address".to_owned(), format!("{:x}", signer.address()).into());
        let text = serde_json::to_vec_pretty(&document).context("cannot write JSON")?;
        let mut temporary = tempfile::NamedTempFile::new_in(&self.folder)
            .with_context(|| format!("cannot write in {}", self.folder.display()))?;
        io::Write::write_all(&mut temporary, &text)
            .and_then(|()| temporary.as_file().sync_all())
            .with_context(|| format!("cannot write in {}", self.folder.display()))?;
        match temporary.persist_noclobber(&file) {
            Ok(_) => Ok(Listed { name: name.to_owned(), address: signer.address(), file }),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                self.refuse_existing(name, &file)?;
                Err(error.error).with_context(|| format!("cannot write {}", file.display()))
            }
            Err(error) => Err(error.error).with_context(|| format!("cannot write {}", file.display())),
        }
    }

    fn refuse_existing(&self, name: &str, file: &Path) -> anyhow::Result<()> {
        if file.symlink_metadata().is_ok() {
            bail!("there is a key `{name}` already ({}); choose another name", file.display());
        }
        Ok(())
    }

    /// Opens a key.
    ///
    /// # Errors
    /// When there is no such key, its file is damaged, or the password is wrong.
    pub(crate) fn open(&self, name: &str, password: &str) -> anyhow::Result<PrivateKeySigner> {
        let file = self.file(name)?;
        self.check_exists(name, &file)?;
        let unusable = || format!("{} is not a usable key file (Web3 secret storage, version 3)", file.display());
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let envelope: Envelope = serde_json::from_slice(&text).with_context(unusable)?;
        if let Some(problem) = envelope.problem() {
            bail!("{}: {problem}", unusable());
        }
        match PrivateKeySigner::decrypt_keystore(&file, password) {
            Ok(signer) => Ok(signer),
            Err(LocalSignerError::EthKeystoreError(error)) if error.to_string() == "Mac Mismatch" => {
                bail!("the password of key `{name}` ({}) is wrong", file.display())
            }
            Err(error) => Err(error).with_context(unusable),
        }
    }

    fn check_exists(&self, name: &str, file: &Path) -> anyhow::Result<()> {
        if file.exists() {
            return Ok(());
        }
        let names: Vec<String> = self.list()?.into_iter().map(|key| key.name).collect();
        if names.is_empty() {
            bail!("there is no key `{name}` in {}; make one with `lota wallet new {name}`", self.folder.display());
        }
        bail!("there is no key `{name}` in {}; there are: {}", self.folder.display(), names.join(", "));
    }

    /// All keys, by name. Files that are not keys are passed over.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn list(&self) -> anyhow::Result<Vec<Listed>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.folder.display())),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let file = entry.with_context(|| format!("cannot read {}", self.folder.display()))?.path();
            let Some(name) =
                file.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".json"))
            else {
                continue;
            };
            let public = fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Public>(&text).ok());
            if let Some(address) = public.and_then(|public| public.address?.parse().ok()) {
                keys.push(Listed { name: name.to_owned(), address, file: file.clone() });
            }
        }
        keys.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(keys)
    }
}

/// Where a password comes from: `--password-file`, else `LOTA_PASSWORD`, else a prompt on the terminal.
pub(crate) struct Password {
    file: Option<PathBuf>,
}

impl Password {
    /// From this file, if one is named.
    pub(crate) const fn from(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// Asks for the password of an existing key.
    ///
    /// # Errors
    /// When there is none to be had.
    pub(crate) fn ask(&self, name: &str) -> anyhow::Result<String> {
        match self.without_asking()? {
            Some(password) => Ok(password),
            None => prompt(&format!("Password of key `{name}`: ")),
        }
    }

    /// Asks for the password of a new key, twice.
    ///
    /// # Errors
    /// When there is none to be had, it is empty, or the two differ.
    pub(crate) fn choose(&self, name: &str) -> anyhow::Result<String> {
        let password = match self.without_asking()? {
            Some(password) => password,
            None => {
                let password = prompt(&format!("New password for key `{name}`: "))?;
                if prompt("The same again: ")? != password {
                    bail!("the two passwords differ; nothing was made");
                }
                password
            }
        };
        if password.is_empty() {
            bail!("an empty password protects nothing; choose another");
        }
        Ok(password)
    }

    fn without_asking(&self) -> anyhow::Result<Option<String>> {
        if let Some(file) = &self.file {
            let text = fs::read_to_string(file)
                .with_context(|| format!("cannot read the password file {}", file.display()))?;
            return Ok(Some(text.lines().next().unwrap_or_default().to_owned()));
        }
        match std::env::var("LOTA_PASSWORD") {
            Ok(password) => Ok(Some(password)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(Usage("LOTA_PASSWORD is not UTF-8".to_owned()).into()),
        }
    }
}

fn prompt(question: &str) -> anyhow::Result<String> {
    rpassword::prompt_password(question)
        .context("there is no terminal to ask for the password; set LOTA_PASSWORD or give --password-file")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keystore() -> (tempfile::TempDir, Keystore) {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::find(Some(folder.path().to_owned())).expect("a home");
        (folder, Keystore::of(&home))
    }

    #[test]
    fn a_key_is_kept_listed_and_opened() {
        let (_folder, keystore) = keystore();
        assert!(keystore.list().expect("empty").is_empty());
        let made = keystore.create("main", "secret").expect("made");
        assert_eq!(keystore.open("main", "secret").expect("opens").address(), made.address);
        let listed = keystore.list().expect("listed");
        assert_eq!((listed[0].name.as_str(), listed[0].address), ("main", made.address));
        let text = fs::read_to_string(&made.file).expect("readable");
        assert!(text.contains("\"version\": 3"), "{text}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&made.file).expect("there").permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_wrong_password_is_said_so() {
        let (_folder, keystore) = keystore();
        keystore.create("main", "secret").expect("made");
        let error = keystore.open("main", "Secret").expect_err("wrong").to_string();
        assert!(error.contains("password of key `main`") && error.ends_with("is wrong"), "{error}");
    }

    #[test]
    fn a_key_is_never_replaced() {
        let (_folder, keystore) = keystore();
        let made = keystore.create("main", "secret").expect("made");
        assert!(keystore.create("main", "other").expect_err("exists").to_string().contains("already"));
        assert_eq!(keystore.open("main", "secret").expect("opens").address(), made.address);
    }

    #[test]
    fn a_missing_or_damaged_key_is_said_so() {
        let (_folder, keystore) = keystore();
        assert!(keystore.open("main", "x").expect_err("none").to_string().contains("lota wallet new main"));
        keystore.create("other", "secret").expect("made");
        assert!(keystore.open("main", "x").expect_err("none").to_string().contains("there are: other"));
        fs::write(keystore.file("bad").expect("a name"), "{}").expect("written");
        assert!(keystore.open("bad", "x").expect_err("damaged").to_string().contains("not a usable key file"));
        let text = fs::read_to_string(keystore.file("other").expect("a name")).expect("readable");
        for (from, to) in
            [("\"dklen\": 32", "\"dklen\": 8"), ("8192", "1099511627776"), ("\"version\": 3", "\"version\": 4")]
        {
            assert!(text.contains(from), "{text}");
            fs::write(keystore.file("bad").expect("a name"), text.replace(from, to)).expect("written");
            assert!(keystore.open("bad", "secret").expect_err("damaged").to_string().contains("not a usable key file"));
        }
        for name in ["", "../main", "a b", "ü"] {
            assert!(keystore.file(name).is_err(), "{name}");
        }
    }
}
