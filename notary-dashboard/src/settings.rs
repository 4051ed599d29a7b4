//! How the page is served.

use std::{fmt, net::SocketAddr, sync::Arc};

use jiff::Timestamp;
use lota_market::Address;
use lota_notary::http::Proxies;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

/// Who may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Readers {
    /// Notaries of the present set, after their sign-in.
    #[default]
    Notaries,
    /// These accounts, too.
    Accounts(Vec<Address>),
    /// Everybody who reaches the page, without a sign-in.
    Everybody,
}

/// What time it is.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that somebody else moves.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// How the page is served. Durations are in seconds.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) origin: Origin,
    /// Where the server listens: what is served beside the pages may be asked for under this address, too.
    pub listening: Option<SocketAddr>,
    pub readers: Readers,
    /// Whose word is believed on who asks; without any, all who come through a proxy are one client.
    pub proxies: Proxies,
    /// A session that nothing was asked with for so long is over.
    pub idle: u64,
    /// A session is over after this in any case.
    pub lifetime: u64,
    /// How long a message to sign in with may be signed.
    pub sign_in_for: u64,
    /// Sessions of one account; the one that was not used for longest gives way.
    pub max_sessions: usize,
    /// Streams of changes (server-sent events) at a time, altogether; those who are not signed in have half of them.
    pub max_streams: usize,
    /// Requests a client may make in a second in the long run, and at once.
    pub reads_per_second: u32,
    pub reads_at_once: u32,
    /// Of these, what is posted (sign-ins, previews, votes): in a minute in the long run, and at once.
    pub posts_per_minute: u32,
    pub posts_at_once: u32,
    pub clock: Clock,
    /// Ends the streams of changes, which would keep a server from stopping as long as somebody looks at a page.
    pub stop: CancellationToken,
}

/// Where the page is reached.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// As browsers send it in `Origin`: scheme, host, and the port where it is not the scheme's.
    pub(crate) text: String,
    /// As browsers send it in `Host`, and as EIP-4361 has it in `domain`.
    pub(crate) authority: String,
    pub(crate) is_https: bool,
}

/// Why a page cannot be served so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingsError {
    NotAnOrigin { text: String },
    Plain { host: String },
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnOrigin { text } => write!(
                f,
                "{text:?} is not where a page can be reached; write scheme, host and port alone, as https://notary.example"
            ),
            Self::Plain { host } => write!(
                f,
                "a page at {host} without TLS could be read and changed on its way; serve it under https, or at 127.0.0.1 or localhost"
            ),
        }
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// The defaults, for a page that is reached at `origin` (`https://notary.example`, `http://127.0.0.1:8086`). Requests that name
    /// another host are refused.
    ///
    /// # Errors
    /// If it is no origin, or if it is without TLS and not of this machine.
    pub fn new(origin: &str) -> Result<Self, SettingsError> {
        let no_origin = || SettingsError::NotAnOrigin { text: origin.chars().take(200).collect() };
        let url = Url::parse(origin).map_err(|_| no_origin())?;
        let is_https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(no_origin()),
        };
        let host = url.host().ok_or_else(no_origin)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(no_origin());
        }
        let is_here = match &host {
            Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        if !is_https && !is_here {
            return Err(SettingsError::Plain { host: host.to_string() });
        }
        let authority = url.port().map_or_else(|| host.to_string(), |port| format!("{host}:{port}"));
        let origin = Origin { text: format!("{}://{authority}", url.scheme()), authority, is_https };
        Ok(Self {
            origin,
            listening: None,
            readers: Readers::default(),
            proxies: Proxies::default(),
            idle: 60 * 60,
            lifetime: 12 * 60 * 60,
            sign_in_for: 5 * 60,
            max_sessions: 8,
            max_streams: 128,
            reads_per_second: 20,
            reads_at_once: 200,
            posts_per_minute: 60,
            posts_at_once: 30,
            clock: Clock::new(Timestamp::now),
            stop: CancellationToken::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (given, text, authority) in [
            ("https://Notary.Example", "https://notary.example", "notary.example"),
            ("https://notary.example:443/", "https://notary.example", "notary.example"),
            ("https://notary.example:8443", "https://notary.example:8443", "notary.example:8443"),
            ("http://127.0.0.1:8086", "http://127.0.0.1:8086", "127.0.0.1:8086"),
            ("http://[::1]:8086", "http://[::1]:8086", "[::1]:8086"),
        ] {
            let origin = Settings::new(given).expect(given).origin;
            assert_eq!((origin.text.as_str(), origin.authority.as_str()), (text, authority));
        }
    }

    #[test]
    fn what_is_no_origin_or_not_safe_is_refused() {
        for wrong in
            ["", "notary.example", "ftp://notary.example", "https://a/b", "https://a/?b", "https://u@a", "data:,"]
        {
            assert!(matches!(Settings::new(wrong), Err(SettingsError::NotAnOrigin { .. })), "{wrong}");
        }
        for plain in ["http://notary.example", "http://192.168.1.2:80", "http://0.0.0.0:1", "http://localhost.example"]
        {
            assert!(matches!(Settings::new(plain), Err(SettingsError::Plain { .. })), "{plain}");
        }
    }
}
