//! Who may be answered: a limit of responses at once, shared fairly among the addresses that ask.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::GatewayOptions;
use crate::serve::{Connection, PeerGroup, Standing};

/// How often a request that waits looks for a response that can be spared.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Requests that wait at once; further ones are refused.
const MAX_WAITING: usize = 1024;

/// The slots of a gateway.
#[derive(Debug)]
pub(super) struct Slots {
    /// Slots in all.
    most: usize,
    /// Slots of one address.
    most_of_one: usize,
    patience: Duration,
    /// After this long a request takes a slot of an address that has more than its share.
    share_after: Duration,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    taken: HashMap<u64, Taken>,
    /// Slots of each address.
    groups: HashMap<Option<PeerGroup>, usize>,
    /// In the order in which they came.
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Taken {
    group: Option<PeerGroup>,
    connection: Option<Arc<Connection>>,
    cancelled: CancellationToken,
}

#[derive(Debug)]
struct Waiting {
    id: u64,
    group: Option<PeerGroup>,
    connection: Option<Arc<Connection>>,
    grant: oneshot::Sender<Slot>,
}

/// The right to make a response. It comes back when the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: u64,
    slots: Arc<Slots>,
    connection: Option<Arc<Connection>>,
    cancelled: CancellationToken,
}

impl Inner {
    fn give_up(&self) {
        self.cancelled.cancel();
        if let Some(connection) = &self.connection {
            connection.cut();
        }
    }
}

impl Slot {
    /// Ends the response, and the connection that does not take it.
    pub(super) fn give_up(&self) {
        self.inner.give_up();
    }

    /// When the response is to be given up because others need the slot.
    pub(super) async fn cancelled(&self) {
        self.inner.cancelled.cancelled().await;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut table = self.slots.table();
        table.leave(self.id);
        let unwanted = self.slots.grant(&mut table);
        // Slots take the table's lock when they are dropped.
        drop(table);
        drop(unwanted);
    }
}

/// Takes a request out of the queue when it is no longer waited for.
struct InQueue<'a> {
    slots: &'a Slots,
    id: u64,
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        self.slots.table().waiting.retain(|waiting| waiting.id != self.id);
    }
}

impl Table {
    fn count(&self, group: Option<PeerGroup>) -> usize {
        self.groups.get(&group).copied().unwrap_or(0)
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn leave(&mut self, id: u64) {
        let Some(taken) = self.taken.remove(&id) else { return };
        if let Some(count) = self.groups.get_mut(&taken.group) {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(&taken.group);
            }
        }
    }
}

impl Slots {
    pub(super) fn new(options: &GatewayOptions) -> Arc<Self> {
        Arc::new(Self {
            most: options.max_requests,
            most_of_one: options.max_requests_per_address,
            patience: options.queue_timeout,
            share_after: options.queue_timeout / 3,
            table: Mutex::default(),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A slot for a request. Waits for one if need be, and takes it from a client that takes its
    /// response too slowly. `None`: there was none in time.
    pub(super) async fn take(self: &Arc<Self>, connection: Option<Arc<Connection>>) -> Option<Slot> {
        // The response of the request before is not yet written: it is the same client that waits.
        if let Some(inner) = connection.as_ref().and_then(|connection| connection.held::<Inner>()) {
            return Some(Slot { inner });
        }
        let group = connection.as_ref().map(|connection| connection.group());
        let (mut granted, id) = {
            let mut table = self.table();
            if table.waiting.len() >= MAX_WAITING {
                return None;
            }
            let (grant, granted) = oneshot::channel();
            let id = table.id();
            table.waiting.push(Waiting { id, group, connection: connection.clone(), grant });
            let unwanted = self.grant(&mut table);
            drop(table);
            drop(unwanted);
            (granted, id)
        };
        let _in_queue = InQueue { slots: self, id };
        let begun = Instant::now();
        let mut pause = Duration::ZERO;
        loop {
            let left = self.patience.saturating_sub(begun.elapsed());
            if let Ok(slot) = tokio::time::timeout(left.min(pause), &mut granted).await {
                let slot = slot.ok()?;
                if let Some(connection) = connection {
                    // What is made of the response and not yet written takes memory, too.
                    connection.hold(Arc::clone(&slot.inner));
                }
                return Some(slot);
            }
            if left.is_zero() {
                return None;
            }
            pause = LOOK_AGAIN;
            self.make_room(group, begun.elapsed() >= self.share_after);
        }
    }

    /// Gives free slots to those who wait: to those first who have the fewest, and of these to the one
    /// that came last. In a crowd that does not read, it is the newcomer who may be another. Returns the slots of
    /// those who went at this moment; they are to be dropped without the table's lock.
    fn grant(self: &Arc<Self>, table: &mut Table) -> Vec<Slot> {
        let mut unwanted = Vec::new();
        while table.taken.len() < self.most {
            let next = (0..table.waiting.len())
                .rev()
                .filter(|index| self.may_have_more(table, table.waiting[*index].group))
                .min_by_key(|index| table.count(table.waiting[*index].group));
            let Some(index) = next else { break };
            let Waiting { group, connection, grant, .. } = table.waiting.remove(index);
            let id = table.id();
            let cancelled = CancellationToken::new();
            let slots = Arc::clone(self);
            let inner = Arc::new(Inner { id, slots, connection: connection.clone(), cancelled: cancelled.clone() });
            table.taken.insert(id, Taken { group, connection, cancelled });
            *table.groups.entry(group).or_default() += 1;
            if let Err(slot) = grant.send(Slot { inner }) {
                unwanted.push(slot);
            }
        }
        unwanted
    }

    /// Where the server does not say who asks, all may have all.
    fn may_have_more(&self, table: &Table, group: Option<PeerGroup>) -> bool {
        group.is_none() || table.count(group) < self.most_of_one
    }

    /// Gives up one response for a request of `group` that waits: the slowest of those that are
    /// taken too slowly, where its address has all its slots one of these; with `share` also one of
    /// the address that has the most, if it has more than this one would have then.
    fn make_room(&self, group: Option<PeerGroup>, share: bool) {
        let table = self.table();
        let going = table.taken.values().filter(|taken| taken.cancelled.is_cancelled()).count();
        if going >= table.waiting.len() {
            return;
        }
        let own = !self.may_have_more(&table, group);
        let mine = table.count(group);
        let rank = |taken: &&Taken| {
            if taken.cancelled.is_cancelled() || (own && taken.group != group) {
                return None;
            }
            let count = table.count(taken.group);
            match taken.connection.as_ref().map(|connection| connection.standing()) {
                Some(Standing::Slow(rate)) => Some((0, Reverse(count), rate)),
                _ if share && !own && count > mine + 1 => Some((1, Reverse(count), 0)),
                _ => None,
            }
        };
        let ranked = table.taken.values().filter_map(|taken| Some((rank(&taken)?, taken)));
        if let Some((_, taken)) = ranked.min_by_key(|(rank, _)| *rank) {
            taken.cancelled.cancel();
            if let Some(connection) = &taken.connection {
                connection.cut();
            }
        }
    }
}
