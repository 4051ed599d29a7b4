//! A remote pinning service, by the IPFS Pinning Service API 1.0 (<https://ipfs.github.io/pinning-services-api-spec/>): it fetches the
//! content itself, from the node's gateway for example.

use std::net::IpAddr;

use async_trait::async_trait;
use lota_content::Cid;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::json;

#[cfg(test)]
use std::time::Duration;

use super::{Content, Progress, PublishError, Published, Publisher, PublisherError, Server, said, unsuccessful};

/// The longest id of a request that is believed, in bytes.
const MAX_REQUEST_ID: usize = 256;

/// A pinning service that the operator has an account with.
pub struct PinningService {
    server: Server,
}

impl PinningService {
    /// The service with this endpoint, such as `https://api.pinning.example/psa`, for whoever has the token.
    ///
    /// # Errors
    /// [`PublisherError`].
    pub fn new(endpoint: &str, token: &str) -> Result<Self, PublisherError> {
        Ok(Self { server: Server::new(endpoint, "a pinning service", Some(token))? })
    }

    #[cfg(test)]
    pub(super) fn with_silence(mut self, silence: Duration) -> Self {
        self.server.silence = silence;
        self
    }

    /// An earlier request for this content, if there is one that has not failed: the process may have ended before it wrote down
    /// that it asked.
    async fn earlier(&self, content: &Content) -> Result<Option<PinStatus>, PublishError> {
        let mut url = self.server.url("pins")?;
        url.query_pairs_mut()
            .append_pair("cid", &content.cid.to_string())
            .append_pair("name", &content.name)
            .append_pair("status", "queued,pinning,pinned")
            .append_pair("limit", "1");
        let (status, answer) = self.server.ask(self.server.http.get(url)).await?;
        if !status.is_success() {
            return Err(unsuccessful(status, &answer));
        }
        let found: PinResults = understood(&answer)?;
        Ok(found.results.into_iter().find(|found| found.is_of(&content.cid)))
    }

    async fn request(&self, content: &Content) -> Result<PinStatus, PublishError> {
        let origins: Vec<String> = multiaddr(&content.gateway).into_iter().collect();
        let pin = json!({ "cid": content.cid.to_string(), "name": content.name, "origins": origins });
        let (status, answer) = self.server.ask(self.server.http.post(self.server.url("pins")?).json(&pin)).await?;
        if !status.is_success() {
            return Err(unsuccessful(status, &answer));
        }
        understood(&answer)
    }
}

#[derive(Deserialize)]
struct PinResults {
    results: Vec<PinStatus>,
}

#[derive(Deserialize)]
struct PinStatus {
    requestid: String,
    status: String,
    pin: Pin,
    #[serde(default)]
    info: serde_json::Value,
}

#[derive(Deserialize)]
struct Pin {
    cid: String,
}

impl PinStatus {
    fn is_of(&self, cid: &Cid) -> bool {
        self.pin.cid.parse().ok() == Some(*cid)
    }
}

#[async_trait]
impl Publisher for PinningService {
    fn name(&self) -> &str {
        "pinning service"
    }

    async fn publish(&self, content: &Content, receipt: Option<&str>) -> Result<Published, PublishError> {
        let status = match receipt {
            Some(id) => {
                let (status, answer) = self.server.ask(self.server.http.get(pin_url(&self.server, id)?)).await?;
                match status {
                    StatusCode::NOT_FOUND => {
                        return Err(PublishError::GivenUp("it has forgotten the request".to_owned()));
                    }
                    status if !status.is_success() => return Err(unsuccessful(status, &answer)),
                    _ => understood(&answer)?,
                }
            }
            None => match self.earlier(content).await? {
                Some(earlier) => earlier,
                None => self.request(content).await?,
            },
        };
        if !status.is_of(&content.cid) {
            return Err(PublishError::GivenUp("it answered about other content".to_owned()));
        }
        if status.requestid.is_empty() || status.requestid.len() > MAX_REQUEST_ID {
            return Err(PublishError::Temporary("the request's id that it gave is empty or too long".to_owned()));
        }
        let progress = match status.status.as_str() {
            "queued" => Progress::Queued,
            "pinning" => Progress::Pinning,
            "pinned" => Progress::Pinned,
            "failed" => {
                let details =
                    status.info.get("status_details").and_then(|text| text.as_str()).unwrap_or("it says no more");
                return Err(PublishError::GivenUp(format!("pinning failed: {}", said(details.as_bytes()))));
            }
            other => {
                return Err(PublishError::Temporary(format!("its status `{}` is unknown", said(other.as_bytes()))));
            }
        };
        Ok(Published { progress, receipt: Some(status.requestid) })
    }

    async fn withdraw(&self, _: &Cid, receipt: Option<&str>) -> Result<(), PublishError> {
        // Without a receipt nothing was asked for, as far as is known.
        let Some(id) = receipt else { return Ok(()) };
        let (status, answer) = self.server.ask(self.server.http.delete(pin_url(&self.server, id)?)).await?;
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(unsuccessful(status, &answer))
    }
}

/// The URL of a request.
fn pin_url(server: &Server, id: &str) -> Result<Url, PublishError> {
    let mut url = server.url("pins")?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.push(id);
    }
    Ok(url)
}

fn understood<T: serde::de::DeserializeOwned>(answer: &[u8]) -> Result<T, PublishError> {
    serde_json::from_slice(answer)
        .map_err(|error| PublishError::Temporary(format!("its answer is not understood ({error}): {}", said(answer))))
}

/// A gateway's URL as a multiaddr.
fn multiaddr(gateway: &Url) -> Option<String> {
    let host = gateway.host_str()?;
    let host = match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => format!("/ip4/{address}"),
        Ok(IpAddr::V6(address)) => format!("/ip6/{address}"),
        Err(_) => format!("/dns/{host}"),
    };
    let port = gateway.port_or_known_default()?;
    let protocol = if gateway.scheme() == "https" { "/tls/http" } else { "/http" };
    Some(format!("{host}/tcp/{port}{protocol}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_have_multiaddrs() {
        for (url, address) in [
            ("https://gateway.example/x", "/dns/gateway.example/tcp/443/tls/http"),
            ("http://192.0.2.1:4001", "/ip4/192.0.2.1/tcp/4001/http"),
            ("http://[2001:db8::1]", "/ip6/2001:db8::1/tcp/80/http"),
        ] {
            assert_eq!(multiaddr(&url.parse().expect("a URL")).as_deref(), Some(address));
        }
    }
}
