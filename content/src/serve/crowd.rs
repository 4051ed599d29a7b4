//! Who is connected, who comes in, and who makes room.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::connection::{Connection, Standing};
use super::{PeerGroup, ServeLimits};

/// How long a newcomer waits for the one that makes room.
const PATIENCE: Duration = Duration::from_secs(1);

/// Connections that several servers of one process may have together: each takes a descriptor of
/// the process.
#[derive(Debug)]
pub struct Descriptors {
    free: Arc<Semaphore>,
    /// Somebody left.
    left: Notify,
    crowds: Mutex<Vec<Weak<Crowd>>>,
}

impl Descriptors {
    /// So many.
    #[must_use]
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(count)), left: Notify::new(), crowds: Mutex::default() })
    }

    /// One of the servers gives a connection that it can spare, the one with the most first; `false`
    /// if none has any.
    fn make_room(&self, newcomer: PeerGroup) -> bool {
        let mut crowds: Vec<Arc<Crowd>> = lock(&self.crowds).iter().filter_map(Weak::upgrade).collect();
        crowds.sort_by_key(|crowd| Reverse(lock(&crowd.inner).members.len()));
        crowds.iter().any(|crowd| crowd.make_room(Some(newcomer)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All connections of a server.
#[derive(Debug)]
pub(crate) struct Crowd {
    limits: ServeLimits,
    descriptors: Arc<Descriptors>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    members: HashMap<u64, Arc<Connection>>,
    groups: HashMap<PeerGroup, usize>,
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Member {
    id: u64,
    connection: Arc<Connection>,
    crowd: Arc<Crowd>,
    /// Only while it is dropped there is none.
    descriptor: Option<OwnedSemaphorePermit>,
}

impl Member {
    pub(super) const fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.connection.release();
        // Before others are told that there is room.
        drop(self.descriptor.take());
        self.crowd.leave(self.id, self.connection.group());
    }
}

/// What stands in a newcomer's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    /// Its address has all that it may have.
    Address,
    /// All places are taken.
    All,
    /// All descriptors are taken, which other servers share.
    Descriptors,
}

impl Crowd {
    pub(super) fn new(limits: ServeLimits) -> Arc<Self> {
        let descriptors = match &limits.descriptors {
            Some(descriptors) => Arc::clone(descriptors),
            None => Descriptors::new(limits.max_connections),
        };
        let crowd = Arc::new(Self { limits, descriptors: Arc::clone(&descriptors), inner: Mutex::default() });
        let mut crowds = lock(&descriptors.crowds);
        crowds.retain(|crowd| crowd.strong_count() > 0);
        crowds.push(Arc::downgrade(&crowd));
        drop(crowds);
        crowd
    }

    pub(super) const fn limits(&self) -> &ServeLimits {
        &self.limits
    }

    /// A place for a newcomer, if need be that of one who can be spared; `None` if there is none.
    pub(super) async fn admit(self: &Arc<Self>, address: SocketAddr) -> Option<Member> {
        let full = match self.enter(address) {
            Ok(member) => return Some(member),
            Err(full) => full,
        };
        let group = PeerGroup::from(address.ip());
        match full {
            Full::Address | Full::All => self.spare(full, Some(group))?.cut(),
            Full::Descriptors if self.descriptors.make_room(group) => {}
            Full::Descriptors => return None,
        }
        let entered = async {
            loop {
                let left = self.descriptors.left.notified();
                if let Ok(member) = self.enter(address) {
                    return member;
                }
                left.await;
            }
        };
        tokio::time::timeout(PATIENCE, entered).await.ok()
    }

    fn enter(self: &Arc<Self>, address: SocketAddr) -> Result<Member, Full> {
        let group = PeerGroup::from(address.ip());
        let mut inner = lock(&self.inner);
        if inner.groups.get(&group).is_some_and(|count| *count >= self.limits.max_per_address) {
            return Err(Full::Address);
        }
        if inner.members.len() >= self.limits.max_connections {
            return Err(Full::All);
        }
        let free = Arc::clone(&self.descriptors.free);
        let descriptor = Some(free.try_acquire_owned().map_err(|_| Full::Descriptors)?);
        let id = inner.next;
        inner.next += 1;
        let connection = Arc::new(Connection::new(address));
        inner.members.insert(id, Arc::clone(&connection));
        *inner.groups.entry(group).or_default() += 1;
        Ok(Member { id, connection, crowd: Arc::clone(self), descriptor })
    }

    fn leave(&self, id: u64, group: PeerGroup) {
        let mut inner = lock(&self.inner);
        inner.members.remove(&id);
        if let Some(count) = inner.groups.get_mut(&group) {
            *count -= 1;
            if *count == 0 {
                inner.groups.remove(&group);
            }
        }
        drop(inner);
        self.descriptors.left.notify_waiters();
    }

    /// The connection that is missed least: of the newcomer's address if that has too many, else
    /// of the one that has the most; without a request before one with; longest idle, slowest. One
    /// with a request that does what it should only if its address has more than the newcomer's
    /// would have.
    fn spare(&self, full: Full, newcomer: Option<PeerGroup>) -> Option<Arc<Connection>> {
        let inner = lock(&self.inner);
        let count = |group: PeerGroup| inner.groups.get(&group).copied().unwrap_or(0);
        let share = newcomer.map(|group| count(group) + 1);
        let rank = |connection: &&Arc<Connection>| {
            if connection.is_cut() || (full == Full::Address && Some(connection.group()) != newcomer) {
                return None;
            }
            let crowd = count(connection.group());
            match connection.standing() {
                Standing::Waiting(since) => Some((0, Reverse(crowd), Some(since), 0)),
                Standing::Slow(rate) => Some((1, Reverse(crowd), None, rate)),
                Standing::Busy if share.is_some_and(|share| crowd > share) => Some((2, Reverse(crowd), None, 0)),
                Standing::Busy => None,
            }
        };
        let ranked = inner.members.values().filter_map(|connection| Some((rank(&connection)?, connection)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, connection)| Arc::clone(connection))
    }

    /// Cuts off one connection that can be spared; `false` if there is none.
    pub(super) fn make_room(&self, newcomer: Option<PeerGroup>) -> bool {
        self.spare(Full::All, newcomer).map(|connection| connection.cut()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 7))
    }

    fn crowd(max_connections: usize, max_per_address: usize) -> Arc<Crowd> {
        Crowd::new(ServeLimits { max_connections, max_per_address, ..ServeLimits::default() })
    }

    #[test]
    fn the_longest_idle_of_the_address_that_has_the_most_makes_room() {
        let crowd = crowd(4, 4);
        let lonely = crowd.enter(from(1)).unwrap();
        let first = crowd.enter(from(2)).unwrap();
        let second = crowd.enter(from(2)).unwrap();
        let third = crowd.enter(from(2)).unwrap();
        assert_eq!(crowd.enter(from(3)).unwrap_err(), Full::All);
        let spared = |full, last| crowd.spare(full, Some(PeerGroup::from(from(last).ip())));
        let is = |found: Option<Arc<Connection>>, member: &Member| Arc::ptr_eq(&found.unwrap(), member.connection());
        assert!(is(spared(Full::All, 3), &first));
        let _busy = first.connection().begin();
        assert!(is(spared(Full::All, 3), &second));
        second.connection().cut();
        assert!(is(spared(Full::All, 3), &third), "the other is going already");
        assert!(is(spared(Full::Address, 1), &lonely));
        let _busy = third.connection().begin();
        assert!(is(spared(Full::All, 3), &lonely));
        let _busy = lonely.connection().begin();
        assert!(spared(Full::All, 2).is_none(), "all have requests");
        assert!(!crowd.make_room(None));
        let busy = spared(Full::All, 3).unwrap();
        assert_eq!(busy.group(), first.connection().group(), "who has none comes before who has several");
        drop(second);
        assert!(crowd.enter(from(3)).is_ok());
    }

    #[test]
    fn places_of_an_address_and_descriptors_come_back() {
        let descriptors = Descriptors::new(2);
        let limits =
            ServeLimits { max_per_address: 1, descriptors: Some(Arc::clone(&descriptors)), ..ServeLimits::default() };
        let crowd = Crowd::new(limits);
        let one = crowd.enter(from(1)).unwrap();
        assert_eq!(crowd.enter(from(1)).unwrap_err(), Full::Address);
        let _two = crowd.enter(from(2)).unwrap();
        assert_eq!(crowd.enter(from(3)).unwrap_err(), Full::Descriptors);
        drop(one);
        assert!(crowd.enter(from(1)).is_ok());
        assert_eq!(descriptors.free.available_permits(), 1);
        assert_eq!(lock(&crowd.inner).groups.len(), 1);
    }
}
