//! How the node's two servers serve, and how many descriptors they leave to the rest of the process.
//!
//! A process has so many descriptors (`RLIMIT_NOFILE`), and whoever connects takes one. Strangers get at most three eighths of
//! them, the API an eighth; half is kept for the node's own work: database, blocks, the chain, fetches.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use lota_content::serve::{Descriptors, ServeLimits};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections to the public gateway, at most, however many descriptors there are.
const MOST_PUBLIC: u64 = 1_024;
/// Connections to the API, at most, however many descriptors there are.
const MOST_PRIVATE: u64 = 1_024;
/// Time between two requests to the API: longer than clients usually keep a connection that they do not use.
const API_IDLE: Duration = Duration::from_secs(120);
/// Descriptors where the system does not tell how many there are: the usual limit.
const USUAL_LIMIT: u64 = 1_024;

/// The descriptors for connections, shared by all nodes of the process.
struct Shares {
    limit: u64,
    public: Arc<Descriptors>,
    private: Arc<Descriptors>,
}

/// Descriptors for the public gateways and for the APIs of a process with this limit.
fn shares(limit: u64) -> (usize, usize) {
    let share = |eighths: u64, most: u64| usize::try_from((limit / 8 * eighths).clamp(1, most)).unwrap_or(1);
    (share(3, MOST_PUBLIC), share(1, MOST_PRIVATE))
}

static SHARES: LazyLock<Shares> = LazyLock::new(|| {
    let limit = raise_limit();
    let (public, private) = shares(limit);
    tracing::debug!(limit, public, private, "descriptors for connections");
    Shares { limit, public: Descriptors::new(public), private: Descriptors::new(private) }
});

/// Raises the process's limit of descriptors as far as it may, and returns it.
fn raise_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Some systems refuse what they call unlimited: then it stays as it is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(USUAL_LIMIT)
}

/// Limits of the public gateway.
pub(crate) fn public() -> ServeLimits {
    let (max_connections, _) = shares(SHARES.limit);
    ServeLimits {
        max_connections,
        max_per_address: max_connections.div_ceil(2),
        descriptors: Some(Arc::clone(&SHARES.public)),
        ..ServeLimits::default()
    }
}

/// Limits of the API. All its clients have one address, and who has the token may look at an output page by page.
pub(crate) fn private() -> ServeLimits {
    let (_, max_connections) = shares(SHARES.limit);
    ServeLimits {
        max_connections,
        max_per_address: max_connections,
        idle_timeout: API_IDLE,
        min_rate: 0,
        descriptors: Some(Arc::clone(&SHARES.private)),
        ..ServeLimits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_descriptors_are_the_nodes_own() {
        for limit in [8, 256, 1_024, 4_096, 1 << 20, u64::MAX] {
            let (public, private) = shares(limit);
            assert!(public >= 1 && private >= 1);
            assert!((public + private) as u64 <= limit / 2, "{limit}");
        }
        assert_eq!(shares(1_024), (384, 128));
    }
}
