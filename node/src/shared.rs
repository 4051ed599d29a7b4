//! What the parts of a node share.

use std::sync::Arc;

use lota_bridge::Transport;
use lota_content::fetch::Fetcher;
use lota_market::agent::Pace;
use tokio_util::sync::CancellationToken;

use crate::{config::NodeConfig, fetch::Downloader, health::Health, offers::Offers, salts::Salts, store::Store};

/// What the parts of a node share.
pub(crate) struct Shared {
    pub(crate) config: NodeConfig,
    pub(crate) gateway: String,
    pub(crate) store: Store,
    pub(crate) content: lota_content::Store,
    pub(crate) fetcher: Fetcher,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) health: Health,
    pub(crate) downloader: Arc<Downloader>,
    /// How the network's time passes.
    pub(crate) pace: Pace,
    pub(crate) stop: CancellationToken,
    /// The salts of its orders.
    pub(crate) salts: Arc<Salts>,
    /// What providers offer.
    pub(crate) offers: Arc<Offers>,
}
