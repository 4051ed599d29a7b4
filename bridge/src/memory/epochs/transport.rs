//! A party's transport to a chain that passes in epochs.

use async_trait::async_trait;
use lota_market::{
    Address, AttoFil, Bytes, Time, U256,
    agent::EffectKey,
    model::{Command, JobId, Lane, Receipt, Terms},
};

use super::{EpochChain, blocks::Submitted};
use crate::{
    PrivateKeySigner,
    eip712::{self, SignedCommand},
    encoding,
    memory::{Link, reader},
    transport::{
        Cursor, Head, Landed, MarketRef, Outstanding, StoredDeal, SubmitError, Transport, TransportError, UpdateStream,
    },
};

/// A party's transport; made by [`EpochChain::connect`]. Clones share the connection.
#[derive(Clone, Debug)]
pub struct EpochTransport {
    chain: EpochChain,
    signer: PrivateKeySigner,
    link: Link,
}

/// Somebody who waits for a command.
struct Waiting<'a> {
    chain: &'a EpochChain,
    party: Address,
    key: &'a EffectKey,
}

impl<'a> Waiting<'a> {
    fn begin(chain: &'a EpochChain, party: Address, key: &'a EffectKey) -> Self {
        chain.blocks().wait(party, key);
        Self { chain, party, key }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.chain.blocks().wait_no_more(self.party, self.key);
    }
}

impl EpochTransport {
    pub(super) fn new(chain: EpochChain, signer: PrivateKeySigner) -> Self {
        Self { chain, signer, link: Link::default() }
    }

    /// The connection, for cutting it.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    fn cannot_sign(&self, error: &alloy::signers::Error) -> TransportError {
        TransportError::Signer { party: self.signer.address(), problem: error.to_string() }
    }
}

#[async_trait]
impl Transport for EpochTransport {
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
        let bytes = encoding::encode(command, value)?;
        let signed = SignedCommand::sign(&self.signer, &self.market(), key.clone(), value, bytes)
            .map_err(|error| self.cannot_sign(&error))?;
        let mut changes = self.chain.changes();
        let _waiting = Waiting::begin(&self.chain, self.party(), key);
        let mut is_first = true;
        loop {
            changes.mark_unchanged();
            if let Submitted::Landed(landed) = self.chain.submit(&signed, command, is_first)? {
                return Ok(*landed);
            }
            is_first = false;
            // The chain lives as long as this transport.
            let _ = changes.changed().await;
        }
    }

    async fn outstanding(&self, seen: u64) -> Result<Outstanding, TransportError> {
        Ok(self.chain.blocks().outstanding(self.party(), seen))
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
