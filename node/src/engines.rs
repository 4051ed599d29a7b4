//! Whether the engines that are processes of their own can be reached. One that was stopped is said to be away until it answers
//! again, and nothing is locked meanwhile that needs it.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use crate::{executor::Executors, health::Health};

/// They are asked this often.
const EVERY: Duration = Duration::from_secs(5);

/// Asks them until the node is stopped.
pub(crate) async fn watch(executors: Executors, health: Arc<Health>, stop: CancellationToken) {
    let asking = async {
        loop {
            for engine in executors.engines() {
                if let Some(executor) = executors.get(engine) {
                    health.set_engine_away(engine, executor.away().await);
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = asking => {}
        () = stop.cancelled() => {}
    }
}
