//! The layers, and where each value comes from.

use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use figment::{
    Figment, Metadata, Profile, Provider,
    error::{Actual, Kind},
    providers::{Format as _, Serialized, Toml},
    value::{Dict, Map, Value},
};

use super::{KEYS, Settings};
use crate::{failure::Usage, log::USUAL, units::Written};

/// Names of the layers in figment's metadata.
const DEFAULTS: &str = "default";
const FILE: &str = "file";

/// The layers, lowest first.
#[derive(Clone)]
pub(crate) struct Layers {
    figment: Figment,
    file: PathBuf,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nobody set it.
    Default,
    /// The settings file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag of this command.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A single value with the name of what set it.
struct Single {
    source: String,
    key: &'static str,
    value: String,
}

impl Provider for Single {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut parts = self.key.rsplit('.');
        let leaf = parts.next().unwrap_or(self.key);
        let mut dict = Dict::from([(leaf.to_owned(), Value::from(self.value.clone()))]);
        for part in parts {
            dict = Dict::from([(part.to_owned(), Value::from(dict))]);
        }
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// A settings file under a name that tells it from the other layers.
struct File<'a>(&'a Path, Dict);

impl Provider for File<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::from(FILE, self.0)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.1.clone())]))
    }
}

impl Layers {
    /// Defaults, the file (which need not exist) and the variables of the environment that `KEYS` knows.
    ///
    /// # Errors
    /// When the file cannot be read or is not TOML, or a variable is not UTF-8.
    pub(crate) fn load(file: &Path, variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<Self> {
        let defaults = Serialized::defaults(Settings { log: USUAL.to_owned(), ..Settings::default() });
        let mut figment = Figment::from(Named(DEFAULTS, defaults));
        match std::fs::read_to_string(file) {
            Ok(text) => {
                let dict = Toml::from_str::<Dict>(&text)
                    .map_err(|error| Usage(format!("{} is not TOML: {}", file.display(), error.to_string().trim())))?;
                figment = figment.merge(File(file, dict));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
        for key in KEYS {
            let name = key.variable();
            if let Some(value) = variable(&name) {
                let value = value.into_string().map_err(|_| Usage(format!("{name} is not UTF-8")))?;
                figment = figment.merge(Single { source: name, key: key.name, value });
            }
        }
        Ok(Self { figment, file: file.to_owned() })
    }

    /// With a flag on top, if it was given.
    #[must_use]
    pub(crate) fn flag<T: Written>(mut self, flag: &str, key: &'static str, value: Option<&T>) -> Self {
        if let Some(value) = value {
            self.figment = self.figment.merge(Single { source: flag.to_owned(), key, value: value.written() });
        }
        self
    }

    /// The settings.
    ///
    /// # Errors
    /// [`Usage`], naming the value, where it comes from and what is wrong with it.
    pub(crate) fn settings(&self) -> Result<Settings, Usage> {
        self.figment.extract_lossy().map_err(|error| Usage(self.explain(error)))
    }

    fn explain(&self, error: figment::Error) -> String {
        let mut key = error.path.join(".");
        let problem = match &error.kind {
            Kind::UnknownField(name, known) => {
                // The path may end above the field.
                if error.path.last() != Some(name) {
                    if !key.is_empty() {
                        key.push('.');
                    }
                    key.push_str(name);
                }
                let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                format!("there is no such setting; there are {known}")
            }
            Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => {
                format!("{} is not {}", found_value(found), wanted_value(wanted, &key))
            }
            Kind::UnknownVariant(found, known) => {
                let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                format!("`{found}` is none of {known}")
            }
            kind => kind.to_string(),
        };
        let origin = match &error.metadata {
            Some(metadata) if metadata.name == FILE => self.file.display().to_string(),
            Some(metadata) => metadata.name.to_string(),
            None => self.origin(&key).to_string(),
        };
        format!("setting `{key}` ({origin}): {problem}")
    }

    /// Where the value of this key comes from.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        match self.figment.find_metadata(key) {
            Some(metadata) if metadata.name == FILE => Origin::File(self.file.clone()),
            Some(metadata) if metadata.name.starts_with("LOTA_") => Origin::Variable(metadata.name.to_string()),
            Some(metadata) if metadata.name.starts_with('-') => Origin::Flag(metadata.name.to_string()),
            _ => Origin::Default,
        }
    }

    /// The value of this key as text; none: it is left to the daemon.
    pub(crate) fn value(&self, key: &str) -> Option<String> {
        match self.figment.find_value(key).ok()? {
            Value::String(_, text) => Some(text),
            Value::Bool(_, value) => Some(value.to_string()),
            Value::Num(_, number) => number
                .to_u128()
                .map(|n| n.to_string())
                .or_else(|| number.to_i128().map(|n| n.to_string()))
                .or_else(|| number.to_f64().map(|n| n.to_string())),
            _ => None,
        }
    }
}

/// A value of the wrong kind, as it was written.
fn found_value(found: &Actual) -> String {
    match found {
        Actual::Bool(value) => format!("`{value}`"),
        Actual::Unsigned(number) => format!("`{number}`"),
        Actual::Signed(number) => format!("`{number}`"),
        // Without the three hundred zeros that it may have.
        Actual::Float(number) => format!("`{number:?}`"),
        Actual::Char(value) => format!("`{value}`"),
        Actual::Str(text) => format!("`{text}`"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// What a value must be, in the words of a settings file.
fn wanted_value(wanted: &str, key: &str) -> String {
    match wanted {
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => format!("a whole number from 0 to {}", u64::MAX),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" => "a text in quotes".to_owned(),
        wanted if wanted.starts_with("struct ") => format!("a table; its settings follow a line `[{key}]`"),
        wanted => wanted.to_owned(),
    }
}

/// A provider under another name.
struct Named<P>(&'static str, P);

impl<P: Provider> Provider for Named<P> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        self.1.data()
    }
}

#[cfg(test)]
mod tests {
    use lota_market::{AttoFil, asset::Asset};

    use super::*;
    use crate::units::{Amount, Seconds};

    fn load(file: &str, variables: &[(&str, &str)]) -> anyhow::Result<Layers> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        std::fs::write(&path, file).expect("written");
        Layers::load(&path, |name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.into()))
    }

    fn fil(amount: Option<Amount>) -> Option<AttoFil> {
        amount.map(|amount| amount.in_asset(&Asset::coin()).expect("coins"))
    }

    fn atto(text: &str) -> Option<AttoFil> {
        Some(text.parse().expect("an amount"))
    }

    #[test]
    fn each_layer_covers_the_ones_below() {
        let file = "[job]\nmax_price = \"1 FIL\"\nmin_price = \"0.5 FIL\"\nrun_for = 90\n[devnet]\nproviders = 5\n";
        let layers = load(file, &[("LOTA_JOB_MAX_PRICE", "2 FIL"), ("LOTA_DEVNET_PROVIDERS", "7")]).expect("loads");
        let layers = layers.flag("--max-price", "job.max_price", Some(&"3".to_owned()));
        let settings = layers.settings().expect("valid");
        assert_eq!(fil(settings.job.max_price), atto("3 FIL"));
        assert_eq!(fil(settings.job.min_price), atto("0.5 FIL"));
        assert_eq!(settings.job.run_for, Some(Seconds(90)));
        assert_eq!(settings.devnet.providers, 7);
        assert_eq!(settings.node.name, "main");
        assert_eq!(layers.origin("job.max_price"), Origin::Flag("--max-price".to_owned()));
        assert!(matches!(layers.origin("job.min_price"), Origin::File(_)));
        assert_eq!(layers.origin("devnet.providers"), Origin::Variable("LOTA_DEVNET_PROVIDERS".to_owned()));
        assert_eq!(layers.origin("node.name"), Origin::Default);
        assert_eq!(layers.value("job.min_price").as_deref(), Some("0.5 FIL"));
        assert_eq!(layers.value("job.run_for").as_deref(), Some("90"));
        assert_eq!(layers.value("job.collateral"), None);
    }

    #[test]
    fn an_amount_from_the_environment_keeps_every_digit() {
        let layers = load("", &[("LOTA_JOB_MAX_PRICE", "0.100000000000000001")]).expect("loads");
        assert_eq!(fil(layers.settings().expect("valid").job.max_price), atto("100000000000000001 attoFIL"));
    }

    #[test]
    fn a_bad_value_is_named_with_its_place() {
        for (file, variables, parts) in [
            (
                "[job]\nmax_prise = \"1\"\n",
                &[][..],
                &["job.max_prise", "config.toml", "no such setting", "`max_price`"][..],
            ),
            ("[job]\nmax_price = 0.5\n", &[], &["job.max_price", "config.toml", "in quotes"]),
            ("[job]\nmax_price = \"one USD\"\n", &[], &["job.max_price", "config.toml", "one USD", "unit"]),
            ("", &[("LOTA_NODE_PROVIDER", "perhaps")], &["node.provider", "LOTA_NODE_PROVIDER", "perhaps"]),
            ("", &[("LOTA_DEVNET_PROVIDERS", "-1")], &["devnet.providers", "LOTA_DEVNET_PROVIDERS"]),
        ] {
            let error = load(file, variables).expect("loads").settings().expect_err(file).to_string();
            for part in parts {
                assert!(error.contains(part), "{error} lacks {part}");
            }
        }
        let error = load("job = [", &[]).err().expect("not TOML").to_string();
        assert!(error.contains("is not TOML"), "{error}");
    }

    #[test]
    fn a_bad_value_is_told_in_the_words_of_the_file() {
        for (file, said) in [
            ("node = 5", "setting `node` (FILE): `5` is not a table; its settings follow a line `[node]`"),
            ("[node]\nslots = -3", "setting `node.slots` (FILE): `-3` is not a whole number from 0 to 4294967295"),
            ("[node]\nslots = 3.5", "setting `node.slots` (FILE): `3.5` is not a whole number from 0 to 4294967295"),
            (
                "[node]\nmargin = 1e300",
                "setting `node.margin` (FILE): `1e300` is not a whole number from 0 to 4294967295",
            ),
            ("[node]\nbids = \"perhaps\"", "setting `node.bids` (FILE): `perhaps` is not `true` or `false`"),
            ("log = 5", "setting `log` (FILE): `5` is not a text in quotes"),
            ("log_format = \"xml\"", "setting `log_format` (FILE): `xml` is none of `text`, `json`"),
            (
                "[node]\nmemory = \"-8 MiB\"",
                "setting `node.memory` (FILE): `-8 MiB` is not an amount of data: it is negative; write for example `512 MiB`, `1.5GB` or `4096`",
            ),
            (
                "[nod]\nslots = 1",
                "setting `nod` (FILE): there is no such setting; there are `log`, `log_format`, `api`, `job`, `node`, `devnet`, `fil_plus`, `notary`",
            ),
            ("[api]\nurk = 1", "setting `api.urk` (FILE): there is no such setting; there are `url`, `token`"),
        ] {
            let layers = load(file, &[]).expect("TOML");
            let error = layers.settings().expect_err(file).to_string();
            assert_eq!(error.replace(&layers.file.display().to_string(), "FILE"), said);
        }
    }

    #[test]
    fn every_key_exists_and_every_setting_has_a_key() {
        let layers = load("", &[]).expect("loads");
        let all = serde_json::to_value(layers.settings().expect("valid")).expect("JSON");
        let mut names = Vec::new();
        let mut left = vec![(String::new(), all)];
        while let Some((name, value)) = left.pop() {
            let below = |field: &String| if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
            match value.as_object() {
                Some(fields) => left.extend(fields.iter().map(|(field, value)| (below(field), value.clone()))),
                None => names.push(name),
            }
        }
        let mut keys: Vec<_> = KEYS.iter().map(|key| key.name.to_owned()).collect();
        keys.sort();
        names.sort();
        assert_eq!(keys, names);
    }
}
