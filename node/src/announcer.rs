//! Where a node's content is to be had, said to everybody on the market.

use std::{sync::Arc, time::Duration};

use lota_bridge::Transport;
use lota_market::{AttoFil, agent::EffectKey, model::Command};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    activity::Activity,
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
    /// Says when a reorganisation may have undone the announcement.
    pub(crate) activity: watch::Receiver<Activity>,
    pub(crate) stop: CancellationToken,
}

/// The key of an announcement, and the URL that the market had before. What a reorganisation undoes lands again under that key, once.
type Sent = (EffectKey, Option<String>);

impl Announcer {
    /// Runs until the node is stopped.
    pub(crate) async fn run(mut self) {
        let mut failures = 0u32;
        let mut sent = None;
        loop {
            let rewinds = self.activity.borrow().rewinds;
            let result = tokio::select! {
                result = self.tell(&mut sent) => result,
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
                // The loop that tells of them has ended: so does the node.
                Ok(_) = self.activity.wait_for(|activity| activity.rewinds > rewinds) => {}
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Tells it unless it knows.
    async fn tell(&self, sent: &mut Option<Sent>) -> Result<(), String> {
        let Self { transport, store, gateway, .. } = self;
        let known = store.announcements(MAX_PARTIES).await.map_err(|error| error.to_string())?;
        let announced = known.into_iter().find(|(who, _)| *who == transport.party()).map(|(_, url)| url);
        if announced.as_ref() == Some(gateway) {
            return Ok(());
        }
        let key = match sent.take() {
            Some((key, before)) if before == announced => key,
            _ => {
                let head = transport.head().await.map_err(|error| error.to_string())?;
                EffectKey::named(&format!("announce/{}/{gateway}", head.block))
            }
        };
        *sent = Some((key.clone(), announced));
        let command = Command::Announce { url: gateway.clone() };
        transport.submit(&key, &command, AttoFil::ZERO).await.map(drop).map_err(|error| error.to_string())
    }
}
