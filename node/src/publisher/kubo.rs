//! Kubo, by its RPC (<https://docs.ipfs.tech/reference/kubo/rpc/>): `dag/import` takes a CAR and pins its root.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use lota_content::{Cid, DagScope, WalkError, car_stream};
use serde::Deserialize;

use super::{
    Content, MAX_CAR_BLOCKS, Progress, PublishError, Published, Publisher, PublisherError, Server, said, unsuccessful,
};

/// What separates the parts of the form; no CAR of ours ends a line with it.
const BOUNDARY: &str = "lota-7ce3b1f0a94d4c5e8d0b9f27";

/// A Kubo node that the operator names.
pub struct Kubo {
    server: Server,
}

impl Kubo {
    /// The node with this RPC, such as `http://127.0.0.1:5001`.
    ///
    /// # Errors
    /// [`PublisherError`].
    pub fn new(rpc: &str) -> Result<Self, PublisherError> {
        Ok(Self { server: Server::new(rpc, "Kubo's RPC", None)? })
    }

    #[cfg(test)]
    pub(super) fn with_silence(mut self, silence: Duration) -> Self {
        self.server.silence = silence;
        self
    }
}

/// One line of what `dag/import` answers.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Root")]
    root: Option<Root>,
    /// Of an error.
    #[serde(rename = "Message")]
    message: Option<String>,
}

#[derive(Deserialize)]
struct Root {
    #[serde(rename = "Cid")]
    cid: Linked,
    #[serde(rename = "PinErrorMsg", default)]
    pin_error: String,
}

#[derive(Deserialize)]
struct Linked {
    #[serde(rename = "/")]
    cid: String,
}

#[async_trait]
impl Publisher for Kubo {
    fn name(&self) -> &str {
        "kubo"
    }

    async fn publish(&self, content: &Content, _: Option<&str>) -> Result<Published, PublishError> {
        let url = self.server.url("api/v0/dag/import?pin-roots=true&stats=false")?;
        let progress = Arc::new(Mutex::new(Instant::now()));
        let failure = Arc::new(Mutex::new(None));
        let body = form(content, Arc::clone(&progress), Arc::clone(&failure));
        let request = self
            .server
            .http
            .post(url)
            .header(reqwest::header::CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"))
            .body(reqwest::Body::wrap_stream(body));
        let answer = async { self.server.answer(request.send().await.map_err(super::away)?).await };
        let answer = tokio::select! {
            answer = answer => answer,
            () = silence(&progress, self.server.silence) => Err(self.server.silent()),
        };
        if let Some(problem) = failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(PublishError::Temporary(problem));
        }
        let (status, answer) = answer?;
        if !status.is_success() {
            return Err(unsuccessful(status, &answer));
        }
        confirmed(&content.cid, &answer)?;
        Ok(Published { progress: Progress::Pinned, receipt: None })
    }

    async fn withdraw(&self, cid: &Cid, _: Option<&str>) -> Result<(), PublishError> {
        let url = self.server.url(&format!("api/v0/pin/rm?arg={cid}&recursive=true"))?;
        let (status, answer) = self.server.ask(self.server.http.post(url)).await?;
        if status.is_success() || said(&answer).contains("not pinned") {
            return Ok(());
        }
        Err(unsuccessful(status, &answer))
    }
}

/// Whether the answer says that the root is there and pinned.
fn confirmed(cid: &Cid, answer: &[u8]) -> Result<(), PublishError> {
    for line in answer.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        let Ok(line) = serde_json::from_slice::<Line>(line) else {
            return Err(PublishError::Temporary(format!("its answer is not understood: {}", said(line))));
        };
        if let Some(message) = line.message {
            return Err(PublishError::Temporary(format!("it says: {}", said(message.as_bytes()))));
        }
        if let Some(root) = line.root
            && root.cid.cid.parse().ok() == Some(*cid)
        {
            return match root.pin_error.as_str() {
                "" => Ok(()),
                problem => Err(PublishError::Temporary(format!("it did not pin it: {}", said(problem.as_bytes())))),
            };
        }
    }
    Err(PublishError::Temporary("it took the CAR, and does not say that it pinned its root".to_owned()))
}

/// The form with the CAR as its file.
fn form(
    content: &Content,
    progress: Arc<Mutex<Instant>>,
    failure: Arc<Mutex<Option<String>>>,
) -> impl Stream<Item = Result<Bytes, WalkError>> + Send + 'static {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"path\"; filename=\"{}.car\"\r\nContent-Type: application/vnd.ipld.car\r\n\r\n",
        content.cid
    );
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    let car = car_stream(content.store.clone(), &[], &content.cid, DagScope::All, MAX_CAR_BLOCKS);
    let part = |text: String| stream::once(async { Ok(Bytes::from(text)) });
    part(head).chain(car).chain(part(end)).inspect(move |piece| {
        *progress.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if let Err(error) = piece {
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
    })
}

/// Ends when nothing was taken for so long.
pub(super) async fn silence(progress: &Mutex<Instant>, limit: Duration) {
    loop {
        let since = progress.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        match limit.checked_sub(since) {
            Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
            _ => return,
        }
    }
}
