//! Requests to those whom the operator named: a registry, receivers of alerts, another notary.
//!
//! The operator chose them, so they may have private addresses, like the gateways that a node's operator names (what strangers name may not:
//! [`lota_content::fetch`]). Where they would send us to, nobody chose: no redirect is followed. What they answer is bounded.

use std::{net::IpAddr, time::Duration};

use lota_market::Time;
use url::{Host, Url};

/// The most time for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// The longest piece of what others wrote in a message of ours, in characters.
const QUOTED: usize = 300;

/// Why an operator's URL is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("`{text}` is no URL: {problem}")]
    Malformed { text: String, problem: String },
    #[error("{url}: its scheme is `{scheme}`; write https://... (http:// on this machine)")]
    Scheme { url: String, scheme: String },
    #[error("{url} is not encrypted; write https://..., since only what stays on this machine may be http")]
    Insecure { url: String },
    #[error("{url} carries a user name or a password; leave them out")]
    Credentials { url: String },
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AskError {
    #[error("{place} cannot be asked: {problem}")]
    Unreachable { place: String, problem: String },
    #[error("{place} answered with more than {limit} bytes; what is longer is not read")]
    TooLong { place: String, limit: usize },
}

/// What was answered.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// Whether what is sent may be read on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrecy {
    /// Nothing that is asked or answered is secret, and it is believed only as far as whoever says it.
    Open,
    /// Encrypted, unless it stays on this machine.
    Encrypted,
}

/// Reads an operator's URL.
pub(crate) fn parse(text: &str, secrecy: Secrecy) -> Result<Url, UrlError> {
    let url: Url = text
        .parse()
        .map_err(|error: url::ParseError| UrlError::Malformed { text: shown(text), problem: error.to_string() })?;
    let named = || place(&url);
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(UrlError::Scheme { url: named(), scheme: shown(url.scheme()) });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlError::Credentials { url: named() });
    }
    if url.scheme() == "http" && secrecy == Secrecy::Encrypted && !is_this_machine(&url) {
        return Err(UrlError::Insecure { url: named() });
    }
    Ok(url)
}

/// Whether the host is an address of this machine's own. `localhost` is one (RFC 6761, 6.3); other names may point anywhere tomorrow.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_local_name(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The same of a host as a person writes it.
pub(crate) fn is_local_name(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Host and port: a URL's path and query may be secret.
pub(crate) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    shown(&url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// A client that follows nobody, with this much time for each request.
pub(crate) fn client(patience: Duration) -> Result<reqwest::Client, String> {
    lota_http::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT.min(patience))
        .timeout(patience)
        .user_agent(concat!("lota/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("the HTTP client cannot be set up: {error}"))
}

/// Sends a request and reads at most `limit` bytes of its answer.
pub(crate) async fn ask(request: reqwest::RequestBuilder, url: &Url, limit: usize) -> Result<Answered, AskError> {
    let unreachable = |error: reqwest::Error| {
        let problem = if error.is_timeout() { "it took too long".to_owned() } else { causes(&error.without_url()) };
        AskError::Unreachable { place: place(url), problem }
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > limit {
            return Err(AskError::TooLong { place: place(url), limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answered { status: response.status().as_u16(), body })
}

/// An error with what it came from.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    shown(&text)
}

/// What others wrote, in one line of bounded length.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(QUOTED).map(|char| if char.is_control() { ' ' } else { char }).collect();
    if text.chars().nth(QUOTED).is_some() {
        shown.push('…');
    }
    shown
}

/// What time it is for others: Unix seconds of this machine's clock.
#[must_use]
pub fn clock() -> Time {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Time(now.map_or(0, |now| now.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_here_goes_unencrypted() {
        for good in
            ["https://a.example/x?y", "http://localhost:1/", "http://127.0.0.9", "http://[::1]:80/", "https://10.0.0.1"]
        {
            assert!(parse(good, Secrecy::Encrypted).is_ok(), "{good}");
        }
        for bad in
            ["http://a.example", "http://10.0.0.1", "http://localhost.example", "ftp://a.example", "x", "", "data:x"]
        {
            assert!(parse(bad, Secrecy::Encrypted).is_err(), "{bad}");
        }
        assert!(parse("http://10.0.0.1:8480", Secrecy::Open).is_ok());
        assert!(matches!(parse("https://me:pass@a.example", Secrecy::Open), Err(UrlError::Credentials { .. })));
    }

    #[test]
    fn errors_name_no_path_and_no_query() {
        let error = parse("http://a.example/SECRET?SECRET", Secrecy::Encrypted).expect_err("not encrypted").to_string();
        assert!(error.contains("a.example") && !error.contains("SECRET"), "{error}");
        let error = parse("https://me:SECRET@a.example/", Secrecy::Open).expect_err("credentials").to_string();
        assert!(!error.contains("SECRET"), "{error}");
    }

    #[test]
    fn what_others_wrote_is_one_bounded_line() {
        assert_eq!(shown("a\r\nb\u{1b}[2J"), "a  b [2J");
        assert_eq!(shown(&"x".repeat(10_000)).chars().count(), QUOTED + 1);
    }
}
