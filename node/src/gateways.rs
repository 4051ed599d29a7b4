//! The gateways that the settings name: the node's own, as others reach it, and those that it asks.

use std::time::Duration;

use lota_content::fetch::{FetchOptions, Fetcher};
use lota_market::model::MAX_URL;
use reqwest::Url;

use crate::{config::NodeConfig, publisher::shown};

/// What asks the gateways of the settings and those of parties.
///
/// # Errors
/// Which setting is wrong, with its value and what it should be.
pub(crate) fn fetcher(config: &NodeConfig) -> Result<Fetcher, String> {
    if let Some(url) = &config.gateway_url {
        parse("gateway_url", url)?;
        if url.len() > MAX_URL {
            return Err(format!(
                "setting `node.gateway_url`: it has {} bytes, and markets take {MAX_URL}; name a shorter URL",
                url.len()
            ));
        }
    }
    let options = FetchOptions {
        allow_private_addresses: config.allow_private_addresses,
        allow_http: config.http_urls,
        gateways: config.gateways.iter().map(|url| parse("gateways", url)).collect::<Result<_, _>>()?,
        total_timeout: Duration::from_secs(config.fetch_timeout),
        ..FetchOptions::default()
    };
    Fetcher::new(options).map_err(|error| error.to_string())
}

/// What would be refused of a stranger is refused of the operator: it is announced to everybody, or could not be asked.
fn parse(setting: &str, url: &str) -> Result<Url, String> {
    let bad = |problem: &str| {
        let shown = shown(url);
        format!(
            "setting `node.{setting}`: `{shown}` is not a gateway's URL: {problem}; write for example https://node.example:4001"
        )
    };
    let parsed: Url = url.parse().map_err(|error| bad(&format!("{error}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(bad("it begins neither with http:// nor with https://"));
    }
    let has_credentials = !parsed.username().is_empty() || parsed.password().is_some();
    if has_credentials || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(bad("it carries a user name, a password, a query or a fragment"));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_named_by_a_url_without_secrets() {
        let config = NodeConfig::new("a node", "/nowhere");
        let named = |gateway_url: Option<String>, gateways: &[&str]| {
            let gateways = gateways.iter().map(|url| (*url).to_owned()).collect();
            fetcher(&NodeConfig { gateway_url, gateways, ..config.clone() }).map(|_| ())
        };
        let own = |url: &str| named(Some(url.to_owned()), &[]);
        assert_eq!(own("http://node.example:4001"), Ok(()));
        assert_eq!(named(None, &["https://one.example", "https://two.example/ipfs"]), Ok(()));
        for (url, part) in [
            ("node.example", "relative URL"),
            ("node.example:4001", "neither with http"),
            ("ftp://node.example", "neither with http"),
            (
                "http://me:SECRET@node.example",
                "`http://...@node.example` is not a gateway's URL: it carries a user name",
            ),
            ("http://node.example/?token=SECRET", "`http://node.example/` is not"),
            ("http://", "empty host"),
        ] {
            for (setting, error) in [("gateway_url", own(url)), ("gateways", named(None, &[url]))] {
                let error = error.expect_err(url);
                assert!(error.contains(part) && error.contains(&format!("`node.{setting}`")), "{error}");
                assert!(!error.contains("SECRET"), "{error}");
            }
        }
        let long = format!("http://node.example/{}", "x".repeat(MAX_URL));
        assert!(own(&long).is_err_and(|error| error.contains("276 bytes") && error.contains("256")));
        assert_eq!(named(None, &[&long]), Ok(()));
    }
}
