//! How often somebody may ask: token buckets, of which there are never more than a fixed number.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use lota_notary::http::Client;

use crate::site::Asker;

/// So many clients are told apart; beyond that, new ones share one bucket.
const MAX_CLIENTS: usize = 4_096;
/// Tokens are counted in thousandths.
const TOKEN: u64 = 1_000;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u64,
    at: i64,
}

/// A limit on how often each client does something.
#[derive(Debug)]
pub(crate) struct Limit {
    at_once: u64,
    /// Thousandths of a token in a second.
    refill: u64,
    buckets: Mutex<HashMap<Asker, Bucket>>,
}

impl Limit {
    pub(crate) fn new(per_minute: u32, at_once: u32) -> Self {
        let refill = u64::from(per_minute) * TOKEN / 60;
        Self { at_once: u64::from(at_once) * TOKEN, refill, buckets: Mutex::default() }
    }

    /// Takes a token of somebody's; or says how many seconds it takes until there is one.
    pub(crate) fn take(&self, who: Asker, now: Timestamp) -> Result<(), u64> {
        let now = now.as_millisecond();
        let full = |bucket: &Bucket| self.tokens(bucket, now) >= self.at_once;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut who = who;
        // Accounts that are signed in are few.
        if !buckets.contains_key(&who) && matches!(who, Asker::Client(_)) && buckets.len() >= MAX_CLIENTS {
            buckets.retain(|_, bucket| !full(bucket));
            if buckets.len() >= MAX_CLIENTS {
                who = Asker::Client(Client::Others);
            }
        }
        let bucket = buckets.entry(who).or_insert(Bucket { tokens: self.at_once, at: now });
        bucket.tokens = self.tokens(bucket, now);
        bucket.at = now;
        match bucket.tokens.checked_sub(TOKEN) {
            Some(rest) => {
                bucket.tokens = rest;
                Ok(())
            }
            None => Err((TOKEN - bucket.tokens).div_ceil(self.refill.max(1)).max(1)),
        }
    }

    fn tokens(&self, bucket: &Bucket, now: i64) -> u64 {
        let passed = u64::try_from(now.saturating_sub(bucket.at)).unwrap_or(0);
        bucket.tokens.saturating_add(passed.saturating_mul(self.refill) / 1_000).min(self.at_once)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use lota_market::Address;

    use super::*;

    fn client(address: [u8; 4]) -> Asker {
        Asker::Client(Client::of(Some(IpAddr::from(address))))
    }

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).expect("a time")
    }

    #[test]
    fn a_client_that_asks_too_often_waits_and_no_other_does() {
        let limit = Limit::new(60, 3);
        let (one, two) = (client([10, 0, 0, 1]), client([10, 0, 0, 2]));
        for _ in 0..3 {
            assert_eq!(limit.take(one, at(0)), Ok(()));
        }
        assert_eq!(limit.take(one, at(0)), Err(1));
        assert_eq!(limit.take(two, at(0)), Ok(()));
        assert_eq!(limit.take(one, at(1_000)), Ok(()));
        assert_eq!(limit.take(one, at(1_001)), Err(1));
        // A clock that goes back gives nothing.
        assert_eq!(limit.take(one, at(-10_000)), Err(1));
    }

    #[test]
    fn all_clients_beyond_the_most_are_one() {
        let limit = Limit::new(1, 2);
        for number in 0..u32::try_from(MAX_CLIENTS).expect("small") {
            let _ = limit.take(client(number.to_be_bytes()), at(0));
        }
        let beyond = |last| client([99, 0, 0, last]);
        assert_eq!(limit.take(beyond(1), at(0)), Ok(()));
        assert_eq!(limit.take(beyond(2), at(0)), Ok(()));
        assert!(limit.take(beyond(3), at(0)).is_err());
        assert!(limit.buckets.lock().expect("whole").len() <= MAX_CLIENTS + 1);
        assert_eq!(
            limit.take(Asker::Account(Address::repeat_byte(1)), at(0)),
            Ok(()),
            "nobody's crowd is an account's"
        );
        // After a while all are full again, and make room.
        assert_eq!(limit.take(beyond(4), at(10_000_000)), Ok(()));
        assert_eq!(limit.buckets.lock().expect("whole").len(), 1);
    }
}
