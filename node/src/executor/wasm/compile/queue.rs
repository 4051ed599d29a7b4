//! Who compiles next: compiling is not paid for, so what strangers ask for is done one after another, in turn by client,
//! and each client gets so much of it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::executor::ExecutorError;

/// Who asks; `None` is the node itself.
type Client = Option<[u8; 20]>;

/// Compilations that wait at most, and of one client.
const WAITING: usize = 1_024;
const WAITING_OF_ONE: usize = 64;
/// Time of the compiler that a client gets for jobs that it was not given yet; it comes back within [`PERIOD`].
pub const UNPAID: Duration = Duration::from_secs(300);
/// In which unpaid time comes back wholly.
pub const PERIOD: Duration = Duration::from_secs(3_600);
/// Clients whose use is remembered; beyond that, those who used least are forgotten.
const CLIENTS: usize = 4_096;

/// Gives the one place for compiling what strangers ask for.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    busy: bool,
    waiting: usize,
    /// The clients that wait, whose turn is next first.
    turns: VecDeque<Client>,
    of: HashMap<Client, VecDeque<oneshot::Sender<Turn>>>,
    accounts: Accounts,
}

/// The place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    queue: Arc<Queue>,
    client: Client,
    begun: Instant,
}

impl Queue {
    /// Waits for the place.
    ///
    /// # Errors
    ///
    /// [`ExecutorError::CompileAllowance`] when the client has had its share, [`ExecutorError::Busy`] when too many wait.
    pub(crate) async fn turn(self: &Arc<Self>, client: Client) -> Result<Turn, ExecutorError> {
        let wait = {
            let mut state = self.lock();
            state.accounts.check(client, Instant::now())?;
            if !state.busy {
                state.busy = true;
                return Ok(self.give(client));
            }
            let own = state.of.get(&client).map_or(0, VecDeque::len);
            if state.waiting >= WAITING || own >= WAITING_OF_ONE {
                return Err(ExecutorError::Busy { waiting: state.waiting });
            }
            let (sender, receiver) = oneshot::channel();
            if own == 0 {
                state.turns.push_back(client);
            }
            state.of.entry(client).or_default().push_back(sender);
            state.waiting += 1;
            receiver
        };
        let turn = wait.await.map_err(|_| ExecutorError::Aborted)?;
        self.lock().accounts.check(client, Instant::now())?;
        Ok(turn)
    }

    /// A client was given a job: what it used up is paid for.
    pub(crate) fn paid(&self, client: Client) {
        self.lock().accounts.used.remove(&client);
    }

    fn give(self: &Arc<Self>, client: Client) -> Turn {
        Turn { queue: Arc::clone(self), client, begun: Instant::now() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who comes next: one of each client after another. Those who do not wait any more are passed over.
    fn next(&mut self) -> Option<(Client, oneshot::Sender<Turn>)> {
        while let Some(client) = self.turns.pop_front() {
            let Some(queue) = self.of.get_mut(&client) else { continue };
            let mut found = None;
            while let Some(sender) = queue.pop_front() {
                self.waiting -= 1;
                if !sender.is_closed() {
                    found = Some(sender);
                    break;
                }
            }
            if queue.is_empty() {
                self.of.remove(&client);
            } else {
                self.turns.push_back(client);
            }
            if let Some(sender) = found {
                return Some((client, sender));
            }
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = self.queue.lock();
            let now = Instant::now();
            state.accounts.charge(self.client, now.saturating_duration_since(self.begun), now);
            let next = state.next();
            state.busy = next.is_some();
            next
        };
        if let Some((client, sender)) = next {
            // Whoever stopped waiting just now drops it, and with that gives it to the next.
            let _ = sender.send(self.queue.give(client));
        }
    }
}

/// What each client used lately.
#[derive(Debug, Default)]
struct Accounts {
    /// Time used, as of an instant; it shrinks from then on.
    used: HashMap<Client, (Duration, Instant)>,
}

impl Accounts {
    fn used(&self, client: Client, now: Instant) -> Duration {
        self.used.get(&client).map_or(Duration::ZERO, |used| left(*used, now))
    }

    fn check(&self, client: Client, now: Instant) -> Result<(), ExecutorError> {
        let used = self.used(client, now);
        if client.is_none() || used < UNPAID {
            return Ok(());
        }
        let back = (used - UNPAID).mul_f64(PERIOD.as_secs_f64() / UNPAID.as_secs_f64());
        Err(ExecutorError::CompileAllowance { allowance: UNPAID, retry: back + Duration::from_secs(1) })
    }

    fn charge(&mut self, client: Client, time: Duration, now: Instant) {
        let used = self.used(client, now) + time;
        self.used.insert(client, (used, now));
        if self.used.len() > CLIENTS {
            self.used.retain(|_, used| left(*used, now) > Duration::ZERO);
            let least = self.used.iter().min_by_key(|(_, used)| left(**used, now)).map(|(client, _)| *client);
            if let Some(least) = least.filter(|_| self.used.len() > CLIENTS) {
                self.used.remove(&least);
            }
        }
    }
}

/// What is left at `now` of time that was used.
fn left((used, since): (Duration, Instant), now: Instant) -> Duration {
    let back = now.saturating_duration_since(since).mul_f64(UNPAID.as_secs_f64() / PERIOD.as_secs_f64());
    used.saturating_sub(back)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Client = Some([1; 20]);
    const BOB: Client = Some([2; 20]);

    #[tokio::test]
    async fn clients_take_turns_however_much_one_of_them_asks_for() {
        let queue = Arc::new(Queue::default());
        let first = queue.turn(ALICE).await.unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (client, name) in [(ALICE, "a1"), (ALICE, "a2"), (ALICE, "a3"), (BOB, "b1"), (BOB, "b2")] {
            let (queue, order) = (Arc::clone(&queue), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let turn = queue.turn(client).await.unwrap();
                order.lock().unwrap().push(name);
                drop(turn);
            }));
            // each waits before the next one comes
            tokio::task::yield_now().await;
        }
        // one who does not wait any more is passed over
        tasks[1].abort();
        tokio::task::yield_now().await;
        drop(first);
        for task in tasks {
            let _ = task.await;
        }
        assert_eq!(*order.lock().unwrap(), ["a1", "b1", "a3", "b2"]);
        drop(queue.turn(BOB).await.unwrap());
        let state = queue.lock();
        assert!(!state.busy && state.of.is_empty() && state.turns.is_empty() && state.waiting == 0);
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let queue = Arc::new(Queue::default());
        let first = queue.turn(ALICE).await.unwrap();
        let mut waiting: Vec<_> = (0..=WAITING_OF_ONE).map(|_| Box::pin(queue.turn(ALICE))).collect();
        let mut refused = 0;
        for turn in &mut waiting {
            if let std::task::Poll::Ready(Err(ExecutorError::Busy { waiting })) = futures::poll!(turn) {
                assert_eq!(waiting, WAITING_OF_ONE);
                refused += 1;
            }
        }
        assert_eq!(refused, 1);
        assert!(futures::poll!(Box::pin(queue.turn(BOB))).is_pending(), "others may still wait");
        drop(waiting);
        drop(first);
        drop(queue.turn(BOB).await.unwrap());
    }

    #[test]
    fn unpaid_time_is_used_up_and_comes_back() {
        let mut accounts = Accounts::default();
        let now = Instant::now();
        accounts.charge(ALICE, UNPAID - Duration::from_secs(1), now);
        assert!(accounts.check(ALICE, now).is_ok());
        accounts.charge(ALICE, Duration::from_secs(31), now);
        let Err(ExecutorError::CompileAllowance { retry, .. }) = accounts.check(ALICE, now) else { panic!() };
        assert_eq!(retry.as_secs(), 30 * 12 + 1);
        assert!(accounts.check(BOB, now).is_ok());
        assert!(accounts.check(ALICE, now + retry).is_ok());
        assert_eq!(accounts.used(ALICE, now + 2 * PERIOD), Duration::ZERO);
        accounts.charge(None, 10 * UNPAID, now);
        assert!(accounts.check(None, now).is_ok(), "the node itself may do what it likes");
    }

    #[test]
    fn few_clients_are_remembered_and_those_who_used_most_longest() {
        let mut accounts = Accounts::default();
        let now = Instant::now();
        accounts.charge(ALICE, UNPAID, now);
        for number in 0..CLIENTS as u32 + 100 {
            let mut client = [9; 20];
            client[..4].copy_from_slice(&number.to_be_bytes());
            accounts.charge(Some(client), Duration::from_millis(1), now);
        }
        assert_eq!(accounts.used.len(), CLIENTS);
        assert!(accounts.check(ALICE, now).is_err());
    }
}
