//! How many requests are open at once: in all, and to one host. Whoever waits gets its turn in order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

/// Places for requests. Each takes a descriptor, and memory for a block.
#[derive(Debug)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    per_host: usize,
    hosts: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// A request's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    _host: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(super) fn new(all: usize, per_host: usize) -> Arc<Self> {
        let all = all.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self { all: Arc::new(Semaphore::new(all)), per_host: per_host.clamp(1, all), hosts: Mutex::default() })
    }

    fn of_host(&self, url: &Url) -> Arc<Semaphore> {
        let host = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0));
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = hosts.get(&host).and_then(Weak::upgrade) {
            return known;
        }
        hosts.retain(|_, host| host.strong_count() > 0);
        let new = Arc::new(Semaphore::new(self.per_host));
        hosts.insert(host, Arc::downgrade(&new));
        new
    }

    /// A place for a request to this host: first one of the host's, so that those who wait for a busy host take none from others.
    pub(super) async fn take(&self, url: &Url) -> Slot {
        let host = self.of_host(url);
        // Neither is ever closed.
        let host = host.acquire_owned().await.ok();
        let all = Arc::clone(&self.all).acquire_owned().await.ok();
        Slot { _host: host, _all: all }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[test]
    fn a_host_takes_its_share_and_no_more() {
        let slots = Slots::new(3, 2);
        let (a, b): (Url, Url) = ("http://a.example".parse().unwrap(), "http://b.example:8080".parse().unwrap());
        let soon = |url: &Url| slots.take(url).now_or_never();
        let (first, second) = (soon(&a).unwrap(), soon(&a).unwrap());
        assert!(soon(&a).is_none(), "its share");
        let third = soon(&b).unwrap();
        assert!(soon(&b).is_none(), "all places");
        drop(first);
        assert!(soon(&b).is_some());
        drop((second, third));
        assert!(slots.of_host(&a).available_permits() == 2 && slots.all.available_permits() == 3);
        slots.of_host(&b);
        assert_eq!(slots.hosts.lock().unwrap().len(), 1, "hosts that nobody asks are forgotten");
    }
}
