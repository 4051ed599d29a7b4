//! A party's transport to a chain in this process.

use async_trait::async_trait;
use lota_market::{
    Address, AttoFil, Bytes, Time, U256,
    agent::EffectKey,
    auction,
    model::{Command, JobId, Lane, Receipt, Terms},
};

use super::{Chain, Fault, Link, reader};
use crate::{
    PrivateKeySigner,
    eip712::{self, SignedCommand},
    encoding,
    transport::{
        AuctionRef, Cursor, Head, Landed, MarketRef, SealedBid, StoredDeal, SubmitError, Transport, TransportError,
        UpdateStream,
    },
};

/// A party's transport; made by [`Chain::connect`]. Clones share the connection.
#[derive(Clone, Debug)]
pub struct MemoryTransport {
    chain: Chain,
    signer: PrivateKeySigner,
    link: Link,
}

impl MemoryTransport {
    pub(super) fn new(chain: Chain, signer: PrivateKeySigner) -> Self {
        Self { chain, signer, link: Link::default() }
    }

    /// The connection, for making it fail.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The chain.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    fn cannot_sign(&self, error: &alloy::signers::Error) -> TransportError {
        TransportError::Signer { party: self.signer.address(), problem: error.to_string() }
    }

    /// Signs an encoded command and hands it to the chain.
    async fn send(&self, key: &EffectKey, value: AttoFil, bytes: Bytes) -> Result<Landed, SubmitError> {
        let signed = SignedCommand::sign(&self.signer, &self.market(), key.clone(), value, bytes)
            .map_err(|error| self.cannot_sign(&error))?;
        let fault = self.link.take();
        match fault {
            Some(Fault::LoseRequest) => {
                return Err(
                    TransportError::Unavailable("the connection broke before the request was sent".into()).into()
                );
            }
            Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
            Some(Fault::LoseAnswer) | None => {}
        }
        let chain = self.chain.clone();
        // Writing the log may take milliseconds, and must go on when the caller loses interest.
        let landed = tokio::task::spawn_blocking(move || chain.execute(&signed))
            .await
            .map_err(|error| SubmitError::Failed(format!("the market's task broke: {error}")))?;
        if fault == Some(Fault::LoseAnswer) {
            return Err(TransportError::Unavailable("the connection broke before the answer came".into()).into());
        }
        landed
    }
}

#[async_trait]
impl Transport for MemoryTransport {
    fn market(&self) -> MarketRef {
        self.chain.market()
    }

    fn party(&self) -> Address {
        self.signer.address()
    }

    fn updates(&self, from: Option<Cursor>) -> UpdateStream {
        reader::updates(self.chain.clone(), &self.link, from, None)
    }

    async fn submit(&self, key: &EffectKey, command: &Command, value: AttoFil) -> Result<Landed, SubmitError> {
        self.send(key, value, encoding::encode(command, value)?).await
    }

    fn auction(&self) -> Option<AuctionRef> {
        self.chain.auction()
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
        Ok(self.chain.has_landed(self.party(), key))
    }

    fn seal(&self, job: JobId, price: AttoFil) -> Option<SealedBid> {
        let AuctionRef { contract, .. } = self.auction()?;
        Some(crate::auction::seal(&self.signer, self.market().chain_id, contract, job, price))
    }

    async fn auction_balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        self.chain.ask_auction(|auction| auction.balance(account))
    }

    async fn auction_of(&self, job: JobId) -> Result<auction::Auction, TransportError> {
        self.chain.ask_auction(|auction| auction.auction(job))
    }

    async fn sealed_order(&self, job: JobId, bidder: Address) -> Result<u32, TransportError> {
        self.chain.ask_auction(|auction| auction.commitment(job, bidder))
    }

    async fn head(&self) -> Result<Head, TransportError> {
        Ok(self.chain.head())
    }

    async fn balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        Ok(self.chain.balance(account))
    }

    async fn wallet(&self, account: Address) -> Result<AttoFil, TransportError> {
        Ok(self.chain.wallet(account))
    }

    async fn deal(&self, job: JobId) -> Result<StoredDeal, TransportError> {
        Ok(self.chain.deal(job))
    }

    async fn is_spent(&self, client: Address, salt: U256) -> Result<bool, TransportError> {
        Ok(self.chain.is_spent(client, salt))
    }

    async fn next_salt(&self, client: Address, lane: Lane) -> Result<U256, TransportError> {
        Ok(self.chain.next_salt(client, lane))
    }

    async fn sign_terms(&self, terms: &Terms) -> Result<Bytes, TransportError> {
        eip712::sign(&self.signer, &self.job_id(terms).0).map_err(|error| self.cannot_sign(&error))
    }

    async fn sign_acceptance(&self, job: JobId, receipt: &Receipt, until: Time) -> Result<Bytes, TransportError> {
        let digest = eip712::acceptance_digest(&self.market(), job, receipt, until);
        eip712::sign(&self.signer, &digest).map_err(|error| self.cannot_sign(&error))
    }
}
