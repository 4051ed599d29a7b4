//! A FIL+ registry in this process that knows one signed list.

use std::{net::Ipv4Addr, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use ed25519_dalek::{Signer as _, SigningKey};
use lota_fil_plus::{
    answer::timestamp,
    api::Server,
    keeper,
    metrics::Metrics,
    registry::Registry,
    source::list::{ListKey, SignedList},
    store::Store,
};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::home;

/// The most that its database takes, in bytes.
const MAX_SIZE: u64 = 1 << 30;
const LIST: &str = "list.json";
/// How often the list is read again.
const REFRESH: Duration = Duration::from_secs(60);

/// A registry that is served.
pub(crate) struct ListedRegistry {
    registry: Arc<Registry>,
    server: Server,
    stop: CancellationToken,
    keeping: JoinHandle<()>,
}

impl ListedRegistry {
    /// Signs a list of CIDs, each with a note, and serves a registry that reads it, from this folder.
    ///
    /// # Errors
    /// When the folder cannot be written, or there is no port.
    pub(crate) async fn start(
        folder: &Path,
        name: &str,
        entries: &[(String, &str)],
        key: &SigningKey,
    ) -> anyhow::Result<Self> {
        home::create_private(folder)?;
        let entries: Vec<_> = entries.iter().map(|(cid, note)| json!({ "cid": cid, "note": note })).collect();
        let document = json!({ "name": name, "issued": timestamp(keeper::now()), "entries": entries });
        let bytes = serde_json::to_vec(&document)?;
        let list = folder.join(LIST);
        // The signature first: what is there alone is no list.
        home::write_private(&folder.join(format!("{LIST}.sig")), &key.sign(&bytes).to_bytes())?;
        home::write_private(&list, &bytes)?;
        let public: ListKey = hex::encode(key.verifying_key().as_bytes()).parse().map_err(anyhow::Error::msg)?;
        let list = SignedList::at(&list.display().to_string(), vec![public], REFRESH).map_err(anyhow::Error::msg)?;
        let store = Store::open(folder, MAX_SIZE).await?;
        let registry = Arc::new(Registry::open(store, vec![Arc::new(list)]).await?);
        let metrics = Metrics::default();
        let server = Server::start((Ipv4Addr::LOCALHOST, 0).into(), Arc::clone(&registry), metrics.clone())
            .await
            .context("the registry has no port to listen at")?;
        let stop = CancellationToken::new();
        let keeping =
            tokio::spawn(keeper::keep(Arc::clone(&registry), metrics, stop.clone(), Arc::new(|_: &str, _: &str| ())));
        Ok(Self { registry, server, stop, keeping })
    }

    /// Where it is asked.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Ends it.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        // A source's task that broke off has been told of by its panic; nothing is lost with a list.
        let _ = self.keeping.await;
        self.server.shutdown().await;
        self.registry.store().close().await;
    }
}
