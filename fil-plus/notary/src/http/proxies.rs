//! Proxies of the operator's, whose word on who asks is believed.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::ConnectInfo,
    http::{Extensions, HeaderMap, header::FORWARDED},
};

/// The header in which most proxies say for whom they ask.
const X_FORWARDED_FOR: &str = "x-forwarded-for";
/// So many entries are looked at, from the last one on.
const MAX_ENTRIES: usize = 16;

/// Who asks, as a proxy said that is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ToldAddress(pub(super) IpAddr);

/// Proxies that are believed: what they write last in `X-Forwarded-For` (or `Forwarded`, RFC 7239) is who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpAddr>);

impl Proxies {
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self(addresses.into_iter().map(|address| address.to_canonical()).collect())
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes for whom one of these proxies asks, where limits for each client look.
    pub fn note(&self, headers: &HeaderMap, extensions: &mut Extensions) {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        if let Some(address) = peer.and_then(|peer| self.told_by(peer, headers)) {
            extensions.insert(ToldAddress(address));
        }
    }

    fn is_one(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whom this peer asks for; `None`: for itself, as far as is known.
    fn told_by(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.is_one(peer) {
            return None;
        }
        let lines = |name: &str| -> Option<String> {
            // What a stranger wrote before the proxy's own word takes nothing from that, whatever bytes it has.
            let lines: Vec<_> =
                headers.get_all(name).iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect();
            (!lines.is_empty()).then(|| lines.join(","))
        };
        let plain = lines(X_FORWARDED_FOR).map(|text| self.last(text.rsplit(',').map(str::trim)));
        let standard = lines(FORWARDED.as_str()).map(|text| self.last(text.rsplit(',').map(forwarded_for)));
        match (plain, standard) {
            (Some(told), None) | (None, Some(told)) => told,
            // A proxy passes on what it does not write itself: of two that differ, one is a stranger's.
            (Some(one), Some(other)) if one == other => one,
            _ => None,
        }
    }

    /// The last entry that is no proxy's: what comes before it anybody may have written.
    fn last<'a>(&self, entries: impl Iterator<Item = &'a str>) -> Option<IpAddr> {
        for entry in entries.take(MAX_ENTRIES) {
            let address = address(entry)?;
            if !self.is_one(address) {
                return Some(address);
            }
        }
        None
    }
}

/// `for` of an element of `Forwarded`.
fn forwarded_for(element: &str) -> &str {
    let pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(name, _)| name.eq_ignore_ascii_case("for")).map(|(_, value)| value);
    found.next().unwrap_or_default().trim_matches('"')
}

/// An address with or without its port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let address = bare.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn told(peer: &str, headers: &[(&'static str, &'static str)]) -> Option<String> {
        let bytes: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        told_in_bytes(peer, &bytes)
    }

    fn told_in_bytes(peer: &str, headers: &[(&'static str, &[u8])]) -> Option<String> {
        let proxies = Proxies::new(["10.0.0.1", "10.0.0.2", "::1"].map(|text| text.parse().expect("an address")));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("a value"));
        }
        proxies.told_by(peer.parse().expect("an address"), &map).map(|address| address.to_string())
    }

    #[test]
    fn a_proxy_is_believed_about_the_last_one_and_nobody_else_is() {
        let one = |value| [("x-forwarded-for", value)];
        assert_eq!(told("192.0.2.9", &one("198.51.100.1")), None, "a stranger says what it likes");
        assert_eq!(told("10.0.0.1", &[]), None);
        assert_eq!(told("10.0.0.1", &one("198.51.100.1")).as_deref(), Some("198.51.100.1"));
        assert_eq!(told("::ffff:10.0.0.1", &one("198.51.100.1")).as_deref(), Some("198.51.100.1"));
        assert_eq!(told("10.0.0.1", &one("203.0.113.5, 198.51.100.1")).as_deref(), Some("198.51.100.1"));
        let chain = one("203.0.113.5, 198.51.100.1, 10.0.0.2");
        assert_eq!(told("10.0.0.1", &chain).as_deref(), Some("198.51.100.1"), "proxies in a row");
        let lines = [("x-forwarded-for", "203.0.113.5"), ("x-forwarded-for", "198.51.100.1")];
        assert_eq!(told("10.0.0.1", &lines).as_deref(), Some("198.51.100.1"));
        assert_eq!(told("::1", &one("[2001:db8::1]:4711")).as_deref(), Some("2001:db8::1"));
        for nobody in ["", "unknown", "198.51.100.1, _hidden", "10.0.0.2, 10.0.0.1", "1.2.3"] {
            assert_eq!(told("10.0.0.1", &one(nobody)), None, "{nobody}");
        }
    }

    #[test]
    fn the_standard_s_header_is_read_too_and_of_two_that_differ_neither() {
        let one = |value| [("forwarded", value)];
        let element = "for=203.0.113.5;proto=http, For=\"[2001:db8:cafe::17]:4711\";by=10.0.0.1";
        assert_eq!(told("10.0.0.1", &one(element)).as_deref(), Some("2001:db8:cafe::17"));
        assert_eq!(told("10.0.0.1", &one("proto=https")), None);
        assert_eq!(told("10.0.0.1", &one("for=_secret")), None);
        let both = |other| [("x-forwarded-for", "198.51.100.1"), ("forwarded", other)];
        assert_eq!(told("10.0.0.1", &both("for=198.51.100.1")).as_deref(), Some("198.51.100.1"));
        assert_eq!(told("10.0.0.1", &both("for=203.0.113.5")), None);
        assert_eq!(told("10.0.0.1", &both("nothing")), None);
    }

    #[test]
    fn bytes_that_are_no_text_take_nothing_from_what_a_proxy_says() {
        let (plain, standard) = ("x-forwarded-for", "forwarded");
        let appended: &[u8] = b"\xff, 203.0.113.9";
        assert_eq!(told_in_bytes("10.0.0.1", &[(plain, appended)]).as_deref(), Some("203.0.113.9"));
        let victim: &[u8] = b"for=198.51.100.1";
        assert_eq!(told_in_bytes("10.0.0.1", &[(plain, appended), (standard, victim)]), None);
        assert_eq!(told_in_bytes("10.0.0.1", &[(plain, b"\xff"), (standard, victim)]), None);
    }
}
