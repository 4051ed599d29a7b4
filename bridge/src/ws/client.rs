//! Asking the market, and sending it commands.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use lota_market::{
    Address, AttoFil, Bytes, Time, U256,
    agent::EffectKey,
    auction,
    model::{Command, JobId, Lane, Receipt, Terms},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::Mutex;

use super::{
    connection::{Connection, RequestError, malformed},
    reader,
};
use crate::{
    PrivateKeySigner,
    eip712::{self, SignedCommand},
    encoding,
    memory::{Booked, MovementPage},
    mock::protocol::{
        AccountParams, AdvanceParams, BidderParams, ErrorObject, FaucetParams, HoldingsPage, HoldingsParams, Info,
        JobParams, KeyParams, LaneParams, MovementsParams, NoParams, PROTOCOL, SaltParams, method,
    },
    transport::{
        AuctionRef, Cursor, Head, Landed, MarketRef, SealedBid, StoredDeal, SubmitError, Transport, TransportError,
        UpdateStream,
    },
};

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) url: String,
    /// What the market said of itself at first.
    info: Info,
    ids: AtomicU64,
    connection: Mutex<Option<Arc<Connection>>>,
}

/// Somebody without a key at the mock: what anybody may ask. Clones share the connection, which is made again when it broke.
#[derive(Clone, Debug)]
pub struct MockClient(Arc<Inner>);

/// A party's transport to the mock. Clones share the connection, which is made again when it broke.
#[derive(Clone, Debug)]
pub struct WsTransport {
    client: MockClient,
    signer: PrivateKeySigner,
}

fn failed(error: RequestError) -> SubmitError {
    match error {
        RequestError::Refused(refused) => refused.into_submit_error(),
        RequestError::Transport(error) => error.into(),
    }
}

fn unread(error: RequestError) -> TransportError {
    match error {
        RequestError::Refused(refused) => refused.into_transport_error(),
        RequestError::Transport(error) => error,
    }
}

impl Inner {
    /// Whether it is the market that was there at first.
    pub(super) fn check(&self, info: &Info) -> Result<(), TransportError> {
        if info.protocol != PROTOCOL {
            return Err(malformed(format!(
                "{} speaks version {} of the mock's protocol, and this program version {PROTOCOL}",
                self.url, info.protocol
            )));
        }
        let MarketRef { chain_id, contract, .. } = self.info.market;
        if info.beginning != self.info.beginning {
            let problem = format!("another market began at {}, with none of what happened before", self.url);
            return Err(TransportError::NoMarket { contract, chain_id, problem });
        }
        Ok(())
    }

    async fn connection(&self) -> Result<Arc<Connection>, RequestError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = kept.as_ref().filter(|connection| !connection.is_broken()) {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(Connection::open(&self.url).await.map_err(RequestError::Transport)?);
        let info: Info = connection.ask(0, method::INFO, NoParams {}).await?;
        self.check(&info).map_err(RequestError::Transport)?;
        *kept = Some(Arc::clone(&connection));
        Ok(connection)
    }

    async fn ask<T: DeserializeOwned>(&self, method: &str, params: impl Serialize) -> Result<T, RequestError> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        self.connection().await?.ask(id, method, params).await
    }
}

impl MockClient {
    /// Connects to the mock at a URL (`ws://HOST:PORT`).
    ///
    /// # Errors
    /// When nobody answers there, or somebody else.
    pub async fn connect(url: &str) -> Result<Self, TransportError> {
        let connection = Connection::open(url).await?;
        let info: Info = connection.ask(0, method::INFO, NoParams {}).await.map_err(unread)?;
        let connection = Mutex::new(Some(Arc::new(connection)));
        let inner = Inner { url: url.to_owned(), info, ids: AtomicU64::new(1), connection };
        inner.check(&inner.info)?;
        Ok(Self(Arc::new(inner)))
    }

    /// What the market says of itself.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.0.info
    }

    async fn read<T: DeserializeOwned>(&self, method: &str, params: impl Serialize) -> Result<T, TransportError> {
        self.0.ask(method, params).await.map_err(unread)
    }

    /// Gives an account money from nowhere.
    ///
    /// # Errors
    /// When there is no faucet, or it does not give so much.
    pub async fn give(&self, account: Address, amount: AttoFil) -> Result<Landed, SubmitError> {
        self.0.ask(method::FAUCET, FaucetParams { account, amount }).await.map_err(failed)
    }

    /// Lets virtual time pass.
    ///
    /// # Errors
    /// When time is real there.
    pub async fn advance(&self, seconds: u64) -> Result<Landed, SubmitError> {
        self.0.ask(method::ADVANCE, AdvanceParams { seconds }).await.map_err(failed)
    }

    /// Where money lies: a page of all accounts, or one account's.
    ///
    /// # Errors
    /// When the market cannot be reached.
    pub async fn holdings(
        &self,
        account: Option<Address>,
        from: Option<Address>,
    ) -> Result<HoldingsPage, TransportError> {
        self.read(method::HOLDINGS, HoldingsParams { account, from }).await
    }

    /// A page of the movements of money from a place on.
    ///
    /// # Errors
    /// When the market cannot be reached.
    pub async fn movements(&self, from: (u64, u32), account: Option<Address>) -> Result<MovementPage, TransportError> {
        self.read(method::MOVEMENTS, MovementsParams { from, account }).await
    }

    /// All movements of money from a place on, then as they happen.
    #[must_use]
    pub fn follow_movements(
        &self,
        from: (u64, u32),
        account: Option<Address>,
    ) -> BoxStream<'static, Result<Booked, TransportError>> {
        reader::movements(Arc::clone(&self.0), from, account)
    }

    /// The newest block, and the time.
    ///
    /// # Errors
    /// When the market cannot be reached.
    pub async fn head(&self) -> Result<Head, TransportError> {
        self.read(method::HEAD, NoParams {}).await
    }

    /// The transport of whoever has this key, over the same connection.
    #[must_use]
    pub fn party(&self, signer: PrivateKeySigner) -> WsTransport {
        WsTransport { client: self.clone(), signer }
    }

    /// Sends a command that somebody signed.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn send(&self, signed: &SignedCommand) -> Result<Landed, SubmitError> {
        self.0.ask(method::SUBMIT, signed).await.map_err(failed)
    }

    /// Asks for anything.
    ///
    /// # Errors
    /// What the server says, or that it cannot be reached.
    pub async fn call(&self, method: &str, params: serde_json::Value) -> Result<serde_json::Value, ErrorObject> {
        self.0.ask(method, params).await.map_err(|error| match error {
            RequestError::Refused(refused) => refused,
            RequestError::Transport(error) => error.into(),
        })
    }
}

impl WsTransport {
    fn cannot_sign(&self, error: &alloy::signers::Error) -> TransportError {
        TransportError::Signer { party: self.signer.address(), problem: error.to_string() }
    }

    /// What anybody may ask.
    #[must_use]
    pub const fn client(&self) -> &MockClient {
        &self.client
    }

    async fn send(&self, key: &EffectKey, value: AttoFil, bytes: Bytes) -> Result<Landed, SubmitError> {
        let signed = SignedCommand::sign(&self.signer, &self.market(), key.clone(), value, bytes)
            .map_err(|error| self.cannot_sign(&error))?;
        self.client.send(&signed).await
    }
}

#[async_trait]
impl Transport for WsTransport {
    fn market(&self) -> MarketRef {
        self.client.info().market
    }

    fn party(&self) -> Address {
        self.signer.address()
    }

    fn updates(&self, from: Option<Cursor>) -> UpdateStream {
        reader::updates(Arc::clone(&self.client.0), from)
    }

    async fn submit(&self, key: &EffectKey, command: &Command, value: AttoFil) -> Result<Landed, SubmitError> {
        self.send(key, value, encoding::encode(command, value)?).await
    }

    fn auction(&self) -> Option<AuctionRef> {
        self.client.info().auction
    }

    async fn submit_to_auction(
        &self,
        key: &EffectKey,
        command: &auction::Command,
        value: AttoFil,
    ) -> Result<Landed, SubmitError> {
        let AuctionRef { contract, .. } = self.auction().ok_or(TransportError::NoAuction)?;
        self.send(key, value, encoding::encode_for_auction(contract, command, value)?).await
    }

    async fn was_begun(&self, key: &EffectKey) -> Result<bool, TransportError> {
        self.client.read(method::LANDED, KeyParams { party: self.party(), key: key.clone() }).await
    }

    fn seal(&self, job: JobId, price: AttoFil) -> Option<SealedBid> {
        let AuctionRef { contract, .. } = self.auction()?;
        Some(crate::auction::seal(&self.signer, self.market().chain_id, contract, job, price))
    }

    async fn auction_balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        self.client.read(method::AUCTION_BALANCE, AccountParams { account }).await
    }

    async fn auction_of(&self, job: JobId) -> Result<auction::Auction, TransportError> {
        self.client.read(method::AUCTION_OF, JobParams { job }).await
    }

    async fn sealed_order(&self, job: JobId, bidder: Address) -> Result<u32, TransportError> {
        self.client.read(method::SEALED_ORDER, BidderParams { job, bidder }).await
    }

    async fn head(&self) -> Result<Head, TransportError> {
        self.client.head().await
    }

    async fn balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        self.client.read(method::BALANCE, AccountParams { account }).await
    }

    async fn wallet(&self, account: Address) -> Result<AttoFil, TransportError> {
        self.client.read(method::WALLET, AccountParams { account }).await
    }

    async fn deal(&self, job: JobId) -> Result<StoredDeal, TransportError> {
        self.client.read(method::DEAL, JobParams { job }).await
    }

    async fn is_spent(&self, client: Address, salt: U256) -> Result<bool, TransportError> {
        self.client.read(method::IS_SPENT, SaltParams { client, salt }).await
    }

    async fn next_salt(&self, client: Address, lane: Lane) -> Result<U256, TransportError> {
        self.client.read(method::NEXT_SALT, LaneParams { client, lane }).await
    }

    async fn sign_terms(&self, terms: &Terms) -> Result<Bytes, TransportError> {
        eip712::sign(&self.signer, &self.job_id(terms).0).map_err(|error| self.cannot_sign(&error))
    }

    async fn sign_acceptance(&self, job: JobId, receipt: &Receipt, until: Time) -> Result<Bytes, TransportError> {
        let digest = eip712::acceptance_digest(&self.market(), job, receipt, until);
        eip712::sign(&self.signer, &digest).map_err(|error| self.cannot_sign(&error))
    }
}
