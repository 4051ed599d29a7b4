//! Where a node's content is to be had, said to everybody on the market.

use std::{sync::Arc, time::Duration};

use lota_bridge::Transport;
use lota_market::{AttoFil, agent::EffectKey, model::Command};
use tokio_util::sync::CancellationToken;

use crate::{
    observe,
    store::{MAX_PARTIES, Store},
};

/// How often it is looked whether the market still knows the gateway's URL.
const CHECK_ANNOUNCEMENT: Duration = Duration::from_secs(15);

/// Tells the market where this node serves content whenever it does not know: at first, and after a reorganisation.
pub(crate) struct Announcer {
    /// The node's name, for its log.
    pub(crate) name: String,
    pub(crate) transport: Arc<dyn Transport>,
    /// Where the parties' announcements are.
    pub(crate) store: Store,
    /// Where this node serves content.
    pub(crate) gateway: String,
    pub(crate) stop: CancellationToken,
}

impl Announcer {
    /// Runs until the node is stopped.
    pub(crate) async fn run(self) {
        let mut failures = 0u32;
        loop {
            let result = tokio::select! {
                result = self.tell() => result,
                () = self.stop.cancelled() => return,
            };
            let pause = match result {
                Ok(()) => {
                    failures = 0;
                    CHECK_ANNOUNCEMENT
                }
                Err(problem) => {
                    failures = failures.saturating_add(1);
                    observe::announcement_failed(&self.name, &problem);
                    Duration::from_secs(1 << failures.min(5))
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Tells it unless it knows.
    async fn tell(&self) -> Result<(), String> {
        let Self { transport, store, gateway, .. } = self;
        let known = store.announcements(MAX_PARTIES).await.map_err(|error| error.to_string())?;
        if known.iter().any(|(who, url)| *who == transport.party() && url == gateway) {
            return Ok(());
        }
        let head = transport.head().await.map_err(|error| error.to_string())?;
        let key = EffectKey::named(&format!("announce/{}/{gateway}", head.block));
        let command = Command::Announce { url: gateway.clone() };
        transport.submit(&key, &command, AttoFil::ZERO).await.map(drop).map_err(|error| error.to_string())
    }
}
