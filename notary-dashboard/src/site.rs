//! What all pages share, and who asks for one.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use lota_market::{Address, Time};
use lota_notary::{
    audit_log::Head,
    desk::{About, Desk, DeskError},
    http::{Client, Places},
};

use crate::{
    sessions::{Session, Sessions},
    settings::{Readers, Settings},
    sign_in::Nonces,
};

/// How long the desk may take for an answer that a page is made of.
const PATIENCE: Duration = Duration::from_secs(20);
/// Streams of one account, or of one client that is not signed in.
const MAX_STREAMS_OF_ONE: usize = 16;
/// The same for a file of an output, which is fetched first.
const PATIENCE_WITH_FILES: Duration = Duration::from_secs(40);
/// Files of outputs that are handed out at once, in all and to one client.
const MAX_FILES: usize = 6;
const MAX_FILES_OF_ONE: usize = 3;
/// Exports of the audit log at once, in all and of one client.
const MAX_EXPORTS: usize = 2;
const MAX_EXPORTS_OF_ONE: usize = 1;

/// Who asks: an account that is signed in, wherever it is, or else a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    Account(Address),
    Client(Client),
}

/// What all pages share.
pub(crate) struct Site {
    pub(crate) desk: Arc<dyn Desk>,
    pub(crate) settings: Settings,
    pub(crate) sessions: Sessions,
    pub(crate) nonces: Nonces,
    /// Of exports of the audit log, until the last byte was taken.
    pub(crate) exports: Arc<Places<Client>>,
    /// Of files of outputs, until the last byte was taken.
    pub(crate) files: Arc<Places<Client>>,
    /// Of streams of changes: of those who are signed in, and of strangers, who take none of theirs.
    pub(crate) listeners: Arc<Places<Asker>>,
    pub(crate) strangers: Arc<Places<Asker>>,
    /// The last check of the audit log: of which end, and what came of it.
    pub(crate) checked: tokio::sync::Mutex<Option<(Head, Result<Head, String>)>>,
    /// The notaries when the desk could last say.
    notaries: Mutex<Vec<Address>>,
}

impl Site {
    pub(crate) fn new(desk: Arc<dyn Desk>, settings: Settings) -> Self {
        Self {
            desk,
            sessions: Sessions::new(settings.idle, settings.lifetime, settings.max_sessions),
            nonces: Nonces::new(settings.sign_in_for),
            exports: Places::new(MAX_EXPORTS, MAX_EXPORTS_OF_ONE),
            files: Places::new(MAX_FILES, MAX_FILES_OF_ONE),
            listeners: Places::new(settings.max_streams - settings.max_streams / 2, MAX_STREAMS_OF_ONE),
            strangers: Places::new(settings.max_streams / 2, MAX_STREAMS_OF_ONE),
            checked: tokio::sync::Mutex::default(),
            notaries: Mutex::default(),
            settings,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    /// Who sent a request with these headers, as far as limits are concerned.
    pub(crate) fn asker(&self, headers: &HeaderMap, client: Client) -> Asker {
        let token = cookie(headers, self.session_cookie());
        let account = token.and_then(|token| self.sessions.account(token, self.now()));
        account.map_or(Asker::Client(client), Asker::Account)
    }

    /// Asks the desk, and does not wait for ever.
    pub(crate) async fn ask<T>(&self, question: impl Future<Output = Result<T, DeskError>>) -> Result<T, DeskError> {
        within(PATIENCE, question).await
    }

    /// The same for a file.
    pub(crate) async fn ask_for_file<T>(
        &self,
        question: impl Future<Output = Result<T, DeskError>>,
    ) -> Result<T, DeskError> {
        within(PATIENCE_WITH_FILES, question).await
    }

    pub(crate) async fn about(&self) -> Result<About, DeskError> {
        let about = self.ask(self.desk.about()).await?;
        self.notaries.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&about.notaries);
        Ok(about)
    }

    /// Whether an account was a notary when that was last known.
    pub(crate) fn is_notary(&self, account: Address) -> bool {
        self.notaries.lock().unwrap_or_else(PoisonError::into_inner).contains(&account)
    }

    /// Whether an account has something of a sign-in. Where everybody reads, strangers need none: they would only take sessions away.
    pub(crate) fn may_sign_in(&self, account: Address) -> bool {
        let is_named = matches!(&self.settings.readers, Readers::Accounts(accounts) if accounts.contains(&account));
        is_named || self.is_notary(account)
    }

    /// Whether an account may read after its sign-in.
    pub(crate) fn may_read(&self, account: Address) -> bool {
        match &self.settings.readers {
            Readers::Everybody => true,
            Readers::Accounts(accounts) if accounts.contains(&account) => true,
            Readers::Accounts(_) | Readers::Notaries => self.is_notary(account),
        }
    }

    /// The cookie of a session. With TLS its name says that nobody else can have set it (RFC 6265bis, 4.1.3.2).
    pub(crate) fn session_cookie(&self) -> &'static str {
        if self.settings.origin.is_https { "__Host-lota-session" } else { "lota-session" }
    }

    /// The cookie of a browser that is about to sign in.
    pub(crate) fn browser_cookie(&self) -> &'static str {
        if self.settings.origin.is_https { "__Host-lota-browser" } else { "lota-browser" }
    }

    /// A cookie that scripts do not see and that only this page's own requests carry; empty: it is removed.
    pub(crate) fn cookie(&self, name: &str, value: &str, seconds: u64) -> String {
        let secure = if self.settings.origin.is_https { "; Secure" } else { "" };
        let seconds = if value.is_empty() { 0 } else { seconds };
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    }
}

async fn within<T>(patience: Duration, question: impl Future<Output = Result<T, DeskError>>) -> Result<T, DeskError> {
    match tokio::time::timeout(patience, question).await {
        Ok(answer) => answer,
        Err(_) => Err(DeskError::Unavailable(format!(
            "The service did not answer within {} seconds. Try again later.",
            patience.as_secs()
        ))),
    }
}

/// The value of a cookie, if it was sent once: two of one name are somebody's attempt.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Who reads a page, and how the service stands.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) session: Option<Session>,
    /// Whether that is a notary of the present set.
    pub(crate) is_notary: bool,
    pub(crate) about: Result<About, DeskError>,
}

impl Reader {
    pub(crate) fn account(&self) -> Option<Address> {
        self.session.as_ref().map(|session| session.account)
    }

    /// The market's time; before it is known, that of our clock.
    pub(crate) fn now(&self, site: &Site) -> Time {
        let clock = || Time(u64::try_from(site.now().as_second()).unwrap_or(0));
        self.about.as_ref().map_or_else(|_| clock(), |about| about.now)
    }
}
