//! The connection to a chain's node: JSON-RPC over HTTP or websocket.

use std::{borrow::Cow, fmt, time::Duration};

use alloy::{
    rpc::client::{ClientBuilder, RpcClient},
    rpc::json_rpc::{RpcError as AlloyRpcError, RpcRecv, RpcSend},
    transports::{
        TransportError as AlloyError, TransportErrorKind,
        ws::{WebSocketConfig, WsConnect},
    },
};
use lota_market::B256;
use tokio::{
    sync::{Mutex, broadcast, watch},
    time::Instant,
};

use super::{Header, RpcError, error, matching::MatchIds};

/// The longest answer that is taken by websocket, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// The longest pause that a node may ask for.
pub(super) const LONGEST_ASKED: Duration = Duration::from_secs(600);
/// Pauses up to this long are waited for within a call; during longer ones calls fail at once.
const SHORT_PAUSE: Duration = Duration::from_secs(5);

/// A URL that may hold somebody's key: shown as scheme and host.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub String);

impl Secret {
    fn shown(&self) -> &str {
        let host = self.0.find("://").map_or(0, |scheme| scheme + 3);
        let end = self.0[host..].find(['/', '?', '#']).map_or(self.0.len(), |path| host + path);
        // Credentials stand before the host.
        if self.0[host..end].contains('@') { "the configured URL" } else { &self.0[..end] }
    }

    /// A text without the URL's hidden parts.
    fn hidden_in(&self, text: &str) -> String {
        let bare = self.0.trim_end_matches('/');
        text.replace(&self.0, self.shown()).replace(bare, self.shown())
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A connection to a node, made when it is needed and made again when it is lost.
#[derive(Debug)]
pub(super) struct Rpc {
    url: Secret,
    timeout: Duration,
    client: Mutex<Option<RpcClient>>,
    /// Until when the node wants to be left alone.
    quiet: watch::Sender<Option<Instant>>,
}

impl Rpc {
    pub(super) fn new(url: String, timeout: Duration) -> Self {
        Self { url: Secret(url), timeout, client: Mutex::new(None), quiet: watch::Sender::new(None) }
    }

    /// Its URL as it may be shown.
    pub(super) fn name(&self) -> String {
        self.url.to_string()
    }

    /// Whether the node can wake us up.
    pub(super) fn is_websocket(&self) -> bool {
        self.url.0.starts_with("ws://") || self.url.0.starts_with("wss://")
    }

    async fn client(&self) -> Result<RpcClient, RpcError> {
        let mut kept = self.client.lock().await;
        if let Some(client) = &*kept {
            return Ok(client.clone());
        }
        let client = if self.is_websocket() {
            // The wrapper's own reconnection is kept short: calls that wait for it would hide that the node is away.
            let limits = WebSocketConfig::default().max_message_size(Some(MAX_ANSWER)).max_frame_size(Some(MAX_ANSWER));
            let connect = WsConnect::new(&self.url.0)
                .with_config(limits)
                .with_max_retries(2)
                .with_retry_interval(Duration::from_millis(200));
            let connected = tokio::time::timeout(self.timeout, ClientBuilder::default().ws(connect)).await;
            connected.map_err(|_| self.silent())?.map_err(|error| self.error(error))?
        } else {
            let url = self
                .url
                .0
                .parse()
                .map_err(|error| RpcError::Malformed(format!("`{}` is no URL: {error}", self.url)))?;
            ClientBuilder::default().layer(MatchIds).http_with_client(lota_http::client(), url)
        };
        *kept = Some(client.clone());
        Ok(client)
    }

    fn silent(&self) -> RpcError {
        RpcError::unavailable(format!("the node does not answer within {} s", self.timeout.as_secs_f32()))
    }

    /// What is wrong, without the parts of the URL that nobody should see.
    fn error(&self, error: AlloyError) -> RpcError {
        match error::of_client(error) {
            RpcError::Unavailable { problem, retry_after } => {
                RpcError::Unavailable { problem: self.url.hidden_in(&problem), retry_after }
            }
            other => other,
        }
    }

    async fn lost(&self, error: &AlloyError) {
        if matches!(error, AlloyRpcError::Transport(TransportErrorKind::BackendGone)) {
            self.client.lock().await.take();
        }
    }

    /// Waits as long as the node asked for, if that is not long.
    async fn leave_alone(&self) -> Result<(), RpcError> {
        let until = *self.quiet.borrow();
        let left = until.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default();
        if left > SHORT_PAUSE {
            let problem = format!("the node asked to be left alone for {} s more", left.as_secs());
            return Err(RpcError::Unavailable { problem, retry_after: Some(left) });
        }
        tokio::time::sleep(left).await;
        Ok(())
    }

    pub(super) async fn request<P: RpcSend, R: RpcRecv>(&self, method: &'static str, params: P) -> Result<R, RpcError> {
        self.leave_alone().await?;
        let client = self.client().await?;
        let call = client.request(Cow::Borrowed(method), params);
        match tokio::time::timeout(self.timeout, call).await {
            Err(_) => Err(self.silent()),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.lost(&error).await;
                let error = self.error(error);
                if let RpcError::Unavailable { retry_after: Some(asked), .. } = &error {
                    self.quiet.send_replace(Some(Instant::now() + (*asked).min(LONGEST_ASKED)));
                }
                Err(error)
            }
        }
    }

    /// Receives something whenever there is a new block; `None` where the node cannot tell.
    pub(super) async fn new_heads(&self) -> Result<Option<Heads>, RpcError> {
        if !self.is_websocket() {
            return Ok(None);
        }
        let id: B256 = self.request("eth_subscribe", ("newHeads",)).await?;
        let client = self.client().await?;
        let subscription = client.get_raw_subscription(id).await;
        Ok(Some(Heads { subscription, _client: client }))
    }
}

/// A subscription to new blocks: a hint that it is worth looking.
pub(super) struct Heads {
    subscription: alloy::pubsub::RawSubscription,
    _client: RpcClient,
}

impl Heads {
    /// Ready when there is a new block, which is said as far as it is understood; `None` when there will be no more news.
    pub(super) async fn next(&mut self) -> Option<Option<Header>> {
        match self.subscription.recv().await {
            Ok(told) => Some(serde_json::from_str(told.get()).ok()),
            // Hints that were missed are as good as the next one.
            Err(broadcast::error::RecvError::Lagged(_)) => Some(None),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_urls_are_not_shown() {
        for (url, shown) in [
            ("https://node.example/v1/KEY", "https://node.example"),
            ("wss://node.example:8080?token=KEY", "wss://node.example:8080"),
            ("https://me:KEY@node.example/", "the configured URL"),
            ("http://127.0.0.1:1234", "http://127.0.0.1:1234"),
        ] {
            let secret = Secret(url.into());
            assert_eq!(format!("{secret:?}"), shown);
            let text = secret.hidden_in(&format!("error sending request for url ({url})"));
            assert_eq!(text, format!("error sending request for url ({shown})"));
        }
    }
}
