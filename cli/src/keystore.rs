//! Encrypted keys: Web3 secret storage, version 3, one file for each account under `$LOTA_HOME/keystore/`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aes::{
    Aes128,
    cipher::{KeyIvInit as _, StreamCipher as _},
};
use alloy::{
    hex,
    primitives::keccak256,
    signers::{
        k256::elliptic_curve::rand_core::{OsRng, RngCore as _},
        local::{LocalSignerError, PrivateKeySigner},
    },
};
use anyhow::{Context as _, bail};
use ctr::Ctr128BE;
use lota_market::Address;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    failure::{ExitWith, Usage},
    home::{self, Home},
};

/// The longest name of a key.
const MAX_NAME: usize = 64;
/// The shortest password that a new key may have, in characters. (Keys that have a shorter one open as before.)
const MIN_PASSWORD: usize = 8;
/// The exit code of a program that SIGINT ended, as shells say it.
const INTERRUPTED: u8 = 130;

/// How much work it is to try a password: the parameters of scrypt (RFC 7914).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strength {
    /// Those of geth and of most wallets: 256 MiB, about a second.
    Standard,
    /// Those of `geth --lightkdf`: 4 MiB, a moment. For play money.
    Light,
}

impl Strength {
    /// The logarithm of n to the base of 2, r and p.
    const fn scrypt(self) -> (u8, u32, u32) {
        match self {
            Self::Standard => (18, 8, 1),
            Self::Light => (12, 8, 6),
        }
    }
}

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
#[derive(Clone, Debug)]
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

    /// Whether trying a password is less work than with [`Strength::Standard`].
    fn is_light(&self) -> bool {
        let (log_n, r, p) = Strength::Standard.scrypt();
        let standard = (1_u64 << log_n) * u64::from(r) * u64::from(p);
        let KdfParams { n, r, p, c, .. } = self.crypto.kdfparams;
        // What PBKDF2 does in a round is no more than what scrypt does for one n.
        let n = n.or(c).unwrap_or_default();
        n.saturating_mul(r.unwrap_or(8)).saturating_mul(p.unwrap_or(1)) < standard
    }

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
    pub(crate) fn create(&self, name: &str, password: &str, strength: Strength) -> anyhow::Result<Listed> {
        let file = self.file(name)?;
        self.refuse_existing(name, &file)?;
        let signer = PrivateKeySigner::random();
        let document = encrypt(&signer, password, strength)?;
        home::create_private(&self.folder)?;
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

    /// A warning for whoever uses a key for money of worth: that it is encrypted too lightly; none: it is not, or is not there.
    pub(crate) fn warning(&self, name: &str) -> Option<String> {
        let text = fs::read(self.file(name).ok()?).ok()?;
        let envelope: Envelope = serde_json::from_slice(&text).ok()?;
        envelope.is_light().then(|| {
            format!(
                "Key `{name}` is encrypted lightly, so its password can be guessed quickly; for money of worth make a new one with `lota wallet new`"
            )
        })
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

/// A key as Web3 secret storage, version 3.
fn encrypt(signer: &PrivateKeySigner, password: &str, strength: Strength) -> anyhow::Result<serde_json::Value> {
    let (mut salt, mut iv, mut id) = ([0; 32], [0; 16], [0; 16]);
    OsRng.fill_bytes(&mut salt);
    OsRng.fill_bytes(&mut iv);
    OsRng.fill_bytes(&mut id);
    let (log_n, r, p) = strength.scrypt();
    let mut derived = [0; 32];
    let cannot = |problem: String| anyhow::anyhow!("cannot encrypt the key: {problem}");
    let parameters = scrypt::Params::new(log_n, r, p).map_err(|error| cannot(error.to_string()))?;
    scrypt::scrypt(password.as_bytes(), &salt, &parameters, &mut derived).map_err(|error| cannot(error.to_string()))?;
    let (cipher_key, mac_key) = derived.split_at(16);
    let mut ciphertext = signer.to_bytes().0;
    let cipher = Ctr128BE::<Aes128>::new_from_slices(cipher_key, &iv);
    cipher.map_err(|error| cannot(error.to_string()))?.apply_keystream(&mut ciphertext);
    let mac = keccak256([mac_key, &ciphertext].concat());
    Ok(json!({
        "address": format!("{:x}", signer.address()),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": hex::encode(iv) },
            "ciphertext": hex::encode(ciphertext),
            "kdf": "scrypt",
            "kdfparams": { "dklen": derived.len(), "n": 1_u32 << log_n, "p": p, "r": r, "salt": hex::encode(salt) },
            "mac": hex::encode(mac),
        },
        "id": uuid(id),
        "version": 3,
    }))
}

/// A UUID of version 4 (RFC 9562) from random bytes.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = hex::encode(bytes);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
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
    /// When there is none to be had, it is shorter than [`MIN_PASSWORD`], or the two differ.
    pub(crate) fn choose(&self, name: &str) -> anyhow::Result<String> {
        let password = match self.without_asking()? {
            Some(password) => password,
            None => {
                let password = prompt(&format!("New password for key `{name}` ({MIN_PASSWORD} characters or more): "))?;
                check_length(&password)?;
                if prompt("The same again: ")? != password {
                    bail!("the two passwords differ; nothing was made");
                }
                password
            }
        };
        check_length(&password)?;
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

fn check_length(password: &str) -> anyhow::Result<()> {
    let length = password.chars().count();
    if length < MIN_PASSWORD {
        bail!("the password has {length} of at least {MIN_PASSWORD} characters; choose a longer one");
    }
    Ok(())
}

fn prompt(question: &str) -> anyhow::Result<String> {
    rpassword::prompt_password(question).map_err(|error| match error.kind() {
        // Ctrl-C: while a password is typed the terminal sends no signal.
        std::io::ErrorKind::Interrupted => ExitWith(INTERRUPTED).into(),
        _ => anyhow::Error::from(error)
            .context("there is no terminal to ask for the password; set LOTA_PASSWORD or give --password-file"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keystore() -> (tempfile::TempDir, Keystore) {
        let folder = tempfile::tempdir().expect("a folder");
        let home = Home::find(Some(folder.path().to_owned())).expect("a home");
        (folder, Keystore::of(&home))
    }

    /// For tests, which are many.
    const LIGHT: Strength = Strength::Light;

    #[test]
    fn a_key_is_kept_listed_and_opened() {
        let (_folder, keystore) = keystore();
        assert!(keystore.list().expect("empty").is_empty());
        let made = keystore.create("main", "secret", Strength::Standard).expect("made");
        assert_eq!(keystore.open("main", "secret").expect("opens").address(), made.address);
        let listed = keystore.list().expect("listed");
        assert_eq!((listed[0].name.as_str(), listed[0].address), ("main", made.address));
        assert_eq!(fs::read_dir(&keystore.folder).expect("there").count(), 1, "nothing else is left");
        let text = fs::read_to_string(&made.file).expect("readable");
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(document["version"], 3);
        let (n, r, p) = (262_144, 8, 1);
        let parameters = &document["crypto"]["kdfparams"];
        assert_eq!(
            (&parameters["n"], &parameters["r"], &parameters["p"], &parameters["dklen"]),
            (&json!(n), &json!(r), &json!(p), &json!(32)),
            "geth's standard"
        );
        assert_eq!(document["id"].as_str().map(str::len), Some(36));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&made.file).expect("there").permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn keys_of_others_and_of_older_versions_open() {
        // A test vector of "Web3 secret storage definition" (version 3), and a key as Lota made them before (n = 8192).
        const PBKDF2: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
            "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
            "kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
            "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
        const KEY: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
        let (_folder, keystore) = keystore();
        home::create_private(&keystore.folder).expect("made");
        fs::write(keystore.file("pbkdf2").expect("a name"), PBKDF2).expect("written");
        let signer = keystore.open("pbkdf2", "testpassword").expect("opens");
        assert_eq!(hex::encode(signer.to_bytes()), KEY);
        let signer = PrivateKeySigner::random();
        let password = "x";
        alloy::signers::local::LocalSigner::encrypt_keystore(
            &keystore.folder,
            &mut OsRng,
            signer.to_bytes(),
            password,
            Some("old.json"),
        )
        .expect("made");
        assert_eq!(keystore.open("old", password).expect("opens").address(), signer.address());
        assert!(keystore.warning("old").expect("n is 8192").contains("`old` is encrypted lightly"));
    }

    #[test]
    fn only_light_keys_are_warned_of() {
        let (_folder, keystore) = keystore();
        keystore.create("light", "secret", Strength::Light).expect("made");
        keystore.create("standard", "secret", Strength::Standard).expect("made");
        assert_eq!(
            keystore.open("light", "secret").expect("opens").address(),
            keystore.list().expect("listed")[0].address
        );
        assert!(keystore.warning("light").is_some());
        assert_eq!(keystore.warning("standard"), None);
        assert_eq!(keystore.warning("none"), None);
    }

    #[test]
    fn short_passwords_are_refused_for_new_keys() {
        for password in ["", "x", "1234567", "schl\u{fc}ss"] {
            let error = check_length(password).expect_err("too short").to_string();
            assert!(error.contains("at least 8 characters"), "{error}");
        }
        for password in ["12345678", "\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}\u{fc}"] {
            assert!(check_length(password).is_ok(), "{password}");
        }
    }

    #[test]
    fn a_uuid_says_that_it_is_random() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn a_wrong_password_is_said_so() {
        let (_folder, keystore) = keystore();
        keystore.create("main", "secret", LIGHT).expect("made");
        let error = keystore.open("main", "Secret").expect_err("wrong").to_string();
        assert!(error.contains("password of key `main`") && error.ends_with("is wrong"), "{error}");
    }

    #[test]
    fn a_key_is_never_replaced() {
        let (_folder, keystore) = keystore();
        let made = keystore.create("main", "secret", LIGHT).expect("made");
        assert!(keystore.create("main", "other", LIGHT).expect_err("exists").to_string().contains("already"));
        assert_eq!(keystore.open("main", "secret").expect("opens").address(), made.address);
    }

    #[test]
    fn a_missing_or_damaged_key_is_said_so() {
        let (_folder, keystore) = keystore();
        assert!(keystore.open("main", "x").expect_err("none").to_string().contains("lota wallet new main"));
        keystore.create("other", "secret", LIGHT).expect("made");
        assert!(keystore.open("main", "x").expect_err("none").to_string().contains("there are: other"));
        fs::write(keystore.file("bad").expect("a name"), "{}").expect("written");
        assert!(keystore.open("bad", "x").expect_err("damaged").to_string().contains("not a usable key file"));
        let text = fs::read_to_string(keystore.file("other").expect("a name")).expect("readable");
        for (from, to) in
            [("\"dklen\": 32", "\"dklen\": 8"), ("4096", "1099511627776"), ("\"version\": 3", "\"version\": 4")]
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
