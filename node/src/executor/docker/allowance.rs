//! How long images may take of jobs that were not taken on yet: work that nobody has paid for, shared out among clients.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much of it a client gets within a [`PERIOD`].
pub(super) const UNPAID: Duration = Duration::from_secs(900);
/// When it is forgotten.
const PERIOD: Duration = Duration::from_secs(3_600);
/// The most clients that are remembered; one more makes the others forgotten.
const CLIENTS: usize = 10_000;

/// What each client has had.
#[derive(Debug, Default)]
pub(super) struct Allowance(Mutex<HashMap<[u8; 20], Spent>>);

#[derive(Debug)]
struct Spent {
    since: Instant,
    time: Duration,
}

impl Allowance {
    /// What is left to a client now; none: nothing.
    pub(super) fn left(&self, client: [u8; 20], now: Instant) -> Option<Duration> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.get(&client).is_some_and(|spent| now.saturating_duration_since(spent.since) >= PERIOD) {
            clients.remove(&client);
        }
        let spent = clients.get(&client).map_or(Duration::ZERO, |spent| spent.time);
        UNPAID.checked_sub(spent).filter(|left| !left.is_zero())
    }

    pub(super) fn spent(&self, client: [u8; 20], begun: Instant, time: Duration) {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS && !clients.contains_key(&client) {
            clients.clear();
        }
        clients.entry(client).or_insert(Spent { since: begun, time: Duration::ZERO }).time += time;
    }

    /// A job of the client's is run: so it was worth it.
    pub(super) fn paid(&self, client: [u8; 20]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_so_much_in_an_hour_and_all_of_it_when_it_pays() {
        let (allowance, now) = (Allowance::default(), Instant::now());
        let (one, other) = ([1; 20], [2; 20]);
        assert_eq!(allowance.left(one, now), Some(UNPAID));
        allowance.spent(one, now, Duration::from_secs(600));
        assert_eq!(allowance.left(one, now), Some(Duration::from_secs(300)));
        allowance.spent(one, now, Duration::from_secs(301));
        assert_eq!((allowance.left(one, now), allowance.left(other, now)), (None, Some(UNPAID)));
        assert_eq!(allowance.left(one, now + PERIOD), Some(UNPAID));
        allowance.spent(one, now, UNPAID);
        allowance.paid(one);
        assert_eq!(allowance.left(one, now), Some(UNPAID));
    }

    #[test]
    fn there_are_no_more_clients_than_can_be_remembered() {
        let (allowance, now) = (Allowance::default(), Instant::now());
        for number in 0..2 * CLIENTS as u64 {
            let mut client = [0; 20];
            client[..8].copy_from_slice(&number.to_le_bytes());
            allowance.spent(client, now, UNPAID);
        }
        assert!(allowance.0.lock().unwrap().len() <= CLIENTS);
    }
}
