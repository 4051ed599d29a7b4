//! Where a stranger may send us, and where not.
//!
//! The check sits in the resolver of the HTTP client, so the addresses that were checked are those
//! that are connected to: a name cannot point elsewhere the second time it is looked up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Which addresses may be connected to.
pub(super) type Allowed = fn(IpAddr) -> bool;

/// Why a URL is not asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefusal {
    /// Another scheme than http and https.
    #[error("its scheme is {scheme:?}; only http and https are asked")]
    Scheme { scheme: String },
    /// It is, or redirects to, an `http` URL where that is not allowed.
    #[error("it is not encrypted: only https is asked, unless the operator allows http (node.http_urls)")]
    Insecure,
    /// It carries a user name or a password.
    #[error("it carries a user name or a password")]
    Credentials,
    /// It has a query or a fragment, which a gateway's URL has not.
    #[error("it has a query or a fragment; a gateway is named without")]
    Query,
    /// It has no host.
    #[error("it has no host")]
    Host,
    /// Its host is, or resolves to, no public address.
    #[error("{host} has the address {address}, which is not public; only public addresses are asked")]
    Private {
        host: String,
        /// The address (the first, if there are several).
        address: IpAddr,
    },
    /// Its host has no address at all.
    #[error("{host} has no address")]
    NoAddress { host: String },
    /// It redirects, and redirects again.
    #[error("it redirects more than {limit} times")]
    Redirects { limit: usize },
}

/// Whether an address belongs to the public Internet (IANA's special-purpose registries say which
/// do not; addresses that embed an IPv4 address are judged by that).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0 // this network
        || a == 10
        || a == 127
        || (a == 100 && b & 0xc0 == 64) // shared, RFC 6598
        || (a == 169 && b == 254) // link-local, where clouds keep their metadata
        || (a == 172 && b & 0xf0 == 16)
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 192 && b == 0 && c == 2) // documentation
        || (a == 192 && b == 88 && c == 99) // 6to4 relays
        || (a == 192 && b == 168)
        || (a == 198 && b & 0xfe == 18) // benchmarks
        || (a == 198 && b == 51 && c == 100) // documentation
        || (a == 203 && b == 0 && c == 113) // documentation
        || a >= 224) // multicast, reserved, broadcast
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4-mapped
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low),
        // NAT64, RFC 6052
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // 6to4, RFC 3056
        [0x2002, high, low, ..] => embedded(high, low),
        // protocol assignments, Teredo among them
        [0x2001, second, ..] if second < 0x200 => false,
        // documentation
        [0x2001, 0xdb8, ..] => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        // global unicast
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Checks the URL of a request or a redirect, as far as that is possible before a name is resolved.
pub(super) fn check(url: &Url, allowed: Allowed) -> Result<(), UrlRefusal> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlRefusal::Scheme { scheme: url.scheme().to_owned() });
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlRefusal::Credentials);
    }
    let address = match url.host() {
        None => return Err(UrlRefusal::Host),
        Some(Host::Domain(_)) => return Ok(()),
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
    };
    if allowed(address) { Ok(()) } else { Err(UrlRefusal::Private { host: address.to_string(), address }) }
}

/// The URL of `/ipfs/{cid}` at a gateway. A gateway may be named with or without `/ipfs`.
pub(super) fn content_url(gateway: &Url, cid: &cid::Cid, query: &str) -> Result<Url, UrlRefusal> {
    if gateway.query().is_some() || gateway.fragment().is_some() {
        return Err(UrlRefusal::Query);
    }
    let base = gateway.path().trim_end_matches('/');
    let base = base.strip_suffix("/ipfs").unwrap_or(base);
    let mut url = gateway.clone();
    url.set_path(&format!("{base}/ipfs/{cid}"));
    url.set_query(Some(query));
    Ok(url)
}

/// Resolves names to the addresses that may be connected to.
pub(super) struct CheckedResolver(pub(super) Allowed);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses = checked(name.as_str(), found, allowed)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn checked(
    host: &str,
    found: impl Iterator<Item = SocketAddr>,
    allowed: Allowed,
) -> Result<Vec<SocketAddr>, UrlRefusal> {
    let found: Vec<SocketAddr> = found.collect();
    let Some(first) = found.first().map(SocketAddr::ip) else {
        return Err(UrlRefusal::NoAddress { host: host.to_owned() });
    };
    let kept: Vec<SocketAddr> = found.into_iter().filter(|address| allowed(address.ip())).collect();
    if kept.is_empty() {
        return Err(UrlRefusal::Private { host: host.to_owned(), address: first });
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        let public = |text: &str| is_public(text.parse().unwrap());
        for address in [
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            assert!(public(address), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!public(address), "{address}");
        }
    }

    #[test]
    fn urls_are_judged_however_the_address_is_written() {
        let refused = |text: &str| check(&Url::parse(text).unwrap(), is_public).is_err();
        assert!(!refused("https://example.org/some/prefix"));
        assert!(!refused("http://1.1.1.1:8080"));
        for url in [
            "http://127.0.0.1",
            "http://0x7f.1",
            "http://2130706433",
            "http://0177.0.0.1",
            "http://127.1",
            "http://[::1]:8080",
            "http://[::ffff:7f00:1]",
            "http://169.254.169.254/latest",
            "ftp://example.org",
            "file:///etc/passwd",
            "https://user@example.org",
            "https://:secret@example.org",
        ] {
            assert!(refused(url), "{url}");
        }
    }

    #[test]
    fn a_name_keeps_its_public_addresses_only() {
        let lookup = |addresses: &[&str]| {
            let found: Vec<SocketAddr> =
                addresses.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 0)).collect();
            checked("name", found.into_iter(), is_public)
        };
        let mixed = lookup(&["10.0.0.1", "1.1.1.1", "::1"]).unwrap();
        assert_eq!(mixed, ["1.1.1.1:0".parse::<SocketAddr>().unwrap()]);
        assert!(matches!(lookup(&["10.0.0.1", "::1"]), Err(UrlRefusal::Private { .. })));
        assert!(matches!(lookup(&[]), Err(UrlRefusal::NoAddress { .. })));
    }

    #[test]
    fn gateways_are_named_with_and_without_ipfs() {
        let cid = crate::digest::cid_of_block(crate::digest::codec::RAW, b"");
        let url =
            |gateway: &str| content_url(&Url::parse(gateway).unwrap(), &cid, "format=raw").map(|url| url.to_string());
        let expected = format!("https://example.org/ipfs/{cid}?format=raw");
        for gateway in
            ["https://example.org", "https://example.org/", "https://example.org/ipfs", "https://example.org/ipfs/"]
        {
            assert_eq!(url(gateway), Ok(expected.clone()));
        }
        let expected = format!("https://example.org/a/ipfs/{cid}?format=raw");
        assert_eq!(url("https://example.org/a/"), Ok(expected));
        assert_eq!(url("https://example.org/?x=1"), Err(UrlRefusal::Query));
    }
}
