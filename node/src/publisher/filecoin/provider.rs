//! A storage provider's PDP service, over HTTP. What it answers is checked, bounded and never believed alone.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use futures::StreamExt as _;
use lota_content::{
    DagScope, car_stream,
    piece::{PieceCid, PieceCommitment},
};
use lota_market::{Address, Bytes as Data};
use reqwest::{RequestBuilder, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Content, MAX_CAR_BLOCKS, PublishError, Server, kubo::silence, said};

/// The longest name of an upload, in characters; they are UUIDs.
const MAX_UPLOAD: usize = 64;

/// What the provider says of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addition {
    /// It waits, or has landed: the chain knows.
    Underway,
    /// It failed on chain.
    Rejected,
}

pub(super) struct Provider {
    pub(super) server: Server,
}

/// What both kinds of status tell.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    tx_status: String,
    /// Of an addition.
    #[serde(default)]
    add_message_ok: Option<bool>,
    /// Of a creation.
    #[serde(default)]
    ok: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    piece_cid: String,
}

impl Provider {
    pub(super) fn new(server: Server) -> Self {
        Self { server }
    }

    /// Gives the provider the CAR, unless it has it.
    pub(super) async fn upload(&self, content: &Content, piece: &PieceCommitment) -> Result<(), PublishError> {
        let body = json!({ "pieceCid": piece.v2().to_string() });
        let answer = self.ask(self.server.http.post(self.server.url("pdp/piece")?).json(&body)).await?;
        match answer.status {
            StatusCode::OK => return is_of(piece, &answer.body).map(drop),
            StatusCode::CREATED => {}
            _ => return Err(answer.failure()),
        }
        let upload = answer.location()?;
        if upload.len() > MAX_UPLOAD || !upload.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(PublishError::Temporary("the place for the upload that it names is no UUID".to_owned()));
        }
        let progress = Arc::new(Mutex::new(Instant::now()));
        let failure = Arc::new(Mutex::new(None));
        let (moved, failed) = (Arc::clone(&progress), Arc::clone(&failure));
        let car = car_stream(content.store.clone(), &[], &content.cid, DagScope::All, MAX_CAR_BLOCKS);
        let car = car.inspect(move |bytes| {
            *moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            if let Err(error) = bytes {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            }
        });
        let request = self
            .server
            .http
            .put(self.server.url(&format!("pdp/piece/upload/{upload}"))?)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, piece.size())
            .body(reqwest::Body::wrap_stream(car));
        let answer = tokio::select! {
            answer = self.answer(request) => answer,
            () = silence(&progress, self.server.silence) => Err(self.server.silent()),
        };
        if let Some(problem) = failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(PublishError::Temporary(problem));
        }
        let answer = answer?;
        match answer.status {
            // Another upload was faster.
            StatusCode::NO_CONTENT | StatusCode::CONFLICT => Ok(()),
            // The CID was computed from these bytes: what came was something else.
            StatusCode::BAD_REQUEST => Err(PublishError::Temporary(answer.failure().to_string())),
            _ => Err(answer.failure()),
        }
    }

    /// Whether the piece can be added to a data set.
    pub(super) async fn has(&self, piece: &PieceCommitment) -> Result<bool, PublishError> {
        let mut url = self.server.url("pdp/piece")?;
        url.query_pairs_mut().append_pair("pieceCid", &piece.v2().to_string());
        let answer = self.ask(self.server.http.get(url)).await?;
        match answer.status {
            StatusCode::OK => is_of(piece, &answer.body).map(|()| true),
            StatusCode::NOT_FOUND | StatusCode::ACCEPTED => Ok(false),
            _ => Err(answer.failure()),
        }
    }

    /// Has the piece added to a data set; gives the transaction's hash.
    pub(super) async fn add(
        &self,
        data_set: u64,
        piece: &PieceCommitment,
        signed: &Data,
    ) -> Result<String, PublishError> {
        let body = json!({ "pieces": pieces(piece), "extraData": signed });
        self.transaction(&format!("pdp/data-sets/{data_set}/pieces"), &body).await
    }

    /// Has a data set created that the service keeps, with the piece in it; gives the transaction's hash.
    pub(super) async fn create_and_add(
        &self,
        service: Address,
        piece: &PieceCommitment,
        signed: &Data,
    ) -> Result<String, PublishError> {
        let body = json!({ "recordKeeper": service, "pieces": pieces(piece), "extraData": signed });
        self.transaction("pdp/data-sets/create-and-add", &body).await
    }

    async fn transaction(&self, path: &str, body: &Value) -> Result<String, PublishError> {
        let answer = self.ask(self.server.http.post(self.server.url(path)?).json(body)).await?;
        if answer.status != StatusCode::CREATED {
            return Err(answer.failure());
        }
        let hash = answer.location()?;
        let is_hash = hash
            .strip_prefix("0x")
            .is_some_and(|digits| digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        if !is_hash {
            return Err(PublishError::Temporary("the transaction that it names is no hash".to_owned()));
        }
        Ok(hash.to_ascii_lowercase())
    }

    /// What became of the transaction. What it does not know is underway: it may have forgotten, or be about to know it.
    pub(super) async fn addition(&self, transaction: &str, data_set: Option<u64>) -> Result<Addition, PublishError> {
        let path = match data_set {
            Some(data_set) => format!("pdp/data-sets/{data_set}/pieces/added/{transaction}"),
            None => format!("pdp/data-sets/created/{transaction}"),
        };
        let answer = self.ask(self.server.http.get(self.server.url(&path)?)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Addition::Underway);
        }
        if !matches!(answer.status, StatusCode::OK | StatusCode::ACCEPTED) {
            return Err(answer.failure());
        }
        let status: Status = understood(&answer.body)?;
        let failed = status.add_message_ok.or(status.ok) == Some(false);
        Ok(if failed || matches!(status.tx_status.as_str(), "rejected" | "failed") {
            Addition::Rejected
        } else {
            Addition::Underway
        })
    }

    /// Has the piece removed; it is no error if it is not there.
    pub(super) async fn remove(&self, data_set: u64, id: u64, signed: &Data) -> Result<(), PublishError> {
        let url = self.server.url(&format!("pdp/data-sets/{data_set}/pieces/{id}"))?;
        let body = json!({ "extraData": signed, "pieceIds": [id] });
        let answer = self.ask(self.server.http.delete(url).json(&body)).await?;
        if answer.status.is_success() || answer.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(answer.failure())
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Answer, PublishError> {
        match tokio::time::timeout(self.server.silence, self.answer(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.server.silent()),
        }
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Answer, PublishError> {
        let response = request.send().await.map_err(super::super::away)?;
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let location = location.map(str::to_owned);
        let (status, body) = self.server.answer(response).await?;
        Ok(Answer { status, location, body })
    }
}

struct Answer {
    status: StatusCode,
    location: Option<String>,
    body: Bytes,
}

impl Answer {
    /// The last part of the place that it names; the rest of the URL is known.
    fn location(&self) -> Result<&str, PublishError> {
        let location = self.location.as_deref().unwrap_or_default();
        match location.rsplit('/').next() {
            Some(last) if !last.is_empty() => Ok(last),
            _ => Err(PublishError::Temporary(format!("it answered {} and does not say where", self.status))),
        }
    }

    fn failure(&self) -> PublishError {
        let problem = match said(&self.body) {
            said if said.is_empty() => format!("it answered {}", self.status),
            said => format!("it answered {}: {said}", self.status),
        };
        match self.status {
            StatusCode::REQUEST_TIMEOUT
            | StatusCode::NOT_FOUND
            | StatusCode::CONFLICT
            | StatusCode::TOO_MANY_REQUESTS => PublishError::Temporary(problem),
            status if status.is_client_error() || status.is_redirection() => PublishError::Refused(problem),
            _ => PublishError::Temporary(problem),
        }
    }
}

fn pieces(piece: &PieceCommitment) -> Value {
    let cid = piece.v2().to_string();
    json!([{ "pieceCid": cid, "subPieces": [{ "subPieceCid": cid }] }])
}

/// Whether an answer is about this piece.
fn is_of(piece: &PieceCommitment, answer: &[u8]) -> Result<(), PublishError> {
    let found: Found = understood(answer)?;
    if found.piece_cid.parse() == Ok(PieceCid::V2(*piece)) {
        return Ok(());
    }
    let other = said(found.piece_cid.as_bytes());
    Err(PublishError::Temporary(format!("it was asked about the piece {}, and answered about `{other}`", piece.v2())))
}

fn understood<T: serde::de::DeserializeOwned>(answer: &[u8]) -> Result<T, PublishError> {
    serde_json::from_slice(answer)
        .map_err(|error| PublishError::Temporary(format!("its answer is not understood ({error}): {}", said(answer))))
}
