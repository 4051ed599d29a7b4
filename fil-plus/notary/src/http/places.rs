//! Who asks, and how much of something each may have at once.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt::Debug,
    hash::Hash,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};
use lota_content::serve::PeerGroup;
use tokio::sync::Notify;

use super::proxies::ToldAddress;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// An address; of IPv6 a /64, which one party usually has all of.
    Address(PeerGroup),
    /// All that the server does not tell apart.
    Others,
}

impl Client {
    #[must_use]
    pub fn of(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Others, |address| Self::Address(address.into()))
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let told = parts.extensions.get::<ToldAddress>().map(|told| told.0);
        let peer = || parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        Ok(Self::of(told.or_else(peer)))
    }
}

/// So many places, and how many of them one may have.
#[derive(Debug)]
pub struct Places<K> {
    all: usize,
    of_one: usize,
    taken: Mutex<HashMap<K, usize>>,
    left: Notify,
}

impl<K: Copy + Eq + Hash> Places<K> {
    #[must_use]
    pub fn new(all: usize, of_one: usize) -> Arc<Self> {
        Arc::new(Self { all, of_one, taken: Mutex::default(), left: Notify::new() })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, if one is free.
    pub fn take(self: &Arc<Self>, who: K) -> Option<Place<K>> {
        let mut taken = self.taken();
        let all: usize = taken.values().sum();
        let mine = taken.get(&who).copied().unwrap_or(0);
        if all >= self.all || mine >= self.of_one {
            return None;
        }
        taken.insert(who, mine + 1);
        Some(Place { places: Arc::clone(self), who })
    }

    /// A place, as soon as one is free; `None` if there is none for so long.
    pub async fn wait(self: &Arc<Self>, who: K, patience: Duration) -> Option<Place<K>> {
        let waiting = async {
            loop {
                let mut left = pin!(self.left.notified());
                left.as_mut().enable();
                if let Some(place) = self.take(who) {
                    return place;
                }
                left.await;
            }
        };
        tokio::time::timeout(patience, waiting).await.ok()
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place<K: Copy + Eq + Hash> {
    places: Arc<Places<K>>,
    who: K,
}

impl<K: Copy + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        if let Some(number) = taken.get_mut(&self.who) {
            *number = number.saturating_sub(1);
            if *number == 0 {
                taken.remove(&self.who);
            }
        }
        drop(taken);
        self.places.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let of = |text: &str| Client::of(Some(text.parse().expect("an address")));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_eq!(Client::of(None), Client::Others);
    }

    #[tokio::test]
    async fn one_has_its_share_and_who_waits_gets_what_is_left() {
        let places = Places::new(3, 2);
        let mut mine = vec![places.take(1), places.take(1)];
        assert!(mine.iter().all(Option::is_some));
        assert!(places.take(1).is_none(), "its share is used up");
        let other = places.take(2).expect("another's share is not");
        assert!(places.take(3).is_none(), "all are taken");
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.wait(1, Duration::MAX).await }
        });
        tokio::task::yield_now().await;
        drop(other);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "what another left is none of its share");
        mine.pop();
        let place = waiting.await.expect("no panic");
        assert!(place.is_some());
        assert!(places.wait(1, Duration::ZERO).await.is_none());
        drop((mine, place));
        assert!(places.taken().is_empty(), "nothing is kept of who is gone");
    }
}
