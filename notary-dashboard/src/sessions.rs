//! Who is signed in. A session lets read, and nothing else: what counts is signed by a wallet.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use lota_market::Address;
use sha2::{Digest as _, Sha256};

/// The longest name of a browser that is kept, in characters.
const MAX_AGENT: usize = 160;
/// The most sessions altogether: the accounts that may sign in are few, but nothing here relies on that.
const MAX_SESSIONS: usize = 1_024;

/// A session, without the secret that it is asked for with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// What it is called in the list: nothing follows from it.
    pub(crate) number: u64,
    pub(crate) account: Address,
    /// What forms of this session hold, and forms of other pages cannot.
    pub(crate) form_token: String,
    pub(crate) since: Timestamp,
    pub(crate) seen: Timestamp,
    /// What the browser calls itself.
    pub(crate) agent: String,
}

/// All sessions, by the digests of their secrets: who reads this memory cannot sign in with it.
#[derive(Debug)]
pub(crate) struct Sessions {
    idle: i64,
    lifetime: i64,
    of_one: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<[u8; 32], Session>,
    last: u64,
}

/// 256 random bits as hex.
pub(crate) fn secret() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// What is kept of a secret.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl Sessions {
    pub(crate) fn new(idle: u64, lifetime: u64, of_one: usize) -> Self {
        let seconds = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Self { idle: seconds(idle), lifetime: seconds(lifetime), of_one: of_one.max(1), inner: Mutex::default() }
    }

    fn is_over(&self, session: &Session, now: Timestamp) -> bool {
        let since = |then: Timestamp| now.as_second().saturating_sub(then.as_second());
        since(session.seen) >= self.idle || since(session.since) >= self.lifetime
    }

    /// Opens a session and gives its secret.
    pub(crate) fn open(&self, account: Address, agent: &str, now: Timestamp) -> (String, Session) {
        let token = secret();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sessions.retain(|_, session| !self.is_over(session, now));
        let mine = |session: &Session| session.account == account;
        while inner.sessions.values().filter(|session| mine(session)).count() >= self.of_one {
            drop_oldest(&mut inner.sessions, mine);
        }
        while inner.sessions.len() >= MAX_SESSIONS {
            drop_oldest(&mut inner.sessions, |_| true);
        }
        inner.last += 1;
        let agent = agent.chars().take(MAX_AGENT).collect();
        let session = Session { number: inner.last, account, form_token: secret(), since: now, seen: now, agent };
        inner.sessions.insert(digest(&token), session.clone());
        (token, session)
    }

    /// The session of a secret, if it is not over; it is used with that.
    pub(crate) fn find(&self, token: &str, now: Timestamp) -> Option<Session> {
        let key = digest(token);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let session = inner.sessions.get_mut(&key)?;
        if self.is_over(session, now) {
            inner.sessions.remove(&key);
            return None;
        }
        session.seen = session.seen.max(now);
        Some(session.clone())
    }

    /// Whose session a secret is of, if it is not over; asking does not use it.
    pub(crate) fn account(&self, token: &str, now: Timestamp) -> Option<Address> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let session = inner.sessions.get(&digest(token)).filter(|session| !self.is_over(session, now))?;
        Some(session.account)
    }

    /// Whether a session is still there; asking does not use it.
    pub(crate) fn is_open(&self, number: u64, now: Timestamp) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sessions.values().any(|session| session.number == number && !self.is_over(session, now))
    }

    /// The sessions of an account, the newest first.
    pub(crate) fn of(&self, account: Address, now: Timestamp) -> Vec<Session> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sessions: Vec<_> = inner
            .sessions
            .values()
            .filter(|session| session.account == account && !self.is_over(session, now))
            .cloned()
            .collect();
        sessions.sort_by_key(|session| std::cmp::Reverse(session.number));
        sessions
    }

    /// Ends those of an account's sessions that are meant; says how many.
    pub(crate) fn end(&self, account: Address, mut is_meant: impl FnMut(&Session) -> bool) -> usize {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.sessions.len();
        inner.sessions.retain(|_, session| session.account != account || !is_meant(session));
        before - inner.sessions.len()
    }
}

fn drop_oldest(sessions: &mut HashMap<[u8; 32], Session>, among: impl Fn(&Session) -> bool) {
    let oldest = sessions
        .iter()
        .filter(|(_, session)| among(session))
        .min_by_key(|(_, session)| (session.seen, session.number))
        .map(|(key, _)| *key);
    if let Some(key) = oldest {
        sessions.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn account(number: u8) -> Address {
        Address::repeat_byte(number)
    }

    #[test]
    fn a_session_is_over_when_it_is_not_used_and_after_its_lifetime() {
        let sessions = Sessions::new(10, 25, 4);
        let (token, _) = sessions.open(account(1), "browser", at(0));
        assert!(sessions.find(&token, at(9)).is_some());
        assert!(sessions.find(&token, at(18)).is_some(), "it was used");
        assert!(sessions.find(&token, at(25)).is_none(), "its lifetime is over");
        let (token, session) = sessions.open(account(1), "browser", at(100));
        assert!(sessions.is_open(session.number, at(109)));
        assert!(sessions.find(&token, at(110)).is_none(), "it was idle");
        assert!(!sessions.is_open(session.number, at(100)), "what was over once stays so");
    }

    #[test]
    fn secrets_are_long_and_no_two_are_alike_and_none_is_kept() {
        let sessions = Sessions::new(10, 25, 4);
        let (one, first) = sessions.open(account(1), "", at(0));
        let (two, second) = sessions.open(account(1), "", at(0));
        assert_eq!(one.len(), 64);
        assert_ne!(one, two);
        assert_ne!(first.form_token, second.form_token);
        assert!(!format!("{sessions:?}").contains(&one));
        assert!(sessions.find(&one.to_uppercase(), at(0)).is_none() || one == one.to_uppercase());
        assert!(sessions.find("", at(0)).is_none());
    }

    #[test]
    fn an_account_has_so_many_sessions_and_crowds_out_nobody_else() {
        let sessions = Sessions::new(100, 100, 2);
        let (other, _) = sessions.open(account(2), "", at(0));
        let (first, _) = sessions.open(account(1), "", at(0));
        let (second, _) = sessions.open(account(1), "", at(1));
        assert!(sessions.find(&first, at(2)).is_some());
        let (third, _) = sessions.open(account(1), "", at(3));
        assert!(sessions.find(&second, at(3)).is_none(), "it was not used for longest");
        assert!(sessions.find(&first, at(3)).is_some() && sessions.find(&third, at(3)).is_some());
        assert!(sessions.find(&other, at(3)).is_some());
    }

    #[test]
    fn sessions_are_ended_by_their_own_account_only() {
        let sessions = Sessions::new(100, 100, 4);
        let (one, session) = sessions.open(account(1), "", at(0));
        assert_eq!(sessions.end(account(2), |_| true), 0);
        assert!(sessions.find(&one, at(1)).is_some());
        assert_eq!(sessions.end(account(1), |other| other.number == session.number), 1);
        assert!(sessions.find(&one, at(1)).is_none());
    }
}
