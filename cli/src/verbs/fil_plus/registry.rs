//! The registry that flags and settings describe.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use lota_fil_plus::{
    registry::Registry,
    source::{
        Source,
        events::LotusEvents,
        ipni::Ipni,
        list::{ListKey, SignedList},
        lotus::{LotusState, Parties},
    },
    store::Store,
};

use crate::{
    context::Context,
    failure::Usage,
    home,
    settings::{FilPlus, Layers},
    terminal,
    units::{Count, Seconds},
};

/// Where the registry keeps what it knows, and where it knows it from.
#[derive(Debug, Args)]
pub(super) struct RegistryFlags {
    /// Folder of its database [default: fil-plus in the home]
    #[arg(long, value_name = "DIR", help_heading = "Registry")]
    data: Option<String>,
    /// URLs of Lotus or Forest nodes (JSON-RPC), commas between
    #[arg(long, value_name = "URLS", help_heading = "Registry")]
    rpc: Option<String>,
    /// Providers whose claims are read: all, or f01234,f05678 [default: all]
    #[arg(long, value_name = "IDS", help_heading = "Registry")]
    providers: Option<String>,
    /// Clients whose allocations are read: all, or ids [default: all]
    #[arg(long, value_name = "IDS", help_heading = "Registry")]
    clients: Option<String>,
    /// How long after all of it was read it is read again [default: 1d]
    #[arg(long, value_name = "TIME", help_heading = "Registry")]
    refresh: Option<Seconds>,
    /// The epoch that events are read from [default: a day before what is final at first]
    #[arg(long, value_name = "EPOCH", help_heading = "Registry")]
    from_epoch: Option<Count>,
    /// After how many epochs a tipset is final [default: what the node says, or 900]
    #[arg(long, value_name = "N", help_heading = "Registry")]
    final_epochs: Option<Count>,
    /// URLs of indexes (IPNI) that are asked about payloads, commas between
    #[arg(long, value_name = "URLS", help_heading = "Registry")]
    ipni: Option<String>,
    /// Paths or URLs of signed lists, commas between
    #[arg(long, value_name = "LISTS", help_heading = "Registry")]
    lists: Option<String>,
    /// Ed25519 public keys that may sign them (hex or base64), commas between
    #[arg(long, value_name = "KEYS", help_heading = "Registry")]
    list_keys: Option<String>,
}

/// The parts of a text with commas between.
fn parts(text: Option<&String>) -> impl Iterator<Item = &str> {
    text.map_or("", String::as_str).split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// Whose claims or allocations are meant.
fn parties(setting: &str, text: &str) -> Result<Parties, Usage> {
    if text.trim() == "all" {
        return Ok(Parties::All);
    }
    let id = |part: &str| {
        let digits = part.strip_prefix("f0").or_else(|| part.strip_prefix("t0"));
        let id =
            digits.filter(|digits| digits.bytes().all(|c| c.is_ascii_digit())).and_then(|digits| digits.parse().ok());
        id.ok_or_else(|| {
            let part = terminal::printable(part);
            Usage(format!("{setting}: `{part}` is no id of an actor; write `all`, or ids such as f01234"))
        })
    };
    let text = text.to_owned();
    parts(Some(&text)).map(id).collect::<Result<_, _>>().map(Parties::These)
}

/// The sources that the settings name.
fn sources(settings: &FilPlus) -> Result<Vec<Arc<dyn Source>>, Usage> {
    let wrong = |setting: &str| {
        let setting = setting.to_owned();
        move |problem: String| Usage(format!("{setting}: {problem}"))
    };
    let refresh = Duration::from_secs(settings.refresh.0);
    let (final_epochs, from_epoch) = (settings.final_epochs.map(|n| n.0), settings.from_epoch.map(|n| n.0));
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    for url in parts(settings.rpc.as_ref()) {
        let providers = parties("fil_plus.providers", &settings.providers)?;
        let clients = parties("fil_plus.clients", &settings.clients)?;
        let state = LotusState::at(url, final_epochs, providers, clients, refresh).map_err(wrong("fil_plus.rpc"))?;
        sources.push(Arc::new(state));
        if settings.events {
            let events = LotusEvents::at(url, final_epochs, from_epoch).map_err(wrong("fil_plus.rpc"))?;
            sources.push(Arc::new(events));
        }
    }
    for url in parts(settings.ipni.as_ref()) {
        sources.push(Arc::new(Ipni::at(url).map_err(wrong("fil_plus.ipni"))?));
    }
    let keys: Vec<ListKey> = parts(settings.list_keys.as_ref())
        .map(str::parse)
        .collect::<Result<_, String>>()
        .map_err(wrong("fil_plus.list_keys"))?;
    for place in parts(settings.lists.as_ref()) {
        let list = SignedList::at(place, keys.clone(), refresh).map_err(wrong("fil_plus.lists"))?;
        sources.push(Arc::new(list));
    }
    let mut names = HashSet::new();
    if let Some(twice) = sources.iter().find(|source| !names.insert(source.name().to_owned())) {
        return Err(Usage(format!("{} is named twice", terminal::printable(twice.name()))));
    }
    Ok(sources)
}

impl RegistryFlags {
    /// The settings with these flags on top.
    pub(super) fn over(&self, layers: &Layers) -> Result<FilPlus, Usage> {
        let layers = layers
            .clone()
            .flag("--data", "fil_plus.data", self.data.as_ref())
            .flag("--rpc", "fil_plus.rpc", self.rpc.as_ref())
            .flag("--providers", "fil_plus.providers", self.providers.as_ref())
            .flag("--clients", "fil_plus.clients", self.clients.as_ref())
            .flag("--refresh", "fil_plus.refresh", self.refresh.as_ref())
            .flag("--from-epoch", "fil_plus.from_epoch", self.from_epoch.as_ref())
            .flag("--final-epochs", "fil_plus.final_epochs", self.final_epochs.as_ref())
            .flag("--ipni", "fil_plus.ipni", self.ipni.as_ref())
            .flag("--lists", "fil_plus.lists", self.lists.as_ref())
            .flag("--list-keys", "fil_plus.list_keys", self.list_keys.as_ref());
        Ok(layers.settings()?.fil_plus)
    }
}

/// Opens the registry that the settings describe; also gives its folder.
///
/// # Errors
/// When a setting makes no sense, or the database cannot be opened.
pub(super) async fn open(context: &Context, settings: &FilPlus) -> anyhow::Result<(Registry, PathBuf)> {
    let sources = sources(settings)?;
    let folder = settings.data.as_ref().map_or_else(|| context.home.fil_plus(), PathBuf::from);
    home::create_private(&folder)?;
    let store = Store::open(&folder, settings.max_size.0).await?;
    Ok((Registry::open(store, sources).await?, folder))
}
