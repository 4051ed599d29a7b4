//! A party's transport to a market on a chain.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use lota_market::{
    Address, AttoFil, Bytes, Time, U256,
    agent::EffectKey,
    model::{Command, JobId, Receipt, Terms},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    Config, bindings, reader,
    rpc::Trouble,
    sender::{self, Request},
    shared::Shared,
};
use crate::{
    Journal, PrivateKeySigner, eip712, encoding,
    transport::{
        Cursor, Head, Landed, MarketRef, Reserve, StoredDeal, SubmitError, Transport, TransportError, UpdateStream,
    },
};

/// A party's transport to a market on a chain. One for each key: two would give out the same nonces.
pub struct EvmTransport {
    shared: Arc<Shared>,
    signer: PrivateKeySigner,
    requests: mpsc::Sender<Request>,
    listener: Option<JoinHandle<()>>,
}

impl fmt::Debug for EvmTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvmTransport")
            .field("shared", &self.shared)
            .field("party", &self.party())
            .finish_non_exhaustive()
    }
}

impl Drop for EvmTransport {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

impl EvmTransport {
    /// Connects to a market, and takes up what an earlier process left.
    ///
    /// # Errors
    /// [`TransportError::Unavailable`] when the node does not answer; [`TransportError::WrongChain`] and
    /// [`TransportError::NoMarket`] when it serves something else.
    pub async fn connect(
        config: Config,
        signer: PrivateKeySigner,
        journal: Arc<dyn Journal>,
    ) -> Result<Self, TransportError> {
        let shared = Arc::new(Shared::connect(config, journal).await?);
        let listener = shared.listen();
        let requests = sender::spawn(shared.clone(), signer.clone());
        Ok(Self { shared, signer, requests, listener })
    }

    fn cannot_sign(&self, error: &alloy::signers::Error) -> TransportError {
        TransportError::Signer { party: self.signer.address(), problem: error.to_string() }
    }

    async fn view<T>(&self, view: bindings::View<T>) -> Result<T, TransportError> {
        Ok(self.shared.rpc.view(self.shared.config.contract, view).await?)
    }
}

#[async_trait]
impl Transport for EvmTransport {
    fn market(&self) -> MarketRef {
        self.shared.market()
    }

    fn party(&self) -> Address {
        self.signer.address()
    }

    fn updates(&self, from: Option<Cursor>) -> UpdateStream {
        reader::updates(self.shared.clone(), from)
    }

    async fn submit(&self, key: &EffectKey, command: &Command, value: AttoFil) -> Result<Landed, SubmitError> {
        self.submit_with_reserve(key, command, value, Reserve::default()).await
    }

    async fn submit_with_reserve(
        &self,
        key: &EffectKey,
        command: &Command,
        value: AttoFil,
        reserve: Reserve,
    ) -> Result<Landed, SubmitError> {
        encoding::encode(command, value)?;
        let (reply, answer) = oneshot::channel();
        let request = Request { key: key.clone(), command: command.clone(), value, reserve, reply };
        let stopped = || SubmitError::from(Trouble::down("the task that sends has stopped"));
        self.requests.send(request).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    async fn head(&self) -> Result<Head, TransportError> {
        let latest = self.shared.rpc.latest().await?;
        Ok(Head { block: latest.number(), hash: latest.hash, time: Time(latest.timestamp()) })
    }

    async fn balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        self.view(bindings::balance_of(account)).await
    }

    async fn wallet(&self, account: Address) -> Result<AttoFil, TransportError> {
        Ok(AttoFil(self.shared.rpc.balance(account).await?.saturating_to()))
    }

    async fn deal(&self, job: JobId) -> Result<StoredDeal, TransportError> {
        self.view(bindings::deal_of(job)).await
    }

    async fn is_spent(&self, client: Address, salt: U256) -> Result<bool, TransportError> {
        self.view(bindings::is_spent(client, salt)).await
    }

    async fn sign_terms(&self, terms: &Terms) -> Result<Bytes, TransportError> {
        eip712::sign(&self.signer, &self.job_id(terms).0).map_err(|error| self.cannot_sign(&error))
    }

    async fn sign_acceptance(&self, job: JobId, receipt: &Receipt) -> Result<Bytes, TransportError> {
        let digest = eip712::acceptance_digest(&self.market(), job, receipt);
        eip712::sign(&self.signer, &digest).map_err(|error| self.cannot_sign(&error))
    }
}
