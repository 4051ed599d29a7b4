//! A storage provider's Curio, over HTTP (its `market/mk20/http`). What it answers is bounded and never believed alone.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use jiff::Timestamp;
use lota_bridge::{
    PrivateKeySigner,
    evm::curio::{notification_payload, sign_delegated},
    filecoin_address::f410_bytes,
};
use lota_content::piece::PieceCommitment;
use lota_market::Address;
use reqwest::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{
    super::{Content, PublishError, Server, said, unsuccessful},
    DURATION, text,
};

/// Where Curio's market is.
const MARKET: &str = "market/mk20";
/// The longest status of Curio's that is kept, in characters.
const MAX_STATUS: usize = 60;

pub(super) struct Provider {
    pub(super) server: Server,
    pub(super) provider: u64,
    pub(super) market: Address,
    pub(super) signer: PrivateKeySigner,
}

/// What came of handing a deal over.
pub(super) enum Handover {
    Taken,
    /// It will not take it; why.
    Rejected(String),
}

/// How far Curio says that it is.
pub(super) enum Status {
    Underway(String),
    Failed(String),
    /// It knows no such deal.
    Unknown,
}

#[derive(Deserialize)]
struct Contracts {
    contracts: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Statuses {
    ddo_v1: Option<Product>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    status: String,
    #[serde(default)]
    error_msg: String,
}

impl Provider {
    /// Whether the operator allows the contract.
    pub(super) async fn allows_the_contract(&self) -> Result<(), PublishError> {
        self.spelling().await.map(drop)
    }

    /// The contracts that Curio's operator allows.
    async fn contracts(&self) -> Result<Vec<String>, PublishError> {
        let (status, answer) = self.ask(Method::GET, "contracts", None).await?;
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(PublishError::Refused(format!(
                    "the provider's Curio does not let the client {} in ({status}): its operator may have to allow it, or this \
                     machine's clock is wrong",
                    self.signer.address()
                )));
            }
            _ => return Err(unsuccessful(status, &answer)),
        }
        let Contracts { contracts } = understood(&answer)?;
        Ok(contracts.unwrap_or_default())
    }

    /// The contract's address as Curio's operator wrote it: Curio compares texts.
    async fn spelling(&self) -> Result<String, PublishError> {
        let is_ours = |text: &String| text.parse() == Ok(self.market);
        self.contracts().await?.into_iter().find(is_ours).ok_or_else(|| {
            PublishError::Refused(format!(
                "the provider's Curio does not allow the market contract {}; its operator adds it there",
                self.market
            ))
        })
    }

    /// Hands a deal over, once or again.
    pub(super) async fn hand_over(
        &self,
        chain: u64,
        deal: u64,
        piece: &PieceCommitment,
        content: &Content,
    ) -> Result<Handover, PublishError> {
        let mut car = content
            .gateway
            .join(&format!("ipfs/{}", content.cid))
            .map_err(|error| PublishError::Refused(error.to_string()))?;
        car.set_query(Some("format=car"));
        let body = json!({
            "identifier": text::ulid(self.market, deal),
            "client": text::f410(chain, self.signer.address()),
            "data": {
                "piece_cid": { "/": piece.v2().to_string() },
                "format": { "car": {} },
                "source_http": { "urls": [{ "url": car, "headers": {}, "priority": 0, "fallback": true }] },
            },
            "products": {
                "ddo_v1": {
                    "provider": text::id(chain, self.provider),
                    "duration": DURATION,
                    "market_address": self.spelling().await?,
                    "market_deal_id": deal,
                    "notification_address": text::f410(chain, self.market),
                    "notification_payload": BASE64.encode(notification_payload(deal)),
                },
                "retrieval_v1": { "indexing": true, "announce_payload": true, "announce_piece": false },
            },
        });
        let (status, answer) = self.ask(Method::POST, "deal", Some(body.to_string())).await?;
        if status == StatusCode::OK {
            return Ok(Handover::Taken);
        }
        // One that it has had before is an error to it, too.
        if !matches!(self.status(deal).await?, Status::Unknown) {
            return Ok(Handover::Taken);
        }
        let problem = format!("Curio answered {status}: {}", said(&answer));
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(PublishError::Temporary(problem)),
            status if status.is_client_error() => Ok(Handover::Rejected(problem)),
            _ => Err(PublishError::Temporary(problem)),
        }
    }

    /// How far a deal is.
    pub(super) async fn status(&self, deal: u64) -> Result<Status, PublishError> {
        let path = format!("status/{}", text::ulid(self.market, deal));
        let (status, answer) = self.ask(Method::GET, &path, None).await?;
        match status {
            StatusCode::OK => {}
            // It answers so about deals that it does not have, and to clients that it does not let in, as for a wrong clock.
            StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND => {
                return match self.contracts().await {
                    Ok(_) => Ok(Status::Unknown),
                    Err(error) => Err(PublishError::Temporary(error.to_string())),
                };
            }
            _ => return Err(PublishError::Temporary(unsuccessful(status, &answer).to_string())),
        }
        let Statuses { ddo_v1: Some(product) } = understood(&answer)? else { return Ok(Status::Unknown) };
        if product.status == "failed" {
            return Ok(Status::Failed(said(product.error_msg.as_bytes())));
        }
        let shown: String = said(product.status.as_bytes()).chars().take(MAX_STATUS).collect();
        Ok(Status::Underway(shown))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<String>) -> Result<(StatusCode, Bytes), PublishError> {
        let url = self.server.url(&format!("{MARKET}/{path}"))?;
        let proof = self.authorization(&method, url.path(), Timestamp::now())?;
        let mut request = self.server.http.request(method, url).header(header::AUTHORIZATION, proof);
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body);
        }
        self.server.ask(request).await
    }

    /// Who asks: Curio's `CurioAuth`, over method, path and minute.
    fn authorization(&self, method: &Method, path: &str, now: Timestamp) -> Result<String, PublishError> {
        let client = f410_bytes(self.signer.address());
        let minute = now.as_second().div_euclid(60) * 60;
        let minute = Timestamp::from_second(minute).unwrap_or(now);
        let digest = Sha256::new()
            .chain_update(client)
            .chain_update(method.as_str())
            .chain_update(path)
            .chain_update(minute.to_string())
            .finalize();
        let signature = sign_delegated(&self.signer, &digest)
            .map_err(|error| PublishError::Refused(format!("the client's key does not sign: {error}")))?;
        Ok(format!("CurioAuth delegated:{}:{}", BASE64.encode(client), BASE64.encode(signature)))
    }
}

fn understood<T: serde::de::DeserializeOwned>(answer: &[u8]) -> Result<T, PublishError> {
    serde_json::from_slice(answer)
        .map_err(|error| PublishError::Temporary(format!("its answer is not understood ({error}): {}", said(answer))))
}
