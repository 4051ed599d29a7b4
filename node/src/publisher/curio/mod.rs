//! Filecoin, by a storage provider's Curio: the output's CAR becomes a piece that the provider seals into a sector, by direct onboarding
//! (product `ddo_v1` of Curio's market, `market/mk20`).
//!
//! First the deal is announced at Lota's market contract for Curio, with an account of the node's; then it is handed to Curio, which asks that
//! contract, and fetches the CAR from this node's gateway. Curio is believed in nothing: the piece's CID is computed here, and the piece
//! is sealed when the provider's miner actor has told the contract so.

mod provider;
mod receipt;
#[cfg(test)]
pub(crate) mod tests;
mod text;

use std::time::Duration;

use async_trait::async_trait;
use lota_bridge::{
    PrivateKeySigner,
    evm::curio::{Client, ClientError, Deal, Proposal, Stage as OnChain},
};
use lota_content::Cid;
use lota_market::{Address, B256};

use self::{
    provider::{Handover, Provider, Status},
    receipt::{Receipt, Stage},
};
use super::{
    Content, Progress, PublishError, Published, Publisher, PublisherError, Server,
    filecoin::{commitment, unix_time},
};

/// What it is called.
pub(crate) const NAME: &str = "curio";
/// In epochs: the shortest deal that Curio takes, 180 days.
const DURATION: u64 = 518_400;
/// Epochs in which the provider may take a deal: a day.
const OPEN_FOR: u64 = 2_880;
/// How long Curio may take to seal: batches of sectors wait to be full.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// With whom outputs are stored.
pub struct CurioOptions {
    /// The provider's Curio, such as `https://curio.example`.
    pub url: String,
    /// Id of its miner actor: 1000 for f01000.
    pub provider: u64,
    /// JSON-RPC of a node of the chain.
    pub rpc: String,
    /// Lota's market contract for Curio there, which the provider allows.
    pub market: Address,
    /// The client: it announces deals, pays the gas of that, and signs for Curio.
    pub signer: PrivateKeySigner,
}

impl CurioOptions {
    /// Whether that Curio runs on this machine, and so reaches what is served to it alone.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        self.url.parse().is_ok_and(|url| super::is_this_machine(&url))
    }
}

/// The contract, as the publisher needs it.
#[async_trait]
pub(crate) trait Deals: Send + Sync {
    async fn chain_id(&self) -> Result<u64, ClientError>;
    async fn epoch(&self) -> Result<u64, ClientError>;
    async fn find(&self, provider: u64, root: B256) -> Result<Option<u64>, ClientError>;
    async fn announce(&self, name: &str, proposal: &Proposal) -> Result<u64, ClientError>;
    async fn deal(&self, id: u64) -> Result<Option<(Deal, bool)>, ClientError>;
    async fn withdraw(&self, id: u64) -> Result<(), ClientError>;
}

#[async_trait]
impl Deals for Client {
    async fn chain_id(&self) -> Result<u64, ClientError> {
        Self::chain_id(self).await
    }
    async fn epoch(&self) -> Result<u64, ClientError> {
        Self::epoch(self).await
    }
    async fn find(&self, provider: u64, root: B256) -> Result<Option<u64>, ClientError> {
        Self::find(self, provider, root).await
    }
    async fn announce(&self, name: &str, proposal: &Proposal) -> Result<u64, ClientError> {
        Self::announce(self, name, proposal).await
    }
    async fn deal(&self, id: u64) -> Result<Option<(Deal, bool)>, ClientError> {
        Self::deal(self, id).await
    }
    async fn withdraw(&self, id: u64) -> Result<(), ClientError> {
        Self::withdraw(self, id).await
    }
}

/// A storage provider with Curio.
pub struct Curio {
    deals: Box<dyn Deals>,
    curio: Provider,
    patience: u64,
}

impl Curio {
    /// The provider with these options.
    ///
    /// # Errors
    /// [`PublisherError`].
    pub fn new(options: CurioOptions) -> Result<Self, PublisherError> {
        super::check_rpc(&options.rpc)?;
        let deals = Box::new(Client::new(&options.rpc, options.market, options.signer.clone()));
        Self::with(deals, options)
    }

    fn with(deals: Box<dyn Deals>, options: CurioOptions) -> Result<Self, PublisherError> {
        let server = Server::new(&options.url, "a storage provider's Curio", None)?;
        let CurioOptions { provider, market, signer, .. } = options;
        Ok(Self { deals, curio: Provider { server, provider, market, signer }, patience: PATIENCE.as_secs() })
    }

    /// Announces the deal, unless an earlier process has.
    async fn announce(&self, content: &Content, now: u64) -> Result<Published, PublishError> {
        let piece = commitment(content).await?;
        // Before anything is paid for.
        self.curio.allows_the_contract().await?;
        let root = B256::from(*piece.root().as_bytes());
        let provider = self.curio.provider;
        let deal = match self.deals.find(provider, root).await.map_err(unreachable_chain)? {
            Some(deal) => deal,
            None => {
                let epoch = self.deals.epoch().await.map_err(unreachable_chain)?;
                let proposal = Proposal {
                    provider,
                    piece: piece.v2().to_bytes().into(),
                    start: None,
                    duration: DURATION,
                    allocation: None,
                    open_until: epoch.saturating_add(OPEN_FOR),
                };
                let name = format!("{provider}/{root}/{epoch}");
                self.deals.announce(&name, &proposal).await.map_err(unreachable_chain)?
            }
        };
        Ok(at(Progress::Pinning, Receipt { piece, deal, stage: Stage::Announced { since: now } }))
    }

    /// Hands the announced deal to Curio.
    async fn hand_over(&self, receipt: Receipt, content: &Content, now: u64) -> Result<Published, PublishError> {
        let chain = self.deals.chain_id().await.map_err(unreachable_chain)?;
        match self.curio.hand_over(chain, receipt.deal, &receipt.piece, content).await? {
            Handover::Taken => {
                let stage = Stage::Taken { since: now, status: "accepted".to_owned() };
                Ok(at(Progress::Pinning, Receipt { stage, ..receipt }))
            }
            Handover::Rejected(problem) => Err(PublishError::Refused(problem)),
        }
    }

    /// Looks how far it is.
    async fn follow(&self, receipt: Receipt, content: &Content, now: u64) -> Result<Published, PublishError> {
        let Some((deal, is_final)) = self.deals.deal(receipt.deal).await.map_err(unreachable_chain)? else {
            // What was final is there; the chain's node may have to catch up.
            if matches!(receipt.stage, Stage::Sealed { is_final: true, .. }) {
                return Err(PublishError::Temporary(format!("the chain's node does not know deal {}", receipt.deal)));
            }
            return Err(PublishError::GivenUp("the chain undid the deal's announcement".to_owned()));
        };
        if deal.root.0 != *receipt.piece.root().as_bytes() {
            return Err(PublishError::GivenUp(format!("deal {} is one with another piece", receipt.deal)));
        }
        match (deal.stage, &receipt.stage) {
            (OnChain::Active { sector, until, .. }, _) => {
                let progress = if is_final { Progress::Pinned } else { Progress::Pinning };
                Ok(at(progress, Receipt { stage: Stage::Sealed { sector, until, is_final }, ..receipt }))
            }
            // Curio has it; that no other may take it any more does not matter.
            (stage, Stage::Taken { since, .. }) => {
                let since = *since;
                let problem = match self.curio.status(receipt.deal).await? {
                    Status::Failed(problem) => format!("Curio failed to seal it: {problem}"),
                    Status::Unknown => "Curio does not know the deal any more".to_owned(),
                    Status::Underway(_) if now >= since.saturating_add(self.patience) => {
                        "Curio did not seal it in time".to_owned()
                    }
                    Status::Underway(status) => {
                        let stage = Stage::Taken { since, status };
                        return Ok(at(Progress::Pinning, Receipt { stage, ..receipt }));
                    }
                };
                // What is tried next is another deal; nobody shall take this one.
                if stage == OnChain::Open {
                    self.deals.withdraw(receipt.deal).await.map_err(unreachable_chain)?;
                }
                Err(PublishError::GivenUp(problem))
            }
            (OnChain::Open, Stage::Announced { .. }) => self.hand_over(receipt, content, now).await,
            (OnChain::Open | OnChain::Finalized, _) => {
                Err(PublishError::GivenUp("the deal is over: nobody took it in time, or its sector ended".to_owned()))
            }
        }
    }
}

#[async_trait]
impl Publisher for Curio {
    fn name(&self) -> &str {
        NAME
    }

    async fn publish(&self, content: &Content, receipt: Option<&str>) -> Result<Published, PublishError> {
        let now = unix_time();
        match receipt.and_then(Receipt::parse) {
            Some(receipt) => self.follow(receipt, content, now).await,
            None => self.announce(content, now).await,
        }
    }

    async fn withdraw(&self, _: &Cid, receipt: Option<&str>) -> Result<(), PublishError> {
        let Some(receipt) = receipt.and_then(Receipt::parse) else { return Ok(()) };
        match self.deals.deal(receipt.deal).await.map_err(unreachable_chain)? {
            // What is sealed stays until its sector ends: nobody is paid for each day, and nothing can be taken back.
            Some((Deal { stage: OnChain::Open, .. }, _)) => {
                self.deals.withdraw(receipt.deal).await.map_err(unreachable_chain)
            }
            _ => Ok(()),
        }
    }

    /// Jobs with the same output share the deal.
    fn is_same(&self, one: Option<&str>, other: Option<&str>) -> bool {
        let deal = |receipt: Option<&str>| receipt.and_then(Receipt::parse).map(|receipt| receipt.deal);
        deal(one) == deal(other)
    }
}

/// What a receipt of this publisher's says, for people.
pub(crate) fn detail(receipt: &str) -> Option<String> {
    Receipt::parse(receipt).map(|receipt| receipt.to_string())
}

fn at(progress: Progress, receipt: Receipt) -> Published {
    Published { progress, receipt: Some(receipt.encode()) }
}

fn unreachable_chain(error: ClientError) -> PublishError {
    match error {
        ClientError::NotAnnounced(..) => PublishError::Refused(error.to_string()),
        error => PublishError::Temporary(error.to_string()),
    }
}
